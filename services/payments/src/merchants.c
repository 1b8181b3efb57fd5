#include "merchants.h"

#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/vec.h"
#include "crypto/crypto.h"
#include "crypto/secret_box.h"
#include "payments_sql.h"

#define LOOK_EVERY_MS 1000
#define KEYS_MAX 64
#define SECRET_MAX 65536
#define RETIRED_KEEP_MS (4 * DAY_MS)  // a channel repeats a notification for a day, and keys change over a week
#define FETCH_PAUSE_MS MINUTE_MS
#define FETCH_EVERY_MS (6 * HOUR_MS)
#define MEMORY_MAX (PROVIDER_MEMORY_MAX + (4u << 20))

// Survives reloads: when keys were last fetched for a merchant.
typedef struct fetch_mark {
    int32_t company;
    int64_t num;
    int64_t at_ms;
    bool is_asked;
} fetch_mark;

struct merchants {
    service *svc;
    crypto_keyring *keys;  // NULL: no key file
    char notify_url[512];
    pthread_mutex_t lock;
    VEC(merchant *) items;
    VEC(fetch_mark) marks;
    atomic_bool is_loaded;
    char mark[256];
    metric *fetches, *unusable;
};

merchants *merchants_new(service *svc, const char *master_key_file, const char *notify_url, fault *out_fault) {
    merchants *self = mem_new(1, sizeof *self);
    self->svc = svc;
    sv url = sv_of(notify_url);
    while (url.len > 0 && url.ptr[url.len - 1] == '/') url.len--;
    sv_copy_truncated(url, self->notify_url, sizeof self->notify_url);
    if (master_key_file[0] && crypto_keyring_load(master_key_file, &self->keys, out_fault) != ERR_OK) {
        mem_free(self);
        return NULL;
    }
    pthread_mutex_init(&self->lock, NULL);
    self->fetches = metric_counter("penstock_payments_key_fetches_total", "Times a channel's keys were fetched", NULL);
    self->unusable = metric_gauge("penstock_payments_merchants_unusable", "Merchants whose settings or keys are wrong", NULL);
    return self;
}

void merchants_give(merchant *take_merchant) {
    if (!take_merchant || atomic_fetch_sub(&take_merchant->users, 1) != 1) return;
    if (take_merchant->opened) take_merchant->provider->close(take_merchant->opened);
    for (size_t i = 0; i < take_merchant->serial_count; i++) mem_free(take_merchant->serials[i]);
    mem_free(take_merchant->serials);
    mem_free(take_merchant);
}

void merchants_free(merchants *self) {
    if (!self) return;
    for (size_t i = 0; i < self->items.len; i++) merchants_give(self->items.items[i]);
    vec_done(&self->items);
    vec_done(&self->marks);
    crypto_keyring_free(self->keys);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

bool merchants_are_loaded(const merchants *self) { return atomic_load(&self->is_loaded); }

// ---- finding ----

merchant *merchants_take(merchants *self, int32_t company, int64_t num) {
    merchant *found = NULL;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->items.len && !found; i++)
        if (self->items.items[i]->company == company && self->items.items[i]->num == num) found = self->items.items[i];
    if (found) atomic_fetch_add(&found->users, 1);
    pthread_mutex_unlock(&self->lock);
    return found;
}

merchant *merchants_take_by_path(merchants *self, sv channel, sv id) {
    uuid wanted;
    if (!uuid_parse(id, &wanted)) return NULL;
    merchant *found = NULL;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->items.len && !found; i++) {
        merchant *item = self->items.items[i];
        if (memcmp(&item->id, &wanted, sizeof wanted) == 0 && sv_equal(sv_of(item->channel), channel)) found = item;
    }
    if (found) atomic_fetch_add(&found->users, 1);
    pthread_mutex_unlock(&self->lock);
    return found;
}

bool merchants_serial_is_of_another(merchants *self, const merchant *than, sv serial) {
    bool is_of_another = false;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->items.len && !is_of_another; i++) {
        const merchant *item = self->items.items[i];
        for (size_t s = 0; item != than && s < item->serial_count; s++) is_of_another |= sv_equal(sv_of(item->serials[s]), serial);
    }
    pthread_mutex_unlock(&self->lock);
    return is_of_another;
}

// ---- loading ----

static void add_serial(merchant *item, sv serial) {
    if (serial.len == 0) return;
    char *text = mem_new(serial.len + 1, 1);
    memcpy(text, serial.ptr, serial.len);
    item->serials = mem_grow(item->serials, item->serial_count + 1, sizeof *item->serials);
    item->serials[item->serial_count++] = text;
}

static sv key_place(arena *memory, uuid merchant_id, sv use, int64_t version) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(merchant_id, text);
    return sv_of(arena_printf(memory, "merchant_key/%s/%.*s/%lld", text, SV_ARG(use), (long long)version));
}

// The keys of one merchant from the rows of all; each must open.
static err_t open_keys(merchants *self, merchant *item, const db_rows *rows, arena *memory, provider_key *out_keys, size_t *out_count,
                       fault *out_fault) {
    *out_count = 0;
    for (size_t row = 0; row < rows->len; row++) {
        if (db_i64(rows, row, 0) != item->company || db_i64(rows, row, 1) != item->num) continue;
        if (*out_count == KEYS_MAX) return fault_set(out_fault, ERR_TOO_LARGE, "keys", "more than %d", KEYS_MAX);
        provider_key *key = &out_keys[*out_count];
        sv use = db_text(rows, row, 2), serial = db_text(rows, row, 4);
        if (!provider_key_use_of(use, &key->use)) return fault_set(out_fault, ERR_INTERNAL, "keys", "a key of an unknown use");
        AUTO(buf) secret = {.max = SECRET_MAX};
        key->version = (int32_t)db_i64(rows, row, 3);
        err_t err = self->keys ? crypto_open(self->keys, item->company, key_place(memory, item->id, use, key->version),
                                             db_bytes(rows, row, 5), &secret)
                               : ERR_NOT_FOUND;
        if (err) return fault_set(out_fault, err, "keys", "key %d of use %.*s cannot be unsealed", key->version, SV_ARG(use));
        key->serial = arena_copy(memory, serial);
        key->material = arena_copy(memory, buf_view(&secret));
        crypto_wipe(secret.ptr, secret.len);
        key->valid_from = db_is_null(rows, row, 6) ? INSTANT_MIN : db_time(rows, row, 6);
        key->valid_to = db_is_null(rows, row, 7) ? INSTANT_MAX : db_time(rows, row, 7);
        bool is_channels = key->use == PROVIDER_KEY_CHANNEL_PUBLIC || key->use == PROVIDER_KEY_CHANNEL_CERTIFICATE;
        if (is_channels) add_serial(item, serial);
        item->fetches_keys |= key->use == PROVIDER_KEY_CHANNEL_CERTIFICATE;
        (*out_count)++;
    }
    // A merchant without any key of the channel fetches its first ones.
    if (item->serial_count == 0) item->fetches_keys = true;
    return ERR_OK;
}

static merchant *make(merchants *self, const db_rows *rows, size_t row, const db_rows *keys, arena *memory) {
    merchant *item = mem_new(1, sizeof *item);
    char id[UUID_TEXT_LEN + 1];
    fault why = {0};
    provider_key opened[KEYS_MAX];
    size_t count = 0;
    item->company = (int32_t)db_i64(rows, row, 0);
    item->num = db_i64(rows, row, 1);
    item->id = db_uuid(rows, row, 2);
    item->legal_entity = db_i64(rows, row, 3);
    sv_copy_truncated(db_text(rows, row, 4), item->channel, sizeof item->channel);
    sv_copy_truncated(db_text(rows, row, 7), item->sub_merchant, sizeof item->sub_merchant);
    atomic_init(&item->users, 1);
    uuid_format(item->id, id);
    item->provider = provider_find(sv_of(item->channel));
    CHECK(item->provider);
    err_t err = open_keys(self, item, keys, memory, opened, &count, &why);
    provider_settings wanted = {
        .mode = sv_equal(db_text(rows, row, 5), SV("partner")) ? PROVIDER_MODE_PARTNER : PROVIDER_MODE_DIRECT,
        .merchant = db_text(rows, row, 6),
        .sub_merchant = db_text(rows, row, 7),
        .app = db_text(rows, row, 8),
        .sub_app = db_text(rows, row, 9),
        .base_url = db_text(rows, row, 10),
        .standby_url = db_text(rows, row, 11),
        .notify_url = sv_of(arena_printf(memory, "%s/notify/%s/%s", self->notify_url, item->channel, id)),
        .keys = opened,
        .key_count = count,
    };
    if (!err) err = item->provider->open(&wanted, &item->opened, &why);
    for (size_t i = 0; i < count; i++) crypto_wipe((char *)(uintptr_t)opened[i].material.ptr, opened[i].material.len);
    if (err) {
        item->opened = NULL;
        LOG_ERROR("a merchant cannot be used", LOG_I("company", item->company), LOG_S("merchant", id), LOG_S("place", why.place),
                  LOG_S("why", why.reason));
    }
    return item;
}

static void replace(merchants *self, merchant **items, size_t count) {
    int64_t wrong = 0;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->items.len; i++) merchants_give(self->items.items[i]);
    vec_clear(&self->items);
    for (size_t i = 0; i < count; i++) {
        vec_push(&self->items, items[i]);
        wrong += items[i]->opened == NULL;
    }
    pthread_mutex_unlock(&self->lock);
    metric_set(self->unusable, wrong);
    atomic_store(&self->is_loaded, true);
}

static err_t load(merchants *self, db *conn) {
    AUTO(db_rows) mark = {0};
    err_t err = db_query_one(conn, &SQL_MERCHANTS_MARK, DB_NO_PARAMS, &mark);
    if (err || (merchants_are_loaded(self) && sv_equal(db_text(&mark, 0, 0), sv_of(self->mark)))) return err;
    AUTO(db_rows) rows = {0};
    AUTO(db_rows) keys = {0};
    err = db_query(conn, &SQL_MERCHANTS_ALL, DB_NO_PARAMS, &rows);
    if (!err) err = db_query(conn, &SQL_MERCHANT_KEYS_ALL, DB_PARAMS(DB_TIME(service_now(self->svc) - RETIRED_KEEP_MS)), &keys);
    if (err) return err;
    AUTO_MEM merchant **items = mem_new(rows.len + 1, sizeof *items);
    for (size_t row = 0; row < rows.len; row++) {
        AUTO_ARENA memory = arena_new(MEMORY_MAX);
        items[row] = make(self, &rows, row, &keys, memory);
    }
    replace(self, items, rows.len);
    sv_copy_truncated(db_text(&mark, 0, 0), self->mark, sizeof self->mark);
    LOG_INFO("merchants are loaded", LOG_I("merchants", rows.len));
    return ERR_OK;
}

// ---- fetching keys ----

static fetch_mark *mark_of(merchants *self, const merchant *of) {
    for (size_t i = 0; i < self->marks.len; i++)
        if (self->marks.items[i].company == of->company && self->marks.items[i].num == of->num) return &self->marks.items[i];
    vec_push(&self->marks, ((fetch_mark){.company = of->company, .num = of->num, .at_ms = INT64_MIN / 2}));
    return &self->marks.items[self->marks.len - 1];
}

void merchants_request_keys(merchants *self, const merchant *of) {
    pthread_mutex_lock(&self->lock);
    mark_of(self, of)->is_asked = true;
    pthread_mutex_unlock(&self->lock);
}

static merchant *take_due(merchants *self) {
    merchant *due = NULL;
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->items.len && !due; i++) {
        merchant *item = self->items.items[i];
        if (!item->opened) continue;
        fetch_mark *mark = mark_of(self, item);
        int64_t age_ms = now_ms - mark->at_ms;
        bool is_due = (mark->is_asked && age_ms >= FETCH_PAUSE_MS) || (item->fetches_keys && age_ms >= FETCH_EVERY_MS);
        if (!is_due) continue;
        mark->at_ms = now_ms;
        mark->is_asked = false;
        atomic_fetch_add(&item->users, 1);
        due = item;
    }
    pthread_mutex_unlock(&self->lock);
    return due;
}

static err_t store_key(merchants *self, db *conn, const merchant *of, const provider_key *key, arena *memory) {
    AUTO(db_rows) row = {0};
    sv use = sv_of(provider_key_use_text(key->use));
    err_t err = db_query_one(conn, &SQL_MERCHANT_KEY_VERSION, DB_PARAMS(DB_I32(of->company), DB_I64(of->num), DB_TEXT(use)), &row);
    if (err) return err;
    int64_t version = db_i64(&row, 0, 0);
    AUTO(buf) sealed = {.max = SECRET_MAX};
    crypto_seal(self->keys, of->company, key_place(memory, of->id, use, version), key->material, &sealed);
    if (buf_has_failed(&sealed)) return ERR_TOO_LARGE;
    return db_exec(conn, &SQL_MERCHANT_KEY_ADD,
                   DB_PARAMS(DB_I32(of->company), DB_I64(of->num), DB_TEXT(use), DB_I64(version), DB_TEXT(key->serial),
                             DB_BYTES(buf_view(&sealed)), key->valid_from == INSTANT_MIN ? DB_NULL : DB_TIME(key->valid_from),
                             key->valid_to == INSTANT_MAX ? DB_NULL : DB_TIME(key->valid_to), DB_TIME(service_now(self->svc))),
                   NULL);
}

static err_t fetch(merchants *self, db *conn, httpc *http, const merchant *of) {
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    provider_call call = {.merchant = of->opened, .http = http, .clock = service_clock(self->svc), .memory = memory};
    provider_keys keys = {0};
    provider_answer answer = of->provider->fetch_keys(&call, &keys);
    metric_add(self->fetches, 1);
    if (answer.result == PROVIDER_NOT_FOUND) return ERR_OK;
    if (answer.result != PROVIDER_OK) {
        LOG_WARN("a channel's keys could not be fetched", LOG_I("company", of->company), LOG_I("merchant", of->num),
                 LOG_SV("code", answer.code), LOG_SV("why", answer.message));
        return ERR_OK;
    }
    err_t err = ERR_OK;
    for (size_t i = 0; i < keys.count && !err; i++) err = store_key(self, conn, of, &keys.items[i], memory);
    return err;
}

static err_t step(merchants *self, db *conn, httpc *http) {
    err_t err = load(self, conn);
    merchant *due = err || !self->keys ? NULL : take_due(self);
    if (due) err = fetch(self, conn, http, due);
    merchants_give(due);
    return err;
}

void merchants_run(service *svc, void *context) {
    merchants *self = context;
    db_options options = service_db_options(svc, "merchants");
    httpc_options web = httpc_options_default();
    web.allow_plain = true;  // providers let only loopback addresses pass without TLS
    AUTO_HTTPC http = NULL;
    fault why = {0};
    if (httpc_new(&web, &http, &why)) {
        service_fail(svc, "no HTTP client");
        return;
    }
    AUTO_DB conn = NULL;
    do {
        if ((!conn || db_is_broken(conn)) && service_db_connect(svc, &options, &conn)) return;
        err_t err = step(self, conn, http);
        if (err) LOG_WARN("merchants could not be loaded; trying again", LOG_S("error", err_name(err)), LOG_S("why", db_error_text(conn)));
    } while (!service_wait(svc, LOOK_EVERY_MS));
}
