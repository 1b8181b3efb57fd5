// Charging setups from the database: what measures, holds and prices a usage point over time, as known at an instant.
// A cache of one thread; tariff versions are compiled once and shared by all points that use them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "charging/setup.h"
#include "db/db.h"
#include "documents/zone_files.h"

typedef struct setups setups;

// Rows that core's numbers name: a usage point or a channel of a company.
typedef struct setups_key {
    int32_t company;
    int64_t num;
} setups_key;

// `zones` must outlive it and may be shared between threads.
setups *setups_new(zone_set *zones);
void setups_free(setups *self);
void setups_free_variable(setups **self);
#define AUTO_SETUPS __attribute__((cleanup(setups_free_variable))) setups *

// Which tariff version prices a stretch of usage is decided when it is charged, and stays decided: `versions` of a setup
// are, up to the last reading of the point, those that rated it (billing.rated_version), and from there on those known at
// known_at. A version published afterwards, whatever its effective_from, counts only from where the point stands when it
// becomes known; a replay of late readings, `ledger verify` and explanations therefore rate as live billing did. What was
// decided changes by a recharge alone:
typedef struct setups_knowledge {
    instant_ms known_at;        // versions and assignments that came later do not count
    instant_ms recharged_from;  // usage from here on is taken as known at known_at, rated or not; INSTANT_MAX: none
    bool takes_final_indices;   // a version with provisional index values gives way to the one with final values
    instant_ms decided_until;   // what was decided later does not count; INSTANT_MAX: all does
} setups_knowledge;

err_t setups_load_as(setups *self, db *conn, const setups_key *points, size_t count, const setups_knowledge *how) MUST_CHECK;

// Loads, or loads anew, the setups of usage points, as decided so far. A point that does not exist stays unknown. A point whose own data
// cannot be used (a version that does not compile, a currency or zone nobody knows) is kept with the reason: see
// setups_fault. The error is the database's.
err_t setups_load(setups *self, db *conn, const setups_key *points, size_t count, instant_ms known_at) MUST_CHECK;

// Lives until the point is loaded anew or forgotten. NULL: not loaded, or without a usable setup.
const charging_setup *setups_find(const setups *self, int64_t usage_point);
// Why a loaded point has no usable setup; NULL when it has one or is not loaded.
const char *setups_fault(const setups *self, int64_t usage_point);
// After a change of a company's configuration: its points are unknown until loaded anew.
void setups_forget(setups *self, int32_t company);
void setups_forget_all(setups *self);

// A gap that was stored after the point was loaded; a point that is not loaded will find it.
void setups_add_gap(setups *self, int64_t usage_point, const charging_profile *gap);
// The transaction that was to store it did not commit.
void setups_drop_gap(setups *self, int64_t usage_point, instant_ms from, instant_ms to);

// The usage points that channels measure: pairs (channel, usage point) appended to `out`, ordered by channel.
typedef struct setups_channel_point {
    int64_t channel;
    int64_t usage_point;
} setups_channel_point;
typedef VEC(setups_channel_point) setups_channel_points;
err_t setups_channels(db *conn, const setups_key *channels, size_t count, setups_channel_points *out) MUST_CHECK;
