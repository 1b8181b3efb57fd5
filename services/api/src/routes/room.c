// One room: who holds it, what it owes, what measures it.
#include "api_sql.h"
#include "call.h"
#include "ledger/ledger.h"
#include "metering/register.h"
#include "money/decimal.h"
#include "write.h"

static void write_place(json_writer *out, const char *key, const db_rows *rows, int id_column) {
    json_key(out, key);
    json_open_object(out);
    put_uuid(out, "id", rows, 0, id_column);
    json_put_text(out, "name", db_text(rows, 0, id_column + 1));
    json_close_object(out);
}

static err_t write_account(api_call *call, const zone *where, sv currency_text, const db_rows *account, int64_t *out_worst_level) {
    json_writer *out = &call->out;
    *out_worst_level = 0;
    if (account->len == 0) {
        json_put_null(out, "account");
        return ERR_OK;
    }
    AUTO(db_rows) purses = {0};
    err_t err = db_query(call->conn, &SQL_ACCOUNT_PURSES, DB_PARAMS(DB_I64(db_i64(account, 0, 0))), &purses);
    if (err) return err;
    json_key(out, "account");
    json_open_object(out);
    put_uuid(out, "id", account, 0, 1);
    json_put_text(out, "number", db_text(account, 0, 2));
    put_local_instant(out, "opened_at", where, db_time(account, 0, 3));
    json_put_text(out, "currency", currency_text);
    json_key(out, "purses");
    json_open_array(out);
    for (size_t i = 0; i < purses.len; i++) {
        int64_t level = db_i64(&purses, i, 2);
        if (level > *out_worst_level) *out_worst_level = level;
        json_open_object(out);
        json_put_text(out, "purpose", db_text(&purses, i, 0));
        put_money(out, "balance", db_i64(&purses, i, 1));
        if (db_is_null(&purses, i, 2))
            json_put_null(out, "level");
        else
            json_put_text(out, "level", sv_of(credit_level_name((int32_t)level)));
        put_money(out, "alarm_1", db_i64(&purses, i, 3));
        put_money(out, "alarm_2", db_i64(&purses, i, 4));
        put_money(out, "overdraft_limit", db_i64(&purses, i, 5));
        json_close_object(out);
    }
    json_close_array(out);
    json_close_object(out);
    return ERR_OK;
}

// Status word 3, bit 4 (DL/T 645-2007): the relay; 1 is open.
#define RELAY_BIT (1 << 4)

static void write_last_values(json_writer *out, const zone *where, const db_rows *values) {
    json_key(out, "last_values");
    json_open_array(out);
    for (size_t i = 0; i < values->len; i++) {
        uint8_t number = (uint8_t)db_i64(values, i, 0);
        register_info info = register_describe(number);
        bool is_relay = number == REGISTER_STATUS_WORD_3;
        if (!info.is_known || (info.kind == REGISTER_STATUS && !is_relay)) continue;
        char text[DECIMAL_TEXT_MAX];
        size_t len = decimal_format(db_i64(values, i, 1), info.decimals, info.decimals > 0 ? 1 : 0, text);
        json_open_object(out);
        json_put_text(out, "name", is_relay ? SV("relay") : info.text);
        if (is_relay)
            json_put_text(out, "value", db_i64(values, i, 1) & RELAY_BIT ? SV("open") : SV("closed"));
        else
            json_put_text(out, "value", (sv){text, len});
        json_put_text(out, "unit", is_relay ? SV("") : info.unit);
        put_local_instant(out, "read_at", where, db_time(values, i, 2));
        json_close_object(out);
    }
    json_close_array(out);
}

// Online: seen, and not lost since.
static bool is_online(const db_rows *rows, size_t row, int seen_column, int lost_column) {
    return !db_is_null(rows, row, seen_column) && db_is_null(rows, row, lost_column);
}

static err_t write_meters(api_call *call, const zone *where, int64_t usage_point, bool *in_out_lost, instant_ms *in_out_lost_since) {
    AUTO(db_rows) meters = {0};
    err_t err = db_query(call->conn, &SQL_POINT_METERS, DB_PARAMS(DB_I64(usage_point)), &meters);
    json_writer *out = &call->out;
    json_key(out, "meters");
    json_open_array(out);
    for (size_t i = 0; !err && i < meters.len; i++) {
        AUTO(db_rows) values = {0};
        err = db_query(call->conn, &SQL_CHANNEL_LAST_VALUES, DB_PARAMS(DB_I64(db_i64(&meters, i, 4))), &values);
        if (err) break;
        bool is_lost = !db_is_null(&meters, i, 6);
        if (is_lost && (!*in_out_lost || db_time(&meters, i, 6) < *in_out_lost_since)) *in_out_lost_since = db_time(&meters, i, 6);
        *in_out_lost |= is_lost;
        json_open_object(out);
        put_uuid(out, "id", &meters, i, 0);
        json_put_text(out, "address", db_text(&meters, i, 1));
        json_put_text(out, "model", db_text(&meters, i, 2));
        json_put_integer(out, "channel", db_i64(&meters, i, 3));
        json_put_boolean(out, "online", is_online(&meters, i, 5, 6));
        put_local_instant_or_null(out, "lost_since", where, &meters, i, 6);
        json_key(out, "gateway");
        json_open_object(out);
        put_uuid(out, "id", &meters, i, 7);
        json_put_text(out, "name", db_text(&meters, i, 8));
        json_put_text(out, "link", db_text(&meters, i, 9));
        json_put_boolean(out, "online", is_online(&meters, i, 10, 11));
        put_local_instant_or_null(out, "lost_since", where, &meters, i, 11);
        json_close_object(out);
        write_last_values(out, where, &values);
        json_close_object(out);
    }
    json_close_array(out);
    return err;
}

static err_t write_points(api_call *call, const zone *where, int64_t room, bool *out_lost, instant_ms *out_lost_since) {
    *out_lost = false;
    *out_lost_since = 0;
    AUTO(db_rows) points = {0};
    err_t err = db_query(call->conn, &SQL_ROOM_POINTS, DB_PARAMS(DB_I64(room), DB_TIME(call->now)), &points);
    json_writer *out = &call->out;
    json_key(out, "usage_points");
    json_open_array(out);
    for (size_t i = 0; !err && i < points.len; i++) {
        sv utility_text = db_text(&points, i, 3);
        json_open_object(out);
        put_uuid(out, "id", &points, i, 1);
        json_put_text(out, "name", db_text(&points, i, 2));
        json_put_text(out, "utility", utility_text);
        json_put_text(out, "unit", sv_of(utility_unit(utility_text)));
        if (db_is_null(&points, i, 6)) {
            json_put_null(out, "tariff");
        } else {
            json_key(out, "tariff");
            json_open_object(out);
            json_put_text(out, "code", db_text(&points, i, 6));
            json_put_integer(out, "version", db_i64(&points, i, 7));
            put_local_instant(out, "effective_from", where, db_time(&points, i, 8));
            json_close_object(out);
        }
        put_reading_or_null(out, "last_reading", where, utility_text, &points, i, 4, 5);
        err = write_meters(call, where, db_i64(&points, i, 0), out_lost, out_lost_since);
        json_close_object(out);
    }
    json_close_array(out);
    return err;
}

err_t get_room(api_call *call, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    AUTO(db_rows) room = {0};
    if (!err) err = db_query_one(call->conn, &SQL_ROOM_BY_ID, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &room);
    const zone *where = NULL;
    if (!err) err = zone_set_find(call->zones, db_text(&room, 0, 10), &where, out_fault);
    AUTO(db_rows) account = {0};
    if (!err) err = db_query(call->conn, &SQL_ROOM_ACCOUNT, DB_PARAMS(DB_I64(db_i64(&room, 0, 0)), DB_TIME(call->now)), &account);
    if (err) return err;
    json_writer *out = &call->out;
    json_open_object(out);
    put_uuid(out, "id", &room, 0, 1);
    json_put_text(out, "name", db_text(&room, 0, 2));
    json_key(out, "place");
    json_open_object(out);
    write_place(out, "property", &room, 8);
    write_place(out, "building", &room, 5);
    write_place(out, "floor", &room, 3);
    json_close_object(out);
    if (account.len == 0) {
        json_put_null(out, "customer");
    } else {
        json_key(out, "customer");
        json_open_object(out);
        json_put_text(out, "short_name", db_text(&account, 0, 4));
        json_close_object(out);
    }
    int64_t worst_level = 0;
    bool is_lost = false;
    instant_ms lost_since = 0;
    err = write_account(call, where, db_text(&room, 0, 11), &account, &worst_level);
    if (!err) err = write_points(call, where, db_i64(&room, 0, 0), &is_lost, &lost_since);
    json_put_text(out, "state", sv_of(room_state_name(room_state_of(account.len > 0, is_lost, worst_level))));
    if (is_lost)
        put_local_instant(out, "lost_since", where, lost_since);
    else
        json_put_null(out, "lost_since");
    json_close_object(out);
    return err;
}
