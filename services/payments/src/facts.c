#include "facts.h"

#include "base/mem.h"

#define FUTURE_MS (5 * MINUTE_MS)
#define BEFORE_ORDER_MS DAY_MS

static const struct {
    const char *text;
    bool alarms;
} OUTCOMES[] = {
#define OUTCOME(name, text, alarms, meaning) {text, alarms},
#include "outcomes.def"
#undef OUTCOME
};

const char *outcome_text(fact_outcome outcome) { return OUTCOMES[outcome].text; }
bool outcome_alarms(fact_outcome outcome) { return OUTCOMES[outcome].alarms; }

bool outcome_of(sv text, fact_outcome *out_outcome) {
    for (size_t i = 0; i < ARRAY_LEN(OUTCOMES); i++) {
        if (!sv_equal(text, sv_of(OUTCOMES[i].text))) continue;
        *out_outcome = (fact_outcome)i;
        return true;
    }
    return false;
}

fact_money fact_money_of(const provider_fact *fact) {
    switch (fact->state) {
        case PROVIDER_STATE_PAID: return (fact_money){"payment", fact->channel_id};
        case PROVIDER_STATE_REFUNDED:
        case PROVIDER_STATE_REFUND_ABNORMAL: return (fact_money){"refund", fact->refund_channel_id};
        case PROVIDER_STATE_UNPAID:
        case PROVIDER_STATE_CLOSED:
        case PROVIDER_STATE_FAILED:
        case PROVIDER_STATE_OTHER:
        case PROVIDER_STATE_REFUND_PENDING:
        case PROVIDER_STATE_REFUND_CLOSED:
        case PROVIDER_STATE_REFUND_OTHER:
        case PROVIDER_STATE_COUNT: break;
    }
    return (fact_money){"", SV("")};
}

static fact_decision suspend(const fact_context *context, suspense_reason reason) {
    return (fact_decision){
        .outcome = OUTCOME_SUSPENDED, .records = true, .suspends = true, .suspense = reason, .happened_at = context->now};
}

// A time before the order or in the future is the channel's mistake; the money is real all the same.
static void take_time(const fact_context *context, const provider_fact *fact, fact_decision *out) {
    bool is_plausible = fact->happened_at >= context->order->created_at - BEFORE_ORDER_MS && fact->happened_at <= context->now + FUTURE_MS;
    out->happened_at = is_plausible ? fact->happened_at : context->now;
    out->is_time_doubtful = !is_plausible;
}

static fact_decision decide_paid(const fact_context *context, const provider_fact *fact) {
    const pay_order *order = context->order;
    fact_decision out = {.happened_at = context->now, .has_foreign_refund = fact->has_refund};
    if (fact->channel_id.len == 0 || fact->amount_micro <= 0) {
        out.outcome = OUTCOME_ERROR;
        return out;
    }
    if (context->is_known) {
        out.outcome = OUTCOME_DUPLICATE;
        return out;
    }
    if (!order) return suspend(context, SUSPENSE_UNKNOWN_ORDER);
    if (order->state == ORDER_PAID || order->state == ORDER_PAID_LATE) return suspend(context, SUSPENSE_SECOND_PAYMENT);
    bool is_other_currency = !sv_equal(fact->currency, order->currency);
    if (is_other_currency || fact->amount_micro != order->amount_micro) {
        out = suspend(context, is_other_currency ? SUSPENSE_CURRENCY_MISMATCH : SUSPENSE_AMOUNT_MISMATCH);
        out.changes_order = order->state != ORDER_FAILED;
        out.order_state = ORDER_FAILED;
        return out;
    }
    bool is_late = order->state == ORDER_CLOSED || order->state == ORDER_FAILED;
    out.outcome = is_late ? OUTCOME_CREDITED_LATE : OUTCOME_CREDITED;
    out.order_state = is_late ? ORDER_PAID_LATE : ORDER_PAID;
    out.changes_order = out.credits = out.records = true;
    take_time(context, fact, &out);
    return out;
}

static fact_decision decide_payment(const fact_context *context, const provider_fact *fact) {
    const pay_order *order = context->order;
    bool is_open = order && order_state_is_open(order->state);
    fact_decision out = {.outcome = OUTCOME_NOTED, .happened_at = context->now};
    switch (fact->state) {
        case PROVIDER_STATE_PAID: return decide_paid(context, fact);
        case PROVIDER_STATE_CLOSED:
            if (!is_open) return out;
            out.outcome = OUTCOME_CLOSED;
            out.changes_order = true;
            out.order_state = ORDER_CLOSED;
            return out;
        case PROVIDER_STATE_UNPAID:
        case PROVIDER_STATE_FAILED: return out;
        case PROVIDER_STATE_OTHER:
        case PROVIDER_STATE_REFUND_PENDING:
        case PROVIDER_STATE_REFUNDED:
        case PROVIDER_STATE_REFUND_CLOSED:
        case PROVIDER_STATE_REFUND_ABNORMAL:
        case PROVIDER_STATE_REFUND_OTHER:
        case PROVIDER_STATE_COUNT: break;
    }
    out.outcome = OUTCOME_ASKED;
    out.asks = is_open;
    return out;
}

// ---- refunds ----

static fact_decision move(const fact_context *context, fact_outcome outcome, refund_state state) {
    bool is_change = context->refund->state != state;
    return (fact_decision){.outcome = is_change ? outcome : OUTCOME_DUPLICATE,
                           .changes_refund = is_change,
                           .refund_state = state,
                           .happened_at = context->now};
}

// The merchant has lost the money; whether the payer has it is the state's matter.
static fact_decision decide_gone(const fact_context *context, const provider_fact *fact, fact_outcome outcome, refund_state state) {
    const pay_refund *refund = context->refund;
    if (fact->refund_channel_id.len == 0 || fact->amount_micro <= 0) return (fact_decision){.outcome = OUTCOME_ERROR};
    if (!refund) {
        if (context->is_known) return (fact_decision){.outcome = OUTCOME_DUPLICATE};
        fact_decision out = suspend(context, SUSPENSE_EXTERNAL_REFUND);
        out.has_foreign_refund = true;
        return out;
    }
    bool fits = context->order && refund->order == context->order->num && fact->amount_micro == refund->amount_micro;
    if (!fits && context->is_known) return (fact_decision){.outcome = OUTCOME_DUPLICATE};
    if (!fits) return suspend(context, SUSPENSE_REFUND_MISMATCH);
    if (refund->state == REFUND_FAILED || refund->state == REFUND_REFUSED)
        return context->is_known ? (fact_decision){.outcome = OUTCOME_DUPLICATE} : suspend(context, SUSPENSE_REFUND_AFTER_RELEASE);
    if (refund->state == REFUND_SETTLED) return (fact_decision){.outcome = OUTCOME_DUPLICATE};
    fact_decision out = move(context, outcome, state);
    out.records = !context->is_known;
    return out;
}

static fact_decision decide_refund(const fact_context *context, const provider_fact *fact) {
    const pay_refund *refund = context->refund;
    bool is_open = refund && !refund_state_is_final(refund->state);
    switch (fact->state) {
        case PROVIDER_STATE_REFUNDED: return decide_gone(context, fact, OUTCOME_REFUND_SETTLED, REFUND_SETTLED);
        case PROVIDER_STATE_REFUND_ABNORMAL: return decide_gone(context, fact, OUTCOME_REFUND_ABNORMAL, REFUND_ABNORMAL);
        case PROVIDER_STATE_REFUND_PENDING:
            if (!is_open) return (fact_decision){.outcome = OUTCOME_NOTED};
            return move(context, OUTCOME_REFUND_PENDING, REFUND_PENDING);
        case PROVIDER_STATE_REFUND_CLOSED: {
            if (!is_open) return (fact_decision){.outcome = OUTCOME_NOTED};
            fact_decision out = move(context, OUTCOME_REFUND_RELEASED, REFUND_FAILED);
            out.releases = true;
            return out;
        }
        case PROVIDER_STATE_REFUND_OTHER:
        case PROVIDER_STATE_UNPAID:
        case PROVIDER_STATE_PAID:
        case PROVIDER_STATE_CLOSED:
        case PROVIDER_STATE_FAILED:
        case PROVIDER_STATE_OTHER:
        case PROVIDER_STATE_COUNT: break;
    }
    return (fact_decision){.outcome = OUTCOME_ASKED, .asks = is_open};
}

fact_decision fact_decide(const fact_context *context, const provider_fact *fact) {
    bool is_ours = fact->is_of_merchant && (!context->order || context->order->merchant == context->merchant);
    if (!is_ours) return (fact_decision){.outcome = OUTCOME_FOREIGN};
    return provider_fact_kind_of(fact) == PROVIDER_FACT_PAYMENT ? decide_payment(context, fact) : decide_refund(context, fact);
}
