// A gateway that pushes signed JSON batches to POST /v1/readings. It keeps every reading until the server's answer says
// what became of it; an answer that does not come means: send again under a new counter.
//
// Open loop: samples are taken at their appointed times whatever the server does, and latency counts from then.
#pragma once

#include "fleet.h"

typedef struct fleet_push fleet_push;

// The first sample is taken after `delay_ms`; borrows fleet and gateway.
fleet_push *fleet_push_new(fleet_world *fleet, fleet_gateway *gateway, int64_t interval_us, int64_t delay_ms);
void fleet_push_free(fleet_push *self);
// Takes no more samples; what is pending is still sent.
void fleet_push_stop_sampling(fleet_push *self);
bool fleet_push_is_idle(const fleet_push *self);
