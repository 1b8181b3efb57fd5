// What applies to a usage point over time: which channel measures it, who holds it, which tariff version prices it.
// Built from core (libs/setups); immutable while readings are charged with it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "calendar/zone.h"
#include "charging/profile.h"
#include "ledger/ledger.h"
#include "metering/plausible.h"
#include "rating/rating.h"
#include "rating/tariff.h"

#define CHARGING_REGISTERS_MAX 5  // period registers t1…t5

// A channel measures the point in [from, to): from opening_value on, and when it ended up to closing_value, both as
// the total register shows them.
typedef struct charging_installation {
    int64_t channel;
    instant_ms from;
    instant_ms to;  // INSTANT_MAX while installed
    int64_t opening_value;
    int64_t closing_value;     // −1 while installed
    bool has_estimated_close;  // nobody could read closing_value: what was used up to it is an estimate
    int32_t ratio_num;         // usage = register difference × ratio_num / ratio_den
    int32_t ratio_den;
    reading_limits limits;  // in register units, before the ratio
    size_t period_count;    // 0: the meter's period registers do not follow any tariff
    sv periods[CHARGING_REGISTERS_MAX];
} charging_installation;

typedef struct charging_heads {
    instant_ms from;
    int32_t heads;
} charging_heads;

// Terms that change while an account holds the point begin a row of their own; the same account goes on in it.
typedef struct charging_holder {
    int64_t account;
    int64_t purse;
    instant_ms from;
    instant_ms to;
    instant_ms opened_at;   // of the account, whatever it held when; 0: unknown, long ago
    int64_t contracted_va;  // contracted capacity; 0: none
    size_t heads_count;
    const charging_heads *heads;  // of its agreement, rising; before the first one the first one counts
} charging_holder;

// From `from` until the next one's `from`. The tariff is NULL while none applies.
typedef struct charging_version {
    instant_ms from;
    int64_t num;
    const tariff *tariff;
} charging_version;

// Each list rises by `from`; holders and installations of one channel do not overlap.
typedef struct charging_setup {
    int32_t company;
    int64_t usage_point;
    int64_t property;
    int32_t partition;
    int64_t legal_entity;
    purpose item;
    currency currency;
    const zone *zone;
    size_t installation_count;
    const charging_installation *installations;
    size_t holder_count;
    const charging_holder *holders;
    size_t version_count;
    const charging_version *versions;
    int64_t rated_version;  // num of the one that priced the newest usage when the setup was made; −1: none was charged
    int64_t gap_after_ms;   // a longer stretch without readings is a gap from now on; 0: none is
    size_t profile_count;
    const charging_profile *profiles;  // of the gaps seen so far
} charging_setup;

// The installation of `channel` that covers `at`; NULL when there is none.
const charging_installation *charging_installation_at(const charging_setup *self, int64_t channel, instant_ms at);
const charging_holder *charging_holder_at(const charging_setup *self, instant_ms at);
// The stretch around `at` in which one account held the point without a break, whatever terms changed meanwhile; its purse
// is the newest. Account 0: nobody held it.
typedef struct charging_holding {
    int64_t account;
    int64_t purse;
    instant_ms from;
    instant_ms to;
} charging_holding;
charging_holding charging_holding_at(const charging_setup *self, instant_ms at);
const charging_version *charging_version_at(const charging_setup *self, instant_ms at);
// The first instant from which on two lists of versions differ; INSTANT_MAX: they never do.
instant_ms charging_versions_differ_from(const charging_version *a, size_t a_count, const charging_version *b, size_t b_count);
// The gap that [from, to) is, or is a part of; NULL when it is none.
const charging_profile *charging_profile_of(const charging_setup *self, instant_ms from, instant_ms to);
// Whose tier edges count in the tier window that holds `at`. Heads are those of the window's first instant (of the
// account's, where it was opened inside it): a change takes effect with the next window.
rating_holder charging_holder_facts(const charging_holder *self, const tariff *version, instant_ms at);
