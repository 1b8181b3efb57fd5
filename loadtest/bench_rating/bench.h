// Shared by the files of bench-rating. Each part prints its members of the one JSON object, a comma behind each, and
// answers whether its bounds held.
#pragma once

#include "rating/rating.h"

#define START 1704038400000LL  // 2024-01-01T00:00:00+08:00
#define READING_MS (30 * MINUTE_MS)
#define READINGS_PER_DAY 48
#define RATING_NS_MAX 150

typedef struct bench_options {
    int64_t points, days;
    int64_t many_points, many_tariffs;
    int64_t year_points;
} bench_options;

typedef struct measure {
    int64_t readings;
    int64_t ns;
    int64_t allocations;
    money_micro charged;
} measure;

extern int64_t allocations;  // calls of malloc, calloc and realloc so far
// Time of this thread alone: other work on the machine does not count.
int64_t cpu_ns(void);
void print_ns(const char *name, const measure *of);

// The language at its widest: taxed, with whole kWh, free units, a fixed part by day, and a minimum at the month's end.
tariff *full_language(const zone *in_zone, uint64_t version);
rating_interval reading_of(size_t point, int64_t slot);
// The floor: one cell of the matrix, fifteen products, one division with rounding; no bands, no tiers, no windows.
measure measure_arithmetic(int64_t points, int64_t slots);

// many.c: states of millions of usage points in memory, each under one of many tariffs of the full language, for a day.
bool run_many(const bench_options *options, const zone *in_zone);
// document.c: a tariff document of the full language, parsed, checked and compiled.
bool run_document(void);
// year.c: a year of half-hour readings, as packed days, through libs/charging.
bool run_year(const bench_options *options, const zone *in_zone);
