// What is remembered of a usage point between two readings, and how a reading moves it. The one place where readings
// become charges: live billing, the replay of a window, `ledger verify` and explanations all call charging_apply.
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "charging/setup.h"
#include "metering/block.h"
#include "rating/rating.h"

typedef enum charging_answer {
#define CHARGING_ANSWER(name, text, meaning) CHARGING_##name,
#include "charging/answers.def"
#undef CHARGING_ANSWER
} charging_answer;

const char *charging_answer_text(charging_answer answer);

// What is measured for the lines that post at the close of a tier window; kept only under a version that has such lines.
#define CHARGING_DEMAND_MS (15 * MINUTE_MS)
typedef struct charging_demand {
    instant_ms window_from;  // the tier window of the next four
    int64_t average_w;       // highest average power between readings at least 15 minutes apart
    int64_t register_w;      // highest value the meter's own maximum-demand register rose to; 0: none came
    int64_t active;          // milli-units, where reactive energy was read as well
    int64_t reactive;        // of reactive energy, the same stretches
    int64_t stretch_ms;      // since the readings that `average_w` took last: nearer ones add up
    int64_t stretch_quantity;
    int64_t active_since;  // used since reactive energy was read last
    bool has_register_last;
    bool has_reactive_last;
    int64_t register_last;  // mW, before the ratio
    int64_t reactive_last;  // as the register shows it
} charging_demand;

typedef struct charging_point {
    int64_t channel;  // 0: nothing was read yet
    int32_t epoch;    // of the channel; rises at each rollover
    instant_ms last_at;
    int64_t last_value;
    uint32_t register_count;  // how many of `registers` are known; 0 or the installation's period_count
    int64_t registers[CHARGING_REGISTERS_MAX];
    int64_t account;  // holder at last_at; 0 for none
    int64_t purse;
    money_micro charged_total;  // by this holder here, since it holds the point
    int64_t quantity_total;
    instant_ms checkpoint_due;   // the first reading at or after it asks for a checkpoint
    instant_ms estimated_since;  // the last interval was a gap that began here; 0: it was none
    charging_demand demand;
    rating_state rating;
} charging_point;

void charging_point_init(charging_point *self);

// Packed form, versioned by its first byte: a checkpoint, and the state column of billing.point. At most 160 bytes for
// five periods by three tiers and realistic counters.
#define CHARGING_POINT_BYTES_MAX (RATING_STATE_BYTES_MAX + 340)
size_t charging_point_pack(const charging_point *self, uint8_t out[CHARGING_POINT_BYTES_MAX]);
err_t charging_point_unpack(sv bytes, charging_point *out_point, fault *out_fault) MUST_CHECK;
bool charging_point_equal(const charging_point *a, const charging_point *b);

// The registers of one channel at one time, as the adjacent records of a block give them.
typedef struct charging_poll {
    int64_t channel;
    instant_ms at;
    int64_t value;  // the total register
    uint8_t quality;
    uint16_t flags;
    uint32_t register_count;  // t1…: how many came without a gap
    int64_t registers[CHARGING_REGISTERS_MAX];
    bool has_reactive;
    bool has_max_demand;
    int64_t reactive;    // reactive energy, as its register shows it
    int64_t max_demand;  // mW, before the ratio
} charging_poll;

// Takes what another register of the poll says; the total and the period registers are the caller's.
void charging_poll_take(charging_poll *self, uint8_t reg, int64_t value);

// One charge: a stretch of time with one holder and one tariff version. Pieces of a poll tile [last_at, at] and
// [last_value, value]; account 0 is usage nobody holds: it tiles but is not charged.
typedef struct charging_piece {
    int64_t channel;
    int32_t epoch;
    instant_ms from_at;
    instant_ms to_at;
    int64_t from_value;
    int64_t to_value;
    int64_t quantity;  // milli-units after the ratio
    money_micro amount;
    int64_t version_num;  // 0 when not charged
    int64_t account;
    int64_t purse;
    bool is_estimated;                // a gap: the quantity is measured, when it was used is not; or a close nobody could read
    const charging_profile *profile;  // of the gap, borrowed from the setup; NULL: none
} charging_piece;

typedef enum demand_source { DEMAND_UNKNOWN, DEMAND_OF_REGISTER, DEMAND_OF_READINGS } demand_source;

// A tier window that was opened, or that ended, under a version with lines that post at its close. Readings are charged
// without those lines: rating_close says what they add.
typedef struct charging_window {
    int64_t account;
    int64_t purse;
    int64_t version_num;
    bool is_closed;
    int64_t contracted_va;
    charging_demand demand;
    rating_state state;  // its window tells from when to when
} charging_window;

// What rating_close needs of a window. The meter's own maximum demand counts where it sent one, else the highest average
// power between readings; the power factor is active over apparent energy.
rating_closing charging_closing_of(const charging_window *self, demand_source *out_source);

typedef struct charging_outcome {
    VEC(charging_piece) pieces;    // appended to; clear it between polls
    reading_verdict verdict;       // of the total register
    rating_answer rating;          // of UNRATABLE
    VEC(charging_window) windows;  // of the last poll: opened and closed ones, in order
    bool finds_gaps;               // in: answer GAP to a gap that no profile in the setup describes
    instant_ms gap_from, gap_to;   // of GAP
    rating_trace trace;            // scratch
    bool asks_checkpoint;          // keep `before` as the checkpoint of the month that begins at checkpoint_from
    instant_ms checkpoint_from;
    charging_point before;  // the point as it was; filled when asks_checkpoint
} charging_outcome;

void charging_outcome_done(charging_outcome *self);

// Moves the point by one poll. GAP, only when asked for: nothing is charged before a profile is made for the gap. Any answer but CHARGED
// leaves the point and the pieces as they were.
charging_answer charging_apply(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_poll *poll,
                               charging_outcome *out_outcome);

// Puts a piece into the matrix, alone: half hour by half hour where it lies in a gap. `per_period` as rating_interval.
typedef struct charging_stretch {
    const charging_setup *setup;
    const charging_holder *holder;
    const tariff *tariff;
    instant_ms from;
    instant_ms to;
    int64_t quantity;
    const int64_t *per_period;
    const charging_profile *profile;  // NULL: by time
} charging_stretch;
rating_answer charging_rate(const charging_stretch *self, rating_cache *cache, rating_state *state, money_micro *out_amount,
                            rating_trace *trace) MUST_CHECK;

// Several polls of a point in one transaction make one charge: extends `*into` by `next` when it continues it in time
// and value under the same holder, version, channel and epoch.
bool charging_piece_join(charging_piece *into, const charging_piece *next);
