// Digests, MACs, constant-time comparison, wiping and tokens: thin, checked calls of OpenSSL. A failing digest means a
// broken installation, hence CHECK.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/check.h"
#include "base/id.h"
#include "crypto/crypto.h"

void crypto_sha256(sv bytes, uint8_t out[CRYPTO_SHA256_LEN]) {
    unsigned int len = 0;
    CHECK(EVP_Digest(bytes.len > 0 ? bytes.ptr : "", bytes.len, out, &len, EVP_sha256(), NULL) == 1);
    CHECK(len == CRYPTO_SHA256_LEN);
}

void crypto_hmac_sha256(sv key, sv bytes, uint8_t out[CRYPTO_SHA256_LEN]) { crypto_hmac_sha256_pieces(key, &bytes, 1, out); }

// RFC 2104 over the digest interface: OpenSSL 3 deprecates its streaming HMAC calls.
void crypto_hmac_sha256_pieces(sv key, const sv *pieces, size_t count, uint8_t out[CRYPTO_SHA256_LEN]) {
    uint8_t block[64] = {0};
    if (key.len > sizeof block)
        crypto_sha256(key, block);
    else if (key.len > 0)
        memcpy(block, key.ptr, key.len);
    uint8_t inner_pad[64];
    uint8_t outer_pad[64];
    for (size_t i = 0; i < sizeof block; i++) {
        inner_pad[i] = block[i] ^ 0x36;
        outer_pad[i] = block[i] ^ 0x5c;
    }
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    CHECK(digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1);
    CHECK(EVP_DigestUpdate(digest, inner_pad, sizeof inner_pad) == 1);
    for (size_t i = 0; i < count; i++) CHECK(pieces[i].len == 0 || EVP_DigestUpdate(digest, pieces[i].ptr, pieces[i].len) == 1);
    uint8_t inner[CRYPTO_SHA256_LEN];
    CHECK(EVP_DigestFinal_ex(digest, inner, NULL) == 1);
    CHECK(EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1);
    CHECK(EVP_DigestUpdate(digest, outer_pad, sizeof outer_pad) == 1 && EVP_DigestUpdate(digest, inner, sizeof inner) == 1);
    CHECK(EVP_DigestFinal_ex(digest, out, NULL) == 1);
    EVP_MD_CTX_free(digest);
    crypto_wipe(block, sizeof block);
    crypto_wipe(inner_pad, sizeof inner_pad);
    crypto_wipe(outer_pad, sizeof outer_pad);
}

bool crypto_equal(sv a, sv b) { return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0); }

void crypto_wipe(void *bytes, size_t len) {
    if (len > 0) OPENSSL_cleanse(bytes, len);
}

void crypto_token(size_t byte_count, char *out) {
    uint8_t bytes[64];
    CHECK(byte_count > 0 && byte_count <= sizeof bytes);
    random_fill(bytes, byte_count);
    AUTO(buf) text;
    buf_init(&text, 4 * sizeof bytes / 3 + 2);
    crypto_base64url_add(&text, sv_slice(bytes, byte_count));
    CHECK(!buf_has_failed(&text));
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    crypto_wipe(bytes, sizeof bytes);
}
