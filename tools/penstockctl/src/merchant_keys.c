// Keys of a merchant: read from files, checked, sealed, and kept in versions.
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/rsa.h"
#include "ctl_sql.h"
#include "file.h"
#include "merchant.h"

#define KEY_FILE_MAX 65536
#define APIV3_KEY_LEN 32

static bool read_optional(const char *path, arena *memory, sv *out) {
    *out = SV("");
    return !path || ctl_file_read(path, KEY_FILE_MAX, memory, out);
}

static bool check_signing(const merchant_key_files *files, merchant_keys *keys, arena *memory) {
    if (!files->private_key) {
        if (files->certificate || files->serial) ctl_say("--certificate and --serial belong to --private-key");
        return !files->certificate && !files->serial;
    }
    fault why = {0};
    crypto_private_key *key = NULL;
    crypto_certificate *certificate = NULL;
    bool is_good = crypto_private_key_parse(keys->private_key, &key, &why) == ERR_OK;
    if (!is_good) (void)ctl_fault(files->private_key, &why);
    if (is_good && files->certificate) {
        is_good = crypto_certificate_parse(keys->certificate, &certificate, &why) == ERR_OK;
        if (!is_good) (void)ctl_fault(files->certificate, &why);
        if (is_good && !crypto_keys_match(key, crypto_certificate_key(certificate))) {
            ctl_say("%s: it is not the certificate of %s", files->certificate, files->private_key);
            is_good = false;
        }
        if (is_good) keys->serial = arena_copy(memory, crypto_certificate_serial(certificate));
    } else if (is_good && !files->serial) {
        ctl_say("--private-key: give its certificate (--certificate) or the certificate's serial number (--serial)");
        is_good = false;
    }
    crypto_certificate_free(certificate);
    crypto_private_key_free(key);
    return is_good;
}

static bool check_channels(const merchant_key_files *files, merchant_keys *keys, arena *memory) {
    fault why = {0};
    crypto_public_key *key = NULL;
    crypto_certificate *certificate = NULL;
    bool is_good = (files->channel_public_key == NULL) == (files->channel_key_id == NULL);
    if (!is_good) ctl_say("--channel-public-key and --channel-key-id belong together");
    if (is_good && files->channel_public_key) {
        is_good = crypto_public_key_parse(keys->channel_public_key, &key, &why) == ERR_OK;
        if (!is_good) (void)ctl_fault(files->channel_public_key, &why);
    }
    if (is_good && files->channel_certificate) {
        is_good = crypto_certificate_parse(keys->channel_certificate, &certificate, &why) == ERR_OK;
        if (!is_good) (void)ctl_fault(files->channel_certificate, &why);
    }
    crypto_public_key_free(key);
    crypto_certificate_free(certificate);
    (void)memory;
    return is_good;
}

bool merchant_keys_read(const merchant_key_files *files, arena *memory, merchant_keys *out_keys) {
    *out_keys = (merchant_keys){.serial = sv_of(files->serial), .channel_key_id = sv_of(files->channel_key_id)};
    bool is_read = read_optional(files->private_key, memory, &out_keys->private_key) &&
                   read_optional(files->certificate, memory, &out_keys->certificate) &&
                   read_optional(files->apiv3_key, memory, &out_keys->apiv3_key) &&
                   read_optional(files->channel_public_key, memory, &out_keys->channel_public_key) &&
                   read_optional(files->channel_certificate, memory, &out_keys->channel_certificate);
    if (!is_read) return false;
    out_keys->apiv3_key = sv_trim(out_keys->apiv3_key);
    if (files->apiv3_key && out_keys->apiv3_key.len != APIV3_KEY_LEN) {
        ctl_say("%s: an APIv3 key has exactly %d bytes", files->apiv3_key, APIV3_KEY_LEN);
        return false;
    }
    return check_signing(files, out_keys, memory) && check_channels(files, out_keys, memory);
}

// ---- storing ----

typedef struct key_store {
    db *conn;
    const crypto_keyring *keyring;
    const merchant_row *of;
    int stored;
} key_store;

static sv place_of(const merchant_row *of, const char *use, int64_t version, char out[160]) {
    char id[UUID_TEXT_LEN + 1];
    uuid_format(of->id, id);
    int len = snprintf(out, 160, "merchant_key/%s/%s/%lld", id, use, (long long)version);
    return sv_slice(out, (size_t)len);
}

static bool is_stored(const key_store *self, const char *use, sv material, const db_rows *newest) {
    char place[160];
    AUTO(buf) known = {.max = KEY_FILE_MAX};
    if (newest->len == 0) return false;
    err_t err =
        crypto_open(self->keyring, self->of->company, place_of(self->of, use, db_i64(newest, 0, 0), place), db_bytes(newest, 0, 1), &known);
    bool is_same = !err && sv_equal(buf_view(&known), material);
    crypto_wipe(known.ptr, known.len);
    return is_same;
}

static err_t store(key_store *self, const char *use, int64_t version, sv serial, sv material) {
    char place[160];
    AUTO(buf) sealed = {.max = KEY_FILE_MAX + CRYPTO_SEAL_OVERHEAD};
    crypto_seal(self->keyring, self->of->company, place_of(self->of, use, version, place), material, &sealed);
    self->stored++;
    return db_exec(self->conn, &SQL_MERCHANT_KEY_INSERT,
                   DB_PARAMS(DB_I32(self->of->company), DB_I64(self->of->num), DB_CSTR(use), DB_I64(version), DB_TEXT(serial),
                             DB_BYTES(buf_view(&sealed)), DB_TIME(self->of->now)),
                   NULL);
}

// Stores a key that is not the newest of its use already; *out_version is the one it has.
static err_t keep(key_store *self, const char *use, sv serial, sv material, int64_t *out_version) {
    AUTO(db_rows) newest = {0};
    AUTO(db_rows) top = {0};
    bool is_by_serial = strncmp(use, "channel_", 8) == 0;
    db_param which = is_by_serial ? DB_TEXT(serial) : DB_NULL;
    err_t err = db_query(self->conn, &SQL_MERCHANT_KEY_NEWEST,
                         DB_PARAMS(DB_I32(self->of->company), DB_I64(self->of->num), DB_CSTR(use), which), &newest);
    if (!err)
        err = db_query_one(self->conn, &SQL_MERCHANT_KEY_TOP, DB_PARAMS(DB_I32(self->of->company), DB_I64(self->of->num), DB_CSTR(use)),
                           &top);
    if (err) return err;
    if (is_stored(self, use, material, &newest)) {
        *out_version = db_i64(&newest, 0, 0);
        return ERR_OK;
    }
    *out_version = db_i64(&top, 0, 0) + 1;
    return store(self, use, *out_version, serial, material);
}

static err_t keep_signing(key_store *self, const merchant_keys *keys) {
    AUTO(db_rows) newest = {0};
    int64_t version = 0;
    err_t err = keep(self, "signing", keys->serial, keys->private_key, &version);
    if (err || keys->certificate.len == 0) return err;
    // The certificate bears the version of its key; a renewed certificate of the same key is a new version of both.
    err = db_query(self->conn, &SQL_MERCHANT_KEY_NEWEST,
                   DB_PARAMS(DB_I32(self->of->company), DB_I64(self->of->num), DB_CSTR("signing_certificate"), DB_NULL), &newest);
    if (err || (newest.len == 1 && is_stored(self, "signing_certificate", keys->certificate, &newest))) return err;
    bool is_taken = newest.len == 1 && db_i64(&newest, 0, 0) >= version;
    if (is_taken) err = store(self, "signing", ++version, keys->serial, keys->private_key);
    return err ? err : store(self, "signing_certificate", version, keys->serial, keys->certificate);
}

static sv certificate_serial(sv pem, char out[130]) {
    crypto_certificate *certificate = NULL;
    out[0] = 0;
    if (crypto_certificate_parse(pem, &certificate, NULL) == ERR_OK) sv_copy_truncated(crypto_certificate_serial(certificate), out, 130);
    crypto_certificate_free(certificate);
    return sv_of(out);
}

err_t merchant_keys_store(db *conn, const crypto_keyring *keyring, const merchant_row *of, const merchant_keys *keys, int *out_stored) {
    key_store self = {.conn = conn, .keyring = keyring, .of = of};
    char serial[130];
    int64_t version;
    err_t err = ERR_OK;
    if (keys->private_key.len > 0) err = keep_signing(&self, keys);
    if (!err && keys->apiv3_key.len > 0) err = keep(&self, "symmetric", SV(""), keys->apiv3_key, &version);
    if (!err && keys->channel_public_key.len > 0)
        err = keep(&self, "channel_public", keys->channel_key_id, keys->channel_public_key, &version);
    if (!err && keys->channel_certificate.len > 0)
        err =
            keep(&self, "channel_certificate", certificate_serial(keys->channel_certificate, serial), keys->channel_certificate, &version);
    *out_stored = self.stored;
    return err;
}
