// Payments through a channel, asked for at the counter: an order is opened by a door of payments, which
// writes into its row what the customer scans. The api reads that row; it never talks to a channel.
#include "api_sql.h"
#include "idempotency.h"
#include "json/json.h"
#include "money/decimal.h"
#include "money/money.h"
#include "session.h"
#include "write.h"

#define BODY_LIMITS ((json_limits){16384, 3})
#define CHANNEL "wechat"

typedef struct order_body {
    sv purpose, product;
    int64_t amount;
} order_body;

static int64_t read_amount(json_reader *reader, const json_node *root) {
    char scratch[JSON_DECIMAL_TEXT_MAX];
    json_node node = json_member(reader, root, "amount");
    int64_t micro = 0;
    if (json_node_kind(&node) == JSON_KIND_INTEGER) json_refuse(reader, &node, "write money as a string");
    sv text = json_read_decimal_text(reader, &node, scratch);
    if (json_reader_failed(reader)) return 0;
    decimal_answer answer = decimal_parse(text, MONEY_SCALE, &micro);
    if (answer != DECIMAL_OK)
        json_refuse(reader, &node, "%s", decimal_answer_text(answer));
    else if (micro <= 0)
        json_refuse(reader, &node, "the amount must be above zero");
    return micro;
}

static err_t read_body(api_call *call, order_body *out, fault *out_fault) {
    static const char *const KEYS[] = {"purpose", "amount", "product", NULL};
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    *out = (order_body){.product = SV("native")};
    err_t err = json_parse(httpd_request_body(call->request), BODY_LIMITS, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    json_node purpose = json_member(&reader, &root, "purpose");
    out->purpose = arena_copy(call->memory, json_read_text_bounded(&reader, &purpose, 32));
    out->amount = read_amount(&reader, &root);
    json_node product = json_optional(&reader, &root, "product");
    if (json_is_present(&product)) {
        sv text = json_read_text(&reader, &product);
        // The other products pay from the customer's own phone.
        if (!json_reader_failed(&reader) && !sv_equal(text, SV("native"))) json_refuse(&reader, &product, "at the counter it is native");
    }
    return json_reader_fault(&reader, out_fault);
}

// What the refusals of payments.open_order mean to the caller.
static err_t refuse(api_call *call, sv refusal, fault *out_fault) {
    if (sv_equal(refusal, SV("account_closed"))) return fault_set(out_fault, ERR_CONFLICT, "", "the account is closed");
    if (sv_equal(refusal, SV("no_merchant")))
        return fault_set(out_fault, ERR_CONFLICT, "/purpose", "no merchant takes payments for this through the channel");
    if (sv_equal(refusal, SV("amount")))
        return fault_set(out_fault, ERR_BAD_INPUT, "/amount", "the channel takes 0.01 to 1000000.00 without parts of a fen");
    if (sv_equal(refusal, SV("key_reused")))
        return api_call_refuse(call, PROBLEM_KEY_REUSED, out_fault, "Idempotency-Key", "the key belongs to another order");
    if (sv_equal(refusal, SV("too_many"))) {
        call->retry_after_s = 60;
        return api_call_refuse(call, PROBLEM_TOO_MANY, out_fault, "", "the account has many orders that wait to be paid");
    }
    return fault_set(out_fault, ERR_CONFLICT, "", "the order was refused");
}

static err_t write_audit(api_call *call, const char *action, uuid id) {
    sv body = httpd_request_body(call->request);
    return db_exec(call->conn, &SQL_AUDIT_ADD,
                   DB_PARAMS(DB_TIME(call->now), DB_TEXT(call->session->login), DB_CSTR(action), DB_CSTR("payment_order"), DB_UUID(id),
                             DB_TEXT(body.len > 0 ? body : SV("{}"))),
                   NULL);
}

static void put_text_or_null(json_writer *out, const char *key, const db_rows *rows, size_t row, int column) {
    if (db_is_null(rows, row, column))
        json_put_null(out, key);
    else
        json_put_text(out, key, db_text(rows, row, column));
}

// The code is shown only while scanning it makes sense.
static void write_row(api_call *call, const db_rows *rows, size_t i, const zone *where) {
    json_writer *out = &call->out;
    bool is_scannable = db_bool(rows, i, 11) && db_time(rows, i, 10) > call->now;
    json_open_object(out);
    put_uuid(out, "id", rows, i, 1);
    json_put_text(out, "state", db_text(rows, i, 2));
    json_put_boolean(out, "is_closing", db_bool(rows, i, 12));
    put_uuid(out, "account", rows, i, 3);
    json_put_text(out, "account_number", db_text(rows, i, 4));
    json_put_text(out, "purpose", db_text(rows, i, 5));
    put_money(out, "amount", db_i64(rows, i, 6));
    json_put_text(out, "currency", db_text(rows, i, 7));
    json_put_text(out, "channel", db_text(rows, i, 8));
    json_put_text(out, "product", db_text(rows, i, 16));
    if (is_scannable) {
        json_put_text(out, "code_url", db_text(rows, i, 9));
        put_local_instant(out, "code_valid_to", where, db_time(rows, i, 10));
    } else {
        json_put_null(out, "code_url");
        json_put_null(out, "code_valid_to");
    }
    put_local_instant(out, "created_at", where, db_time(rows, i, 13));
    put_local_instant(out, "expires_at", where, db_time(rows, i, 14));
    put_local_instant_or_null(out, "credited_at", where, rows, i, 15);
    put_local_instant_or_null(out, "closed_at", where, rows, i, 17);
    put_text_or_null(out, "channel_code", rows, i, 18);
    json_close_object(out);
}

static err_t write_order(api_call *call, uuid id, fault *out_fault) {
    AUTO(db_rows) row = {0};
    const zone *where = NULL;
    err_t err = db_query_one(call->conn, &SQL_ORDER_SHOW, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &row);
    if (!err) err = zone_set_find(call->zones, db_text(&row, 0, 0), &where, out_fault);
    if (!err) write_row(call, &row, 0, where);
    return err;
}

static err_t open_order(api_call *call, const order_body *body, int64_t account, int64_t purse, sv description, fault *out_fault) {
    AUTO(db_rows) opened = {0};
    const char *request_key = arena_printf(call->memory, "operator:%lld:%.*s", (long long)call->operator_num,
                                           SV_ARG(httpd_request_header(call->request, "idempotency-key")));
    err_t err = db_query_one(call->conn, &SQL_ORDER_OPEN,
                             DB_PARAMS(DB_I64(account), DB_I64(purse), DB_I64(body->amount), DB_CSTR(CHANNEL), DB_TEXT(body->product),
                                       DB_TEXT(description), DB_CSTR(request_key), DB_TIME(call->now)),
                             &opened);
    if (err) return err;
    if (db_is_null(&opened, 0, 0)) return refuse(call, db_text(&opened, 0, 1), out_fault);
    uuid id = db_uuid(&opened, 0, 0);
    err = write_audit(call, "order_opened", id);
    if (!err) err = write_order(call, id, out_fault);
    return err ? err : idempotency_end(call, 201);
}

err_t create_order(api_call *call, fault *out_fault) {
    uuid account;
    order_body body;
    idempotency_earlier earlier;
    AUTO(db_rows) place = {0};
    err_t err = api_call_id(call, "id", &account, out_fault);
    if (!err) err = read_body(call, &body, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err || earlier.is_there) return err;
    err = db_query_one(call->conn, &SQL_ORDER_PLACE, DB_PARAMS(DB_UUID(account), DB_TEXT(body.purpose), api_call_properties(call)), &place);
    if (err) return err;
    if (db_is_null(&place, 0, 1)) return fault_set(out_fault, ERR_BAD_INPUT, "/purpose", "the account has no such purse");
    return open_order(call, &body, db_i64(&place, 0, 0), db_i64(&place, 0, 1), db_text(&place, 0, 2), out_fault);
}

err_t get_order(api_call *call, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    return err ? err : write_order(call, id, out_fault);
}

// Asked for twice, it is closed once: no key is needed. Until the channel confirmed it the order is still payable.
err_t close_order(api_call *call, fault *out_fault) {
    uuid id;
    AUTO(db_rows) order = {0};
    AUTO(db_rows) cancelled = {0};
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err) err = db_query_one(call->conn, &SQL_ORDER_SHOW, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &order);
    if (!err) err = db_query_one(call->conn, &SQL_ORDER_CANCEL, DB_PARAMS(DB_UUID(id), DB_TIME(call->now)), &cancelled);
    if (err) return err;
    bool was_open = db_bool(&cancelled, 0, 0);
    sv state = db_text(&order, 0, 2);
    if (!was_open && !sv_equal(state, SV("closed")) && !sv_equal(state, SV("failed")))
        return fault_set(out_fault, ERR_CONFLICT, "", "the order is paid");
    if (was_open && !db_bool(&order, 0, 12)) err = write_audit(call, "order_closed", id);
    return err ? err : write_order(call, id, out_fault);
}

err_t list_orders(api_call *call, fault *out_fault) {
    uuid id;
    int64_t limit = 0;
    int64_t before = INT64_MAX;
    bool is_given = false;
    sv cursor = SV_NONE;
    AUTO(db_rows) account = {0};
    AUTO(db_rows) rows = {0};
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err) err = db_query_one(call->conn, &SQL_ACCOUNT_BY_ID, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &account);
    if (!err) err = api_call_limit(call, &limit, out_fault);
    if (err) return err;
    int64_t num = db_i64(&account, 0, 0);
    err = api_call_cursor(call, "orders", num, &is_given, &cursor, out_fault);
    if (!err && is_given && !sv_to_i64(cursor, &before)) err = fault_set(out_fault, ERR_BAD_INPUT, "cursor", "is none of ours");
    if (!err) err = db_query(call->conn, &SQL_ORDERS_PAGE, DB_PARAMS(DB_I64(num), DB_I64(before), DB_I64(limit + 1)), &rows);
    if (err) return err;
    size_t count = rows.len > (size_t)limit ? (size_t)limit : rows.len;
    json_writer *out = &call->out;
    json_open_object(out);
    json_key(out, "items");
    json_open_array(out);
    for (size_t i = 0; i < count; i++) {
        const zone *where = NULL;
        err = zone_set_find(call->zones, db_text(&rows, i, 0), &where, out_fault);
        if (err) return err;
        write_row(call, &rows, i, where);
    }
    json_close_array(out);
    if (rows.len > count)
        json_put_text(
            out, "next_cursor",
            api_call_next_cursor(call, "orders", num, sv_of(arena_printf(call->memory, "%lld", (long long)db_i64(&rows, count - 1, 19)))));
    else
        json_put_null(out, "next_cursor");
    json_close_object(out);
    return ERR_OK;
}
