// Properties, their boards, and the counters over them.
#include <string.h>

#include "api_sql.h"
#include "call.h"
#include "money/money.h"
#include "write.h"

#define PROPERTIES_LIST "properties"

// A cursor is "<num> <name>" of the last row, behind the mark of its list; before the first row it is num 0 and an empty name.
static err_t read_cursor(const api_call *call, int64_t *out_num, sv *out_name, fault *out_fault) {
    *out_num = 0;
    *out_name = SV("");
    sv cursor = SV_NONE;
    bool is_given = false;
    err_t err = api_call_cursor(call, PROPERTIES_LIST, 0, &is_given, &cursor, out_fault);
    if (err || !is_given) return err;
    sv num = SV_NONE;
    if (!sv_next(&cursor, ' ', &num) || !sv_to_i64(num, out_num)) return fault_set(out_fault, ERR_BAD_INPUT, "cursor", "is none of ours");
    *out_name = cursor;
    return ERR_OK;
}

static void write_property(json_writer *out, const db_rows *rows, size_t row) {
    json_open_object(out);
    put_uuid(out, "id", rows, row, 1);
    json_put_text(out, "name", db_text(rows, row, 2));
    json_put_text(out, "time_zone", db_text(rows, row, 3));
    json_put_text(out, "currency", db_text(rows, row, 4));
    json_put_integer(out, "rooms", db_i64(rows, row, 5));
    json_close_object(out);
}

err_t list_properties(api_call *call, fault *out_fault) {
    int64_t limit = 0;
    int64_t after_num = 0;
    sv after_name = SV_NONE;
    err_t err = api_call_limit(call, &limit, out_fault);
    if (!err) err = read_cursor(call, &after_num, &after_name, out_fault);
    if (err) return err;
    AUTO(db_rows) rows = {0};
    err = db_query(call->conn, &SQL_PROPERTIES_PAGE,
                   DB_PARAMS(api_call_properties(call), DB_TEXT(after_name), DB_I64(after_num), DB_I64(limit + 1)), &rows);
    if (err) return err;
    size_t count = rows.len > (size_t)limit ? (size_t)limit : rows.len;
    json_writer *out = &call->out;
    json_open_object(out);
    json_key(out, "items");
    json_open_array(out);
    for (size_t i = 0; i < count; i++) write_property(out, &rows, i);
    json_close_array(out);
    if (rows.len > count) {
        sv name = db_text(&rows, count - 1, 2);
        sv last = sv_of(arena_printf(call->memory, "%lld %.*s", (long long)db_i64(&rows, count - 1, 0), SV_ARG(name)));
        json_put_text(out, "next_cursor", api_call_next_cursor(call, PROPERTIES_LIST, 0, last));
    } else {
        json_put_null(out, "next_cursor");
    }
    json_close_object(out);
    return ERR_OK;
}

typedef struct day {
    const zone *where;
    instant_ms start;  // of the local day that holds now
} day;

static err_t today_in(const api_call *call, sv zone_text, day *out_day, fault *out_fault) {
    err_t err = zone_set_find(call->zones, zone_text, &out_day->where, out_fault);
    if (!err) out_day->start = zone_day_start(out_day->where, zone_local_day(out_day->where, call->now));
    return err;
}

// The columns of board_rooms.
enum {
    BUILDING_ID,
    BUILDING_NAME,
    FLOOR_ID,
    FLOOR_NAME,
    ROOM_ID,
    ROOM_NAME,
    ROOM_NUM,
    CUSTOMER,
    HAS_ACCOUNT,
    LEVEL,
    LOST_SINCE,
    BALANCE,
    UTILITY_NAME,
    LAST_VALUE,
    LAST_AT,
    DAY_QUANTITY,
    DAY_AMOUNT
};

static room_state state_of_row(const db_rows *rows, size_t row) {
    return room_state_of(db_bool(rows, row, HAS_ACCOUNT), !db_is_null(rows, row, LOST_SINCE), db_i64(rows, row, LEVEL));
}

void write_board_room(json_writer *out, const zone *where, sv currency_text, const db_rows *rows, size_t row) {
    sv utility_text = db_text(rows, row, UTILITY_NAME);
    bool has_account = db_bool(rows, row, HAS_ACCOUNT);
    json_open_object(out);
    put_uuid(out, "id", rows, row, ROOM_ID);
    json_put_text(out, "name", db_text(rows, row, ROOM_NAME));
    if (db_is_null(rows, row, CUSTOMER))
        json_put_null(out, "customer");
    else
        json_put_text(out, "customer", db_text(rows, row, CUSTOMER));
    json_put_text(out, "state", sv_of(room_state_name(state_of_row(rows, row))));
    put_local_instant_or_null(out, "lost_since", where, rows, row, LOST_SINCE);
    if (has_account)
        put_money(out, "balance", db_i64(rows, row, BALANCE));
    else
        json_put_null(out, "balance");
    json_put_text(out, "currency", currency_text);
    put_reading_or_null(out, "last_reading", where, utility_text, rows, row, LAST_VALUE, LAST_AT);
    if (utility_text.len == 0) {
        json_put_null(out, "usage_today");
    } else {
        json_key(out, "usage_today");
        json_open_object(out);
        put_decimal_milli(out, "value", db_i64(rows, row, DAY_QUANTITY));
        json_put_text(out, "unit", sv_of(utility_unit(utility_text)));
        json_close_object(out);
    }
    if (has_account)
        put_money(out, "charged_today", db_i64(rows, row, DAY_AMOUNT));
    else
        json_put_null(out, "charged_today");
    json_close_object(out);
}

static bool starts_group(const db_rows *rows, size_t row, int id_column) {
    if (row == 0) return true;
    uuid a = db_uuid(rows, row, id_column);
    uuid b = db_uuid(rows, row - 1, id_column);
    return memcmp(&a, &b, sizeof a) != 0;
}

static void open_group(json_writer *out, const db_rows *rows, size_t row, int id_column, const char *list) {
    json_open_object(out);
    put_uuid(out, "id", rows, row, id_column);
    json_put_text(out, "name", db_text(rows, row, id_column + 1));
    json_key(out, list);
    json_open_array(out);
}

static void close_group(json_writer *out) {
    json_close_array(out);
    json_close_object(out);
}

static void write_buildings(json_writer *out, const zone *where, sv currency_text, const db_rows *rows) {
    json_open_array(out);
    for (size_t i = 0; i < rows->len; i++) {
        bool new_building = starts_group(rows, i, BUILDING_ID);
        bool new_floor = new_building || starts_group(rows, i, FLOOR_ID);
        if (i > 0 && new_floor) close_group(out);
        if (i > 0 && new_building) close_group(out);
        if (new_building) open_group(out, rows, i, BUILDING_ID, "floors");
        if (new_floor) open_group(out, rows, i, FLOOR_ID, "rooms");
        write_board_room(out, where, currency_text, rows, i);
    }
    if (rows->len > 0) {
        close_group(out);
        close_group(out);
    }
    json_close_array(out);
}

err_t get_board(api_call *call, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (err) return err;
    AUTO(db_rows) property = {0};
    err = db_query_one(call->conn, &SQL_PROPERTY_BY_ID, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &property);
    day today = {0};
    if (!err) err = today_in(call, db_text(&property, 0, 3), &today, out_fault);
    if (err) return err;
    AUTO(db_rows) rooms = {0};
    err = db_query(call->conn, &SQL_BOARD_ROOMS,
                   DB_PARAMS(DB_I64(db_i64(&property, 0, 0)), DB_TIME(call->now), DB_TIME(today.start), DB_NULL), &rooms);
    if (err) return err;
    json_writer *out = &call->out;
    json_open_object(out);
    json_key(out, "property");
    write_property(out, &property, 0);
    put_local_instant(out, "as_of", today.where, call->now);
    json_key(out, "buildings");
    write_buildings(out, today.where, db_text(&property, 0, 4), &rooms);
    json_close_object(out);
    return ERR_OK;
}

typedef struct tally {
    int64_t rooms;
    int64_t by_state[ROOM_STATE_COUNT];
    int64_t charged[CURRENCY_COUNT];
    bool has_currency[CURRENCY_COUNT];
} tally;

static err_t count_property(const api_call *call, const db_rows *properties, size_t row, tally *counts, fault *out_fault) {
    int64_t property = db_i64(properties, row, 0);
    day today = {0};
    err_t err = today_in(call, db_text(properties, row, 1), &today, out_fault);
    AUTO(db_rows) rooms = {0};
    if (!err)
        err =
            db_query(call->conn, &SQL_BOARD_ROOMS, DB_PARAMS(DB_I64(property), DB_TIME(call->now), DB_TIME(today.start), DB_NULL), &rooms);
    AUTO(db_rows) charged = {0};
    if (!err) err = db_query_one(call->conn, &SQL_OVERVIEW_CHARGED, DB_PARAMS(DB_I64(property), DB_TIME(today.start)), &charged);
    if (err) return err;
    counts->rooms += (int64_t)rooms.len;
    for (size_t i = 0; i < rooms.len; i++) counts->by_state[state_of_row(&rooms, i)]++;
    currency money;
    if (!currency_parse(db_text(properties, row, 2), &money)) return fault_set(out_fault, ERR_INTERNAL, "currency", "is not known");
    counts->has_currency[money] = true;
    if (!money_add(counts->charged[money], db_i64(&charged, 0, 0), &counts->charged[money])) return ERR_OVERFLOW;
    return ERR_OK;
}

static void write_tally(json_writer *out, const tally *counts) {
    json_put_integer(out, "rooms", counts->rooms);
    json_key(out, "rooms_by_state");
    json_open_object(out);
    for (int state = 0; state < ROOM_STATE_COUNT; state++)
        json_put_integer(out, room_state_name((room_state)state), counts->by_state[state]);
    json_close_object(out);
    json_key(out, "charged_today");
    json_open_array(out);
    for (int each = 0; each < CURRENCY_COUNT; each++) {
        if (!counts->has_currency[each]) continue;
        json_open_object(out);
        put_money(out, "amount", counts->charged[each]);
        json_put_text(out, "currency", sv_of(currency_code((currency)each)));
        json_close_object(out);
    }
    json_close_array(out);
}

err_t get_overview(api_call *call, fault *out_fault) {
    sv filter = SV_NONE;
    uuid id;
    bool is_filtered = httpd_request_query(call->request, "property", &filter);
    if (is_filtered && !uuid_parse(filter, &id)) return fault_set(out_fault, ERR_NOT_FOUND, "property", "there is no such property");
    AUTO(db_rows) properties = {0};
    err_t err = db_query(call->conn, &SQL_OVERVIEW_PROPERTIES, DB_PARAMS(api_call_properties(call), is_filtered ? DB_UUID(id) : DB_NULL),
                         &properties);
    if (err) return err;
    if (is_filtered && properties.len == 0) return fault_set(out_fault, ERR_NOT_FOUND, "property", "there is no such property");
    tally counts = {0};
    for (size_t i = 0; !err && i < properties.len; i++) err = count_property(call, &properties, i, &counts, out_fault);
    AUTO(db_rows) meters = {0};
    if (!err)
        err = db_query_one(call->conn, &SQL_OVERVIEW_METERS,
                           DB_PARAMS(api_call_properties(call), is_filtered ? DB_I64(db_i64(&properties, 0, 0)) : DB_NULL), &meters);
    if (err) return err;
    json_writer *out = &call->out;
    json_open_object(out);
    json_put_instant(out, "as_of", call->now, 0);
    write_tally(out, &counts);
    json_put_integer(out, "meters", db_i64(&meters, 0, 0));
    json_put_integer(out, "meters_online", db_i64(&meters, 0, 1));
    json_close_object(out);
    return ERR_OK;
}
