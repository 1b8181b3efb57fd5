// What one transaction of billing writes, collected row by row and posted at once.
#pragma once

#include "base/arena.h"
#include "base/vec.h"
#include "charging/point.h"
#include "db/db.h"
#include "ledger/ledger.h"
#include "points.h"
#include "polls.h"

// As the comments on billing.charge say.
typedef enum charge_kind { CHARGE_BASE = 0, CHARGE_CORRECTION = 1, CHARGE_CLOSE = 2 } charge_kind;
typedef enum charge_cause { CAUSE_BLOCK = 0, CAUSE_REPLAY = 1, CAUSE_RECHARGE = 2, CAUSE_CLOSE = 3, CAUSE_GAP = 4 } charge_cause;

typedef struct charge_row {
    int64_t id;
    int64_t usage_point;
    charging_piece piece;
    charge_kind kind;
    charge_cause cause;
    int16_t cause_record;
    int64_t cause_num;  // block, the charge that is corrected, or the recharge
    int64_t corrects;   // 0: none
    bool is_history;    // from backfill only
    const charging_setup *setup;
} charge_row;

// A point as it will stand; kept in the cache when the transaction has committed.
typedef struct point_row {
    point_entry *entry;
    charging_point point;  // what the columns repeat
    sv state;
    int16_t partition;
    instant_ms day_start;
    int64_t day_quantity;
    int64_t day_amount;
    instant_ms stopped_since;  // 0: not stopped
    int64_t rated_version;     // of the newest usage; POINT_RATED_UNKNOWN: as before
} point_row;

typedef struct reading_row {
    const stored_record *record;
    int32_t epoch;
} reading_row;

typedef struct quarantine_row {
    const stored_record *record;
    int64_t usage_point;
    int32_t epoch;
    const char *reason;
    const char *detail;
} quarantine_row;

typedef struct checkpoint_row {
    int32_t company;
    int64_t usage_point, account;
    instant_ms window_from;
    sv state;
} checkpoint_row;

// From `from` on the usage of the point was rated under this version.
typedef struct rated_row {
    int32_t company;
    int64_t usage_point;
    instant_ms from;
    int64_t version_num;
    int64_t run;  // the recharge that decided it; 0: it was charged first
} rated_row;

typedef struct day_row {
    int32_t company;
    int64_t usage_point;
    int32_t day;
    int16_t partition;
} day_row;

typedef struct replay_row {
    int32_t company;
    int64_t usage_point;
    int16_t partition;
    instant_ms from_at;
    const char *reason;
} replay_row;

typedef struct dead_row {
    const stored_record *record;
    int64_t usage_point, property;
    const char *error;
} dead_row;

typedef struct touched_property {
    int32_t company;
    int64_t property;
} touched_property;

// A tier window that was opened or closed under a tariff with lines that post at its close.
typedef struct window_row {
    int32_t company;
    int64_t usage_point, account, purse, version_num;
    int16_t partition;
    time_window window;
    bool is_closed;
    sv state;  // packed rating state, of a closed one
    int64_t contracted_va;
    charging_demand demand;
} window_row;

typedef struct effects {
    arena *memory;  // borrowed
    num_series *nums;
    instant_ms now;
    VEC(reading_row) readings;
    VEC(charge_row) charges;
    VEC(point_row) points;
    VEC(quarantine_row) quarantine;
    VEC(checkpoint_row) checkpoints;
    VEC(rated_row) rated;
    VEC(day_row) days;
    VEC(replay_row) replays;
    VEC(dead_row) dead;
    VEC(window_row) windows;
    VEC(touched_property) properties;
} effects;

void effects_init(effects *self, arena *borrowed_memory, num_series *nums, instant_ms now);
void effects_done(effects *self);
void effects_auto(effects *self);
// What a poll did to the windows of its point; one row for each of them, the last word wins.
void effects_take_windows(effects *self, const charging_setup *setup, const charging_outcome *outcome);

// How far the rows of all kinds reach, to take back what was added since.
typedef struct effects_mark {
    size_t readings, charges, points, quarantine, checkpoints, rated, days, replays, dead, windows, properties;
} effects_mark;
effects_mark effects_mark_of(const effects *self);
void effects_reset(effects *self, effects_mark to);

void effects_touch(effects *self, int32_t company, int64_t property);

// Writes everything in the open transaction. ERR_OVERFLOW when the sums of a purse pass int64; ERR_INTERNAL when a
// point or purse that must exist was not found. Nothing here commits.
err_t effects_post(effects *self, db *conn, fault *out_fault) MUST_CHECK;
// After the commit: the cache takes over the new states.
void effects_keep(effects *self);
