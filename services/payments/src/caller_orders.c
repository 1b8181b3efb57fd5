// One step of an order: create it, query it, close it, whatever is due.
#include "base/crash_point.h"
#include "base/log.h"
#include "caller.h"
#include "contracts/events.h"
#include "payments_sql.h"

#define NO_MERCHANT_MS (30 * SECOND_MS)
#define MISCONFIGURED_TIMES 4
#define BUSY_MS SECOND_MS  // the channel asks for a pause before it has taken a new order

// What a step found out, to be written in one transaction.
typedef struct order_result {
    call_record records[3];
    size_t record_count;
    order_state state;
    int32_t step;
    instant_ms next_at;
    const char *code;  // NULL: the last answer's
    provider_handle handle;
    bool has_handle;
    provider_fact fact;
    bool has_fact;
} order_result;

static const provider_answer *last_answer(const order_result *self) { return &self->records[self->record_count - 1].answer; }

static provider_answer ask(caller *self, const merchant *with, const pay_order *order, order_result *out, const char *action,
                           provider_answer (*perform)(const provider_call *, const merchant *, const pay_order *, order_result *)) {
    call_record *record = &out->records[out->record_count++];
    provider_call call = caller_call(self, with);
    caller_begin(record, action);
    caller_end(self, record, perform(&call, with, order, out));
    if (record->answer.key_unknown) merchants_request_keys(self->all->merchants, with);
    CRASH_POINT("payments.answered");
    return record->answer;
}

static provider_answer perform_create(const provider_call *call, const merchant *with, const pay_order *order, order_result *out) {
    provider_order wanted = pay_order_for_provider(order);
    provider_answer answer = with->provider->create(call, &wanted, &out->handle);
    out->has_handle = answer.result == PROVIDER_OK;
    return answer;
}

static provider_answer perform_query(const provider_call *call, const merchant *with, const pay_order *order, order_result *out) {
    provider_order wanted = pay_order_for_provider(order);
    provider_answer answer = with->provider->query(call, &wanted, &out->fact);
    out->has_fact = answer.result == PROVIDER_OK;
    return answer;
}

static provider_answer perform_close(const provider_call *call, const merchant *with, const pay_order *order, order_result *out) {
    (void)out;
    provider_order wanted = pay_order_for_provider(order);
    return with->provider->close_order(call, &wanted);
}

// ---- writing ----

static err_t record(caller *self, const pay_order *order, const order_result *result, instant_ms now) {
    AUTO(db_rows) moved = {0};
    const provider_answer none = {0};
    const provider_answer *answer = result->record_count ? last_answer(result) : &none;
    sv code = result->code ? sv_of(result->code) : answer->code;
    err_t err =
        db_query(self->conn, &SQL_ORDER_RECORD,
                 DB_PARAMS(DB_I32(order->company), DB_I64(order->num), DB_CSTR(order_state_text(result->state)),
                           result->next_at ? DB_TIME(result->next_at) : DB_NULL, DB_I64(result->step),
                           DB_CSTR(result->record_count ? provider_result_text(answer->result) : "none"), DB_TEXT(code.ptr ? code : SV("")),
                           DB_TEXT(answer->message.ptr && sv_is_utf8(answer->message) ? answer->message : SV("")),
                           result->has_handle ? DB_CSTR(provider_handle_kind_text(result->handle.kind)) : DB_NULL,
                           result->has_handle ? DB_TEXT(result->handle.text) : DB_NULL,
                           result->has_handle ? DB_TIME(result->handle.valid_to) : DB_NULL),
                 &moved);
    if (err) return err;
    if (moved.len == 0) {
        // Final meanwhile, or it was: asked once more after its end, and that is enough.
        return db_exec(self->conn, &SQL_ORDER_REST,
                       DB_PARAMS(DB_I32(order->company), DB_I64(order->num),
                                 result->next_at > 0 && !result->has_fact ? DB_TIME(result->next_at) : DB_NULL),
                       NULL);
    }
    if (result->has_handle) metric_observe_us(self->all->metrics.first_answer_seconds, (now - order->created_at) * 1000);
    if (!db_bool(&moved, 0, 0)) return ERR_OK;
    outgoing event = {.type = event_text(EVENT_ORDER_CHANGED),
                      .subject = order->num,
                      .version = db_i64(&moved, 0, 1),
                      .payload = order_changed_payload(self->memory, order, result->state)};
    return outbox_add(self->conn, order->company, &event, 1, now);
}

static err_t write(caller *self, const merchant *with, const pay_order *order, const order_result *result) {
    AUTO(db_tx) tx = {0};
    instant_ms now = service_now(self->all->svc);
    apply_entry entry = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_set_company(self->conn, order->company);
    if (!err) err = record(self, order, result, now);
    for (size_t i = 0; i < result->record_count && !err; i++) err = caller_store_attempt(self, order, 0, &result->records[i]);
    if (!err && result->has_fact) {
        entry = caller_entry(with, &result->fact);
        apply_entry *only = &entry;
        err = apply_facts(self->conn, &only, 1, now, self->memory);
    }
    if (err) return err;
    CRASH_POINT("payments.call_before_commit");
    err = db_commit(&tx);
    CRASH_POINT("payments.call_after_commit");
    if (!err && result->has_fact) caller_tell_outcome(self, &entry);
    return err;
}

static err_t write_often(caller *self, const merchant *with, const pay_order *order, const order_result *result) {
    err_t err = write(self, with, order, result);
    for (int i = 0; i < 5 && (err == ERR_SERIALIZATION || err == ERR_CONFLICT); i++) err = write(self, with, order, result);
    return err;
}

// ---- deciding ----

// The next question: soon at first, then ever more rarely, but never past the moment the order has to be closed.
static void schedule(const caller *self, const pay_order *order, order_result *out, order_state state, bool is_new_phase) {
    instant_ms now = service_now(self->all->svc);
    int32_t step = is_new_phase ? 0 : order->step;
    out->state = state;
    out->next_at = now + caller_pause_ms(self->all, step);
    out->step = step + 1;
    if (order->expires_at > now && out->next_at > order->expires_at) out->next_at = order->expires_at;
}

// A question that the channel did not answer leaves an order in doubt that a customer could pay; a pause it asked for does not.
static order_state after_no_answer(const pay_order *order, const provider_answer *answer) {
    return answer->result == PROVIDER_RETRY_LATER && order->state != ORDER_UNKNOWN ? order->state : ORDER_UNKNOWN;
}

static void settle_query(const caller *self, const pay_order *order, order_result *out) {
    const provider_answer *answer = last_answer(out);
    bool is_payable = order->handle.len > 0 || out->has_handle;
    if (answer->result == PROVIDER_OK && out->fact.state != PROVIDER_STATE_OTHER)
        schedule(self, order, out, is_payable ? ORDER_PENDING : order->state, order->state == ORDER_UNKNOWN);
    else if (answer->result == PROVIDER_NOT_FOUND)
        schedule(self, order, out, is_payable ? ORDER_PENDING : ORDER_UNKNOWN, false);
    else
        schedule(self, order, out, after_no_answer(order, answer), false);
}

static void create(caller *self, const merchant *with, const pay_order *order, order_result *out) {
    provider_answer answer = ask(self, with, order, out, "create", perform_create);
    bool was_never_in_doubt = order->state == ORDER_CREATED && order->attempts == 1;
    switch (answer.result) {
        case PROVIDER_OK: schedule(self, order, out, ORDER_PENDING, true); return;
        case PROVIDER_PAID:
            ask(self, with, order, out, "query", perform_query);
            settle_query(self, order, out);
            return;
        case PROVIDER_MISCONFIGURED:
            // A request that a dying connection sent twice looks the same as a wrong setup: only the latter lasts.
            if (order->attempts < MISCONFIGURED_TIMES) {
                schedule(self, order, out, order->state, false);
                out->next_at = service_now(self->all->svc) + BUSY_MS;
                return;
            }
            out->state = ORDER_FAILED;
            out->next_at = 0;
            return;
        case PROVIDER_REFUSED:
        case PROVIDER_CLOSED:
            if (was_never_in_doubt) {
                out->state = ORDER_FAILED;
                out->next_at = 0;
                return;
            }
            ask(self, with, order, out, "query", perform_query);
            if (last_answer(out)->result == PROVIDER_NOT_FOUND && with->provider->not_found_is_final) {
                out->state = ORDER_FAILED;
                out->next_at = 0;
                return;
            }
            settle_query(self, order, out);
            return;
        case PROVIDER_RETRY_LATER:
            schedule(self, order, out, order->state, false);
            if (order->state == ORDER_CREATED) out->next_at = service_now(self->all->svc) + BUSY_MS;
            return;
        case PROVIDER_NOT_FOUND:
        case PROVIDER_UNKNOWN:
        case PROVIDER_NO_FUNDS: schedule(self, order, out, ORDER_UNKNOWN, order->state == ORDER_CREATED); return;
        case PROVIDER_RESULT_COUNT: break;
    }
}

// The channel confirms that nobody can pay any more, or it is asked again.
static void conclude(const caller *self, const merchant *with, const pay_order *order, order_result *out) {
    const provider_answer *answer = last_answer(out);
    settle_query(self, order, out);
    if (answer->result != PROVIDER_NOT_FOUND || !with->provider->not_found_is_final) return;
    out->has_fact = true;
    out->fact = (provider_fact){.state = PROVIDER_STATE_CLOSED, .order_number = order->number, .is_of_merchant = true};
}

static void close_it(caller *self, const merchant *with, const pay_order *order, order_result *out) {
    provider_answer answer = ask(self, with, order, out, "close", perform_close);
    switch (answer.result) {
        case PROVIDER_OK:
        case PROVIDER_CLOSED:
        case PROVIDER_NOT_FOUND:
        case PROVIDER_PAID:
        case PROVIDER_REFUSED:
            ask(self, with, order, out, "query", perform_query);
            conclude(self, with, order, out);
            return;
        case PROVIDER_UNKNOWN:
        case PROVIDER_RETRY_LATER:
        case PROVIDER_NO_FUNDS:
        case PROVIDER_MISCONFIGURED: schedule(self, order, out, after_no_answer(order, &answer), false); return;
        case PROVIDER_RESULT_COUNT: break;
    }
}

// The day after it was closed: whatever came in without our noticing is found now.
static void ask_once_more(caller *self, const merchant *with, const pay_order *order, order_result *out) {
    provider_answer answer = ask(self, with, order, out, "query", perform_query);
    out->state = order->state;
    bool is_answered = answer.result == PROVIDER_OK || answer.result == PROVIDER_NOT_FOUND;
    out->next_at = is_answered ? 0 : service_now(self->all->svc) + caller_pause_ms(self->all, 7);
}

static err_t write_without_asking(caller *self, const merchant *with, const pay_order *order) {
    order_result out = {.state = order->state,
                        .next_at = service_now(self->all->svc) + NO_MERCHANT_MS,
                        .step = order->step,
                        .code = "merchant_unavailable"};
    LOG_ERROR("an order's merchant cannot be used; its orders wait", LOG_I("company", order->company), LOG_I("merchant", order->merchant));
    return write_often(self, with, order, &out);
}

err_t caller_order_step(caller *self, const pay_order *order) {
    instant_ms now = service_now(self->all->svc);
    merchant *with = merchants_take(self->all->merchants, order->company, order->merchant);
    order_result out = {.state = order->state};
    bool is_over = order->expires_at <= now || order->cancelled_at > 0;
    err_t err;
    if (!with || !with->opened) {
        err = write_without_asking(self, with, order);
    } else {
        if (!order_state_is_open(order->state)) {
            ask_once_more(self, with, order, &out);
        } else if (is_over && order->state == ORDER_CREATED && order->attempts == 1) {
            out.has_fact = true;  // the channel never heard of it
            out.code = "never_sent";
            out.next_at = now;
            out.fact = (provider_fact){.state = PROVIDER_STATE_CLOSED, .order_number = order->number, .is_of_merchant = true};
        } else if (is_over && order->handle.len == 0) {
            // Nobody was ever shown how to pay it: closed whatever the channel says, and asked about once more like any other.
            ask(self, with, order, &out, "close", perform_close);
            out.has_fact = true;
            out.next_at = now;
            out.fact = (provider_fact){.state = PROVIDER_STATE_CLOSED, .order_number = order->number, .is_of_merchant = true};
        } else if (is_over) {
            close_it(self, with, order, &out);
        } else if (order->handle.len == 0) {
            create(self, with, order, &out);
        } else {
            ask(self, with, order, &out, "query", perform_query);
            settle_query(self, order, &out);
        }
        err = write_often(self, with, order, &out);
    }
    merchants_give(with);
    return err;
}
