// Readings older than the last one of their point: stored when they fit between their stored neighbours, and then the
// point is replayed in its own lane; a repetition is ignored, a contradiction goes to quarantine.
#pragma once

#include "effects.h"

// Older ones are not looked for in the archive: they go to quarantine.
#define LATE_MAX_MS (34 * DAY_MS)

typedef struct late_poll {
    const meter_poll *poll;
    const charging_setup *setup;
    int32_t epoch;  // of the point now
} late_poll;

typedef VEC(late_poll) late_polls;

typedef struct late_counts {
    int64_t stored, repeated, refused;
} late_counts;

err_t late_judge(const late_polls *late, db *conn, effects *out_effects, late_counts *out_counts, fault *out_fault) MUST_CHECK;
