// Time as a parameter: every part that needs "now" is handed a clock. Services use the system's; tests set theirs.
#pragma once

#include "base/instant.h"

typedef struct penstock_clock {
    instant_ms (*now)(const struct penstock_clock *self);  // wall clock
    int64_t shift_ms;                                      // system clock: added to it; manual clock: the time itself
} penstock_clock;

penstock_clock clock_system(void);
penstock_clock clock_manual(instant_ms at);
instant_ms clock_now(const penstock_clock *self);

// For time-outs and durations: never goes back, unrelated to the wall clock.
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void);
