// Which period holds when: band edges as instants, worked out once per bucket of 24 hours.
#pragma once

#include <stdint.h>

#include "rating/rating.h"
#include "rating/tariff.h"

// A bucket touches at most four parts of local days: zones change at most twice in 24 hours (calendar sees to it).
#define BAND_TABLE_MAX 200

typedef struct band_table {
    uint64_t fingerprint;  // of the tariff's bands; 0: empty
    int64_t bucket;
    instant_ms from;
    uint32_t count;
    uint32_t from_ms[BAND_TABLE_MAX];  // since `from`, rising, the first 0; neighbours differ in period
    uint8_t period[BAND_TABLE_MAX];
} band_table;

// The period at `at` and until when it holds without a break, at most `limit`. `scratch` serves where there is no cache.
uint32_t band_run(const tariff *tariff, rating_cache *cache, band_table *scratch, instant_ms at, instant_ms limit, instant_ms *out_until);
