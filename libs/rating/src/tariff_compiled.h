// The compiled tariff, private to rating. Everything a charge needs is looked up or multiplied, never worked out.
#pragma once

#include "money/money.h"
#include "rating/rating.h"
#include "rating/state.h"
#include "rating/tariff.h"

#define MINUTES_PER_DAY 1440
// A wrapping band makes two segments of one day.
#define SEGMENTS_MAX (TARIFF_BANDS_MAX + 1)
// Prices are micro-units per unit and quantities milli-units, so their product has scale 9; each level of percent and
// power-factor lines adds the decimals of the tariff's rates, at most 6.
#define PRODUCT_SCALE 9
// Bounds that keep sums of products within 128 bits; checked once at compile time and once per interval.
#define QUANTITY_LIMIT_MILLI 1000000000000000LL
#define QUANTITY_LIMIT_LEAST 1000000000LL  // a tariff that could not price even a GWh is refused
#define PRICE_LIMIT_MICRO 1000000000000000LL
#define RATE_LIMIT_MICRO 1000000000LL
// Amounts of one line stay below it, so that the sum over all lines cannot overflow.
#define AMOUNT_LIMIT ((int128)1 << 120)

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

// The counters of rating_accrued, as columns behind the cells.
typedef enum accrual {
    ACCRUAL_WINDOWS,
    ACCRUAL_SHARES,
    ACCRUAL_DAYS,
    ACCRUAL_COUNT,
} accrual;

typedef struct compiled_line {
    char name[TARIFF_NAME_MAX + 1];
    line_kind kind;
    bool over_total;
    int64_t price_micro[TARIFF_PERIODS_MAX][TARIFF_TIERS_MAX];
    int64_t free_milli;
    int64_t quantity_unit_milli;  // 0: quantities are priced as they are
    int64_t *unit_weights;        // with rounded quantities: [row * steps + step], what a milli-unit there comes to with all
                                  // lines that build on this one; NULL where the price is not linear
    rounding_mode quantity_mode;
    money_micro amount_micro;
    fixed_per per;
    bool prorated_by_day;
    accrual counter;    // FIXED
    int128 unit_price;  // FIXED: of one count; MINIMUM: the amount; both exact
    bool by_contract;
    uint32_t of;
    int64_t rate_micro;  // as the document says; `rate` is the same at the tariff's rate_scale
    int64_t rate;
    size_t factor_count;
    struct {
        int64_t from_factor_micro;
        int64_t rate;
    } factors[TARIFF_POWER_FACTORS_MAX];  // rising
} compiled_line;

// How a line rounds quantities, once more and close together: what is looked at with each reading.
typedef struct rounded_line {
    int64_t unit_milli;
    const int64_t *unit_weights;  // borrowed from the line
    rounding_mode mode;
    bool over_total;
} rounded_line;

struct tariff {
    // What each reading looks at comes first: with a thousand tariffs at work it is the memory of these that counts.
    uint64_t version;
    uint32_t periods;
    uint32_t steps;       // tiers cut where a free quantity ends; VOLUME: only the latter
    bool is_incremental;  // what an interval adds to one cell can be added to the price as it stood
    bool is_personal;     // edges depend on the holder
    bool accrues_windows;
    bool accrues_days;
    int32_t exact_scale;  // exact amounts count 10^-exact_scale / shares of the currency
    int64_t quantity_limit_milli;
    uint64_t band_fingerprint;  // of all that decides which period holds when; not 0
    int64_t bucket_offset_ms;   // so that a bucket of 24 h is a local day wherever the offset is the usual one
    size_t row_count;           // 0: one period at all times
    int64_t *narrow_weights;    // see weights
    rounding_mode rounding;
    int32_t rounding_scale;
    int128 plain_divisor;   // from exact_scale alone, without shares, to rounding_scale
    int64_t rounding_step;  // from rounding_scale to micro-units
    uint32_t rounded_count;
    int64_t step_upper[RATING_STEPS_MAX];  // the last is INT64_MAX
    rounded_line rounded[TARIFF_LINES_MAX];

    char code[TARIFF_NAME_MAX + 1];
    currency currency;
    char unit[8];
    instant_ms effective_from;
    const zone *zone;
    const day_calendar *calendar;
    tariff_use use;

    char period_names[TARIFF_PERIODS_MAX][TARIFF_NAME_MAX + 1];
    compiled_row *rows;
    size_t flag_count;
    compiled_flag *flags;

    window_rule over;
    tier_kind tier_kind;
    uint32_t tiers;
    uint32_t tier_of_step[RATING_STEPS_MAX];
    bool ends_tier[RATING_STEPS_MAX];      // the step ends where its tier does, not where a free quantity does
    int64_t tier_upper[TARIFF_TIERS_MAX];  // the last is INT64_MAX
    bool prorates_opening;
    int64_t per_head_milli[TARIFF_TIERS_MAX];
    int32_t heads_above[TARIFF_TIERS_MAX];

    size_t line_count;
    compiled_line lines[TARIFF_LINES_MAX];
    size_t order[TARIFF_LINES_MAX];  // every line behind those it builds on

    int32_t rate_scale;
    unsigned __int128 rate_inverse;  // of 5^rate_scale modulo 2^128
    int32_t shares;                  // RATING_SHARES where a fixed line is shared by day, else 1
    int128 product_lift;             // from price times quantity to exact
    bool is_linear;                  // while open, the price is cells, counters and rounding differences times weights; else lines are
                                     // priced one by one
    bool has_rounded_quantities;
    bool is_simple;  // linear, graduated and nothing accrues: below the quantity limit no price can fail
    bool has_closing_lines;
    bool has_minimum;    // then shares are RATING_SHARES, so that any carried price can be counted exactly
    bool needs_closing;  // a demand or power-factor line
    bool closes_apart;   // closing lines are priced by rating_close, not by the interval that reaches the end of the window

    // Price of one milli-unit in each cell, then of one count, for all lines together: [plane][cells + ACCRUAL_COUNT].
    // A plane is a tier of a volume tariff; graduated tiers have one.
    int128 *weights;
    bool is_narrow;  // the weights of cells, without shares, fit 64 bits: narrow_weights

    bool rounds_each_line;
    int128 rounding_divisor;  // from exact to rounding_scale
};

// The row that decides a local day. Compilation has proven that there is one.
const compiled_row *tariff_row_of_day(const tariff *self, int64_t day);
