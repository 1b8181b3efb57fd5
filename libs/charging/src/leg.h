// The way from one reading to the next, cut into parts on its way into the matrix.
#pragma once

#include "charging/point.h"

typedef struct leg {
    instant_ms from, to;
    int64_t from_value, to_value;
    int64_t quantity;
    int32_t epoch;
    uint32_t register_count;  // 0: split by time
    int64_t registers[CHARGING_REGISTERS_MAX];
    bool is_estimated;
    const charging_profile *profile;  // of the gap it lies in; NULL: none
    // For closing lines; 0 or false where nothing is known.
    int64_t average_w;
    int64_t register_w;
    bool has_reactive;
    bool begins_reactive;  // reactive energy was read here for the first time
    int64_t reactive;
} leg;

int64_t leg_scaled(const charging_installation *inst, int128 value);

// demand.c: fills in what the leg tells for closing lines, and remembers where it ended. `poll` is the leg's end.
void demand_measure(charging_demand *self, const charging_installation *inst, const charging_poll *poll, leg *way);
// What was measured of a tier window does not belong to the next holder.
void demand_hand_over(charging_demand *self);
// Another counter begins: nothing read before can be subtracted.
void demand_change_channel(charging_demand *self);

// How the rating state stood before a part.
typedef struct window_before {
    uint64_t version;
    instant_ms from;
} window_before;

// After a part was rated: tells the outcome which tier windows it opened and which it ended.
void windows_take(charging_outcome *outcome, charging_point *point, const charging_holder *holder, const charging_version *version,
                  const leg *part, window_before before);
