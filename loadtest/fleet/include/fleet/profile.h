// The energy a simulated meter has counted at any instant, as a pure function of (seed, address, kind of customer,
// instant). There is no state: a history written beforehand, the running simulator, a restart and the truth that a test
// compares with all call the same function and agree to the watt-hour.
//
// Cost does not depend on the distance of the instant: whole weeks are multiplied, days and hours inside are prefix sums
// with a bounded random displacement, so every register is monotonic. Days are local days of UTC+8, without daylight
// saving.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/sv.h"

typedef enum fleet_profile {
#define FLEET_PROFILE(name, text, weekday_wh, weekend_wh, weekday_shape, weekend_shape) FLEET_PROFILE_##name,
#include "fleet/profiles.def"
#undef FLEET_PROFILE
    FLEET_PROFILE_COUNT
} fleet_profile;

const char *fleet_profile_name(fleet_profile profile);
bool fleet_profile_parse(sv text, fleet_profile *out_profile);

#define FLEET_PERIODS 4  // registers t1 sharp, t2 peak, t3 flat, t4 valley
#define FLEET_UTC_OFFSET_S 28800

typedef struct fleet_load {
    uint64_t seed;
    uint64_t address;  // the twelve digits of the bus address as a number
    fleet_profile profile;
    int64_t start_wh;     // what the total register shows at start_at
    instant_ms start_at;  // before this instant the register was lower, after it higher
} fleet_load;

// The four periods always sum to the total, exactly.
typedef struct fleet_registers {
    int64_t total_wh;
    int64_t period_wh[FLEET_PERIODS];
} fleet_registers;

// Instants before 2024-01-01T00:00+08:00 count as that instant.
fleet_registers fleet_load_at(const fleet_load *self, instant_ms at);

// The local hour around an instant, for callers that ask often: its cost is paid once an hour.
typedef struct fleet_hour {
    instant_ms from;  // the hour is [from, from + HOUR_MS)
    fleet_registers start;
    int64_t energy_wh[FLEET_PERIODS];  // of the whole hour, also its power in watts; one entry is not zero
} fleet_hour;

fleet_hour fleet_load_hour(const fleet_load *self, instant_ms at);
// `at` inside the hour; the same value as fleet_load_at.
fleet_registers fleet_hour_at(const fleet_hour *self, instant_ms at);

// Energy counted between two instants, from <= to; never negative.
int64_t fleet_load_used_wh(const fleet_load *self, instant_ms from, instant_ms to);

// The mean power of the hour in watts: the slope of the registers.
int64_t fleet_hour_power_w(const fleet_hour *self);

// What the display of a DL/T 645 meter shows: whole counts of 0.01 kWh below 1 000 000 kWh, so it rolls over.
int64_t fleet_display_counts(int64_t energy_wh);

// A well-mixed 64-bit value of two numbers; the simulator's only source of chance.
uint64_t fleet_mix(uint64_t a, uint64_t b);
