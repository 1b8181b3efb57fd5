// RSA keys and certificates in PEM (RFC 7468), signatures RSASSA-PKCS1-v1_5 with SHA-256 and encryption RSAES-OAEP with
// SHA-1 and MGF1-SHA-1 (RFC 8017 §8.2, §7.1). Keys are immutable after parsing and may be used by several threads.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"

#define CRYPTO_RSA_BITS_MIN 2048
#define CRYPTO_RSA_BITS_MAX 8192
#define CRYPTO_PEM_MAX 65536

typedef struct crypto_private_key crypto_private_key;
typedef struct crypto_public_key crypto_public_key;
typedef struct crypto_certificate crypto_certificate;

// One key in "PRIVATE KEY" (PKCS#8) or "RSA PRIVATE KEY" (PKCS#1); an encrypted one is refused. Text around the block is
// skipped. ERR_BAD_INPUT with place "key"; no bytes of the key appear in the fault.
err_t crypto_private_key_parse(sv pem, crypto_private_key **out_key, fault *out_fault) MUST_CHECK;
void crypto_private_key_free(crypto_private_key *self);
// One key in "PUBLIC KEY" (SubjectPublicKeyInfo). ERR_BAD_INPUT with place "key".
err_t crypto_public_key_parse(sv pem, crypto_public_key **out_key, fault *out_fault) MUST_CHECK;
void crypto_public_key_free(crypto_public_key *self);

// The first "CERTIFICATE" (X.509, RFC 5280) with an RSA key. Nothing is checked but its form: who issued it and when it is
// valid is for the caller to judge. ERR_BAD_INPUT with place "certificate".
err_t crypto_certificate_parse(sv pem, crypto_certificate **out_certificate, fault *out_fault) MUST_CHECK;
void crypto_certificate_free(crypto_certificate *self);
// Borrowed from the certificate.
const crypto_public_key *crypto_certificate_key(const crypto_certificate *self);
// Upper-case hex, an even number of digits, as long as the number needs.
sv crypto_certificate_serial(const crypto_certificate *self);
instant_ms crypto_certificate_valid_from(const crypto_certificate *self);
instant_ms crypto_certificate_valid_to(const crypto_certificate *self);

bool crypto_keys_match(const crypto_private_key *private_key, const crypto_public_key *public_key);

// Bytes of a signature and of an encrypted secret.
size_t crypto_public_key_len(const crypto_public_key *self);

// Of several pieces in a row. Appends the signature to *out (whose failure is the caller's to check). The same key and
// bytes give the same signature.
void crypto_rsa_sign(const crypto_private_key *key, const sv *pieces, size_t count, buf *out);
// False for any signature that is not exactly the key's length.
bool crypto_rsa_verify(const crypto_public_key *key, const sv *pieces, size_t count, sv signature);

// Appends the encrypted secret. ERR_TOO_LARGE when it exceeds the key's length less 42 bytes.
err_t crypto_rsa_oaep_encrypt(const crypto_public_key *key, sv secret, buf *out) MUST_CHECK;
// Appends the secret; ERR_UNAUTHENTIC when it was encrypted for another key or changed. *out is unchanged by an error.
err_t crypto_rsa_oaep_decrypt(const crypto_private_key *key, sv encrypted, buf *out) MUST_CHECK;
