#include "registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "crypto/secret_box.h"
#include "ingest_sql.h"
#include "line_order.h"
#include "table.h"

#define REFRESH_MS 1000
#define PAGE 2000
#define PASSWORD_TEXT_MAX 64

typedef struct company_state {
    int32_t company;
    int64_t seq;
} company_state;

struct registry {
    service *svc;
    crypto_keyring *keys;  // NULL: no key file
    pthread_rwlock_t lock;
    table gateways_by_key, gateways_by_registration, gateways_by_num;
    table meters_by_num, meters_by_place;
    VEC(company_state) companies;
    VEC(registry_gateway *) gateways;
    VEC(registry_meter *) meters;
    atomic_bool is_loaded;
};

registry *registry_new(service *svc, const char *master_key_file, fault *out_fault) {
    registry *self = mem_new(1, sizeof *self);
    self->svc = svc;
    if (master_key_file[0] && crypto_keyring_load(master_key_file, &self->keys, out_fault) != ERR_OK) {
        mem_free(self);
        return NULL;
    }
    pthread_rwlock_init(&self->lock, NULL);
    return self;
}

void registry_free(registry *self) {
    if (!self) return;
    for (size_t i = 0; i < self->gateways.len; i++) {
        vec_done(&self->gateways.items[i]->meters);
        mem_free(self->gateways.items[i]);
    }
    for (size_t i = 0; i < self->meters.len; i++) {
        mem_free(self->meters.items[i]->channels);
        mem_free(self->meters.items[i]);
    }
    vec_done(&self->gateways);
    vec_done(&self->meters);
    vec_done(&self->companies);
    table_done(&self->gateways_by_key);
    table_done(&self->gateways_by_registration);
    table_done(&self->gateways_by_num);
    table_done(&self->meters_by_num);
    table_done(&self->meters_by_place);
    crypto_keyring_free(self->keys);
    pthread_rwlock_destroy(&self->lock);
    mem_free(self);
}

void registry_read_lock(registry *self) { pthread_rwlock_rdlock(&self->lock); }
void registry_unlock(registry *self) { pthread_rwlock_unlock(&self->lock); }
bool registry_is_loaded(const registry *self) { return atomic_load(&self->is_loaded); }
size_t registry_meter_count(const registry *self) { return self->meters_by_place.len; }

// ---- keys ----

static uint64_t hash_text(sv text) { return table_hash(text.ptr, text.len, 0); }
static uint64_t hash_num(int64_t num) { return table_hash(&num, sizeof num, 1); }

static bool key_equal(const void *item, const void *key) {
    return sv_equal(sv_of(((const registry_gateway *)item)->key_id), *(const sv *)key);
}
static bool registration_equal(const void *item, const void *key) {
    return sv_equal(sv_of(((const registry_gateway *)item)->registration), *(const sv *)key);
}
static bool gateway_num_equal(const void *item, const void *key) { return ((const registry_gateway *)item)->num == *(const int64_t *)key; }
static bool meter_num_equal(const void *item, const void *key) { return ((const registry_meter *)item)->num == *(const int64_t *)key; }

typedef struct meter_place {
    int64_t gateway;
    int16_t port;
    sv bus_address;
} meter_place;

static uint64_t hash_place(meter_place place) {
    uint64_t seed = table_hash(&place.gateway, sizeof place.gateway, (uint64_t)place.port);
    return table_hash(place.bus_address.ptr, place.bus_address.len, seed);
}

static bool place_equal(const void *item, const void *key) {
    const registry_meter *meter = item;
    const meter_place *place = key;
    return meter->gateway && meter->gateway->num == place->gateway && meter->port == place->port &&
           sv_equal(sv_of(meter->bus_address), place->bus_address);
}

registry_gateway *registry_gateway_by_key(const registry *self, sv key_id) {
    return key_id.len ? table_find(&self->gateways_by_key, hash_text(key_id), key_equal, &key_id) : NULL;
}

registry_gateway *registry_gateway_by_registration(const registry *self, sv registration) {
    if (registration.len == 0) return NULL;
    return table_find(&self->gateways_by_registration, hash_text(registration), registration_equal, &registration);
}

registry_gateway *registry_gateway_by_num(const registry *self, int64_t num) {
    return table_find(&self->gateways_by_num, hash_num(num), gateway_num_equal, &num);
}

registry_meter *registry_meter_by_num(const registry *self, int64_t num) {
    return table_find(&self->meters_by_num, hash_num(num), meter_num_equal, &num);
}

registry_meter *registry_meter_at(const registry *self, const registry_gateway *gateway, int16_t port, sv bus_address) {
    meter_place place = {gateway->num, port, bus_address};
    return table_find(&self->meters_by_place, hash_place(place), place_equal, &place);
}

void registry_each(registry *self, void *context, void (*gateway)(void *context, registry_gateway *),
                   void (*meter)(void *context, registry_meter *)) {
    registry_read_lock(self);
    for (size_t i = 0; i < self->gateways.len; i++)
        if (!self->gateways.items[i]->is_disabled) gateway(context, self->gateways.items[i]);
    for (size_t i = 0; i < self->meters.len; i++)
        if (self->meters.items[i]->gateway) meter(context, self->meters.items[i]);
    registry_unlock(self);
}

// ---- refreshing ----

// The secret is bound to its row.
static void open_secret(registry *self, registry_gateway *gateway, uuid id, sv sealed) {
    char id_text[UUID_TEXT_LEN + 1];
    uuid_format(id, id_text);
    AUTO(buf) place;
    AUTO(buf) secret;
    buf_init(&place, 200);
    buf_init(&secret, GATEWAY_SECRET_MAX);
    buf_addf(&place, "core.gateway.secret_sealed:%s", id_text);
    gateway->secret_len = 0;
    err_t err = self->keys ? crypto_open(self->keys, gateway->company, buf_view(&place), sealed, &secret) : ERR_NOT_FOUND;
    if (err || buf_has_failed(&secret)) {
        LOG_WARN("a gateway's secret cannot be opened; what it sends is refused", LOG_I("gateway", gateway->num),
                 LOG_S("why", err ? err_text(err) : "longer than 64 bytes"));
        return;
    }
    memcpy(gateway->secret, secret.ptr, secret.len);
    gateway->secret_len = secret.len;
}

bool registry_open_password(const registry *self, int32_t company, uuid meter, sv sealed, uint8_t *out_level, uint8_t out_password[3]) {
    char id[UUID_TEXT_LEN + 1];
    uuid_format(meter, id);
    AUTO(buf) place;
    AUTO(buf) opened;
    buf_init(&place, 200);
    buf_init(&opened, PASSWORD_TEXT_MAX);
    buf_addf(&place, "core.meter.password_sealed:%s", id);
    err_t err = self->keys ? crypto_open(self->keys, company, buf_view(&place), sealed, &opened) : ERR_NOT_FOUND;
    bool is_password = !err && !buf_has_failed(&opened) && line_password_parse(buf_view(&opened), out_level, out_password);
    if (!is_password)
        LOG_WARN("a meter's password cannot be opened; it is not switched", LOG_S("meter", id),
                 LOG_S("why", err ? err_text(err) : "not eight hexadecimal digits"));
    if (opened.ptr) crypto_wipe(opened.ptr, opened.len);
    return is_password;
}

// Often enough that silence is told from a late note, seldom enough that a busy hour is not spent on notes.
static int32_t contact_write_every(int32_t interval_s) {
    int32_t third_ms = interval_s * 1000 / 3;
    return third_ms > CONTACT_WRITE_MS ? third_ms : CONTACT_WRITE_MS;
}

static void take_gateway(registry *self, int32_t company, const db_rows *rows, size_t row) {
    int64_t num = db_i64(rows, row, 0);
    registry_gateway *gateway = registry_gateway_by_num(self, num);
    if (!gateway) {
        gateway = mem_new(1, sizeof *gateway);
        gateway->num = num;
        gateway->company = company;
        gateway->contact.known_at = service_now(self->svc);
        table_add(&self->gateways_by_num, hash_num(num), gateway);
        vec_push(&self->gateways, gateway);
    }
    if (gateway->key_id[0]) table_remove(&self->gateways_by_key, hash_text(sv_of(gateway->key_id)), gateway);
    if (gateway->registration[0]) table_remove(&self->gateways_by_registration, hash_text(sv_of(gateway->registration)), gateway);
    gateway->property = db_i64(rows, row, 1);
    gateway->kind = sv_equal(db_text(rows, row, 2), SV("dtu_tcp")) ? GATEWAY_DTU_TCP : GATEWAY_HTTP_PUSH;
    sv_copy_truncated(db_text(rows, row, 3), gateway->registration, sizeof gateway->registration);
    sv_copy_truncated(db_text(rows, row, 4), gateway->allowed_sources, sizeof gateway->allowed_sources);
    sv_copy_truncated(db_text(rows, row, 5), gateway->key_id, sizeof gateway->key_id);
    gateway->heartbeat_s = (int32_t)db_i64(rows, row, 7);
    gateway->poll_interval_s = (int32_t)db_i64(rows, row, 8);
    gateway->contact.write_every_ms = contact_write_every(gateway->heartbeat_s);
    gateway->max_meters = (int32_t)db_i64(rows, row, 9);
    gateway->is_disabled = db_bool(rows, row, 10);
    gateway->meters_version++;
    if (gateway->kind == GATEWAY_HTTP_PUSH) open_secret(self, gateway, db_uuid(rows, row, 11), db_bytes(rows, row, 6));
    if (gateway->key_id[0]) table_add(&self->gateways_by_key, hash_text(sv_of(gateway->key_id)), gateway);
    if (gateway->registration[0]) table_add(&self->gateways_by_registration, hash_text(sv_of(gateway->registration)), gateway);
}

static void detach_meter(registry *self, registry_meter *meter) {
    if (!meter->gateway) return;
    registry_gateway *gateway = meter->gateway;
    table_remove(&self->meters_by_place, hash_place((meter_place){gateway->num, meter->port, sv_of(meter->bus_address)}), meter);
    for (size_t i = 0; i < gateway->meters.len; i++) {
        if (gateway->meters.items[i] != meter) continue;
        gateway->meters.items[i] = gateway->meters.items[--gateway->meters.len];
        break;
    }
    gateway->meters_version++;
    meter->gateway = NULL;
}

static void attach_meter(registry *self, registry_meter *meter, registry_gateway *gateway) {
    meter->gateway = gateway;
    vec_push(&gateway->meters, meter);
    gateway->meters_version++;
    table_add(&self->meters_by_place, hash_place((meter_place){gateway->num, meter->port, sv_of(meter->bus_address)}), meter);
}

static void take_meter(registry *self, int32_t company, const db_rows *rows, size_t row) {
    int64_t num = db_i64(rows, row, 0);
    registry_meter *meter = registry_meter_by_num(self, num);
    if (!meter) {
        meter = mem_new(1, sizeof *meter);
        meter->num = num;
        meter->company = company;
        meter->contact.known_at = service_now(self->svc);
        table_add(&self->meters_by_num, hash_num(num), meter);
        vec_push(&self->meters, meter);
    }
    detach_meter(self, meter);
    meter->property = db_i64(rows, row, 1);
    meter->partition = (int16_t)db_i64(rows, row, 2);
    meter->port = (int16_t)db_i64(rows, row, 4);
    sv_copy_truncated(db_text(rows, row, 5), meter->bus_address, sizeof meter->bus_address);
    sv_copy_truncated(db_text(rows, row, 6), meter->serial, sizeof meter->serial);
    meter->protocol = sv_equal(db_text(rows, row, 7), SV("dlt645_2007")) ? METER_DLT645 : METER_PUSH;
    meter->poll_interval_s = (int32_t)db_i64(rows, row, 8);
    meter->contact.write_every_ms = contact_write_every(meter->poll_interval_s);
    meter->installed_at = db_time(rows, row, 9);
    registry_gateway *gateway = registry_gateway_by_num(self, db_i64(rows, row, 3));
    if (gateway && !db_bool(rows, row, 10)) attach_meter(self, meter, gateway);
}

int64_t registry_channel(const registry_meter *meter, int ordinal) {
    if (ordinal == 1) return meter->first_channel;
    return ordinal > 1 && ordinal <= meter->channel_count ? meter->channels[ordinal - 2] : 0;
}

static void set_channel(registry_meter *meter, int ordinal, int64_t num) {
    if (ordinal == 1) {
        meter->first_channel = num;
        return;
    }
    for (int have = meter->channel_count > 1 ? meter->channel_count : 1; have < ordinal; have++) {
        meter->channels = mem_grow(meter->channels, (size_t)have, sizeof *meter->channels);
        meter->channels[have - 1] = 0;
        meter->channel_count = (uint8_t)(have + 1);
    }
    meter->channels[ordinal - 2] = num;
}

static void take_channel(registry *self, int32_t company, const db_rows *rows, size_t row) {
    (void)company;
    registry_meter *meter = registry_meter_by_num(self, db_i64(rows, row, 0));
    int64_t ordinal = db_i64(rows, row, 2);
    if (!meter || ordinal < 1 || ordinal > CHANNELS_MAX) return;
    set_channel(meter, (int)ordinal, db_i64(rows, row, 1));
    if (meter->gateway) meter->gateway->meters_version++;
}

// What is read of one company page by page.
typedef struct paged {
    const db_statement *statement;
    int num_column;
    void (*take)(registry *self, int32_t company, const db_rows *rows, size_t row);
} paged;

static err_t refresh_pages(registry *self, db *conn, const paged *what, int32_t company, int64_t known) {
    int64_t last_num = 0;
    size_t len = PAGE;
    while (len == PAGE) {
        AUTO(db_rows) rows = {0};
        err_t err = db_query(conn, what->statement, DB_PARAMS(DB_I32(company), DB_I64(known), DB_I64(last_num), DB_I64(PAGE)), &rows);
        if (err) return err;
        len = rows.len;
        if (len) last_num = db_i64(&rows, len - 1, what->num_column);
        pthread_rwlock_wrlock(&self->lock);
        for (size_t i = 0; i < len; i++) what->take(self, company, &rows, i);
        pthread_rwlock_unlock(&self->lock);
    }
    return ERR_OK;
}

static err_t refresh_company(registry *self, db *conn, int32_t company, int64_t known) {
    static const paged METERS = {&SQL_REGISTRY_METERS, 0, take_meter};
    static const paged CHANNELS = {&SQL_REGISTRY_CHANNELS, 1, take_channel};
    AUTO(db_rows) gateways = {0};
    err_t err = db_query(conn, &SQL_REGISTRY_GATEWAYS, DB_PARAMS(DB_I32(company), DB_I64(known)), &gateways);
    if (err) return err;
    pthread_rwlock_wrlock(&self->lock);
    for (size_t i = 0; i < gateways.len; i++) take_gateway(self, company, &gateways, i);
    pthread_rwlock_unlock(&self->lock);
    err = refresh_pages(self, conn, &METERS, company, known);
    return err ? err : refresh_pages(self, conn, &CHANNELS, company, known);
}

static company_state *company_find(registry *self, int32_t company) {
    for (size_t i = 0; i < self->companies.len; i++)
        if (self->companies.items[i].company == company) return &self->companies.items[i];
    vec_push(&self->companies, ((company_state){company, -1}));
    return &self->companies.items[self->companies.len - 1];
}

err_t registry_refresh(registry *self, db *conn) {
    AUTO(db_rows) sequences = {0};
    err_t err = db_query(conn, &SQL_REGISTRY_SEQUENCES, DB_NO_PARAMS, &sequences);
    for (size_t i = 0; !err && i < sequences.len; i++) {
        company_state *state = company_find(self, (int32_t)db_i64(&sequences, i, 0));
        int64_t seq = db_i64(&sequences, i, 1);
        if (seq == state->seq) continue;
        err = refresh_company(self, conn, state->company, state->seq);
        if (!err) state->seq = seq;
    }
    if (!err) atomic_store(&self->is_loaded, true);
    return err;
}

void registry_run(service *svc, void *context) {
    registry *self = context;
    db_options options = service_db_options(svc, "registry");
    AUTO_DB conn = NULL;
    bool is_listening = false;
    while (!service_is_stopping(svc)) {
        if (!conn || db_is_broken(conn)) {
            if (service_db_connect(svc, &options, &conn)) break;
            is_listening = false;
        }
        if (!is_listening) is_listening = db_listen(conn, "core_change") == ERR_OK;
        err_t err = registry_refresh(self, conn);
        if (err) LOG_WARN("cannot read the configuration; going on with what is known", LOG_S("why", db_error_text(conn)));
        bool got = false;
        db_notice notice;
        if (err || !is_listening)
            (void)service_wait(svc, REFRESH_MS);
        else if (db_wait_notice(conn, REFRESH_MS, &notice, &got))
            continue;
    }
}
