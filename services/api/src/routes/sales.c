// The counter: sales, refunds, adjustments, gifts, zeroing, and the reversal of the last sale. Each is asked for with an
// Idempotency-Key; above the company's limit it waits for a second person.
#include "api_sql.h"
#include "idempotency.h"
#include "json/json.h"
#include "sales/sale.h"
#include "session.h"
#include "write.h"

#define BODY_LIMITS ((json_limits){16384, 3})
#define TEXT_MAX 200

typedef struct sale_kind {
    transfer_kind kind;
    const char *const *methods;  // NULL: the kind has none
    bool is_credit;
    bool is_signed;   // the amount's sign tells the direction
    bool has_amount;  // a zeroing takes the balance
    bool needs_reason;
    const char *audit;
} sale_kind;

typedef struct sale_body {
    sv purpose, method, reference, reason;
    int64_t amount;
    bool has_order;
    uuid order;
} sale_body;

static int64_t read_amount(json_reader *reader, const json_node *root, bool is_signed) {
    char scratch[JSON_DECIMAL_TEXT_MAX];
    json_node node = json_member(reader, root, "amount");
    int64_t micro = 0;
    if (json_node_kind(&node) == JSON_KIND_INTEGER) json_refuse(reader, &node, "write money as a string");
    sv text = json_read_decimal_text(reader, &node, scratch);
    if (json_reader_failed(reader)) return 0;
    decimal_answer answer = decimal_parse(text, MONEY_SCALE, &micro);
    if (answer != DECIMAL_OK)
        json_refuse(reader, &node, "%s", decimal_answer_text(answer));
    else if (micro == 0 || micro == INT64_MIN || (micro < 0 && !is_signed))
        json_refuse(reader, &node, "the amount must be above zero");
    return micro;
}

static sv read_text(api_call *call, json_reader *reader, const json_node *root, const char *key, bool is_needed) {
    json_node node = is_needed ? json_member(reader, root, key) : json_optional(reader, root, key);
    if (!json_is_present(&node)) return SV("");
    return arena_copy(call->memory, json_read_text_bounded(reader, &node, TEXT_MAX));
}

static void read_method(api_call *call, json_reader *reader, const json_node *root, const sale_kind *kind, sale_body *out) {
    if (kind->methods == NULL) return;
    json_node node = json_member(reader, root, "method");
    out->method = arena_copy(call->memory, json_read_text(reader, &node));
    if (json_reader_failed(reader)) return;
    for (const char *const *each = kind->methods; *each; each++)
        if (sv_equal(out->method, sv_of(*each))) return;
    json_refuse(reader, &node, "this is no way to pay here");
}

static void read_order(json_reader *reader, const json_node *root, sale_body *out) {
    bool is_channel = sv_equal(out->method, SV("channel"));
    json_node node = is_channel ? json_member(reader, root, "order") : json_optional(reader, root, "order");
    if (!json_is_present(&node)) return;
    if (!uuid_parse(json_read_text(reader, &node), &out->order)) json_refuse(reader, &node, "it is no id");
    if (!is_channel) json_refuse(reader, &node, "only a refund through its channel names a payment");
    out->has_order = true;
}

static err_t read_body(api_call *call, const sale_kind *kind, sale_body *out, fault *out_fault) {
    static const char *const KEYS[] = {"purpose", "amount", "method", "reference", "reason", "order", NULL};
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    *out = (sale_body){0};
    err_t err = json_parse(httpd_request_body(call->request), BODY_LIMITS, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    json_node item = json_member(&reader, &root, "purpose");
    out->purpose = arena_copy(call->memory, json_read_text_bounded(&reader, &item, 32));
    if (kind->has_amount) out->amount = read_amount(&reader, &root, kind->is_signed);
    read_method(call, &reader, &root, kind, out);
    out->reference = read_text(call, &reader, &root, "reference", false);
    out->reason = read_text(call, &reader, &root, "reason", kind->needs_reason);
    if (!json_reader_failed(&reader)) read_order(&reader, &root, out);
    return json_reader_fault(&reader, out_fault);
}

static err_t write_audit(api_call *call, const char *action, uuid id) {
    return db_exec(call->conn, &SQL_AUDIT_ADD,
                   DB_PARAMS(DB_TIME(call->now), DB_TEXT(call->session->login), DB_CSTR(action), DB_CSTR("sale"), DB_UUID(id),
                             DB_TEXT(httpd_request_body(call->request).len > 0 ? httpd_request_body(call->request) : SV("{}"))),
                   NULL);
}

// From the locked purse to the answer; 201: done, 202: it waits for a second person or for the payment channel.
static err_t carry_out(api_call *call, sale *what, const sale_place *place, const char *audit, fault *out_fault) {
    money_micro balance = 0;
    err_t err = sale_lock(call, what, &balance, out_fault);
    if (!err) err = sale_check_rules(call, what, place, out_fault);
    if (!err) err = sale_store(call, what);
    if (!err) err = write_audit(call, audit, what->id);
    bool is_waiting = sale_needs_second_person(what, place);
    if (!err && !is_waiting) err = sale_execute(call, what, balance, place->balance_max, out_fault);
    if (!err) err = sale_write(call, what->id);
    if (!err) err = idempotency_end(call, is_waiting || what->has_order ? 202 : 201);
    return !err && !is_waiting ? sale_post(call, what) : err;
}

static err_t make(api_call *call, const sale_kind *kind, fault *out_fault) {
    uuid account;
    sale_body body;
    sale_place place;
    idempotency_earlier earlier;
    err_t err = api_call_id(call, "id", &account, out_fault);
    if (!err) err = read_body(call, kind, &body, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err || earlier.is_there) return err;
    err = sale_place_find(call, account, body.purpose, &place, out_fault);
    if (err) return err;
    sale what = {.kind = kind->kind,
                 .method = body.method,
                 .account = place.account,
                 .purse = place.purse,
                 .property = place.property,
                 .legal_entity = place.legal_entity,
                 .is_credit = kind->is_signed ? body.amount > 0 : kind->is_credit,
                 .amount = body.amount < 0 ? -body.amount : body.amount,
                 .currency = sv_of(currency_code(place.currency)),
                 .reference = body.reference,
                 .reason = body.reason,
                 .asked_by = call->operator_num,
                 .has_order = body.has_order,
                 .order = body.order};
    return carry_out(call, &what, &place, kind->audit, out_fault);
}

err_t create_sale(api_call *call, fault *out_fault) {
    static const char *const METHODS[] = {"cash", "bank", "voucher", NULL};
    static const sale_kind KIND = {TRANSFER_SALE, METHODS, true, false, true, false, "sale_made"};
    return make(call, &KIND, out_fault);
}

err_t create_refund(api_call *call, fault *out_fault) {
    static const char *const METHODS[] = {"cash", "bank", "channel", NULL};
    static const sale_kind KIND = {TRANSFER_REFUND, METHODS, false, false, true, true, "refund_made"};
    return make(call, &KIND, out_fault);
}

err_t create_adjustment(api_call *call, fault *out_fault) {
    static const sale_kind KIND = {TRANSFER_ADJUSTMENT, NULL, true, true, true, true, "adjustment_made"};
    return make(call, &KIND, out_fault);
}

err_t create_preset_credit(api_call *call, fault *out_fault) {
    static const sale_kind KIND = {TRANSFER_PRESET_CREDIT, NULL, true, false, true, true, "preset_credit_given"};
    return make(call, &KIND, out_fault);
}

err_t create_zeroing(api_call *call, fault *out_fault) {
    static const sale_kind KIND = {TRANSFER_ZEROING, NULL, false, false, false, true, "purse_zeroed"};
    return make(call, &KIND, out_fault);
}

// ---- of a sale that exists ----

typedef struct found_sale {
    sale sale;
    sale_place place;
    sv state;
    instant_ms requested_at;
} found_sale;

static err_t find(api_call *call, found_sale *out, fault *out_fault) {
    uuid id;
    AUTO(db_rows) account = {0};
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err) err = sale_find(call, id, &out->sale, &out->state, &out->requested_at, out_fault);
    if (!err) err = db_query_one(call->conn, &SQL_SALE_ACCOUNT, DB_PARAMS(DB_I64(out->sale.num)), &account);
    return err ? err : sale_place_find(call, db_uuid(&account, 0, 0), db_text(&account, 0, 1), &out->place, out_fault);
}

static err_t read_reason(api_call *call, sv *out_reason, fault *out_fault) {
    static const char *const KEYS[] = {"reason", NULL};
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(httpd_request_body(call->request), BODY_LIMITS, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    *out_reason = read_text(call, &reader, &root, "reason", true);
    return json_reader_fault(&reader, out_fault);
}

static err_t check_reversible(api_call *call, const found_sale *sold, fault *out_fault) {
    if (sold->sale.kind != TRANSFER_SALE || !sv_equal(sold->state, SV("done")))
        return fault_set(out_fault, ERR_CONFLICT, "", "only a sale that was made can be reversed");
    if (call->now - sold->requested_at > sold->place.reversal_within_minutes * MINUTE_MS)
        return api_call_refuse(call, PROBLEM_OVER_LIMIT, out_fault, "", "it is too long ago; correct it by an adjustment");
    AUTO(db_rows) last = {0};
    err_t err = db_query(call->conn, &SQL_SALE_LAST, DB_PARAMS(DB_I64(sold->sale.purse)), &last);
    if (err) return err;
    if (last.len == 1 && db_i64(&last, 0, 0) == sold->sale.num) return ERR_OK;
    return fault_set(out_fault, ERR_CONFLICT, "", "it is reversed already, or not the last sale of this purse");
}

err_t reverse_sale(api_call *call, fault *out_fault) {
    found_sale sold;
    sv reason = SV_NONE;
    idempotency_earlier earlier;
    err_t err = read_reason(call, &reason, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err || earlier.is_there) return err;
    err = find(call, &sold, out_fault);
    if (!err) err = check_reversible(call, &sold, out_fault);
    if (err) return err;
    sale opposite = sold.sale;
    opposite.kind = TRANSFER_REVERSAL;
    opposite.is_credit = false;
    opposite.reason = reason;
    opposite.asked_by = call->operator_num;
    opposite.reverses_num = sold.sale.num;
    opposite.reverses_transfer = sold.sale.transfer;
    return carry_out(call, &opposite, &sold.place, "sale_reversed", out_fault);
}

static err_t read_decision(api_call *call, bool *out_approves, fault *out_fault) {
    static const char *const KEYS[] = {"decision", NULL};
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(httpd_request_body(call->request), BODY_LIMITS, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    json_node decision = json_member(&reader, &root, "decision");
    sv text = json_read_text(&reader, &decision);
    *out_approves = sv_equal(text, SV("approve"));
    if (!json_reader_failed(&reader) && !*out_approves && !sv_equal(text, SV("reject")))
        json_refuse(&reader, &decision, "approve or reject");
    return json_reader_fault(&reader, out_fault);
}

static err_t approve(api_call *call, found_sale *asked, fault *out_fault) {
    sale *what = &asked->sale;
    money_micro balance = 0;
    AUTO(db_rows) reversed = {0};
    err_t err = ERR_OK;
    if (what->reverses_num != 0) err = db_query_one(call->conn, &SQL_SALE_TRANSFER, DB_PARAMS(DB_I64(what->reverses_num)), &reversed);
    if (!err && what->reverses_num != 0) what->reverses_transfer = db_i64(&reversed, 0, 0);
    what->decided_by = call->operator_num;
    if (!err) err = sale_lock(call, what, &balance, out_fault);
    if (!err) err = sale_execute(call, what, balance, asked->place.balance_max, out_fault);
    return err;
}

err_t decide_sale(api_call *call, fault *out_fault) {
    found_sale asked;
    bool approves = false;
    idempotency_earlier earlier;
    err_t err = read_decision(call, &approves, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err || earlier.is_there) return err;
    err = find(call, &asked, out_fault);
    if (err) return err;
    if (!sv_equal(asked.state, SV("waiting"))) return fault_set(out_fault, ERR_CONFLICT, "", "it waits for nobody's decision");
    if (asked.sale.asked_by == call->operator_num)
        return api_call_refuse(call, PROBLEM_OTHER_PERSON, out_fault, "", "who asked for it may not decide it");
    if (approves)
        err = approve(call, &asked, out_fault);
    else
        err = db_exec(call->conn, &SQL_SALE_END, DB_PARAMS(DB_I64(asked.sale.num), DB_CSTR("rejected"), DB_I64(call->operator_num)), NULL);
    if (!err) err = write_audit(call, approves ? "sale_approved" : "sale_rejected", asked.sale.id);
    if (!err) err = sale_write(call, asked.sale.id);
    if (!err) err = idempotency_end(call, 200);
    return !err && approves ? sale_post(call, &asked.sale) : err;
}
