// A usage point's day and its charges.
#include "api_sql.h"
#include "base/check.h"
#include "call.h"
#include "rating/rating.h"
#include "setups/setups.h"
#include "write.h"

typedef struct point_row {
    int64_t num;
    sv utility;
    sv currency;
    const zone *where;
    bool has_account;
    int64_t account;
    bool was_read;
    instant_ms last_at;
} point_row;

// Columns of usage_point_by_id; views live as long as `rows`.
static err_t find_point(api_call *call, db_rows *rows, point_row *out_point, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err)
        err = db_query_one(call->conn, &SQL_USAGE_POINT_BY_ID, DB_PARAMS(DB_UUID(id), DB_TIME(call->now), api_call_properties(call)), rows);
    if (err) return err;
    *out_point = (point_row){.num = db_i64(rows, 0, 0),
                             .utility = db_text(rows, 0, 1),
                             .currency = db_text(rows, 0, 4),
                             .has_account = !db_is_null(rows, 0, 5),
                             .account = db_i64(rows, 0, 5),
                             .was_read = !db_is_null(rows, 0, 6),
                             .last_at = db_time(rows, 0, 6)};
    return zone_set_find(call->zones, db_text(rows, 0, 3), &out_point->where, out_fault);
}

#define HOURS_MAX 25

// Sums of the local day for display; money and charging never use them. A charge that lies in several hours is shared by
// time.
typedef struct day_sums {
    instant_ms from, to;
    size_t hours;
    int64_t quantity, amount;
    int64_t hour_quantity[HOURS_MAX], hour_amount[HOURS_MAX];
    int64_t period_quantity[TARIFF_PERIODS_MAX];
} day_sums;

// The part of `whole` of [from, to) that lies before `at`.
static int64_t before(int64_t whole, instant_ms from, instant_ms to, instant_ms at) {
    if (at <= from) return 0;
    if (at >= to) return whole;
    return (int64_t)((__int128)whole * (at - from) / (to - from));
}

static int64_t within(int64_t whole, instant_ms from, instant_ms to, instant_ms low, instant_ms high) {
    return before(whole, from, to, high) - before(whole, from, to, low);
}

static void add_to_hours(day_sums *sums, instant_ms from, instant_ms to, int64_t quantity, int64_t amount) {
    sums->quantity += within(quantity, from, to, sums->from, sums->to);
    sums->amount += within(amount, from, to, sums->from, sums->to);
    for (size_t i = 0; i < sums->hours; i++) {
        instant_ms low = sums->from + (instant_ms)i * HOUR_MS;
        instant_ms high = low + HOUR_MS < sums->to ? low + HOUR_MS : sums->to;
        sums->hour_quantity[i] += within(quantity, from, to, low, high);
        sums->hour_amount[i] += within(amount, from, to, low, high);
    }
}

// The tariff splits the interval as charging did; only the periods are looked at.
static void add_to_periods(day_sums *sums, const tariff *price, instant_ms from, instant_ms to, int64_t quantity) {
    if (!price || quantity <= 0) return;
    rating_state state;
    rating_state_init(&state);
    AUTO(rating_trace) trace = {0};
    rating_result result;
    rating_interval interval = {.from = from, .to = to, .quantity_milli = quantity};
    if (rating_charge(price, NULL, &state, &interval, &result, &trace) != RATING_OK) return;
    for (size_t i = 0; i < trace.pieces.len; i++) {
        const rating_piece *piece = &trace.pieces.items[i];
        sums->period_quantity[piece->period] += within(piece->quantity_milli, piece->from, piece->to, sums->from, sums->to);
    }
}

static const tariff *version_of(const charging_setup *setup, int64_t num) {
    for (size_t i = 0; setup && i < setup->version_count; i++)
        if (setup->versions[i].num == num) return setup->versions[i].tariff;
    return NULL;
}

static const tariff *tariff_now(const charging_setup *setup, instant_ms now) {
    const charging_version *version = setup ? charging_version_at(setup, now) : NULL;
    return version ? version->tariff : NULL;
}

static void write_hours(json_writer *out, const point_row *point, const day_sums *sums, instant_ms now) {
    json_key(out, "hours");
    json_open_array(out);
    for (size_t i = 0; i < sums->hours; i++) {
        instant_ms from = sums->from + (instant_ms)i * HOUR_MS;
        if (from > now) break;
        json_open_object(out);
        put_local_instant(out, "from", point->where, from);
        put_local_instant(out, "to", point->where, from + HOUR_MS < sums->to ? from + HOUR_MS : sums->to);
        put_decimal_milli(out, "quantity", sums->hour_quantity[i]);
        put_money(out, "amount", sums->hour_amount[i]);
        json_close_object(out);
    }
    json_close_array(out);
}

static void write_day(api_call *call, const point_row *point, const day_sums *sums, const tariff *price) {
    json_writer *out = &call->out;
    local_time local = zone_local_time(point->where, sums->from);
    json_open_object(out);
    json_put_text(out, "day", sv_of(arena_printf(call->memory, "%04d-%02d-%02d", local.year, local.month, local.day_of_month)));
    json_put_text(out, "time_zone", zone_name(point->where));
    json_put_text(out, "unit", sv_of(utility_unit(point->utility)));
    json_put_text(out, "currency", point->currency);
    put_decimal_milli(out, "quantity", sums->quantity);
    put_money(out, "amount", sums->amount);
    if (point->was_read && point->last_at >= sums->from)
        put_local_instant(out, "complete_until", point->where, point->last_at);
    else
        json_put_null(out, "complete_until");
    write_hours(out, point, sums, call->now);
    json_key(out, "periods");
    json_open_array(out);
    for (size_t i = 0; price && i < tariff_period_count(price); i++) {
        json_open_object(out);
        json_put_text(out, "period", tariff_period_name(price, i));
        put_decimal_milli(out, "quantity", sums->period_quantity[i]);
        json_close_object(out);
    }
    json_close_array(out);
    json_close_object(out);
}

err_t get_usage_today(api_call *call, fault *out_fault) {
    AUTO(db_rows) found = {0};
    point_row point;
    err_t err = find_point(call, &found, &point, out_fault);
    if (err) return err;
    int64_t day = zone_local_day(point.where, call->now);
    day_sums sums = {.from = zone_day_start(point.where, day), .to = zone_day_start(point.where, day + 1)};
    sums.hours = (size_t)((sums.to - sums.from + HOUR_MS - 1) / HOUR_MS);
    CHECK(sums.hours <= HOURS_MAX);
    AUTO_SETUPS all = setups_new(call->zones);
    setups_key key = {call->company, point.num};
    err = setups_load(all, call->conn, &key, 1, call->now);
    AUTO(db_rows) charges = {0};
    if (!err)
        err = db_query(call->conn, &SQL_CHARGES_OF_DAY,
                       DB_PARAMS(DB_I64(point.num), DB_I64(point.account), DB_TIME(sums.from), DB_TIME(sums.to)), &charges);
    if (err) return err;
    const charging_setup *setup = setups_find(all, point.num);
    const tariff *now_priced = tariff_now(setup, call->now);
    for (size_t i = 0; i < charges.len; i++) {
        instant_ms from = db_time(&charges, i, 0);
        instant_ms to = db_time(&charges, i, 1);
        add_to_hours(&sums, from, to, db_i64(&charges, i, 2), db_i64(&charges, i, 3));
        if (version_of(setup, db_i64(&charges, i, 4)) == now_priced) add_to_periods(&sums, now_priced, from, to, db_i64(&charges, i, 2));
    }
    write_day(call, &point, &sums, now_priced);
    return ERR_OK;
}

// The cause as the API names it; billing.charge.cause holds the number.
static const char *cause_name(int64_t kind, int64_t cause) {
    if (cause == 2) return "recharge";
    if (cause == 3) return "window_close";
    return kind == 1 || cause == 1 ? "correction" : "reading";
}

static void write_charge(json_writer *out, const point_row *point, const db_rows *rows, size_t row, sv id) {
    json_open_object(out);
    json_put_text(out, "id", id);
    json_put_text(out, "cause", sv_of(cause_name(db_i64(rows, row, 1), db_i64(rows, row, 2))));
    json_put_boolean(out, "estimated", db_i64(rows, row, 2) == 4);
    put_local_instant(out, "from", point->where, db_time(rows, row, 3));
    put_local_instant(out, "to", point->where, db_time(rows, row, 4));
    put_local_instant(out, "booked_at", point->where, db_time(rows, row, 5));
    put_decimal_milli(out, "quantity", db_i64(rows, row, 6));
    json_put_text(out, "unit", sv_of(utility_unit(point->utility)));
    put_money(out, "amount", db_i64(rows, row, 7));
    json_put_text(out, "currency", point->currency);
    json_close_object(out);
}

err_t list_charges(api_call *call, fault *out_fault) {
    AUTO(db_rows) found = {0};
    point_row point;
    int64_t limit = 0;
    int64_t until = INT64_MAX;
    sv cursor = SV_NONE;
    err_t err = find_point(call, &found, &point, out_fault);
    if (!err) err = api_call_limit(call, &limit, out_fault);
    bool is_given = false;
    if (!err) err = api_call_cursor(call, "charges", point.num, &is_given, &cursor, out_fault);
    if (!err && is_given && !sv_to_i64(cursor, &until)) err = fault_set(out_fault, ERR_BAD_INPUT, "cursor", "is none of ours");
    AUTO(db_rows) rows = {0};
    if (!err)
        err = db_query(call->conn, &SQL_CHARGES_PAGE, DB_PARAMS(DB_I64(point.num), DB_I64(point.account), DB_I64(until), DB_I64(limit + 1)),
                       &rows);
    if (err) return err;
    size_t count = rows.len > (size_t)limit ? (size_t)limit : rows.len;
    json_writer *out = &call->out;
    sv last = SV_NONE;
    json_open_object(out);
    json_key(out, "items");
    json_open_array(out);
    for (size_t i = 0; i < count; i++) {
        last = sv_of(arena_printf(call->memory, "%lld", (long long)db_i64(&rows, i, 0)));
        write_charge(out, &point, &rows, i, last);
    }
    json_close_array(out);
    if (rows.len > count)
        json_put_text(out, "next_cursor", api_call_next_cursor(call, "charges", point.num, last));
    else
        json_put_null(out, "next_cursor");
    json_close_object(out);
    return ERR_OK;
}
