#include "supply.h"

#include "base/mem.h"
#include "contacts.h"
#include "contracts/events.h"
#include "ingest_sql.h"
#include "metering/register.h"
#include "protocols/dlt645.h"

#define PAYLOAD_MAX 300

// Columns of the status words that matter here.
typedef struct words {
    VEC(int32_t) companies;
    VEC(int64_t) channels;
    VEC(int64_t) words;
    VEC(int16_t) registers;
    VEC(int32_t) bits;
    VEC(instant_ms) read_at;
} words;

static void words_auto(words *self) {
    vec_done(&self->companies);
    vec_done(&self->channels);
    vec_done(&self->words);
    vec_done(&self->registers);
    vec_done(&self->bits);
    vec_done(&self->read_at);
}

static void add(words *self, const last_value *value) {
    vec_push(&self->companies, value->company);
    vec_push(&self->channels, value->channel);
    vec_push(&self->words, value->value & 0xFFFF);
    vec_push(&self->registers, value->reg);
    vec_push(&self->bits, (int32_t)(value->value & (DLT645_STATUS4_OVERLOAD | DLT645_STATUS4_MALICIOUS_LOAD)));
    vec_push(&self->read_at, value->read_at);
}

static err_t tell_supplies(ingest *app, db *conn, const db_rows *rows) {
    err_t err = ERR_OK;
    for (size_t i = 0; !err && i < rows->len; i++) {
        char at[INSTANT_TEXT_MAX];
        instant_format(db_time(rows, i, 5), 0, at);
        int64_t channel = db_i64(rows, i, 1);
        int64_t meter = db_i64(rows, i, 2);
        AUTO(buf) payload;
        buf_init(&payload, PAYLOAD_MAX);
        buf_addf(&payload, "{\"channel\":%lld,\"meter\":%lld,\"property\":%lld,\"state\":\"%.*s\",\"at\":\"%s\"}", (long long)channel,
                 (long long)meter, (long long)db_i64(rows, i, 3), SV_ARG(db_text(rows, i, 4)), at);
        err = ingest_event_write(
            app, conn, &(ingest_event){(int32_t)db_i64(rows, i, 0), EVENT_SUPPLY_OBSERVED, channel, 0, meter, buf_view(&payload)});
    }
    return err;
}

static err_t tell_alarm(ingest *app, db *conn, const db_rows *rows, size_t row, const char *kind) {
    char at[INSTANT_TEXT_MAX];
    instant_format(db_time(rows, row, 5), 0, at);
    int64_t channel = db_i64(rows, row, 1);
    int64_t meter = db_i64(rows, row, 2);
    AUTO(buf) payload;
    buf_init(&payload, PAYLOAD_MAX);
    buf_addf(&payload, "{\"channel\":%lld,\"meter\":%lld,\"property\":%lld,\"kind\":\"%s\",\"value\":", (long long)channel,
             (long long)meter, (long long)db_i64(rows, row, 3), kind);
    if (db_is_null(rows, row, 6))
        buf_add(&payload, SV("null"));
    else
        buf_add_i64(&payload, db_i64(rows, row, 6));
    buf_addf(&payload, ",\"at\":\"%s\"}", at);
    return ingest_event_write(app, conn,
                              &(ingest_event){(int32_t)db_i64(rows, row, 0), EVENT_DEVICE_ALARM, channel, 0, meter, buf_view(&payload)});
}

static err_t tell_alarms(ingest *app, db *conn, const db_rows *rows) {
    static const struct {
        uint32_t bit;
        const char *kind;
    } KINDS[] = {{DLT645_STATUS4_OVERLOAD, "overload"}, {DLT645_STATUS4_MALICIOUS_LOAD, "malicious_load"}};
    err_t err = ERR_OK;
    for (size_t i = 0; i < rows->len; i++)
        for (size_t k = 0; !err && k < ARRAY_LEN(KINDS); k++)
            if (db_i64(rows, i, 4) & KINDS[k].bit) err = tell_alarm(app, conn, rows, i, KINDS[k].kind);
    return err;
}

static err_t observe(ingest *app, db *conn, const words *supplies, const words *phases) {
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) changed = {0};
    AUTO(db_rows) raised = {0};
    instant_ms stuck_before = service_now(app->svc) - settings_int(service_settings(app->svc), "PENSTOCK_INGEST_VALVE_WAIT_S") * SECOND_MS;
    size_t s = supplies->channels.len;
    size_t p = phases->channels.len;
    err_t err = db_begin(conn, &tx);
    if (!err && s)
        err = db_query(conn, &SQL_SUPPLY_OBSERVE,
                       DB_PARAMS(DB_I32_ARRAY(supplies->companies.items, s), DB_I64_ARRAY(supplies->channels.items, s),
                                 DB_I64_ARRAY(supplies->words.items, s), DB_TIME_ARRAY(supplies->read_at.items, s), DB_TIME(stuck_before)),
                       &changed);
    if (!err && s) err = tell_supplies(app, conn, &changed);
    if (!err && p)
        err = db_query(conn, &SQL_PHASE_OBSERVE,
                       DB_PARAMS(DB_I32_ARRAY(phases->companies.items, p), DB_I64_ARRAY(phases->channels.items, p),
                                 DB_I16_ARRAY(phases->registers.items, p), DB_I32_ARRAY(phases->bits.items, p),
                                 DB_TIME_ARRAY(phases->read_at.items, p)),
                       &raised);
    if (!err && p) err = tell_alarms(app, conn, &raised);
    if (!err) err = db_commit(&tx);
    if (!err && changed.len + raised.len) service_ring_relay(app->svc);
    return err;
}

err_t supply_observe(ingest *app, db *conn, const value_list *values) {
    AUTO(words) supplies = {0};
    AUTO(words) phases = {0};
    for (size_t i = 0; i < values->len; i++) {
        const last_value *value = &values->items[i];
        if (value->reg == REGISTER_STATUS_WORD_3) add(&supplies, value);
        if (value->reg >= REGISTER_STATUS_WORD_4 && value->reg <= REGISTER_STATUS_WORD_6) add(&phases, value);
    }
    return supplies.channels.len + phases.channels.len ? observe(app, conn, &supplies, &phases) : ERR_OK;
}
