// What follows from what a channel says about an order or refund. Pure: the rows it is given are locked by the caller, and
// the caller writes what is decided. This is the one place that knows when money is credited.
//
// PAID is absorbing: nothing a channel says later takes it back, and a query that says "unpaid" never overrides a payment.
// The amount the order asked for is credited, and only where the fact names exactly that amount, currency and merchant;
// any other money goes into suspense, where a person decides. Money is known by the channel's own id of it.
#pragma once

#include "orders.h"

typedef enum fact_outcome {
#define OUTCOME(name, text, alarms, meaning) OUTCOME_##name,
#include "outcomes.def"
#undef OUTCOME
    OUTCOME_COUNT
} fact_outcome;

const char *outcome_text(fact_outcome outcome);
bool outcome_alarms(fact_outcome outcome);
bool outcome_of(sv text, fact_outcome *out_outcome);

typedef struct fact_context {
    int64_t merchant;          // who was asked, or on whose path it came
    const pay_order *order;    // of the number the fact names, in the merchant's company; NULL: none
    const pay_refund *refund;  // likewise
    bool is_known;             // this money of the channel was recorded before
    instant_ms now;
} fact_context;

typedef struct fact_decision {
    fact_outcome outcome;
    bool changes_order;
    order_state order_state;
    bool credits;  // the order's amount: clearing to purse
    bool records;  // the money, under the channel's id of it
    bool suspends;
    suspense_reason suspense;
    bool changes_refund;
    refund_state refund_state;
    bool releases;  // the refund's reserve: clearing back to the purse
    bool asks;      // query the order soon
    bool has_foreign_refund;
    instant_ms happened_at;
    bool is_time_doubtful;  // the channel's time is no time for this; booked at receipt
} fact_decision;

fact_decision fact_decide(const fact_context *context, const provider_fact *fact);

// The kind and id under which the fact's money is recorded; an empty id: it tells of none.
typedef struct fact_money {
    const char *kind;
    sv channel_id;
} fact_money;
fact_money fact_money_of(const provider_fact *fact);
