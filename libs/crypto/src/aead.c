// AES-256-GCM for foreign protocols. Plaintext counts only after the tag was checked; until then it is wiped on the way out.
#include "crypto/aead.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/check.h"
#include "crypto/crypto.h"

static err_t check_shapes(sv key, sv nonce, sv additional, sv text);
static EVP_CIPHER_CTX *begin(sv key, sv nonce, sv additional, int is_sealing);

err_t crypto_aes_256_gcm_open(sv key, sv nonce, sv additional, sv sealed, buf *out) {
    err_t err = check_shapes(key, nonce, additional, sealed);
    if (err != ERR_OK) return err;
    if (sealed.len < CRYPTO_GCM_TAG_LEN) return ERR_MALFORMED;
    size_t before = out->len;
    size_t len = sealed.len - CRYPTO_GCM_TAG_LEN;
    if (buf_has_failed(out) || len >= out->max - out->len) return ERR_TOO_LARGE;
    uint8_t *plain = (uint8_t *)buf_reserve(out, len + 1);
    CHECK(plain != NULL);
    uint8_t tag[CRYPTO_GCM_TAG_LEN];
    memcpy(tag, sealed.ptr + len, sizeof tag);
    EVP_CIPHER_CTX *cipher = begin(key, nonce, additional, 0);
    int done = 0;
    if (len > 0) CHECK(EVP_CipherUpdate(cipher, plain, &done, (const uint8_t *)sealed.ptr, (int)len) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, sizeof tag, tag) == 1);
    bool authentic = EVP_CipherFinal_ex(cipher, plain + done, &done) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!authentic) crypto_wipe(plain, len);
    out->len = authentic ? before + len : before;
    return authentic ? ERR_OK : ERR_UNAUTHENTIC;
}

err_t crypto_aes_256_gcm_seal(sv key, sv nonce, sv additional, sv plain, buf *out) {
    err_t err = check_shapes(key, nonce, additional, plain);
    if (err != ERR_OK) return err;
    uint8_t *sealed = (uint8_t *)buf_reserve(out, plain.len + CRYPTO_GCM_TAG_LEN);
    if (sealed == NULL) return ERR_TOO_LARGE;
    EVP_CIPHER_CTX *cipher = begin(key, nonce, additional, 1);
    int done = 0;
    if (plain.len > 0) CHECK(EVP_CipherUpdate(cipher, sealed, &done, (const uint8_t *)plain.ptr, (int)plain.len) == 1);
    CHECK(EVP_CipherFinal_ex(cipher, sealed + done, &done) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, CRYPTO_GCM_TAG_LEN, sealed + plain.len) == 1);
    EVP_CIPHER_CTX_free(cipher);
    return ERR_OK;
}

static err_t check_shapes(sv key, sv nonce, sv additional, sv text) {
    if (key.len != CRYPTO_AES_256_KEY_LEN) return ERR_BAD_INPUT;
    if (nonce.len == 0 || nonce.len > CRYPTO_GCM_NONCE_MAX) return ERR_MALFORMED;
    return text.len > INT_MAX - CRYPTO_GCM_TAG_LEN || additional.len > INT_MAX ? ERR_TOO_LARGE : ERR_OK;
}

// The nonce's length is set before the nonce; 12 bytes are the usual ones, others are hashed by GCM itself.
static EVP_CIPHER_CTX *begin(sv key, sv nonce, sv additional, int is_sealing) {
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int len = 0;
    CHECK(cipher != NULL && EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, NULL, NULL, is_sealing) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_IVLEN, (int)nonce.len, NULL) == 1);
    CHECK(EVP_CipherInit_ex(cipher, NULL, NULL, (const uint8_t *)key.ptr, (const uint8_t *)nonce.ptr, is_sealing) == 1);
    if (additional.len > 0) CHECK(EVP_CipherUpdate(cipher, NULL, &len, (const uint8_t *)additional.ptr, (int)additional.len) == 1);
    return cipher;
}
