// What the merchant commands share: the merchant being set, and the storing of its keys.
#pragma once

#include "base/arena.h"
#include "base/id.h"
#include "base/instant.h"
#include "command.h"
#include "crypto/secret_box.h"
#include "db/db.h"

// What is set, as it stands in the database.
typedef struct merchant_row {
    int32_t company;
    int64_t num;
    uuid id;
    instant_ms now;
} merchant_row;

// Files of keys as named on the command line; NULL: not given.
typedef struct merchant_key_files {
    const char *private_key;
    const char *certificate;
    const char *serial;
    const char *apiv3_key;
    const char *channel_public_key;
    const char *channel_key_id;
    const char *channel_certificate;
} merchant_key_files;

typedef struct merchant_keys {
    sv private_key, certificate, serial, apiv3_key, channel_public_key, channel_key_id, channel_certificate;
} merchant_keys;

// Reads the files and checks each by itself and with one another. Tells what is wrong; false: return CTL_BAD_INPUT.
bool merchant_keys_read(const merchant_key_files *files, arena *memory, merchant_keys *out_keys);
// Stores what is not stored yet as new versions, sealed; *out_stored counts them.
err_t merchant_keys_store(db *conn, const crypto_keyring *keyring, const merchant_row *of, const merchant_keys *keys,
                          int *out_stored) MUST_CHECK;
