// How many readings a second a company may hand in (core.company.quota_readings_per_s): a bucket of ten seconds per
// company, so that bursts pass. What does not fit is told to come later (pushes) or asked less often (buses); what was
// accepted is never dropped.
//
// Replicas share the quota in proportion to what each is offered: each two seconds they tell each other (a row per replica
// and company that comes near its quota). As long as all that is offered fits, each keeps what the others leave; nobody
// falls below a tenth of the quota, so that together they may exceed it by a tenth for each replica but one.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/service.h"

typedef struct quota quota;

quota *quota_new(service *svc);
void quota_free(quota *self);
void quota_run(service *svc, void *self);  // the thread

// Any thread. Takes `readings` from the company's bucket; false: it holds too few, and *out_retry_s is when it will hold
// enough. A batch larger than the bucket passes when that is full.
bool quota_take(quota *self, int32_t company, int64_t readings, int64_t *out_retry_s);
// What a bus brought counts as well, whether it fits or not.
void quota_spend(quota *self, int32_t company, int64_t readings);
// While the bucket is empty every second round of a meter is left out: more would look like silence.
bool quota_skips_round(quota *self, int32_t company, uint32_t round);

// The part of `limit` that is this replica's; pure. `own` and `others` are what was offered, per second.
int64_t quota_share(int64_t limit, int64_t own, int64_t others);
