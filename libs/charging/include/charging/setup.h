// What applies to a usage point over time: which channel measures it, who holds it, which tariff version prices it.
// Built from core (libs/setups); immutable while readings are charged with it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "calendar/zone.h"
#include "ledger/ledger.h"
#include "metering/plausible.h"
#include "rating/tariff.h"

#define CHARGING_REGISTERS_MAX 5  // period registers t1…t5

// A channel measures the point in [from, to): from opening_value on, and when it ended up to closing_value, both as
// the total register shows them.
typedef struct charging_installation {
    int64_t channel;
    instant_ms from;
    instant_ms to;  // INSTANT_MAX while installed
    int64_t opening_value;
    int64_t closing_value;  // −1 while installed
    int32_t ratio_num;      // usage = register difference × ratio_num / ratio_den
    int32_t ratio_den;
    reading_limits limits;  // in register units, before the ratio
    size_t period_count;    // 0: the meter's period registers do not follow any tariff
    sv periods[CHARGING_REGISTERS_MAX];
} charging_installation;

typedef struct charging_holder {
    int64_t account;
    int64_t purse;
    instant_ms from;
    instant_ms to;
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
} charging_setup;

// The installation of `channel` that covers `at`; NULL when there is none.
const charging_installation *charging_installation_at(const charging_setup *self, int64_t channel, instant_ms at);
const charging_holder *charging_holder_at(const charging_setup *self, instant_ms at);
const charging_version *charging_version_at(const charging_setup *self, instant_ms at);
