// The compiled tariff, private to rating. Everything a charge needs is looked up or multiplied, never worked out.
#pragma once

#include "money/money.h"
#include "rating/state.h"
#include "rating/tariff.h"

#define MINUTES_PER_DAY 1440
// A wrapping band makes two segments of one day.
#define SEGMENTS_MAX (TARIFF_BANDS_MAX + 1)
// Prices are micro-units per unit and quantities milli-units, so their product has scale 9; each level of percent
// lines adds 6 decimals.
#define PRODUCT_SCALE 9
#define RATE_SCALE 6
// Bounds that keep sums of products within 128 bits; checked once at compile time and once per interval.
#define QUANTITY_LIMIT_MILLI 1000000000000000LL
#define QUANTITY_LIMIT_LEAST 1000000000LL  // a tariff that could not price even a GWh is refused
#define PRICE_LIMIT_MICRO 1000000000000000LL
#define RATE_LIMIT_MICRO 1000000000LL

typedef struct day_segment {
    int32_t from_minute;
    uint32_t period;
} day_segment;

typedef struct compiled_row {
    month_day from;
    month_day to;
    uint32_t days;
    int32_t flag;
    size_t segment_count;
    day_segment segments[SEGMENTS_MAX];  // rising, the first at minute 0
} compiled_row;

typedef struct compiled_flag {
    size_t day_count;
    int64_t days[TARIFF_FLAGGED_DAYS_MAX];  // rising
} compiled_flag;

typedef struct compiled_line {
    char name[TARIFF_NAME_MAX + 1];
    line_kind kind;
    bool over_total;
    int64_t price_micro[TARIFF_PERIODS_MAX][RATING_STEPS_MAX];  // per step, 0 within the free quantity
    money_micro amount_micro;
    fixed_per per;
    bool prorated_by_day;
    bool by_contract;
    uint32_t of;
    int64_t rate_micro;
} compiled_line;

struct tariff {
    uint64_t version;
    char code[TARIFF_NAME_MAX + 1];
    currency currency;
    instant_ms effective_from;
    const zone *zone;
    const day_calendar *calendar;
    tariff_use use;

    uint32_t periods;
    char period_names[TARIFF_PERIODS_MAX][TARIFF_NAME_MAX + 1];
    size_t row_count;  // 0: one period at all times
    compiled_row *rows;
    size_t flag_count;
    compiled_flag *flags;
    uint64_t band_fingerprint;  // of all that decides which period holds when; not 0
    int64_t bucket_offset_ms;   // so that a bucket of 24 h is a local day wherever the offset is the usual one

    window_rule over;
    tier_kind tier_kind;
    uint32_t tiers;
    uint32_t steps;                        // VOLUME: one, tiers are looked up by the total
    int64_t step_upper[RATING_STEPS_MAX];  // the last is INT64_MAX
    uint32_t tier_of_step[RATING_STEPS_MAX];
    int64_t tier_upper[TARIFF_TIERS_MAX];  // the last is INT64_MAX

    size_t line_count;
    compiled_line lines[TARIFF_LINES_MAX];
    size_t order[TARIFF_LINES_MAX];  // every line behind those it builds on

    // Price of one milli-unit in each cell [period * columns + column], all lines together and line by line, at
    // exact_scale. A column is a step, or a tier of a volume tariff.
    uint32_t columns;
    int32_t exact_scale;
    bool is_narrow;  // the sums fit 64 bits
    int64_t narrow_weights[RATING_CELLS_MAX];
    int128 weights[RATING_CELLS_MAX];
    int128 *line_weights;  // [line][cell]
    int64_t quantity_limit_milli;

    rounding_mode rounding;
    int32_t rounding_scale;
    bool rounds_each_line;
    int128 rounding_divisor;  // from exact_scale to rounding_scale
    int64_t rounding_step;    // from rounding_scale to micro-units
};

// The row that decides a local day. Compilation has proven that there is one.
const compiled_row *tariff_row_of_day(const tariff *self, int64_t day);
