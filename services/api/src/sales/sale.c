#include "sale.h"

#include "api_sql.h"
#include "base/check.h"
#include "contracts/events.h"
#include "money/decimal.h"
#include "session.h"
#include "write.h"

static bool is_through_channel(const sale *self) { return sv_equal(self->method, SV("channel")); }

err_t sale_place_find(api_call *call, uuid account, sv item, sale_place *out, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(call->conn, &SQL_SALE_PLACE, DB_PARAMS(DB_UUID(account), DB_TEXT(item), api_call_properties(call)), &row);
    if (err) return err;
    *out = (sale_place){.account = db_i64(&row, 0, 0),
                        .property = db_i64(&row, 0, 1),
                        .purse = db_i64(&row, 0, 3),
                        .legal_entity = db_i64(&row, 0, 5),
                        .single_max = db_i64(&row, 0, 7),
                        .operator_day_max = db_i64(&row, 0, 8),
                        .has_second_person = !db_is_null(&row, 0, 9),
                        .second_person_above = db_i64(&row, 0, 9),
                        .balance_max = db_i64(&row, 0, 10),
                        .reversal_within_minutes = db_i64(&row, 0, 11)};
    if (db_bool(&row, 0, 2)) return fault_set(out_fault, ERR_CONFLICT, "", "the account is closed");
    if (out->purse == 0) return fault_set(out_fault, ERR_BAD_INPUT, "/purpose", "the account has no such purse");
    if (out->legal_entity == 0) return fault_set(out_fault, ERR_BAD_INPUT, "/purpose", "nobody sells this at the property");
    CHECK(currency_parse(db_text(&row, 0, 4), &out->currency));
    return zone_set_find(call->zones, db_text(&row, 0, 6), &out->where, out_fault);
}

static err_t refuse_over(api_call *call, const char *what, money_micro limit, fault *out_fault) {
    char text[DECIMAL_TEXT_MAX];
    decimal_format(limit, MONEY_SCALE, 2, text);
    return api_call_refuse(call, PROBLEM_OVER_LIMIT, out_fault, "/amount", arena_printf(call->memory, "%s is limited to %s", what, text));
}

err_t sale_check_rules(api_call *call, const sale *self, const sale_place *place, fault *out_fault) {
    int64_t smallest = 1;
    for (int32_t i = currency_exponent(place->currency); i < MONEY_SCALE; i++) smallest *= 10;
    if (self->amount % smallest != 0 && self->kind != TRANSFER_ZEROING)
        return fault_set(out_fault, ERR_BAD_INPUT, "/amount", "%s has %d decimals", currency_code(place->currency),
                         (int)currency_exponent(place->currency));
    if (place->single_max > 0 && self->amount > place->single_max)
        return refuse_over(call, "a single movement", place->single_max, out_fault);
    if (place->operator_day_max == 0) return ERR_OK;
    AUTO(db_rows) day = {0};
    instant_ms from = zone_day_start(place->where, zone_local_day(place->where, call->now));
    err_t err = db_query_one(call->conn, &SQL_SALE_OPERATOR_DAY, DB_PARAMS(DB_I64(call->operator_num), DB_TIME(from)), &day);
    if (err) return err;
    money_micro sum = 0;
    bool fits = money_add(db_i64(&day, 0, 0), self->amount, &sum) && sum <= place->operator_day_max;
    return fits ? ERR_OK : refuse_over(call, "an operator's day", place->operator_day_max, out_fault);
}

bool sale_needs_second_person(const sale *self, const sale_place *place) {
    return place->has_second_person && self->amount > place->second_person_above;
}

err_t sale_lock(api_call *call, sale *self, money_micro *out_balance, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = db_exec(call->conn, &SQL_PURSE_OPEN, DB_PARAMS(DB_I64(self->purse), DB_TIME(call->now)), NULL);
    if (!err) err = db_query_one(call->conn, &SQL_PURSE_LOCK, DB_PARAMS(DB_I64(self->purse)), &row);
    if (err) return err;
    *out_balance = db_i64(&row, 0, 0);
    if (self->kind != TRANSFER_ZEROING || self->amount > 0) return ERR_OK;
    if (*out_balance == 0) return fault_set(out_fault, ERR_CONFLICT, "", "the purse is empty");
    self->is_credit = *out_balance < 0;
    self->amount = *out_balance < 0 ? -*out_balance : *out_balance;
    return ERR_OK;
}

err_t sale_store(api_call *call, sale *self) {
    AUTO(db_rows) row = {0};
    self->id = uuid_v7_now();
    err_t err = db_query_one(
        call->conn, &SQL_SALE_ADD,
        DB_PARAMS(DB_UUID(self->id), DB_I16(self->kind), self->method.len > 0 ? DB_TEXT(self->method) : DB_NULL, DB_I64(self->account),
                  DB_I64(self->purse), DB_I64(self->property), DB_I64(self->legal_entity), DB_BOOL(self->is_credit), DB_I64(self->amount),
                  DB_TEXT(self->currency), self->reference.len > 0 ? DB_TEXT(self->reference) : DB_NULL,
                  self->reason.len > 0 ? DB_TEXT(self->reason) : DB_NULL, DB_I64(self->asked_by), DB_TIME(call->now),
                  self->reverses_num != 0 ? DB_I64(self->reverses_num) : DB_NULL, self->has_order ? DB_UUID(self->order) : DB_NULL,
                  self->bulk_num != 0 ? DB_I64(self->bulk_num) : DB_NULL),
        &row);
    if (!err) self->num = db_i64(&row, 0, 0);
    return err;
}

// Unused credit that was paid for: gifts, and what a channel was already asked to give back, are not for refund.
static err_t check_refundable(api_call *call, const sale *self, money_micro balance, fault *out_fault) {
    AUTO(db_rows) paid = {0};
    AUTO(db_rows) promised = {0};
    err_t err = db_query_one(call->conn, &SQL_PURSE_PAID_IN, DB_PARAMS(DB_I64(self->purse)), &paid);
    if (!err) err = db_query_one(call->conn, &SQL_PURSE_PROMISED, DB_PARAMS(DB_I64(self->purse)), &promised);
    if (err) return err;
    money_micro unused = db_i64(&paid, 0, 0) < balance ? db_i64(&paid, 0, 0) : balance;
    if (!money_subtract(unused, db_i64(&promised, 0, 0), &unused) || unused < self->amount) {
        char text[DECIMAL_TEXT_MAX];
        decimal_format(unused < 0 ? 0 : unused, MONEY_SCALE, 2, text);
        return api_call_refuse(call, PROBLEM_NOT_ENOUGH_CREDIT, out_fault, "/amount",
                               arena_printf(call->memory, "unused credit that was paid for is %s", text));
    }
    return ERR_OK;
}

static err_t check_balance(api_call *call, const sale *self, money_micro balance, money_micro balance_max, fault *out_fault) {
    money_micro after = 0;
    switch (self->kind) {
        case TRANSFER_SALE:
        case TRANSFER_PRESET_CREDIT:
            if (balance_max > 0 && (!money_add(balance, self->amount, &after) || after > balance_max))
                return refuse_over(call, "what a purse may hold", balance_max, out_fault);
            return ERR_OK;
        case TRANSFER_REFUND: return check_refundable(call, self, balance, out_fault);
        case TRANSFER_REVERSAL:
            if (balance >= self->amount) return ERR_OK;
            return api_call_refuse(call, PROBLEM_NOT_ENOUGH_CREDIT, out_fault, "", "part of what was sold is used already");
        case TRANSFER_ZEROING:
            // It was the whole balance when it was asked for; a second person's yes may come after another movement.
            if (self->is_credit ? balance == -self->amount : balance == self->amount) return ERR_OK;
            return fault_set(out_fault, ERR_CONFLICT, "", "the balance changed meanwhile");
        case TRANSFER_ADJUSTMENT:
        case TRANSFER_CHARGE:
        case TRANSFER_TOP_UP:
        case TRANSFER_CORRECTION:
        case TRANSFER_SUSPENSE: break;
    }
    return ERR_OK;
}

static err_t ask_channel(api_call *call, const sale *self) {
    char id[UUID_TEXT_LEN + 1];
    char order[UUID_TEXT_LEN + 1];
    uuid_format(self->id, id);
    uuid_format(self->order, order);
    AUTO(buf) payload;
    buf_init(&payload, 4096);
    json_writer out;
    json_writer_init(&out, &payload);
    json_open_object(&out);
    json_put_text(&out, "refund", sv_of(id));
    json_put_text(&out, "order", sv_of(order));
    json_put_text(&out, "amount_micro", sv_of(arena_printf(call->memory, "%lld", (long long)self->amount)));
    json_put_text(&out, "requested_by", sv_of(arena_printf(call->memory, "operator:%lld", (long long)self->asked_by)));
    json_put_text(&out, "reason", self->reason);
    json_close_object(&out);
    call->rings_relay = true;
    err_t err =
        db_exec(call->conn, &SQL_OUTBOX_ADD,
                DB_PARAMS(DB_UUID(self->id), DB_CSTR(stream_name(STREAM_REFUND_REQUESTS)), DB_CSTR(event_text(EVENT_REFUND_REQUESTED)),
                          DB_I64(self->num), DB_I64(call->now), DB_TEXT(buf_view(&payload)), DB_TIME(call->now)),
                NULL);
    if (err) return err;
    return db_exec(call->conn, &SQL_SALE_END,
                   DB_PARAMS(DB_I64(self->num), DB_CSTR("requested"), self->decided_by != 0 ? DB_I64(self->decided_by) : DB_NULL), NULL);
}

// Money that changes hands at the counter gets a receipt.
static bool has_receipt(const sale *self) {
    return self->kind == TRANSFER_SALE || self->kind == TRANSFER_REFUND || self->kind == TRANSFER_REVERSAL;
}

static err_t next_receipt(api_call *call, const sale *self, int64_t *out_number) {
    AUTO(db_rows) row = {0};
    *out_number = 0;
    if (!has_receipt(self)) return ERR_OK;
    err_t err = db_query_one(call->conn, &SQL_RECEIPT_NEXT, DB_PARAMS(DB_I64(self->legal_entity)), &row);
    if (!err) *out_number = db_i64(&row, 0, 0);
    return err;
}

err_t sale_execute(api_call *call, sale *self, money_micro balance, money_micro balance_max, fault *out_fault) {
    err_t err = check_balance(call, self, balance, balance_max, out_fault);
    if (err) return err;
    if (is_through_channel(self)) return ask_channel(call, self);
    int64_t receipt = 0;
    AUTO(db_rows) transfer = {0};
    err = next_receipt(call, self, &receipt);
    if (!err) err = db_query_one(call->conn, &SQL_TRANSFER_NUM, DB_PARAMS(DB_TIME(call->now)), &transfer);
    if (err) return err;
    self->transfer = db_i64(&transfer, 0, 0);
    return db_exec(call->conn, &SQL_SALE_DONE,
                   DB_PARAMS(DB_I64(self->num), DB_TIME(call->now), DB_I64(self->transfer), receipt != 0 ? DB_I64(receipt) : DB_NULL,
                             self->decided_by != 0 ? DB_I64(self->decided_by) : DB_NULL),
                   NULL);
}

err_t sale_post(api_call *call, const sale *self) {
    if (is_through_channel(self)) return ERR_OK;  // payments posts it when the channel gave the money back
    bool is_cash = has_receipt(self);
    ledger_account purse = {ACCOUNT_CLASS_PURSE, 0, self->purse};
    ledger_account other = {is_cash ? ACCOUNT_CLASS_CASH : ACCOUNT_CLASS_ADJUSTMENT, 0, self->legal_entity};
    ledger_account debit = self->is_credit ? other : purse;
    ledger_account credit = self->is_credit ? purse : other;
    char key[UUID_TEXT_LEN + 1];
    uuid_format(self->id, key);
    return db_exec(call->conn, &SQL_SALE_POST,
                   DB_PARAMS(DB_CSTR(key), DB_TIME(call->now), DB_I64(self->transfer), DB_I16(self->kind), DB_I16(debit.class),
                             DB_I64(debit.num), DB_I16(credit.class), DB_I64(credit.num), DB_TEXT(self->currency), DB_I64(self->amount),
                             DB_I64(self->num), DB_I64(self->reverses_transfer), self->reason.len > 0 ? DB_TEXT(self->reason) : DB_NULL),
                   NULL);
}

err_t sale_find(api_call *call, uuid id, sale *out, sv *out_state, instant_ms *out_requested_at, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(call->conn, &SQL_SALE_FIND, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &row);
    if (err == ERR_NOT_FOUND) return fault_set(out_fault, err, "", "there is no such sale");
    if (err) return err;
    *out = (sale){.id = id,
                  .num = db_i64(&row, 0, 0),
                  .kind = (transfer_kind)db_i64(&row, 0, 1),
                  .method = arena_copy(call->memory, db_text(&row, 0, 3)),
                  .account = db_i64(&row, 0, 4),
                  .purse = db_i64(&row, 0, 5),
                  .property = db_i64(&row, 0, 6),
                  .legal_entity = db_i64(&row, 0, 7),
                  .is_credit = db_bool(&row, 0, 8),
                  .amount = db_i64(&row, 0, 9),
                  .currency = arena_copy(call->memory, db_text(&row, 0, 10)),
                  .asked_by = db_i64(&row, 0, 11),
                  .reverses_num = db_i64(&row, 0, 13),
                  .transfer = db_i64(&row, 0, 15)};
    out->has_order = !db_is_null(&row, 0, 14);
    if (out->has_order) out->order = db_uuid(&row, 0, 14);
    *out_state = arena_copy(call->memory, db_text(&row, 0, 2));
    *out_requested_at = db_time(&row, 0, 12);
    return ERR_OK;
}

static void put_text_or_null(json_writer *out, const char *key, const db_rows *row, int column) {
    if (db_is_null(row, 0, column))
        json_put_null(out, key);
    else
        json_put_text(out, key, db_text(row, 0, column));
}

static void put_uuid_or_null(json_writer *out, const char *key, const db_rows *row, int column) {
    if (db_is_null(row, 0, column))
        json_put_null(out, key);
    else
        put_uuid(out, key, row, 0, column);
}

err_t sale_write(api_call *call, uuid id) {
    AUTO(db_rows) row = {0};
    const zone *where = NULL;
    err_t err = db_query_one(call->conn, &SQL_SALE_SHOW, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &row);
    if (!err) err = zone_set_find(call->zones, db_text(&row, 0, 16), &where, NULL);
    if (err) return err;
    json_writer *out = &call->out;
    json_open_object(out);
    put_uuid(out, "id", &row, 0, 0);
    json_put_text(out, "kind", sv_of(transfer_kind_name((int32_t)db_i64(&row, 0, 1))));
    json_put_text(out, "state", db_text(&row, 0, 2));
    put_text_or_null(out, "method", &row, 3);
    put_uuid(out, "account", &row, 0, 14);
    json_put_text(out, "account_number", db_text(&row, 0, 21));
    json_put_text(out, "purpose", db_text(&row, 0, 15));
    money_micro amount = db_i64(&row, 0, 5);
    put_money(out, "amount", db_bool(&row, 0, 4) ? amount : -amount);
    json_put_text(out, "currency", db_text(&row, 0, 6));
    put_text_or_null(out, "reference", &row, 7);
    put_text_or_null(out, "reason", &row, 8);
    json_put_text(out, "operator", db_text(&row, 0, 9));
    put_text_or_null(out, "decided_by", &row, 10);
    put_local_instant(out, "requested_at", where, db_time(&row, 0, 11));
    put_local_instant_or_null(out, "done_at", where, &row, 0, 12);
    if (db_is_null(&row, 0, 13))
        json_put_null(out, "receipt_number");
    else
        json_put_integer(out, "receipt_number", db_i64(&row, 0, 13));
    put_uuid_or_null(out, "reverses", &row, 17);
    put_uuid_or_null(out, "order", &row, 18);
    json_put_text(out, "seller", db_text(&row, 0, 20));
    json_close_object(out);
    return ERR_OK;
}
