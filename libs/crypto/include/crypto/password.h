// Password hashes: Argon2id (RFC 9106) as PHC strings. One call takes CRYPTO_PASSWORD_MEMORY_KIB of memory and some tens
// of milliseconds: cap how many run at once, and never run it on an event loop.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sv.h"

#define CRYPTO_PASSWORD_MEMORY_KIB 65536
#define CRYPTO_PASSWORD_PASSES 3
#define CRYPTO_PASSWORD_LANES 1
#define CRYPTO_PASSWORD_MAX 1024  // bytes of a password
#define CRYPTO_PASSWORD_HASH_MAX 128

// "$argon2id$v=19$m=65536,t=3,p=1$<salt>$<hash>" with a fresh random salt. ERR_BAD_INPUT when the password is empty or
// too long.
err_t crypto_password_hash(sv password, char out[CRYPTO_PASSWORD_HASH_MAX]) MUST_CHECK;
// False for a wrong password and for a string that is no hash; a hash with dearer parameters than 1 GiB or 16 passes is
// refused unread. Other parameters than today's are honoured.
bool crypto_password_verify(sv password, sv hash);
// True when the hash was made with other parameters than today's: make a new one at the next log-in.
bool crypto_password_is_outdated(sv hash);
