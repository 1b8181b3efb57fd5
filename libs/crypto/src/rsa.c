// RSA by OpenSSL's EVP interface. OpenSSL keeps a queue of errors per thread; each refusal here empties it, so that no
// other part reads what it did not cause.
#include "crypto/rsa.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "crypto/crypto.h"

struct crypto_private_key {
    EVP_PKEY *key;
};

struct crypto_public_key {
    EVP_PKEY *key;
};

struct crypto_certificate {
    crypto_public_key key;
    char *serial;
    instant_ms valid_from;
    instant_ms valid_to;
};

static BIO *open_pem(sv pem);
static err_t refuse(fault *out_fault, const char *place, const char *reason);
static const char *fault_of_key(const EVP_PKEY *key);
static bool read_time(const ASN1_TIME *time, instant_ms *out_at);
static int refuse_password(char *out, int size, int is_writing, void *context);

err_t crypto_private_key_parse(sv pem, crypto_private_key **out_key, fault *out_fault) {
    BIO *bio = open_pem(pem);
    if (bio == NULL) return refuse(out_fault, "key", "it is empty or too large for a PEM file");
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    if (key == NULL) return refuse(out_fault, "key", "no unencrypted PEM private key is in it");
    const char *wrong = fault_of_key(key);
    if (wrong != NULL) {
        EVP_PKEY_free(key);
        return refuse(out_fault, "key", wrong);
    }
    *out_key = mem_new(1, sizeof **out_key);
    (*out_key)->key = key;
    return ERR_OK;
}

void crypto_private_key_free(crypto_private_key *self) {
    if (self != NULL) EVP_PKEY_free(self->key);
    mem_free(self);
}

err_t crypto_public_key_parse(sv pem, crypto_public_key **out_key, fault *out_fault) {
    BIO *bio = open_pem(pem);
    if (bio == NULL) return refuse(out_fault, "key", "it is empty or too large for a PEM file");
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    if (key == NULL) return refuse(out_fault, "key", "no PEM public key is in it");
    const char *wrong = fault_of_key(key);
    if (wrong != NULL) {
        EVP_PKEY_free(key);
        return refuse(out_fault, "key", wrong);
    }
    *out_key = mem_new(1, sizeof **out_key);
    (*out_key)->key = key;
    return ERR_OK;
}

void crypto_public_key_free(crypto_public_key *self) {
    if (self != NULL) EVP_PKEY_free(self->key);
    mem_free(self);
}

err_t crypto_certificate_parse(sv pem, crypto_certificate **out_certificate, fault *out_fault) {
    BIO *bio = open_pem(pem);
    if (bio == NULL) return refuse(out_fault, "certificate", "it is empty or too large for a PEM file");
    X509 *x509 = PEM_read_bio_X509(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    if (x509 == NULL) return refuse(out_fault, "certificate", "no PEM certificate is in it");
    crypto_certificate *self = mem_new(1, sizeof *self);
    self->key.key = X509_get_pubkey(x509);
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
    self->serial = serial != NULL && !BN_is_negative(serial) ? BN_bn2hex(serial) : NULL;
    BN_free(serial);
    bool has_times = read_time(X509_get0_notBefore(x509), &self->valid_from) && read_time(X509_get0_notAfter(x509), &self->valid_to);
    X509_free(x509);
    const char *wrong = self->key.key == NULL ? "its key cannot be read" : fault_of_key(self->key.key);
    if (wrong == NULL && (self->serial == NULL || !has_times)) wrong = "its serial number or its times cannot be read";
    if (wrong != NULL) {
        crypto_certificate_free(self);
        return refuse(out_fault, "certificate", wrong);
    }
    *out_certificate = self;
    return ERR_OK;
}

void crypto_certificate_free(crypto_certificate *self) {
    if (self != NULL) {
        EVP_PKEY_free(self->key.key);
        OPENSSL_free(self->serial);
    }
    mem_free(self);
}

const crypto_public_key *crypto_certificate_key(const crypto_certificate *self) { return &self->key; }
sv crypto_certificate_serial(const crypto_certificate *self) { return sv_of(self->serial); }
instant_ms crypto_certificate_valid_from(const crypto_certificate *self) { return self->valid_from; }
instant_ms crypto_certificate_valid_to(const crypto_certificate *self) { return self->valid_to; }

bool crypto_keys_match(const crypto_private_key *private_key, const crypto_public_key *public_key) {
    bool equal = EVP_PKEY_eq(private_key->key, public_key->key) == 1;
    ERR_clear_error();
    return equal;
}

size_t crypto_public_key_len(const crypto_public_key *self) { return (size_t)EVP_PKEY_get_size(self->key); }

void crypto_rsa_sign(const crypto_private_key *key, const sv *pieces, size_t count, buf *out) {
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    size_t len = (size_t)EVP_PKEY_get_size(key->key);
    uint8_t *signature = (uint8_t *)buf_reserve(out, len);
    CHECK(digest != NULL && EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, key->key) == 1);
    for (size_t i = 0; i < count; i++) CHECK(pieces[i].len == 0 || EVP_DigestSignUpdate(digest, pieces[i].ptr, pieces[i].len) == 1);
    size_t written = len;
    if (signature != NULL) CHECK(EVP_DigestSignFinal(digest, signature, &written) == 1 && written == len);
    EVP_MD_CTX_free(digest);
}

bool crypto_rsa_verify(const crypto_public_key *key, const sv *pieces, size_t count, sv signature) {
    if (signature.len != crypto_public_key_len(key)) return false;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    CHECK(digest != NULL && EVP_DigestVerifyInit(digest, NULL, EVP_sha256(), NULL, key->key) == 1);
    for (size_t i = 0; i < count; i++) CHECK(pieces[i].len == 0 || EVP_DigestVerifyUpdate(digest, pieces[i].ptr, pieces[i].len) == 1);
    bool valid = EVP_DigestVerifyFinal(digest, (const uint8_t *)signature.ptr, signature.len) == 1;
    EVP_MD_CTX_free(digest);
    ERR_clear_error();
    return valid;
}

static EVP_PKEY_CTX *begin_oaep(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *)) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    CHECK(context != NULL && init(context) == 1 && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1);
    CHECK(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha1()) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha1()) == 1);
    return context;
}

err_t crypto_rsa_oaep_encrypt(const crypto_public_key *key, sv secret, buf *out) {
    size_t len = crypto_public_key_len(key);
    if (secret.len > len - 42) return ERR_TOO_LARGE;
    uint8_t *encrypted = (uint8_t *)buf_reserve(out, len);
    if (encrypted == NULL) return ERR_TOO_LARGE;
    EVP_PKEY_CTX *context = begin_oaep(key->key, EVP_PKEY_encrypt_init);
    const uint8_t *bytes = (const uint8_t *)(secret.len > 0 ? secret.ptr : "");
    CHECK(EVP_PKEY_encrypt(context, encrypted, &len, bytes, secret.len) == 1);
    EVP_PKEY_CTX_free(context);
    return ERR_OK;
}

err_t crypto_rsa_oaep_decrypt(const crypto_private_key *key, sv encrypted, buf *out) {
    uint8_t secret[CRYPTO_RSA_BITS_MAX / 8];
    size_t len = sizeof secret;
    if (encrypted.len != (size_t)EVP_PKEY_get_size(key->key)) return ERR_UNAUTHENTIC;
    EVP_PKEY_CTX *context = begin_oaep(key->key, EVP_PKEY_decrypt_init);
    bool opened = EVP_PKEY_decrypt(context, secret, &len, (const uint8_t *)encrypted.ptr, encrypted.len) == 1;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    if (opened) buf_add(out, sv_slice(secret, len));
    crypto_wipe(secret, sizeof secret);
    if (!opened) return ERR_UNAUTHENTIC;
    return buf_has_failed(out) ? ERR_TOO_LARGE : ERR_OK;
}

static BIO *open_pem(sv pem) {
    if (pem.len == 0 || pem.len > CRYPTO_PEM_MAX) return NULL;
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    CHECK(bio != NULL);
    return bio;
}

static err_t refuse(fault *out_fault, const char *place, const char *reason) {
    ERR_clear_error();
    return fault_set(out_fault, ERR_BAD_INPUT, place, "%s", reason);
}

static const char *fault_of_key(const EVP_PKEY *key) {
    if (!EVP_PKEY_is_a(key, "RSA")) return "it is no RSA key";
    int bits = EVP_PKEY_get_bits(key);
    return bits < CRYPTO_RSA_BITS_MIN || bits > CRYPTO_RSA_BITS_MAX ? "an RSA key has 2048 to 8192 bits" : NULL;
}

static bool read_time(const ASN1_TIME *time, instant_ms *out_at) {
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1) return false;
    int64_t seconds = days_from_civil(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday) * 86400;
    *out_at = (seconds + parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec) * SECOND_MS;
    return true;
}

// Without it OpenSSL would ask for the password at the terminal.
static int refuse_password(char *out, int size, int is_writing, void *context) {
    (void)out, (void)size, (void)is_writing, (void)context;
    return -1;
}
