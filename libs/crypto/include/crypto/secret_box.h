// Secrets at rest: AES-256-GCM (NIST SP 800-38D) under named master keys. A sealed secret is
//   "P1" | key id (u32, big-endian) | nonce (12 random bytes) | ciphertext | tag (16)
// and is bound to its place by additional data: the company's num and a text that names table, column and row.
// The key file has one key per line, "<id> <64 hex digits>" (64 digits alone: id 1), ids 1 to 2^31-1, the newest (highest id) seals; empty
// lines and lines that begin with '#' are skipped. With random nonces one key may seal 2^32 secrets: rotate long before.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sv.h"

#define CRYPTO_SEAL_OVERHEAD (2 + 4 + 12 + 16)

typedef struct crypto_keyring crypto_keyring;

// Reads the file's text. The fault names the line; key bytes never appear in it.
err_t crypto_keyring_parse(sv text, crypto_keyring **out_keyring, fault *out_fault) MUST_CHECK;
// Reads the file; one that its group may write, or that others may read or write, is refused.
err_t crypto_keyring_load(const char *path, crypto_keyring **out_keyring, fault *out_fault) MUST_CHECK;
void crypto_keyring_free(crypto_keyring *self);  // wipes
void crypto_keyring_auto(crypto_keyring **self);
#define AUTO_KEYRING __attribute__((cleanup(crypto_keyring_auto))) crypto_keyring *

// Appends the sealed form to *out (whose failure is the caller's to check).
void crypto_seal(const crypto_keyring *keyring, int32_t company, sv place, sv secret, buf *out);
// Appends the secret to *out. ERR_MALFORMED when it is no sealed secret, ERR_NOT_FOUND when its key is not in the ring,
// ERR_UNAUTHENTIC when it was changed or belongs to another place; *out is then unchanged.
err_t crypto_open(const crypto_keyring *keyring, int32_t company, sv place, sv sealed, buf *out) MUST_CHECK;
// The id of the key a sealed secret was made with; 0 when it is none.
uint32_t crypto_sealed_key_id(sv sealed);
