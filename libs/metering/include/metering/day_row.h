// One lossless row per usage point and local day: every reading of the day, packed by difference. It is archive and
// daily rollup in one. Readings are sorted by register, epoch, time; that triple is unique in a row.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"

typedef struct day_reading {
    instant_ms at;
    int64_t value;
    int32_t epoch;  // not negative
    uint8_t reg;
    uint8_t quality;
    uint16_t flags;
} day_reading;

// More readings than a day can hold: 36 registers each minute.
#define DAY_ROW_READINGS_MAX 65536
#define DAY_ROW_BYTES_MAX (1u << 20)

void day_row_sort(day_reading *readings, size_t count);

// Appends the packed form of sorted readings to `out`. `day_start` only makes times short; unpacking needs the same.
// ERR_BAD_INPUT: not sorted, not unique, or more than DAY_ROW_READINGS_MAX. ERR_TOO_LARGE: `out` is full.
MUST_CHECK err_t day_row_pack(const day_reading *sorted, size_t count, instant_ms day_start, buf *out);

// Number of readings a packed row claims to hold, for sizing; ERR_MALFORMED when it cannot be one.
MUST_CHECK err_t day_row_count(sv packed, size_t *out_count);
// ERR_MALFORMED on anything day_row_pack cannot have written; ERR_TOO_LARGE when `capacity` is too small.
MUST_CHECK err_t day_row_unpack(sv packed, instant_ms day_start, day_reading *out, size_t capacity, size_t *out_count);

// Unites two sorted series into `out` (room for both). Of two readings with one key the one of `kept` stays; if their
// values differ, *out_conflicts counts it. Returns how many there are.
size_t day_row_merge(const day_reading *kept, size_t kept_count, const day_reading *late, size_t late_count, day_reading *out,
                     size_t *out_conflicts);

// What the row's columns tell about one register. `sum` is what a cumulative register rose within its epochs, for
// others the sum of the values (for means). All zero when it has no reading.
typedef struct day_summary {
    int64_t count;
    int64_t first;
    int64_t last;
    int64_t min;
    int64_t max;
    int64_t sum;  // saturates at the int64 bounds
} day_summary;

day_summary day_row_summarize(const day_reading *sorted, size_t count, uint8_t reg);
