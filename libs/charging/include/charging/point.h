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
    instant_ms checkpoint_due;  // the first reading at or after it asks for a checkpoint
    rating_state rating;
} charging_point;

void charging_point_init(charging_point *self);

// Packed form, versioned by its first byte: a checkpoint, and the state column of billing.point. At most 160 bytes for
// five periods by three tiers and realistic counters.
#define CHARGING_POINT_BYTES_MAX (RATING_STATE_BYTES_MAX + 200)
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
} charging_poll;

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
} charging_piece;

typedef struct charging_outcome {
    VEC(charging_piece) pieces;  // appended to; clear it between polls
    reading_verdict verdict;     // of the total register
    rating_answer rating;        // of UNRATABLE
    bool asks_checkpoint;        // keep `before` as the checkpoint of the month that begins at checkpoint_from
    instant_ms checkpoint_from;
    charging_point before;  // the point as it was; filled when asks_checkpoint
} charging_outcome;

void charging_outcome_done(charging_outcome *self);

// Moves the point by one poll. Any answer but CHARGED leaves the point and the pieces as they were.
charging_answer charging_apply(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_poll *poll,
                               charging_outcome *out_outcome);

// Several polls of a point in one transaction make one charge: extends `*into` by `next` when it continues it in time
// and value under the same holder, version, channel and epoch.
bool charging_piece_join(charging_piece *into, const charging_piece *next);
