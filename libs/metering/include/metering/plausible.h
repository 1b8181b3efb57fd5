// May this reading be charged? Pure rules on two readings of one register of one epoch; the caller keeps the last one
// and acts on the answer. A refused reading is quarantined: it never changes the last reading and is never charged.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/sv.h"

typedef enum reading_verdict {
#define VERDICT(name, text, is_accepted, meaning) VERDICT_##name,
#include "metering/verdicts.def"
#undef VERDICT
    VERDICT_COUNT
} reading_verdict;

sv verdict_text(reading_verdict verdict);
bool verdict_is_accepted(reading_verdict verdict);

// Bounds of one register. All values in the register's own integer unit.
typedef struct reading_limits {
    int64_t max_per_hour;  // rated power in W for energy, litres per hour for volume; 0: unknown, any step passes
    int64_t range;         // first value the register cannot show (1 000 000.00 kWh: 10^9 Wh); 0: it never rolls over
    int64_t resolution;    // one count of the display (0.01 kWh: 10 Wh); at least 1
} reading_limits;

typedef struct reading_point {
    instant_ms at;
    int64_t value;
} reading_point;

// A step may exceed the rated one by a fifth, by two counts, and by what flows in this time (both clocks may be off
// by the tolerance of a live answer).
#define READING_STEP_SLACK_MS (5 * MINUTE_MS)

// Most that can have been used between two instants; INT64_MAX when unknown. Order of the instants does not matter.
int64_t reading_step_max(const reading_limits *limits, instant_ms from, instant_ms to);

// `previous` is NULL for the first reading of an epoch. *out_usage is the usage since `previous`: only STEP and
// ROLLOVER have any, else 0.
reading_verdict reading_judge(const reading_limits *limits, const reading_point *previous, reading_point next, int64_t *out_usage);

// A late reading between its neighbours in time (`after` may be NULL, then it is reading_judge). STEP when it fits
// both, DUPLICATE or CONFLICT when it meets one of them, else the reason. Rollover is not looked for.
reading_verdict reading_judge_between(const reading_limits *limits, const reading_point *before, const reading_point *after,
                                      reading_point late);
