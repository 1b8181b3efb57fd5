// A worker's memory of usage points: which channel measures which point, and each point's packed state as its row
// stands. It is a cache: dropped on any doubt, loaded again from the rows.
#pragma once

#include "base/num_map.h"
#include "setups/setups.h"

#define POINT_RATED_UNKNOWN (-2)

typedef struct point_entry {
    int64_t num;
    int32_t company;
    bool is_stored;   // billing.point has a row
    bool is_stopped;  // its readings are stored and wait
    int64_t channel;  // as in the row, to see what changed
    int64_t account;
    int64_t purse;
    int32_t epoch;
    instant_ms estimated_since;
    int64_t rated_version;  // as billing.rated_version says of its newest usage; POINT_RATED_UNKNOWN: see the setup
    instant_ms day_start;   // local day of the last reading; INSTANT_MIN before the first
    int64_t day_quantity;
    int64_t day_amount;
    size_t state_len;
    uint8_t *state;  // charging_point_pack
} point_entry;

typedef struct points points;

points *points_new(setups *borrowed_setups);
void points_free(points *self);
void points_clear(points *self);
// A company's configuration changed: its setups and channels are unknown, the states of its points stay true.
void points_forget_company(points *self, int32_t company);
// Only this channel's points are unknown.
void points_forget_channel(points *self, int64_t channel);
// Loads the setup of a point anew if it is known.
err_t points_reload(points *self, db *conn, const setups_key *nums, size_t count) MUST_CHECK;

// Makes the points of these channels known, with setups and states. Errors are the database's, or ERR_INTERNAL for a
// stored state nobody can read.
err_t points_load(points *self, db *conn, const setups_key *channels, size_t count, fault *out_fault) MUST_CHECK;
// The same for points named directly.
err_t points_load_nums(points *self, db *conn, const setups_key *nums, size_t count, fault *out_fault) MUST_CHECK;

// The usage point a channel measures at an instant; when none, the one it measures at any other time, else NULL.
point_entry *points_of_channel(const points *self, int64_t channel, instant_ms at);
point_entry *points_find(const points *self, int64_t usage_point);
// Replaces the packed state after a commit.
void point_entry_keep(point_entry *self, sv state);
size_t points_count(const points *self);
