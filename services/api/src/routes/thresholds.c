// The warning thresholds of an account. An edit names the version it saw: the ETag is the versions of all purses.
#include <stdio.h>

#include "api_sql.h"
#include "base/json_text.h"
#include "call.h"
#include "json/json.h"
#include "money/decimal.h"
#include "money/money.h"
#include "session.h"
#include "write.h"

#define ITEMS_MAX 16
#define BODY_MAX 16384

static err_t find_account(api_call *call, uuid *out_id, int64_t *out_num, sv *out_money, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = api_call_id(call, "id", out_id, out_fault);
    if (!err) err = db_query_one(call->conn, &SQL_ACCOUNT_BY_ID, DB_PARAMS(DB_UUID(*out_id), api_call_properties(call)), &row);
    if (err) return err;
    *out_num = db_i64(&row, 0, 0);
    *out_money = arena_copy(call->memory, db_text(&row, 0, 1));
    return ERR_OK;
}

static sv etag_of(const api_call *call, const db_rows *purses) {
    AUTO(buf) text;
    buf_init(&text, 1024);
    buf_add_byte(&text, '"');
    for (size_t i = 0; i < purses->len; i++) buf_addf(&text, "%s%lld", i > 0 ? "." : "v", (long long)db_i64(purses, i, 4));
    buf_add_byte(&text, '"');
    return arena_copy(call->memory, buf_view(&text));
}

static err_t write_thresholds(api_call *call, int64_t account, sv money) {
    AUTO(db_rows) purses = {0};
    err_t err = db_query(call->conn, &SQL_THRESHOLDS_OF, DB_PARAMS(DB_I64(account)), &purses);
    if (err) return err;
    json_writer *out = &call->out;
    json_open_object(out);
    json_put_text(out, "currency", money);
    json_key(out, "items");
    json_open_array(out);
    for (size_t i = 0; i < purses.len; i++) {
        json_open_object(out);
        json_put_text(out, "purpose", db_text(&purses, i, 1));
        put_money(out, "alarm_1", db_i64(&purses, i, 2));
        put_money(out, "alarm_2", db_i64(&purses, i, 3));
        json_close_object(out);
    }
    json_close_array(out);
    json_close_object(out);
    httpd_response_header(call->response, "ETag", etag_of(call, &purses));
    return ERR_OK;
}

err_t get_thresholds(api_call *call, fault *out_fault) {
    uuid id;
    int64_t account = 0;
    sv money = SV_NONE;
    err_t err = find_account(call, &id, &account, &money, out_fault);
    return err ? err : write_thresholds(call, account, money);
}

typedef struct threshold {
    sv purpose;
    int64_t alarm_1, alarm_2;
} threshold;

static int64_t read_amount(json_reader *reader, const json_node *item, const char *key) {
    char scratch[JSON_DECIMAL_TEXT_MAX];
    json_node node = json_member(reader, item, key);
    int64_t micro = 0;
    sv text = json_read_decimal_text(reader, &node, scratch);
    if (json_reader_failed(reader)) return 0;
    decimal_answer answer = decimal_parse(text, MONEY_SCALE, &micro);
    if (answer != DECIMAL_OK) json_refuse(reader, &node, "%s", decimal_answer_text(answer));
    return micro;
}

static err_t read_patch(api_call *call, threshold *out_items, size_t *out_count, fault *out_fault) {
    static const char *const ROOT_KEYS[] = {"items", NULL};
    static const char *const ITEM_KEYS[] = {"purpose", "alarm_1", "alarm_2", NULL};
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(httpd_request_body(call->request), (json_limits){BODY_MAX, 4}, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, ROOT_KEYS);
    json_node items = json_member(&reader, &root, "items");
    size_t count = json_array_len(&reader, &items);
    if (!json_reader_failed(&reader) && (count == 0 || count > ITEMS_MAX))
        json_refuse(&reader, &items, "1 to %d items are needed", ITEMS_MAX);
    for (size_t i = 0; i < count && !json_reader_failed(&reader); i++) {
        json_node item = json_item(&reader, &items, i);
        json_allow_only(&reader, &item, ITEM_KEYS);
        json_node purpose = json_member(&reader, &item, "purpose");
        out_items[i].purpose = arena_copy(call->memory, json_read_text_bounded(&reader, &purpose, 32));
        out_items[i].alarm_1 = read_amount(&reader, &item, "alarm_1");
        out_items[i].alarm_2 = read_amount(&reader, &item, "alarm_2");
        if (!json_reader_failed(&reader) && out_items[i].alarm_2 > out_items[i].alarm_1)
            json_refuse(&reader, &item, "alarm_2 may not exceed alarm_1");
    }
    *out_count = count;
    return json_reader_fault(&reader, out_fault);
}

static err_t apply_one(api_call *call, const db_rows *purses, const threshold *item, size_t index, fault *out_fault) {
    char place[48];
    (void)snprintf(place, sizeof place, "/items/%zu/purpose", index);
    for (size_t i = 0; i < purses->len; i++) {
        if (!sv_equal(db_text(purses, i, 1), item->purpose)) continue;
        if (db_i64(purses, i, 2) == item->alarm_1 && db_i64(purses, i, 3) == item->alarm_2) return ERR_OK;
        err_t err = db_exec(call->conn, &SQL_THRESHOLDS_SET,
                            DB_PARAMS(DB_I64(db_i64(purses, i, 0)), DB_I64(item->alarm_1), DB_I64(item->alarm_2)), NULL);
        if (err == ERR_CONFLICT) {
            (void)snprintf(place, sizeof place, "/items/%zu/alarm_2", index);
            return fault_set(out_fault, ERR_BAD_INPUT, place, "it lies below the overdraft the account has");
        }
        return err;
    }
    return fault_set(out_fault, ERR_BAD_INPUT, place, "the account has no such purse");
}

static err_t write_audit(api_call *call, uuid account) {
    return db_exec(call->conn, &SQL_AUDIT_ADD,
                   DB_PARAMS(DB_TIME(call->now), DB_TEXT(call->session->login), DB_CSTR("thresholds_set"), DB_CSTR("account"),
                             DB_UUID(account), DB_TEXT(httpd_request_body(call->request))),
                   NULL);
}

err_t set_thresholds(api_call *call, fault *out_fault) {
    uuid id;
    int64_t account = 0;
    sv money = SV_NONE;
    threshold items[ITEMS_MAX];
    size_t count = 0;
    sv seen = httpd_request_header(call->request, "if-match");
    err_t err = find_account(call, &id, &account, &money, out_fault);
    if (err) return err;
    if (seen.len == 0)
        return api_call_refuse(call, PROBLEM_PRECONDITION_REQUIRED, out_fault, "If-Match", "the edit does not say which version it saw");
    err = read_patch(call, items, &count, out_fault);
    AUTO(db_rows) purses = {0};
    if (!err) err = db_query(call->conn, &SQL_THRESHOLDS_LOCK, DB_PARAMS(DB_I64(account)), &purses);
    if (err) return err;
    if (!sv_equal(seen, etag_of(call, &purses))) return fault_set(out_fault, ERR_STALE, "If-Match", "the thresholds changed meanwhile");
    for (size_t i = 0; i < count && !err; i++) err = apply_one(call, &purses, &items[i], i, out_fault);
    if (!err) err = write_audit(call, id);
    return err ? err : write_thresholds(call, account, money);
}
