// Gaps of readings: a profile of what the usage point usually uses is made when a gap is first seen, and kept.
#pragma once

#include "charge.h"
#include "worker.h"

typedef struct described_gap {
    int64_t usage_point;
    instant_ms from, to;
} described_gap;
typedef VEC(described_gap) gap_list;

// In the open transaction: stores a profile for each gap and adds it to the points' setups. `described` grows by them; when
// the transaction does not commit, take them out of the setups again (setups_drop_gap).
err_t gaps_describe(worker *self, db *conn, const charger_gap *gaps, size_t count, instant_ms now, gap_list *described,
                    fault *out_fault) MUST_CHECK;
