// Which addresses a company's webhook may lead to: the public internet only. Whoever names an address of our own network
// would have us ask our own servers.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

// False for loopback, private, link-local (and with it the clouds' metadata), shared, multicast, unspecified and
// documentation addresses, also when written as IPv4 inside IPv6 (RFC 6890).
bool guard_is_public(const struct sockaddr *address, size_t address_len);
bool guard_may_connect(void *owner, const struct sockaddr *address, size_t address_len);
