// What was done at the counter: one movement, lists, an operator's day, receipts.
#include "api_sql.h"
#include "json/json.h"
#include "sales/sale.h"
#include "session.h"
#include "write.h"

#define LIST_DAYS 400

err_t get_sale(api_call *call, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    return err ? err : sale_write(call, id);
}

static err_t account_num(api_call *call, int64_t *out_num, fault *out_fault) {
    sv text = SV_NONE;
    uuid id;
    *out_num = 0;
    if (!httpd_request_query(call->request, "account", &text)) return ERR_OK;
    if (!uuid_parse(text, &id)) return fault_set(out_fault, ERR_NOT_FOUND, "", "there is no such account");
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(call->conn, &SQL_ACCOUNT_BY_ID, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &row);
    if (!err) *out_num = db_i64(&row, 0, 0);
    return err;
}

static void write_row(api_call *call, const db_rows *rows, size_t i, const zone *where) {
    json_writer *out = &call->out;
    money_micro amount = db_i64(rows, i, 6);
    json_open_object(out);
    put_uuid(out, "id", rows, i, 1);
    json_put_text(out, "kind", sv_of(transfer_kind_name((int32_t)db_i64(rows, i, 2))));
    json_put_text(out, "state", db_text(rows, i, 3));
    if (db_is_null(rows, i, 4))
        json_put_null(out, "method");
    else
        json_put_text(out, "method", db_text(rows, i, 4));
    put_money(out, "amount", db_bool(rows, i, 5) ? amount : -amount);
    json_put_text(out, "currency", db_text(rows, i, 7));
    json_put_text(out, "reference", db_text(rows, i, 8));
    json_put_text(out, "reason", db_text(rows, i, 9));
    json_put_text(out, "operator", db_text(rows, i, 10));
    put_local_instant(out, "requested_at", where, db_time(rows, i, 11));
    put_local_instant_or_null(out, "done_at", where, rows, i, 12);
    if (db_is_null(rows, i, 13))
        json_put_null(out, "receipt_number");
    else
        json_put_integer(out, "receipt_number", db_i64(rows, i, 13));
    put_uuid(out, "account", rows, i, 14);
    json_put_text(out, "account_number", db_text(rows, i, 15));
    json_put_text(out, "purpose", db_text(rows, i, 16));
    json_close_object(out);
}

static err_t write_page(api_call *call, const db_rows *rows, int64_t limit, fault *out_fault) {
    size_t count = rows->len > (size_t)limit ? (size_t)limit : rows->len;
    json_writer *out = &call->out;
    json_open_object(out);
    json_key(out, "items");
    json_open_array(out);
    for (size_t i = 0; i < count; i++) {
        const zone *where = NULL;
        err_t err = zone_set_find(call->zones, db_text(rows, i, 17), &where, out_fault);
        if (err) return err;
        write_row(call, rows, i, where);
    }
    json_close_array(out);
    if (rows->len > count) {
        sv last = sv_of(arena_printf(call->memory, "%lld", (long long)db_i64(rows, count - 1, 0)));
        json_put_text(out, "next_cursor", api_call_next_cursor(call, "sales", 0, last));
    } else {
        json_put_null(out, "next_cursor");
    }
    json_close_object(out);
    return ERR_OK;
}

err_t list_sales(api_call *call, fault *out_fault) {
    int64_t limit = 0;
    int64_t account = 0;
    int64_t before = INT64_MAX;
    sv cursor = SV_NONE;
    sv state = SV("");
    sv mine = SV("");
    bool is_given = false;
    (void)httpd_request_query(call->request, "state", &state);
    (void)httpd_request_query(call->request, "mine", &mine);
    err_t err = api_call_limit(call, &limit, out_fault);
    if (!err) err = account_num(call, &account, out_fault);
    if (!err) err = api_call_cursor(call, "sales", 0, &is_given, &cursor, out_fault);
    if (!err && is_given && !sv_to_i64(cursor, &before)) err = fault_set(out_fault, ERR_BAD_INPUT, "cursor", "is none of ours");
    AUTO(db_rows) rows = {0};
    if (!err)
        err = db_query(call->conn, &SQL_SALES_PAGE,
                       DB_PARAMS(api_call_properties(call), DB_I64(before), DB_I64(sv_equal(mine, SV("true")) ? call->operator_num : 0),
                                 DB_I64(account), DB_TEXT(state), DB_TIME(call->now - LIST_DAYS * DAY_MS), DB_I64(limit + 1)),
                       &rows);
    return err ? err : write_page(call, &rows, limit, out_fault);
}

// The caller's own day in the zone of the property named by ?property, for the closing of the till.
err_t get_sales_day(api_call *call, fault *out_fault) {
    sv text = SV_NONE;
    uuid id;
    if (!httpd_request_query(call->request, "property", &text) || !uuid_parse(text, &id))
        return fault_set(out_fault, ERR_BAD_INPUT, "property", "which property's day?");
    AUTO(db_rows) property = {0};
    const zone *where = NULL;
    err_t err = db_query_one(call->conn, &SQL_PROPERTY_ZONE, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &property);
    if (!err) err = zone_set_find(call->zones, db_text(&property, 0, 1), &where, out_fault);
    if (err) return err;
    int64_t day = zone_local_day(where, call->now);
    AUTO(db_rows) rows = {0};
    int64_t num = db_i64(&property, 0, 0);
    err = db_query(call->conn, &SQL_SALES_OF_DAY,
                   DB_PARAMS(DB_I64(call->operator_num), DB_TIME(zone_day_start(where, day)), DB_TIME(zone_day_start(where, day + 1)),
                             DB_I64_ARRAY(&num, 1)),
                   &rows);
    if (err) return err;
    json_writer *out = &call->out;
    local_time local = zone_local_time(where, zone_day_start(where, day));
    json_open_object(out);
    json_put_text(out, "day", sv_of(arena_printf(call->memory, "%04d-%02d-%02d", local.year, local.month, local.day_of_month)));
    json_put_text(out, "operator", call->session->name);
    json_key(out, "items");
    json_open_array(out);
    for (size_t i = 0; i < rows.len; i++) {
        int64_t amount = db_i64(&rows, i, 5);
        json_open_object(out);
        json_put_text(out, "kind", sv_of(transfer_kind_name((int32_t)db_i64(&rows, i, 0))));
        json_put_text(out, "method", db_text(&rows, i, 1));
        json_put_text(out, "currency", db_text(&rows, i, 3));
        json_put_integer(out, "count", db_i64(&rows, i, 4));
        put_money(out, "amount", db_bool(&rows, i, 2) ? amount : -amount);
        json_close_object(out);
    }
    json_close_array(out);
    json_close_object(out);
    return ERR_OK;
}

// Printing counts: the first print is the original, every later one a copy and says so.
err_t print_receipt(api_call *call, fault *out_fault) {
    uuid id;
    AUTO(db_rows) printed = {0};
    AUTO(db_rows) row = {0};
    const zone *where = NULL;
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err) err = db_query_one(call->conn, &SQL_RECEIPT_PRINT, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &printed);
    if (!err) err = db_query_one(call->conn, &SQL_RECEIPT_SHOW, DB_PARAMS(DB_UUID(id)), &row);
    if (!err) err = zone_set_find(call->zones, db_text(&row, 0, 14), &where, out_fault);
    if (err) return err;
    json_writer *out = &call->out;
    money_micro amount = db_i64(&row, 0, 9);
    json_open_object(out);
    json_put_integer(out, "number", db_i64(&row, 0, 0));
    json_put_integer(out, "copy", db_i64(&printed, 0, 0) - 1);
    json_put_text(out, "seller", db_text(&row, 0, 1));
    json_put_text(out, "tax_id", db_text(&row, 0, 2));
    json_put_text(out, "customer", db_text(&row, 0, 3));
    json_put_text(out, "account_number", db_text(&row, 0, 4));
    json_put_text(out, "property", db_text(&row, 0, 5));
    json_put_text(out, "rooms", db_text(&row, 0, 16));
    json_put_text(out, "kind", sv_of(transfer_kind_name((int32_t)db_i64(&row, 0, 6))));
    json_put_text(out, "method", db_text(&row, 0, 7));
    put_money(out, "amount", db_bool(&row, 0, 8) ? amount : -amount);
    json_put_text(out, "currency", db_text(&row, 0, 10));
    json_put_text(out, "purpose", db_text(&row, 0, 11));
    put_local_instant(out, "done_at", where, db_time(&row, 0, 12));
    json_put_text(out, "operator", db_text(&row, 0, 13));
    json_put_text(out, "reference", db_text(&row, 0, 15));
    json_close_object(out);
    return ERR_OK;
}
