// AES-256-GCM (NIST SP 800-38D) as other people's protocols use it: key, nonce and additional data from outside, the
// 16-byte tag behind the ciphertext. Secrets of our own go through secret_box.h.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sv.h"

#define CRYPTO_AES_256_KEY_LEN 32
#define CRYPTO_GCM_TAG_LEN 16
#define CRYPTO_GCM_NONCE_MAX 64

// Appends the plaintext to *out. ERR_BAD_INPUT: the key has not 32 bytes; ERR_MALFORMED: the nonce has 0 or more than 64
// bytes, or there is no room for a tag; ERR_TOO_LARGE: *out is full; ERR_UNAUTHENTIC: another key, nonce or additional
// data, or changed bytes. *out is unchanged by an error.
err_t crypto_aes_256_gcm_open(sv key, sv nonce, sv additional, sv sealed, buf *out) MUST_CHECK;
// Appends ciphertext and tag to *out (whose failure is the caller's to check). A nonce must never serve one key twice.
err_t crypto_aes_256_gcm_seal(sv key, sv nonce, sv additional, sv plain, buf *out) MUST_CHECK;
