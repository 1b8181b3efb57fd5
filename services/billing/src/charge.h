// From polls of one usage point to effects: the one way both the live lane and a resumed point take.
#pragma once

#include "effects.h"
#include "late.h"
#include "rating/rating.h"

// A gap of readings that nobody has described yet. Nothing of these polls was charged or stored: make a profile
// (gaps_describe), then charge them again.
typedef struct charger_gap {
    const meter_poll *polls;
    size_t count;
    int64_t usage_point;
    instant_ms from, to;
} charger_gap;

typedef struct charger {
    setups *setups;  // borrowed, as all below
    rating_cache *rating;
    arena *memory;
    bool finds_gaps;  // set by who can describe them: see charger_gap
    VEC(charger_gap) gaps;
    charging_outcome outcome;  // scratch
} charger;

void charger_init(charger *self, setups *borrowed_setups, rating_cache *borrowed_rating, arena *borrowed_memory);
void charger_done(charger *self);

typedef struct charge_counts {
    int64_t charged, ignored, stored, late, quarantined;  // polls
} charge_counts;

// Polls of one point (the same in each; ordered by time) move it. `stores`: their records become reading rows (false
// when they are stored already). A stopped point only stores. `why_stop`, not NULL: stop the point with this reason
// and only store. Late polls are added to `late`.
void charge_point(charger *self, const meter_poll *polls, size_t count, bool stores, const char *why_stop, effects *out_effects,
                  late_polls *out_late, charge_counts *out_counts);
// Polls of channels that measure nothing we know.
void charge_unknown(const meter_poll *polls, size_t count, effects *out_effects, charge_counts *out_counts);
