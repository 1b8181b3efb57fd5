// The merchants, ready for use: their settings from core.merchant, their keys unsealed from payments.merchant_key, opened by
// their provider. Reloaded when something changed; a merchant in use stays whole until its last user gives it back.
#pragma once

#include <stdatomic.h>

#include "orders.h"
#include "service/service.h"

typedef struct merchant {
    int32_t company;
    int64_t num, legal_entity;
    uuid id;
    char channel[32];
    char sub_merchant[64];
    const provider *provider;
    provider_merchant *opened;  // NULL: its settings or keys are wrong, the log says how
    bool fetches_keys;          // it verifies with certificates, which the channel hands out
    char **serials;             // of the keys the channel signs with
    size_t serial_count;
    atomic_int users;
} merchant;

typedef struct merchants merchants;

// NULL with a fault when the master key file cannot be used.
merchants *merchants_new(service *svc, const char *master_key_file, const char *notify_url, fault *out_fault);
void merchants_free(merchants *self);
bool merchants_are_loaded(const merchants *self);

// The caller gives it back. NULL: there is none.
merchant *merchants_take(merchants *self, int32_t company, int64_t num);
merchant *merchants_take_by_path(merchants *self, sv channel, sv id);
void merchants_give(merchant *take_merchant);

// Some other merchant's channel signs with this serial.
bool merchants_serial_is_of_another(merchants *self, const merchant *than, sv serial);
// Asks for the channel's keys to be fetched; at most once a minute for each merchant.
void merchants_request_keys(merchants *self, const merchant *of);

// The thread that reloads and fetches keys.
void merchants_run(service *svc, void *context);
