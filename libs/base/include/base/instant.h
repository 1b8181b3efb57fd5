// Points in time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds. Local time belongs to `calendar`.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

typedef int64_t instant_ms;

#define INSTANT_MIN (-62135596800000LL)  // 0001-01-01T00:00:00Z
#define INSTANT_MAX 253402300799999LL    // 9999-12-31T23:59:59.999Z
#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define INSTANT_TEXT_MAX 40

// Reads RFC 3339 (section 5.6): date, 'T', time, optional fraction (beyond milliseconds: refused unless zeros), and
// a required offset. A leap second 60 is refused.
bool instant_parse(sv text, instant_ms *out_at);

// Writes RFC 3339 with the given offset ("Z" when 0), milliseconds only when not zero. Returns the length.
size_t instant_format(instant_ms at, int32_t offset_s, char out[INSTANT_TEXT_MAX]);

// Proleptic Gregorian calendar: days since 1970-01-01.
int64_t days_from_civil(int32_t year, int32_t month, int32_t day);
void civil_from_days(int64_t days, int32_t *out_year, int32_t *out_month, int32_t *out_day);
// Month 1–12; 28, 29, 30 or 31.
int32_t days_in_month(int32_t year, int32_t month);
