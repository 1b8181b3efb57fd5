// A file of sales: it is looked at row by row first, and confirmed as it was shown. Each row that can be sold becomes a
// sale of its own with its receipt; a row that cannot be says why and spoils no other.
#include "api_sql.h"
#include "base/vec.h"
#include "crypto/crypto.h"
#include "idempotency.h"
#include "json/json.h"
#include "sales/bulk_file.h"
#include "sales/sale.h"
#include "session.h"
#include "write.h"

#define CSV_MAX 60000

typedef struct bulk_body {
    uuid property;
    sv file_name, csv;
} bulk_body;

static err_t read_body(api_call *call, bulk_body *out, fault *out_fault) {
    static const char *const KEYS[] = {"property", "file_name", "csv", NULL};
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(httpd_request_body(call->request), (json_limits){65536, 2}, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    json_node property = json_member(&reader, &root, "property");
    json_node name = json_member(&reader, &root, "file_name");
    json_node csv = json_member(&reader, &root, "csv");
    sv id = json_read_text(&reader, &property);
    if (!json_reader_failed(&reader) && !uuid_parse(id, &out->property)) json_refuse(&reader, &property, "it is no id");
    out->file_name = arena_copy(call->memory, json_read_text_bounded(&reader, &name, 200));
    out->csv = arena_copy(call->memory, json_read_text_bounded(&reader, &csv, CSV_MAX));
    return json_reader_fault(&reader, out_fault);
}

static err_t store_rows(api_call *call, int64_t bulk, int64_t property, const bulk_row *rows, size_t count) {
    sv *accounts = ARENA_ARRAY(call->memory, sv, count);
    sv *purposes = ARENA_ARRAY(call->memory, sv, count);
    sv *references = ARENA_ARRAY(call->memory, sv, count);
    sv *problems = ARENA_ARRAY(call->memory, sv, count);
    int64_t *amounts = ARENA_ARRAY(call->memory, int64_t, count);
    for (size_t i = 0; i < count; i++) {
        accounts[i] = rows[i].account;
        purposes[i] = rows[i].purpose;
        references[i] = rows[i].reference;
        problems[i] = rows[i].problem ? sv_of(rows[i].problem) : SV("");
        amounts[i] = rows[i].amount;
    }
    return db_exec(call->conn, &SQL_BULK_ROWS_ADD,
                   DB_PARAMS(DB_I64(bulk), DB_I64(property), DB_TEXT_ARRAY(accounts, count), DB_TEXT_ARRAY(purposes, count),
                             DB_I64_ARRAY(amounts, count), DB_TEXT_ARRAY(references, count), DB_TEXT_ARRAY(problems, count)),
                   NULL);
}

static err_t write_bulk(api_call *call, uuid id) {
    AUTO(db_rows) head = {0};
    AUTO(db_rows) rows = {0};
    const zone *where = NULL;
    err_t err = db_query_one(call->conn, &SQL_BULK_SHOW, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &head);
    if (!err) err = db_query(call->conn, &SQL_BULK_ROWS, DB_PARAMS(DB_I64(db_i64(&head, 0, 0))), &rows);
    if (!err) err = zone_set_find(call->zones, db_text(&head, 0, 5), &where, NULL);
    if (err) return err;
    json_writer *out = &call->out;
    money_micro total = 0;
    int64_t sellable = 0;
    char id_text[UUID_TEXT_LEN + 1];
    uuid_format(id, id_text);
    json_open_object(out);
    json_put_text(out, "id", sv_of(id_text));
    json_put_text(out, "file_name", db_text(&head, 0, 1));
    json_put_text(out, "operator", db_text(&head, 0, 2));
    put_local_instant(out, "created_at", where, db_time(&head, 0, 3));
    put_local_instant_or_null(out, "confirmed_at", where, &head, 0, 4);
    json_put_text(out, "currency", db_text(&head, 0, 6));
    json_key(out, "rows");
    json_open_array(out);
    for (size_t i = 0; i < rows.len; i++) {
        json_open_object(out);
        json_put_integer(out, "row", db_i64(&rows, i, 0));
        json_put_text(out, "account_number", db_text(&rows, i, 1));
        json_put_text(out, "purpose", db_text(&rows, i, 2));
        put_money(out, "amount", db_i64(&rows, i, 3));
        json_put_text(out, "reference", db_text(&rows, i, 4));
        json_put_text(out, "customer", db_text(&rows, i, 6));
        if (db_is_null(&rows, i, 5)) {
            json_put_null(out, "problem");
            total += db_i64(&rows, i, 3);
            sellable++;
        } else {
            json_put_text(out, "problem", db_text(&rows, i, 5));
        }
        if (db_is_null(&rows, i, 7))
            json_put_null(out, "sale");
        else
            put_uuid(out, "sale", &rows, i, 7);
        json_close_object(out);
    }
    json_close_array(out);
    json_put_integer(out, "sellable", sellable);
    put_money(out, "total", total);
    json_close_object(out);
    return ERR_OK;
}

err_t create_bulk_sale(api_call *call, fault *out_fault) {
    bulk_body body;
    bulk_row *rows = NULL;
    size_t count = 0;
    idempotency_earlier earlier;
    err_t err = read_body(call, &body, out_fault);
    if (!err) err = bulk_file_read(body.csv, call->memory, &rows, &count, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err || earlier.is_there) return err;
    AUTO(db_rows) property = {0};
    AUTO(db_rows) bulk = {0};
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(body.csv, digest);
    uuid id = uuid_v7_now();
    err = db_query_one(call->conn, &SQL_PROPERTY_ZONE, DB_PARAMS(DB_UUID(body.property), api_call_properties(call)), &property);
    if (!err)
        err = db_query_one(call->conn, &SQL_BULK_ADD,
                           DB_PARAMS(DB_UUID(id), DB_I64(db_i64(&property, 0, 0)), DB_I64(call->operator_num), DB_TEXT(body.file_name),
                                     DB_BYTES(sv_slice(digest, sizeof digest)), DB_TIME(call->now)),
                           &bulk);
    if (!err) err = store_rows(call, db_i64(&bulk, 0, 0), db_i64(&property, 0, 0), rows, count);
    if (!err) err = write_bulk(call, id);
    return err ? err : idempotency_end(call, 201);
}

err_t get_bulk_sale(api_call *call, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    return err ? err : write_bulk(call, id);
}

typedef struct prepared {
    sale sale;
    int64_t row_no;
} prepared;
typedef VEC(prepared) prepared_list;

// Sells one row as far as its posting; a rule that forbids it becomes the row's problem.
static err_t prepare(api_call *call, const db_rows *rows, size_t i, int64_t bulk, prepared_list *out) {
    sale_place place;
    fault why = {0};
    prepared next = {.row_no = db_i64(rows, i, 0)};
    money_micro balance = 0;
    err_t err = sale_place_find(call, db_uuid(rows, i, 1), db_text(rows, i, 2), &place, &why);
    next.sale = (sale){.kind = TRANSFER_SALE,
                       .method = SV("bank"),
                       .account = place.account,
                       .purse = place.purse,
                       .property = place.property,
                       .legal_entity = place.legal_entity,
                       .is_credit = true,
                       .amount = db_i64(rows, i, 3),
                       .currency = sv_of(currency_code(place.currency)),
                       .reference = arena_copy(call->memory, db_text(rows, i, 4)),
                       .asked_by = call->operator_num,
                       .bulk_num = bulk};
    if (!err) err = sale_lock(call, &next.sale, &balance, &why);
    if (!err) err = sale_check_rules(call, &next.sale, &place, &why);
    if (!err && place.balance_max > 0 && balance + next.sale.amount > place.balance_max)
        err = fault_set(&why, ERR_CONFLICT, "/amount", "the purse may not hold so much");
    call->has_problem = false;  // a row's refusal is not the request's
    if (err == ERR_CONFLICT || err == ERR_BAD_INPUT)
        return db_exec(call->conn, &SQL_BULK_ROW_PROBLEM, DB_PARAMS(DB_I64(bulk), DB_I64(next.row_no), DB_CSTR(why.reason)), NULL);
    if (!err) err = sale_store(call, &next.sale);
    if (!err) err = sale_execute(call, &next.sale, balance, 0, &why);
    if (!err) err = db_exec(call->conn, &SQL_BULK_ROW_SOLD, DB_PARAMS(DB_I64(bulk), DB_I64(next.row_no), DB_I64(next.sale.num)), NULL);
    if (!err) vec_push(out, next);
    return err;
}

static err_t write_audit(api_call *call, uuid id) {
    return db_exec(call->conn, &SQL_AUDIT_ADD,
                   DB_PARAMS(DB_TIME(call->now), DB_TEXT(call->session->login), DB_CSTR("bulk_sale_confirmed"), DB_CSTR("bulk_sale"),
                             DB_UUID(id), DB_CSTR("{}")),
                   NULL);
}

// Rows come in the order of their purses, so that two files never wait for each other.
static err_t sell_all(api_call *call, uuid id, prepared_list *out, fault *out_fault) {
    AUTO(db_rows) head = {0};
    AUTO(db_rows) rows = {0};
    err_t err = db_query_one(call->conn, &SQL_BULK_LOCK, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &head);
    if (err) return err;
    if (db_bool(&head, 0, 1)) return fault_set(out_fault, ERR_CONFLICT, "", "it was confirmed before");
    int64_t bulk = db_i64(&head, 0, 0);
    err = db_query(call->conn, &SQL_BULK_ROWS_TO_SELL, DB_PARAMS(DB_I64(bulk)), &rows);
    for (size_t i = 0; i < rows.len && !err; i++) err = prepare(call, &rows, i, bulk, out);
    if (!err) err = db_exec(call->conn, &SQL_BULK_CONFIRM, DB_PARAMS(DB_I64(bulk), DB_TIME(call->now)), NULL);
    if (err == ERR_CONFLICT) return fault_set(out_fault, ERR_CONFLICT, "", "this very file was sold before");
    return err;
}

err_t confirm_bulk_sale(api_call *call, fault *out_fault) {
    uuid id;
    idempotency_earlier earlier;
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err || earlier.is_there) return err;
    prepared_list sold = {0};
    err = sell_all(call, id, &sold, out_fault);
    if (!err) err = write_audit(call, id);
    if (!err) err = write_bulk(call, id);
    if (!err) err = idempotency_end(call, 200);
    for (size_t i = 0; i < sold.len && !err; i++) err = sale_post(call, &sold.items[i].sale);
    vec_done(&sold);
    return err;
}
