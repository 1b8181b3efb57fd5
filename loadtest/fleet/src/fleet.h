// The running fleet: one event loop that owns every gateway's connection.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "config.h"
#include "histogram.h"
#include "truth.h"

struct event_base;

typedef struct fleet_stats {
#define FLEET_STAT(name, text) int64_t name;
#include "stats.def"
#undef FLEET_STAT
} fleet_stats;

typedef struct fleet_options {
    const char *truth_path;    // NULL: none
    int64_t truth_every;       // readings of one meter in so many; 1: all
    const char *state_path;    // NULL: relays and replacements are forgotten on exit
    const char *control_path;  // NULL: no control socket
    bool prints_stats;         // one JSON line a second on stdout
    int64_t time_scale;        // how many times faster the load's clock runs, from start_at on
    int64_t rate;              // readings per second over all HTTP gateways, open loop; 0: their own intervals
    int64_t burst_factor;      // with a rate: multiplied by this during [burst_from_ms, burst_from_ms + burst_ms)
    int64_t burst_from_ms;
    int64_t burst_ms;
    int64_t duration_ms;  // 0: until stopped
    int64_t drain_ms;     // how long unacknowledged readings are still sent after the stop
} fleet_options;

typedef struct fleet_world {
    fleet_config config;
    fleet_options options;
    struct event_base *base;
    fleet_truth truth;
    FILE *state;
    fleet_stats stats;
    fleet_histogram latency_us;  // intended send time to acknowledgement, per reading
    int64_t started_ms;          // monotonic
    bool stopping;
    struct fleet_dtu **dtus;  // one per gateway, NULL where it is of the other kind
    struct fleet_push **pushes;
    struct fleet_control *control;
} fleet_world;

// Takes the configuration. Runs until stopped, the duration is over, or a fault: ERR_OK after a clean stop.
MUST_CHECK err_t fleet_run(fleet_config *take_config, const fleet_options *options, fault *out_fault);
// Begins the stop; the second call ends at once.
void fleet_stop(fleet_world *self);

fleet_time fleet_now(const fleet_world *self);
void fleet_stats_add(const fleet_world *self, buf *out);
// Lets a meter act on its own; what moved or was `changed` is kept in the state file, a moved relay told in the truth log.
void fleet_meter_look(fleet_world *self, fleet_meter *meter, bool changed);
void fleet_meter_replaced(fleet_world *self, fleet_meter *meter);
