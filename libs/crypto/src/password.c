// Argon2id password hashes. The PHC string is read here before libargon2 sees it, so that a hostile or damaged row
// cannot ask for gigabytes.
#include "crypto/password.h"

#include <argon2.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/id.h"
#include "crypto/crypto.h"

#define SALT_LEN 16
#define HASH_LEN 32
#define MEMORY_KIB_MAX (1u << 20)
#define PASSES_MAX 16u
#define LANES_MAX 8u

typedef struct parameters {
    uint64_t memory_kib;
    uint64_t passes;
    uint64_t lanes;
} parameters;

static bool read_parameters(sv hash, parameters *out);

err_t crypto_password_hash(sv password, char out[CRYPTO_PASSWORD_HASH_MAX]) {
    if (password.len == 0 || password.len > CRYPTO_PASSWORD_MAX) return ERR_BAD_INPUT;
    uint8_t salt[SALT_LEN];
    random_fill(salt, sizeof salt);
    int result = argon2id_hash_encoded(CRYPTO_PASSWORD_PASSES, CRYPTO_PASSWORD_MEMORY_KIB, CRYPTO_PASSWORD_LANES, password.ptr,
                                       password.len, salt, sizeof salt, HASH_LEN, out, CRYPTO_PASSWORD_HASH_MAX);
    CHECK(result == ARGON2_OK);
    return ERR_OK;
}

bool crypto_password_verify(sv password, sv hash) {
    parameters used;
    if (password.len == 0 || password.len > CRYPTO_PASSWORD_MAX || !read_parameters(hash, &used)) return false;
    char text[CRYPTO_PASSWORD_HASH_MAX];
    sv_copy_truncated(hash, text, sizeof text);
    return argon2id_verify(text, password.ptr, password.len) == ARGON2_OK;
}

bool crypto_password_is_outdated(sv hash) {
    parameters used;
    return !read_parameters(hash, &used) || used.memory_kib != CRYPTO_PASSWORD_MEMORY_KIB || used.passes != CRYPTO_PASSWORD_PASSES ||
           used.lanes != CRYPTO_PASSWORD_LANES;
}

static bool take_number(sv *rest, sv prefix, char end, uint64_t *out_value) {
    sv number;
    if (!sv_starts_with(*rest, prefix)) return false;
    *rest = sv_skip(*rest, prefix.len);
    return sv_next(rest, end, &number) && sv_to_u64(number, out_value);
}

static bool read_parameters(sv hash, parameters *out) {
    sv rest = hash;
    if (hash.len >= CRYPTO_PASSWORD_HASH_MAX || !sv_starts_with(hash, SV("$argon2id$v=19$"))) return false;
    rest = sv_skip(rest, sizeof "$argon2id$v=19$" - 1);
    return take_number(&rest, SV("m="), ',', &out->memory_kib) && take_number(&rest, SV("t="), ',', &out->passes) &&
           take_number(&rest, SV("p="), '$', &out->lanes) && out->memory_kib <= MEMORY_KIB_MAX && out->passes <= PASSES_MAX &&
           out->lanes <= LANES_MAX;
}
