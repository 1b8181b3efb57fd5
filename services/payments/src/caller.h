// Asks channels: creates new orders, queries everything that is not final on a growing schedule, closes what expired, sends
// refunds and asks what became of them. What is due is claimed for the length of a lease, so that replicas share the work
// and a dead one's is taken up; no transaction is open while a channel is asked.
#pragma once

#include "apply.h"
#include "merchants.h"
#include "service/service.h"

typedef struct caller_metrics {
    metric *calls[PROVIDER_RESULT_COUNT];
    metric *call_seconds, *first_answer_seconds, *outcomes[OUTCOME_COUNT];
} caller_metrics;

typedef struct callers {
    service *svc;
    merchants *merchants;
    int64_t first_ms;  // of the schedule; the others follow from it
    int64_t lease_ms;
    struct bell *bell;
    caller_metrics metrics;
} callers;

callers *callers_new(service *svc, merchants *known);
void callers_free(callers *self);
// Threads: one listens for new orders and keeps the gauges, the others call.
void callers_listen(service *svc, void *context);
void callers_run(service *svc, void *context);

// One thread's tools, and one call's result on its way into the database.
typedef struct caller {
    callers *all;
    db *conn;
    httpc *http;
    arena *memory;  // of one step
} caller;

typedef struct call_record {
    const char *action;
    provider_answer answer;
    int64_t began_ns, ended_ns;
} call_record;

// caller_orders.c, caller_refunds.c: one step of what was claimed. ERR_OK also when the channel gave no answer.
err_t caller_order_step(caller *self, const pay_order *order) MUST_CHECK;
err_t caller_refund_step(caller *self, const pay_order *order, const pay_refund *refund) MUST_CHECK;

provider_call caller_call(const caller *self, const merchant *with);
void caller_begin(call_record *self, const char *action);
void caller_end(const caller *self, call_record *record, provider_answer answer);
// In the open transaction.
err_t caller_store_attempt(const caller *self, const pay_order *order, int64_t refund, const call_record *record) MUST_CHECK;
// When the `step`th question after the last change follows: 1, 3, 6, 18, 30, 60, 180, 360 times the first pause.
int64_t caller_pause_ms(const callers *self, int32_t step);
// The entry of a fact from a call; `fact` is borrowed.
apply_entry caller_entry(const merchant *with, const provider_fact *fact);
void caller_tell_outcome(const caller *self, const apply_entry *entry);
