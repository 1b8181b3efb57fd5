// Where a connection comes from, and whether a gateway may come from there.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/sv.h"

struct sockaddr;

// The address without the port; an IPv4 address in IPv6 clothes is written as IPv4. "unknown" for anything else.
void source_format(const struct sockaddr *address, char *out, size_t size);

// `networks`: "10.0.0.0/8,192.168.1.7", as PostgreSQL writes inet values; empty allows all. What cannot be read allows
// nothing.
bool source_is_allowed(sv networks, sv address);
