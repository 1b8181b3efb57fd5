// Rating the stored readings of one usage point again, from the newest checkpoint before an instant up to where the point
// stands: the common way of replays and recharges. One point, one transaction of the worker that holds its partition.
#pragma once

#include "charge.h"
#include "polls.h"
#include "worker.h"

typedef struct rerate {
    worker *by;
    const charging_setup *setup;
    point_entry *entry;
    instant_ms from_at;
    effects *out;
    void (*take)(void *context, const charging_piece *piece);  // each piece, in order
    void *context;

    // Filled by rerate_begin:
    charging_point stored;  // as the row stands
    charging_point point;   // the checkpoint; then as the readings say
    meter_poll *polls;      // since the checkpoint
    size_t count, known;    // `known` of them lead to where the point stands
    charging_outcome outcome;
} rerate;

// Finds the checkpoint and the stored readings since.
err_t rerate_begin(rerate *self, fault *out_fault) MUST_CHECK;
// Rates again what was charged; checkpoints and tier windows on the way are added to the effects.
err_t rerate_walk(rerate *self, fault *out_fault) MUST_CHECK;
// The row of the point as it stands now, and readings that a stopped point stored meanwhile, charged as if they came now.
void rerate_end(rerate *self);
void rerate_done(rerate *self);

// A correction of the base charge that covers `at`, or of the last one before it, as that charge is; without amount,
// quantity, cause. *out_found: false when the account has none.
err_t rerate_correction(const rerate *self, int64_t account, instant_ms at, charge_row *out_row, bool *out_found,
                        fault *out_fault) MUST_CHECK;
