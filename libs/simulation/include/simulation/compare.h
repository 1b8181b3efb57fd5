// One usage point under two tariffs: its stored polls charged twice, by its own setup and by the same with another tariff
// from an instant on. Pure: what to charge is the caller's.
#pragma once

#include "base/vec.h"
#include "charging/point.h"

// The version number of the tariff that is tried; no stored version reaches it.
#define SIMULATION_VERSION (INT64_MAX - 1)

typedef struct compare_case {
    const charging_setup *setup;
    const tariff *tried;  // compiled with SIMULATION_VERSION
    instant_ms from;      // [from, to) counts
    instant_ms to;
} compare_case;

// What one account pays at the point inside [from, to) for a quantity in milli-units.
typedef struct compare_share {
    int64_t account;
    int64_t quantity;
    money_micro now;
    money_micro then;
} compare_share;

typedef struct comparison {
    VEC(compare_share) shares;
    size_t readings;       // that were charged on both sides behind `from`
    instant_ms until;      // how far the polls reached; at most `to`
    instant_ms failed_at;  // of the poll that could not be charged
    char why[120];         // why it could not; empty when all went well
} comparison;

void comparison_done(comparison *self);
void comparison_auto(comparison *self);

// Charges the polls (in order of time, behind the opening's last reading) from `opening` on. Both sides are cut at `from`
// and `to`, so that an interval which crosses one is shared by time on both alike. False when a poll cannot be charged on
// either side; `why` then names the side, and the shares mean nothing. `out` is filled anew.
bool compare_point(const compare_case *what, rating_cache *cache, const charging_point *opening, const charging_poll *polls, size_t count,
                   comparison *out);
