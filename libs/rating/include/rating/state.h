// What rating remembers of one usage point: the current tier window, the usage matrix, and what was charged. Everything
// needed to go on after a restart or a tariff change.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "calendar/window.h"
#include "money/money.h"
#include "rating/tariff.h"

// A step is a tier, or a part of one where a free quantity ends inside it.
#define RATING_STEPS_MAX 16
#define RATING_CELLS_MAX (TARIFF_PERIODS_MAX * RATING_STEPS_MAX)

// An amount before rounding: value * 10^-scale units of the currency.
typedef struct exact_amount {
    int128 value;
    int32_t scale;
} exact_amount;

// Fixed lines accrue by counters. The clocks belong to the usage point: they outlive windows and versions, so that no
// calendar window is counted twice.
// A local midnight is told by its instant and by one bit: whether its local date is the day after its UTC date. So a
// version in another zone finds the same local dates again.
#define RATING_AHEAD_FROM 1
#define RATING_AHEAD_TO 2
#define RATING_AHEAD_WINDOWS 4
#define RATING_AHEAD_DAYS 8
#define RATING_SHARES 377580  // 28 * 29 * 30 * 31 without common factors: a day of any month is a whole number of them
typedef struct rating_accrued {
    int64_t windows;           // months (or billing periods) begun in this window under this version
    int64_t shares;            // the same by local days begun; RATING_SHARES are one month
    int64_t days;              // local days begun
    instant_ms windows_until;  // counted up to here, a local midnight; 0: never
    instant_ms days_until;
    int64_t dates_ahead;  // RATING_AHEAD_WINDOWS and RATING_AHEAD_DAYS: that clock's local date is behind its UTC date
} rating_accrued;

// With volume tiers a price follows the total of the window also after its version has gone: it is `value` * 10^-scale
// (and a rest) as long as the window stays at or below `upper_milli`.
#define RATING_AHEAD_MAX 12
typedef struct rating_ahead {
    int128 value;
    int64_t upper_milli;
    int32_t scale;
    int32_t rest;
} rating_ahead;

typedef struct rating_state {
    uint64_t version;           // tariff version of the matrix; 0: nothing rated yet
    time_window window;         // the open tier window
    money_micro charged_micro;  // charged in this window so far, all versions
    int64_t before_milli;       // used in this window under earlier versions
    exact_amount carried;       // the price of that, unrounded
    exact_amount priced;        // carried + price of the matrix, unrounded
    int32_t carried_rest;       // 1/RATING_SHARES of the last decimal of `carried`, from days of months
    int32_t priced_rest;
    rating_accrued accrued;
    uint32_t periods;
    uint32_t steps;
    uint32_t window_dates_ahead;   // RATING_AHEAD_FROM and RATING_AHEAD_TO, of the window
    uint32_t carried_ahead_count;  // 0 where `carried` does not depend on the total; else from here upwards
    uint32_t priced_ahead_count;
    int64_t used_milli[RATING_CELLS_MAX];          // row-major: [period * steps + step]; only the first periods * steps count
    rating_ahead carried_ahead[RATING_AHEAD_MAX];  // rising, the last one without end
    rating_ahead priced_ahead[RATING_AHEAD_MAX];
} rating_state;

void rating_state_init(rating_state *self);  // a new account
// For many states in memory: so many bytes from the beginning of a state, zeroed for a new account and aligned like one,
// are all that rating_charge without a trace and rating_state_pack touch, under tariffs of no greater room. Never copy
// such a state as a whole.
size_t rating_state_room(const tariff *tariff);
// The next account at the same usage point: as rating_state_init, but no calendar window accrues fixed lines again.
void rating_state_hand_over(rating_state *self);
int64_t rating_state_used_milli(const rating_state *self);  // tier position in the window
// Equal in everything that counts (unused cells do not).
bool rating_state_equal(const rating_state *a, const rating_state *b);

// Storage: opaque bytes, versioned by their first byte, variable-length integers. Five periods by three tiers stay
// within 160 bytes up to 10^12 Wh in every cell, with fixed lines up to 10^10. An initial state packs to one byte; no bytes at all unpack
// to it.
#define RATING_STATE_BYTES_MAX 2600
size_t rating_state_pack(const rating_state *self, uint8_t out[RATING_STATE_BYTES_MAX]);
// ERR_MALFORMED with the offset as place.
err_t rating_state_unpack(sv bytes, rating_state *out_state, fault *out_fault) MUST_CHECK;
