// Time zones from TZif bytes (RFC 9636, version 2 and later, with the POSIX TZ footer for the far future). A zone is
// immutable: share it between threads. No file is read here; `documents/zone_files.h` loads the system's.
//
// Local days are counted as days since 1970-01-01 of the civil calendar (days_from_civil).
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/mem.h"
#include "base/sv.h"

typedef struct zone zone;

#define ZONE_NAME_MAX 64

// ERR_MALFORMED with place "offset N" when the bytes are not such a file. The caller frees.
err_t zone_new(sv name, sv tzif, zone **out_zone, fault *out_fault) MUST_CHECK;
zone *zone_new_fixed(sv name, int32_t offset_s);  // without transitions, for tests and plain offsets
void zone_free(zone *self);
void zone_free_variable(zone **self);
#define AUTO_ZONE __attribute__((cleanup(zone_free_variable))) zone *
sv zone_name(const zone *self);

// A stretch of time with one offset from UTC: [from, to).
typedef struct zone_stretch {
    instant_ms from;
    instant_ms to;
    int32_t offset_s;
} zone_stretch;

zone_stretch zone_stretch_at(const zone *self, instant_ms at);

typedef struct local_time {
    int64_t day;  // local days since 1970-01-01
    int32_t year;
    int32_t month;         // 1–12
    int32_t day_of_month;  // 1–31
    int32_t ms_of_day;     // civil: 0–86 399 999
    int32_t offset_s;
} local_time;

local_time zone_local_time(const zone *self, instant_ms at);
int64_t zone_local_day(const zone *self, instant_ms at);
// The local day whose bounds hold `at`: where the clock goes back over midnight, the repeated end of yesterday belongs to
// today, which has begun. Never falls as time goes on, as zone_local_day may.
int64_t zone_begun_day(const zone *self, instant_ms at);

// The instant of a civil time. A time that the clock skips gives the first instant after the gap; one that comes
// twice gives its first occurrence.
instant_ms zone_instant(const zone *self, int64_t day, int32_t ms_of_day);
// Bounds of a local day: [start(day), start(day + 1)) lasts 23, 24 or 25 hours, or what the zone's history says.
instant_ms zone_day_start(const zone *self, int64_t day);
