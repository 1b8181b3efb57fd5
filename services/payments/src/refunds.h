// Refunds operators ask for, and their decisions about money in suspense.
#pragma once

#include "apply.h"
#include "service/service.h"

// Consumer of refund-requests: checks the order's rest and the purse's unused credit under their locks, reserves (purse to
// clearing) and leaves the rest to the callers; or refuses. Either way the refund is announced.
err_t refunds_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;

// Carries out one decided suspense in a transaction of its own; *out_done: there was one.
err_t suspense_carry_out(service *svc, db *conn, arena *memory, bool *out_done) MUST_CHECK;
