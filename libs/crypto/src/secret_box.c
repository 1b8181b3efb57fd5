// Sealing of secrets at rest; the format is in the header. The additional data is the header's key id, the company and
// the place, each at a fixed width or last, so that no two places share it.
#include "crypto/secret_box.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/id.h"
#include "crypto/crypto.h"

#define MAGIC_LEN 2
#define KEY_ID_LEN 4
#define NONCE_LEN 12
#define TAG_LEN 16
#define HEADER_LEN (MAGIC_LEN + KEY_ID_LEN + NONCE_LEN)
#define KEY_LEN 32
#define KEYS_MAX 64
#define KEY_FILE_MAX 16384

typedef struct master_key {
    uint32_t id;
    uint8_t bytes[KEY_LEN];
} master_key;

struct crypto_keyring {
    size_t count;
    master_key keys[KEYS_MAX];
};

static err_t add_line(crypto_keyring *self, sv line, size_t number, fault *out_fault);
static const master_key *find_key(const crypto_keyring *self, uint32_t id);
static const master_key *newest_key(const crypto_keyring *self);
static void put_u32(uint8_t *out, uint32_t value);
static void authenticate_place(EVP_CIPHER_CTX *cipher, uint32_t key_id, int32_t company, sv place);

err_t crypto_keyring_parse(sv text, crypto_keyring **out_keyring, fault *out_fault) {
    AUTO_KEYRING ring = mem_new(1, sizeof *ring);
    size_t number = 0;
    while (text.len > 0) {
        sv line;
        if (!sv_next(&text, '\n', &line)) break;
        line = sv_trim(line);
        number++;
        if (line.len == 0 || line.ptr[0] == '#') continue;
        err_t err = add_line(ring, line, number, out_fault);
        if (err != ERR_OK) return err;
    }
    if (ring->count == 0) return fault_set(out_fault, ERR_BAD_INPUT, "key file", "it holds no key");
    *out_keyring = ring;
    ring = NULL;
    return ERR_OK;
}

static err_t add_line(crypto_keyring *self, sv line, size_t number, fault *out_fault) {
    char place[32];
    snprintf(place, sizeof place, "line %zu", number);
    sv rest = line;
    uint64_t id = 1;
    if (line.len != 2 * (size_t)KEY_LEN) {
        sv id_text;
        if (!sv_next(&rest, ' ', &id_text) || !sv_to_u64(id_text, &id) || id == 0 || id > INT32_MAX)
            return fault_set(out_fault, ERR_BAD_INPUT, place, "a key begins with its id, a number from 1 to 2147483647");
        rest = sv_trim(rest);
    }
    if (self->count == KEYS_MAX) return fault_set(out_fault, ERR_TOO_LARGE, place, "more than %d keys", KEYS_MAX);
    if (find_key(self, (uint32_t)id) != NULL) return fault_set(out_fault, ERR_BAD_INPUT, place, "the id is used twice");
    master_key *key = &self->keys[self->count];
    if (rest.len != 2 * (size_t)KEY_LEN || !sv_hex_decode(rest, key->bytes))
        return fault_set(out_fault, ERR_BAD_INPUT, place, "behind the id stand 64 hex digits");
    key->id = (uint32_t)id;
    self->count++;
    return ERR_OK;
}

err_t crypto_keyring_load(const char *path, crypto_keyring **out_keyring, fault *out_fault) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fault_set(out_fault, ERR_NOT_FOUND, path, "the key file cannot be opened: %s", strerror(errno));
    char text[KEY_FILE_MAX];
    struct stat status;
    err_t err = ERR_OK;
    ssize_t len = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        err = fault_set(out_fault, ERR_BAD_INPUT, path, "the key file is no regular file");
    else if ((status.st_mode & (S_IWGRP | S_IRWXO)) != 0)
        err =
            fault_set(out_fault, ERR_FORBIDDEN, path, "the group may write or others may reach the key file; set its mode to 0400 or 0440");
    else if ((len = read(fd, text, sizeof text)) < 0 || len == (ssize_t)sizeof text)
        err = fault_set(out_fault, ERR_BAD_INPUT, path, "the key file cannot be read or exceeds %d bytes", KEY_FILE_MAX);
    close(fd);
    if (err == ERR_OK) err = crypto_keyring_parse(sv_slice(text, (size_t)len), out_keyring, out_fault);
    crypto_wipe(text, sizeof text);
    return err;
}

void crypto_keyring_free(crypto_keyring *self) {
    if (self != NULL) crypto_wipe(self, sizeof *self);
    mem_free(self);
}

void crypto_keyring_auto(crypto_keyring **self) { crypto_keyring_free(*self); }

static const master_key *find_key(const crypto_keyring *self, uint32_t id) {
    for (size_t i = 0; i < self->count; i++)
        if (self->keys[i].id == id) return &self->keys[i];
    return NULL;
}

static const master_key *newest_key(const crypto_keyring *self) {
    const master_key *newest = &self->keys[0];
    for (size_t i = 1; i < self->count; i++)
        if (self->keys[i].id > newest->id) newest = &self->keys[i];
    return newest;
}

void crypto_seal(const crypto_keyring *keyring, int32_t company, sv place, sv secret, buf *out) {
    const master_key *key = newest_key(keyring);
    CHECK(secret.len <= INT_MAX - CRYPTO_SEAL_OVERHEAD);
    uint8_t *bytes = (uint8_t *)buf_reserve(out, secret.len + CRYPTO_SEAL_OVERHEAD);
    if (bytes == NULL) return;
    memcpy(bytes, "P1", MAGIC_LEN);
    put_u32(bytes + MAGIC_LEN, key->id);
    uint8_t *nonce = bytes + MAGIC_LEN + KEY_ID_LEN;
    random_fill(nonce, NONCE_LEN);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int len = 0;
    CHECK(cipher != NULL && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1);
    authenticate_place(cipher, key->id, company, place);
    if (secret.len > 0) CHECK(EVP_EncryptUpdate(cipher, bytes + HEADER_LEN, &len, (const uint8_t *)secret.ptr, (int)secret.len) == 1);
    CHECK(EVP_EncryptFinal_ex(cipher, bytes + HEADER_LEN + len, &len) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_LEN, bytes + HEADER_LEN + secret.len) == 1);
    EVP_CIPHER_CTX_free(cipher);
}

static void put_u32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void authenticate_place(EVP_CIPHER_CTX *cipher, uint32_t key_id, int32_t company, sv place) {
    uint8_t fixed[8];
    int len = 0;
    put_u32(fixed, key_id);
    put_u32(fixed + 4, (uint32_t)company);
    CHECK(EVP_CipherUpdate(cipher, NULL, &len, fixed, sizeof fixed) == 1);
    CHECK(place.len > 0 && place.len < INT_MAX && EVP_CipherUpdate(cipher, NULL, &len, (const uint8_t *)place.ptr, (int)place.len) == 1);
}

uint32_t crypto_sealed_key_id(sv sealed) {
    if (sealed.len < CRYPTO_SEAL_OVERHEAD || memcmp(sealed.ptr, "P1", MAGIC_LEN) != 0) return 0;
    uint32_t id = 0;
    for (size_t i = 0; i < KEY_ID_LEN; i++) id = id << 8 | (uint8_t)sealed.ptr[MAGIC_LEN + i];
    return id;
}

err_t crypto_open(const crypto_keyring *keyring, int32_t company, sv place, sv sealed, buf *out) {
    uint32_t id = crypto_sealed_key_id(sealed);
    if (id == 0 || sealed.len > INT_MAX) return ERR_MALFORMED;
    const master_key *key = find_key(keyring, id);
    if (key == NULL) return ERR_NOT_FOUND;
    size_t before = out->len;
    size_t secret_len = sealed.len - CRYPTO_SEAL_OVERHEAD;
    const uint8_t *bytes = (const uint8_t *)sealed.ptr;
    uint8_t *secret = (uint8_t *)buf_reserve(out, secret_len + 1);
    if (secret == NULL) return ERR_TOO_LARGE;
    uint8_t tag[TAG_LEN];
    memcpy(tag, bytes + HEADER_LEN + secret_len, TAG_LEN);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int len = 0;
    CHECK(cipher != NULL && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, bytes + MAGIC_LEN + KEY_ID_LEN) == 1);
    authenticate_place(cipher, id, company, place);
    if (secret_len > 0) CHECK(EVP_DecryptUpdate(cipher, secret, &len, bytes + HEADER_LEN, (int)secret_len) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1);
    bool authentic = EVP_DecryptFinal_ex(cipher, secret + len, &len) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!authentic) crypto_wipe(secret, secret_len);
    out->len = authentic ? before + secret_len : before;
    return authentic ? ERR_OK : ERR_UNAUTHENTIC;
}
