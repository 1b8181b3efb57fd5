// The POSIX TZ text at the end of a TZif file (RFC 9636 §3.3): the rule that holds after the last listed transition.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/sv.h"

typedef struct posix_day {
    enum { POSIX_DAY_MONTH_WEEK, POSIX_DAY_JULIAN, POSIX_DAY_ZERO_BASED } kind;
    int32_t month;
    int32_t week;  // 5: the last
    int32_t weekday;
    int32_t day;  // Jn: 1–365 without 29 February; n: 0–365 with it
    int32_t time_s;
} posix_day;

typedef struct posix_tz {
    int32_t standard_offset_s;
    bool has_summer;
    int32_t summer_offset_s;
    posix_day summer_starts;
    posix_day summer_ends;
} posix_tz;

bool posix_tz_parse(sv text, posix_tz *out_rule);
// When summer time starts and ends in a civil year.
void posix_tz_year(const posix_tz *self, int32_t year, instant_ms *out_start, instant_ms *out_end);
