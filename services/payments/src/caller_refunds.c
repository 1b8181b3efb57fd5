// One step of a refund: send it under its one number until the channel has taken it, then ask what became of it. A purse
// gets its money back only when the channel said that it will not refund.
#include "base/crash_point.h"
#include "base/log.h"
#include "caller.h"
#include "contracts/events.h"
#include "payments_sql.h"

#define NO_MERCHANT_MS (30 * SECOND_MS)

typedef struct refund_result {
    call_record records[2];
    size_t record_count;
    refund_state state;
    int32_t step;
    instant_ms next_at;
    provider_fact fact;
    bool has_fact;
} refund_result;

typedef provider_answer (*refund_question)(const provider_call *call, const provider_refund *refund, provider_fact *out_fact);

static provider_answer ask(caller *self, const merchant *with, const pay_order *order, const pay_refund *refund, refund_result *out,
                           const char *action, refund_question question) {
    provider_order of = pay_order_for_provider(order);
    provider_refund wanted = {.order = &of,
                              .number = refund->number,
                              .created_at = refund->created_at,
                              .amount_micro = refund->amount_micro,
                              .reason = refund->reason};
    call_record *record = &out->records[out->record_count++];
    provider_call call = caller_call(self, with);
    caller_begin(record, action);
    caller_end(self, record, question(&call, &wanted, &out->fact));
    out->has_fact = record->answer.result == PROVIDER_OK;
    if (record->answer.key_unknown) merchants_request_keys(self->all->merchants, with);
    CRASH_POINT("payments.refund_answered");
    return record->answer;
}

static void schedule(const caller *self, const pay_refund *refund, refund_result *out, refund_state state) {
    int32_t step = state == refund->state ? refund->step : 0;
    out->state = state;
    out->next_at = service_now(self->all->svc) + caller_pause_ms(self->all, step);
    out->step = step + 1;
}

// The channel will not refund: the reserve goes back.
static void give_up(const pay_order *order, const pay_refund *refund, refund_result *out) {
    out->has_fact = true;
    out->fact = (provider_fact){.state = PROVIDER_STATE_REFUND_CLOSED,
                                .order_number = order->number,
                                .refund_number = refund->number,
                                .amount_micro = refund->amount_micro,
                                .is_of_merchant = true};
}

static void query(caller *self, const merchant *with, const pay_order *order, const pay_refund *refund, refund_result *out) {
    provider_answer answer = ask(self, with, order, refund, out, "query_refund", with->provider->query_refund);
    bool is_unheard = refund->state == REFUND_RESERVED || refund->state == REFUND_UNKNOWN;
    schedule(self, refund, out, answer.result == PROVIDER_OK && is_unheard ? REFUND_PENDING : refund->state);
    if (answer.result == PROVIDER_CLOSED || (answer.result == PROVIDER_NOT_FOUND && is_unheard && with->provider->not_found_is_final))
        give_up(order, refund, out);
}

static void send(caller *self, const merchant *with, const pay_order *order, const pay_refund *refund, refund_result *out) {
    provider_answer answer = ask(self, with, order, refund, out, "refund", with->provider->refund);
    switch (answer.result) {
        case PROVIDER_OK: schedule(self, refund, out, REFUND_PENDING); return;
        case PROVIDER_REFUSED:
        case PROVIDER_CLOSED:
            // Refused now says nothing of an earlier sending of the same refund.
            schedule(self, refund, out, refund->state);
            if (refund->state == REFUND_RESERVED && refund->attempts == 1)
                give_up(order, refund, out);
            else
                query(self, with, order, refund, out);
            return;
        case PROVIDER_UNKNOWN:
        case PROVIDER_PAID:
        case PROVIDER_NOT_FOUND: schedule(self, refund, out, REFUND_UNKNOWN); return;
        case PROVIDER_NO_FUNDS:
            LOG_ERROR("a merchant's balance does not cover a refund; it waits", LOG_I("company", order->company),
                      LOG_I("merchant", order->merchant));
            schedule(self, refund, out, refund->state);
            return;
        case PROVIDER_RETRY_LATER:
        case PROVIDER_MISCONFIGURED: schedule(self, refund, out, refund->state); return;
        case PROVIDER_RESULT_COUNT: break;
    }
}

static err_t record(caller *self, const pay_order *order, const pay_refund *refund, const refund_result *result, instant_ms now) {
    AUTO(db_rows) moved = {0};
    const provider_answer none = {.code = SV("merchant_unavailable")};
    const provider_answer *answer = result->record_count ? &result->records[result->record_count - 1].answer : &none;
    err_t err =
        db_query(self->conn, &SQL_REFUND_RECORD,
                 DB_PARAMS(DB_I32(order->company), DB_I64(refund->num), DB_CSTR(refund_state_text(result->state)), DB_TIME(result->next_at),
                           DB_I64(result->step), DB_CSTR(result->record_count ? provider_result_text(answer->result) : "none"),
                           DB_TEXT(answer->code.ptr ? answer->code : SV("")),
                           DB_TEXT(answer->message.ptr && sv_is_utf8(answer->message) ? answer->message : SV(""))),
                 &moved);
    if (err || moved.len == 0 || !db_bool(&moved, 0, 0)) return err;
    outgoing event = {.type = event_text(EVENT_REFUND_CHANGED),
                      .subject = order->num,
                      .version = db_i64(&moved, 0, 1),
                      .payload = refund_changed_payload(self->memory, refund->id, order->id, order->account, order->property,
                                                        refund_state_text(result->state), refund->amount_micro, refund->currency)};
    return outbox_add(self->conn, order->company, &event, 1, now);
}

static err_t write(caller *self, const merchant *with, const pay_order *order, const pay_refund *refund, const refund_result *result) {
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) locked = {0};
    instant_ms now = service_now(self->all->svc);
    apply_entry entry = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_set_company(self->conn, order->company);
    // The order's lock comes before its refunds', here as everywhere.
    if (!err) err = db_query(self->conn, &SQL_REFUND_ORDER_LOCK, DB_PARAMS(DB_I32(order->company), DB_UUID(order->id)), &locked);
    if (!err) err = record(self, order, refund, result, now);
    for (size_t i = 0; i < result->record_count && !err; i++) err = caller_store_attempt(self, order, refund->num, &result->records[i]);
    if (!err && result->has_fact) {
        entry = caller_entry(with, &result->fact);
        apply_entry *only = &entry;
        err = apply_facts(self->conn, &only, 1, now, self->memory);
    }
    if (err) return err;
    CRASH_POINT("payments.refund_before_commit");
    err = db_commit(&tx);
    CRASH_POINT("payments.refund_after_commit");
    if (!err && result->has_fact) caller_tell_outcome(self, &entry);
    return err;
}

err_t caller_refund_step(caller *self, const pay_order *order, const pay_refund *refund) {
    merchant *with = merchants_take(self->all->merchants, order->company, order->merchant);
    refund_result out = {.state = refund->state, .step = refund->step, .next_at = service_now(self->all->svc) + NO_MERCHANT_MS};
    bool is_taken = refund->state == REFUND_PENDING || refund->state == REFUND_ABNORMAL;
    if (with && with->opened && is_taken)
        query(self, with, order, refund, &out);
    else if (with && with->opened)
        send(self, with, order, refund, &out);
    else
        LOG_ERROR("a refund's merchant cannot be used; it waits", LOG_I("company", order->company), LOG_I("merchant", order->merchant));
    err_t err = write(self, with, order, refund, &out);
    for (int i = 0; i < 5 && (err == ERR_SERIALIZATION || err == ERR_CONFLICT); i++) err = write(self, with, order, refund, &out);
    merchants_give(with);
    return err;
}
