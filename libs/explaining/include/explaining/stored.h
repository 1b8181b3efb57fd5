// What billing stored of a usage point's readings, as the polls charging takes: hot rows and packed days, once each, in
// order of time.
#pragma once

#include "base/err.h"
#include "base/vec.h"
#include "charging/point.h"
#include "db/db.h"

typedef struct stored_polls {
    VEC(charging_poll) list;
    size_t contradictions;  // readings whose hot row and packed copy differ; the hot one is in the list
} stored_polls;

typedef struct stored_range {
    instant_ms after;         // polls at > after
    instant_ms until;         // and at ≤ until
    instant_ms booked_until;  // as known then: hot rows booked later are left out; INSTANT_MAX: all
} stored_range;

// The error is the database's, or ERR_MALFORMED for a packed day that cannot be read (the fault names it).
err_t stored_polls_load(db *conn, const charging_setup *setup, stored_range range, stored_polls *out_polls, fault *out_fault) MUST_CHECK;
void stored_polls_done(stored_polls *self);
void stored_polls_auto(stored_polls *self);
