// channel_store on the table alerts.token, sealed; the connection is the courier's.
#pragma once

#include "channels/channel.h"
#include "crypto/secret_box.h"
#include "db/db.h"
#include "service/service.h"

typedef struct token_owner {
    service *svc;
    db *conn;
    const crypto_keyring *keys;
    int32_t company;
    const char *channel;
} token_owner;

void token_owner_init(token_owner *self, service *svc, db *conn, const crypto_keyring *keys, int32_t company, const char *kind);
channel_store token_store(token_owner *self);
