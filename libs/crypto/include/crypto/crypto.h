// The cryptography Penstock uses, and no more: digests and MACs, authenticated encryption of secrets at rest, password
// hashes, and the text forms of bytes. Thread-safe; keys are borrowed and never copied beyond a call.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sv.h"

#define CRYPTO_SHA256_LEN 32

void crypto_sha256(sv bytes, uint8_t out[CRYPTO_SHA256_LEN]);
void crypto_hmac_sha256(sv key, sv bytes, uint8_t out[CRYPTO_SHA256_LEN]);
// Of several pieces in a row, without copying them together.
void crypto_hmac_sha256_pieces(sv key, const sv *pieces, size_t count, uint8_t out[CRYPTO_SHA256_LEN]);
// In time that depends on the lengths alone.
bool crypto_equal(sv a, sv b);
// Overwrites in a way the compiler keeps.
void crypto_wipe(void *bytes, size_t len);

// Base64 (RFC 4648 §4, padded) and base64url (§5, without padding). Decoding is strict: no white space, no foreign
// characters, zero trailing bits; false otherwise, and then *out is unchanged.
void crypto_base64_add(buf *out, sv bytes);
bool crypto_base64_decode(sv text, buf *out);
void crypto_base64url_add(buf *out, sv bytes);
bool crypto_base64url_decode(sv text, buf *out);

// A random token of `byte_count` (≤ 64) bytes as base64url text into `out`, which holds 4 * byte_count / 3 + 2 bytes.
void crypto_token(size_t byte_count, char *out);
