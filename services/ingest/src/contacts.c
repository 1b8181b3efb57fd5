#include "contacts.h"

#include <string.h>

#include "base/mem.h"
#include "contracts/events.h"
#include "ingest_sql.h"
#include "supply.h"

#define VALUES_A_SECOND 2000
#define CONTACTS_A_SECOND 3000
#define SUSPECTS_MAX 5000  // a look; the others wait for the next

// ---- events ----

err_t ingest_event_write(ingest *app, db *conn, const ingest_event *event) {
    uuid id = uuid_v7_now();
    instant_ms now = service_now(app->svc);
    event_type type = (event_type)event->type;
    db_param gateway = event->gateway ? DB_I64(event->gateway) : DB_NULL;
    db_param meter = event->meter ? DB_I64(event->meter) : DB_NULL;
    err_t err = ERR_OK;
    if (event_stream(type) == STREAM_DEVICE_EVENTS)
        err = db_exec(conn, &SQL_DEVICE_EVENT_INSERT,
                      DB_PARAMS(DB_I32(event->company), DB_UUID(id), DB_TIME(now), DB_CSTR(event_text(type)), gateway, meter,
                                DB_TEXT(event->payload)),
                      NULL);
    if (err) return err;
    return db_exec(conn, &SQL_OUTBOX_INSERT,
                   DB_PARAMS(DB_UUID(id), DB_I32(event->company), DB_CSTR(stream_name(event_stream(type))), DB_CSTR(event_text(type)),
                             DB_I64(event->subject), DB_I64(now), DB_TEXT(event->payload), DB_TIME(now)),
                   NULL);
}

static err_t write_gateway_event(ingest *app, db *conn, const registry_gateway *gateway, event_type type, instant_ms since) {
    char at[INSTANT_TEXT_MAX];
    instant_format(since, 0, at);
    AUTO(buf) payload;
    buf_init(&payload, 300);
    buf_addf(&payload, "{\"gateway\":%lld,\"property\":%lld,\"since\":\"%s\"}", (long long)gateway->num, (long long)gateway->property, at);
    bell_board(app->bell, gateway->company, gateway->property);
    return ingest_event_write(app, conn, &(ingest_event){gateway->company, (int)type, gateway->num, gateway->num, 0, buf_view(&payload)});
}

static err_t write_meter_event(ingest *app, db *conn, const registry_meter *meter, event_type type, instant_ms since) {
    char at[INSTANT_TEXT_MAX];
    instant_format(since, 0, at);
    int64_t gateway = meter->gateway ? meter->gateway->num : 0;
    AUTO(buf) payload;
    buf_init(&payload, 300);
    buf_addf(&payload, "{\"meter\":%lld,\"gateway\":%lld,\"property\":%lld,\"since\":\"%s\"}", (long long)meter->num, (long long)gateway,
             (long long)meter->property, at);
    bell_board(app->bell, meter->company, meter->property);
    return ingest_event_write(app, conn, &(ingest_event){meter->company, (int)type, meter->num, gateway, meter->num, buf_view(&payload)});
}

// ---- one shape for gateways and meters ----

// Columns of a batch of devices, in parallel. Heard: `first` is when. Suspects: `first` is how late it must have been heard
// to be in contact, `second` when this process heard it (not if `never`), `since` what counts if nobody ever did.
typedef struct columns {
    VEC(int32_t) companies;
    VEC(int64_t) nums;
    VEC(instant_ms) first, second, since;
    VEC(bool) never;
    VEC(contact *) contacts;
} columns;

static void columns_auto(columns *self) {
    vec_done(&self->companies);
    vec_done(&self->nums);
    vec_done(&self->first);
    vec_done(&self->second);
    vec_done(&self->since);
    vec_done(&self->never);
    vec_done(&self->contacts);
}

typedef struct device_kind {
    const db_statement *lock, *put, *open, *lose;
    event_type lost, back;
    bool is_gateway;
} device_kind;

static const device_kind GATEWAYS = {&SQL_GATEWAY_CONTACT_LOCK,
                                     &SQL_GATEWAY_CONTACT_PUT,
                                     &SQL_GATEWAY_CONTACT_OPEN,
                                     &SQL_GATEWAY_CONTACT_LOSE,
                                     EVENT_GATEWAY_LOST,
                                     EVENT_GATEWAY_BACK,
                                     true};
static const device_kind METERS = {&SQL_METER_CONTACT_LOCK,
                                   &SQL_METER_CONTACT_PUT,
                                   &SQL_METER_CONTACT_OPEN,
                                   &SQL_METER_CONTACT_LOSE,
                                   EVENT_METER_LOST,
                                   EVENT_METER_BACK,
                                   false};

// Writes one event for each row (num, since) and marks the contact.
static err_t tell(ingest *app, db *conn, const device_kind *kind, event_type type, const db_rows *rows) {
    err_t err = ERR_OK;
    registry_read_lock(app->registry);
    for (size_t i = 0; !err && i < rows->len; i++) {
        int64_t num = db_i64(rows, i, 0);
        instant_ms since = db_time(rows, i, 1);
        if (kind->is_gateway) {
            registry_gateway *gateway = registry_gateway_by_num(app->registry, num);
            if (!gateway) continue;
            presence_mark_lost(app->presence, &gateway->contact, type == kind->lost);
            err = write_gateway_event(app, conn, gateway, type, since);
        } else {
            registry_meter *meter = registry_meter_by_num(app->registry, num);
            if (!meter) continue;
            presence_mark_lost(app->presence, &meter->contact, type == kind->lost);
            err = write_meter_event(app, conn, meter, type, since);
        }
    }
    registry_unlock(app->registry);
    return err;
}

static err_t put_heard(ingest *app, db *conn, const device_kind *kind, const columns *heard) {
    size_t count = heard->nums.len;
    if (count == 0) return ERR_OK;
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) back = {0};
    db_param companies = DB_I32_ARRAY(heard->companies.items, count);
    db_param nums = DB_I64_ARRAY(heard->nums.items, count);
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_query(conn, kind->lock, DB_PARAMS(companies, nums), &back);
    if (!err) err = db_exec(conn, kind->put, DB_PARAMS(companies, nums, DB_TIME_ARRAY(heard->first.items, count)), NULL);
    if (!err) err = tell(app, conn, kind, kind->back, &back);
    if (!err) err = db_commit(&tx);
    if (err) return err;
    for (size_t i = 0; i < count; i++) presence_mark_lost(app->presence, heard->contacts.items[i], false);
    if (back.len) service_ring_relay(app->svc);
    return ERR_OK;
}

static err_t write_gateways(ingest *app, db *conn) {
    gateway_list list = {0};
    instant_list at = {0};
    AUTO(columns) heard = {0};
    presence_take_gateways(app->presence, CONTACTS_A_SECOND, &list, &at);
    for (size_t i = 0; i < list.len; i++) {
        vec_push(&heard.companies, list.items[i]->company);
        vec_push(&heard.nums, list.items[i]->num);
        vec_push(&heard.first, at.items[i]);
        vec_push(&heard.contacts, &list.items[i]->contact);
    }
    err_t err = put_heard(app, conn, &GATEWAYS, &heard);
    if (err) presence_give_back_gateways(app->presence, &list);
    vec_done(&list);
    vec_done(&at);
    return err;
}

static err_t write_meters(ingest *app, db *conn) {
    meter_list list = {0};
    instant_list at = {0};
    AUTO(columns) heard = {0};
    presence_take_meters(app->presence, CONTACTS_A_SECOND, &list, &at);
    for (size_t i = 0; i < list.len; i++) {
        vec_push(&heard.companies, list.items[i]->company);
        vec_push(&heard.nums, list.items[i]->num);
        vec_push(&heard.first, at.items[i]);
        vec_push(&heard.contacts, &list.items[i]->contact);
    }
    err_t err = put_heard(app, conn, &METERS, &heard);
    if (err) presence_give_back_meters(app->presence, &list);
    vec_done(&list);
    vec_done(&at);
    return err;
}

// ---- last values ----

typedef struct value_columns {
    VEC(int32_t) companies;
    VEC(int64_t) channels, values;
    VEC(int16_t) registers, qualities;
    VEC(instant_ms) read_at, received_at;
} value_columns;

static void value_columns_auto(value_columns *self) {
    vec_done(&self->companies);
    vec_done(&self->channels);
    vec_done(&self->values);
    vec_done(&self->registers);
    vec_done(&self->qualities);
    vec_done(&self->read_at);
    vec_done(&self->received_at);
}

static err_t write_values(ingest *app, db *conn) {
    value_list list = {0};
    AUTO(value_columns) c = {0};
    presence_take_values(app->presence, VALUES_A_SECOND, &list);
    for (size_t i = 0; i < list.len; i++) {
        vec_push(&c.companies, list.items[i].company);
        vec_push(&c.channels, list.items[i].channel);
        vec_push(&c.values, list.items[i].value);
        vec_push(&c.registers, list.items[i].reg);
        vec_push(&c.qualities, list.items[i].quality);
        vec_push(&c.read_at, list.items[i].read_at);
        vec_push(&c.received_at, list.items[i].received_at);
    }
    size_t n = list.len;
    err_t err = ERR_OK;
    if (n)
        err = db_exec(conn, &SQL_LAST_VALUE_PUT,
                      DB_PARAMS(DB_I32_ARRAY(c.companies.items, n), DB_I64_ARRAY(c.channels.items, n), DB_I16_ARRAY(c.registers.items, n),
                                DB_I64_ARRAY(c.values.items, n), DB_I16_ARRAY(c.qualities.items, n), DB_TIME_ARRAY(c.read_at.items, n),
                                DB_TIME_ARRAY(c.received_at.items, n)),
                      NULL);
    if (!err) err = supply_observe(app, conn, &list);
    if (err) presence_give_back_values(app->presence, &list);
    vec_done(&list);
    return err;
}

err_t contacts_write(ingest *app, db *conn) {
    err_t err = write_gateways(app, conn);
    if (!err) err = write_meters(app, conn);
    return err ? err : write_values(app, conn);
}

// ---- silence ----

typedef struct watch {
    ingest *app;
    instant_ms now;
    int64_t slack_ms;
    columns gateways, meters;
} watch;

// Silence counts from when it was heard, learned of, or last looked into, whichever is latest.
static void suspect(watch *self, columns *list, contact *of, int32_t company, int64_t num, int64_t patience_ms, instant_ms since) {
    instant_ms heard = presence_seen_at(self->app->presence, of);
    instant_ms base = heard > of->known_at ? heard : of->known_at;
    if (base < of->doubted_at) base = of->doubted_at;
    if (self->now - base <= patience_ms || list->nums.len >= SUSPECTS_MAX || presence_is_lost(self->app->presence, of)) return;
    vec_push(&list->companies, company);
    vec_push(&list->nums, num);
    vec_push(&list->first, self->now - patience_ms);
    vec_push(&list->second, heard);
    vec_push(&list->never, heard == 0);
    vec_push(&list->since, since);
    vec_push(&list->contacts, of);
}

static int64_t patience_ms(const watch *self, int32_t interval_s) { return 2 * interval_s * SECOND_MS + self->slack_ms; }

static void watch_gateway(void *context, registry_gateway *gateway) {
    watch *self = context;
    int64_t patience =
        gateway->kind == GATEWAY_DTU_TCP ? 3 * gateway->heartbeat_s * SECOND_MS : patience_ms(self, gateway->poll_interval_s);
    suspect(self, &self->gateways, &gateway->contact, gateway->company, gateway->num, patience, gateway->contact.known_at);
}

static void watch_meter(void *context, registry_meter *meter) {
    watch *self = context;
    suspect(self, &self->meters, &meter->contact, meter->company, meter->num, patience_ms(self, meter->poll_interval_s),
            meter->installed_at);
}

static err_t lose(ingest *app, db *conn, const device_kind *kind, const columns *suspects, instant_ms now) {
    size_t count = suspects->nums.len;
    if (count == 0) return ERR_OK;
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) lost = {0};
    db_param companies = DB_I32_ARRAY(suspects->companies.items, count);
    db_param nums = DB_I64_ARRAY(suspects->nums.items, count);
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_exec(conn, kind->open, DB_PARAMS(companies, nums), NULL);
    if (!err)
        err = db_query(conn, kind->lose,
                       DB_PARAMS(companies, nums, DB_TIME_ARRAY(suspects->first.items, count),
                                 db_param_with_nulls(DB_TIME_ARRAY(suspects->second.items, count), suspects->never.items),
                                 DB_TIME_ARRAY(suspects->since.items, count)),
                       &lost);
    if (!err) err = tell(app, conn, kind, kind->lost, &lost);
    if (!err) err = db_commit(&tx);
    if (err) return err;
    for (size_t i = 0; i < count; i++) suspects->contacts.items[i]->doubted_at = now;
    if (lost.len) service_ring_relay(app->svc);
    return ERR_OK;
}

err_t contacts_watch(ingest *app, db *conn) {
    if (pressure_excuses_silence(app->pressure)) return ERR_OK;
    watch self = {.app = app, .now = service_now(app->svc)};
    self.slack_ms = settings_int(service_settings(app->svc), "PENSTOCK_INGEST_SILENCE_SLACK_S") * SECOND_MS;
    registry_each(app->registry, &self, watch_gateway, watch_meter);
    err_t err = lose(app, conn, &GATEWAYS, &self.gateways, self.now);
    if (!err) err = lose(app, conn, &METERS, &self.meters, self.now);
    columns_auto(&self.gateways);
    columns_auto(&self.meters);
    return err;
}

err_t contacts_load(ingest *app, db *conn) {
    AUTO(db_rows) gateways = {0};
    AUTO(db_rows) meters = {0};
    err_t err = db_query(conn, &SQL_CONTACT_LOST_GATEWAYS, DB_NO_PARAMS, &gateways);
    if (!err) err = db_query(conn, &SQL_CONTACT_LOST_METERS, DB_NO_PARAMS, &meters);
    if (err) return err;
    registry_read_lock(app->registry);
    for (size_t i = 0; i < gateways.len; i++) {
        registry_gateway *gateway = registry_gateway_by_num(app->registry, db_i64(&gateways, i, 0));
        if (gateway) presence_mark_lost(app->presence, &gateway->contact, true);
    }
    for (size_t i = 0; i < meters.len; i++) {
        registry_meter *meter = registry_meter_by_num(app->registry, db_i64(&meters, i, 0));
        if (meter) presence_mark_lost(app->presence, &meter->contact, true);
    }
    registry_unlock(app->registry);
    return ERR_OK;
}
