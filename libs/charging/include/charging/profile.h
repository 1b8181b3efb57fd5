// How a usage point uses over the day: the share of each half hour of local time, on weekdays and at weekends. It
// spreads what was used in a gap of readings; the sum is always the one the readings at its ends give.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"
#include "calendar/zone.h"
#include "money/rounding.h"

#define CHARGING_SLOT_MS (30 * MINUTE_MS)
#define CHARGING_SLOTS 48
#define CHARGING_GAP_MIN_MS (2 * HOUR_MS)  // nothing shorter is a gap
#define CHARGING_GAP_POLLS 4               // a gap is longer than so many poll intervals

// Made once, when a gap is first seen, and never changed: whoever charges the gap again spreads it alike. Without
// history all weights are 0 and time alone decides.
typedef struct charging_profile {
    instant_ms from;  // the gap
    instant_ms to;
    int64_t longer_than_ms;             // a stretch inside the gap is one itself when it is longer; late readings cut gaps
    uint32_t milli[2][CHARGING_SLOTS];  // usual use in milli-units: [0] Monday to Friday, [1] Saturday and Sunday
} charging_profile;

// From how long on, in ms, a stretch without readings is a gap, for a point that is polled this often.
int64_t charging_gap_after_ms(int64_t poll_interval_ms);

// The part of `quantity` used in [from, at) of [from, to), rounded down; the rest belongs to [at, to). `self` may be
// NULL: in proportion to time.
int64_t charging_profile_split(const charging_profile *self, const zone *local, int64_t quantity, instant_ms from, instant_ms to,
                               instant_ms at);
// The same half hour by half hour: each call of next moves *out_until to the end of a half hour, at most to `to`.
typedef struct charging_spread {
    const charging_profile *profile;
    const zone *local;
    instant_ms from, to, at;
    int128 whole;  // 0: in proportion to time
    int128 done;
} charging_spread;

charging_spread charging_spread_of(const charging_profile *borrowed_profile, const zone *borrowed_local, instant_ms from, instant_ms to);
bool charging_spread_next(charging_spread *self, instant_ms *out_until);
int64_t charging_spread_used(const charging_spread *self, int64_t quantity);  // of it, from the beginning until there

// What is usually used in [from, to), in milli-units, rounded down; 0 where nothing is known.
int64_t charging_profile_usual(const charging_profile *self, const zone *local, instant_ms from, instant_ms to);

// Gathers measured use; what lies further apart than CHARGING_GAP_MIN_MS says nothing about half hours and is left out.
typedef struct charging_profile_sums {
    int64_t milli[2][CHARGING_SLOTS];
    int64_t ms[2][CHARGING_SLOTS];
} charging_profile_sums;

void charging_profile_add(charging_profile_sums *self, const zone *local, instant_ms from, instant_ms to, int64_t quantity);
// Fills the weights alone. A half hour that was never seen takes the other kind of day's.
void charging_profile_take(charging_profile *self, const charging_profile_sums *sums);

// The weights as bytes: nothing where all are 0. ERR_MALFORMED with the reason.
#define CHARGING_PROFILE_BYTES_MAX (1 + 2 * CHARGING_SLOTS * 5)
size_t charging_profile_pack(const charging_profile *self, uint8_t out[CHARGING_PROFILE_BYTES_MAX]);
err_t charging_profile_unpack(sv bytes, charging_profile *out_profile, fault *out_fault) MUST_CHECK;
