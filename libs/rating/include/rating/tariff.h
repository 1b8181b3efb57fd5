// Tariffs. A `tariff_spec` is the plain reading of a tariff document (documents/tariff_document.h builds it); a
// `tariff` is compiled from it: checked as a whole, immutable, shared between threads.
//
// Units: quantities in milli-units (Wh, litre), prices in micro-units of the currency per unit (kWh, m³), rates in
// millionths (0.13 is 130 000). Places in faults are JSON pointers into the document, because the spec's arrays have
// the document's order.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"
#include "calendar/days.h"
#include "calendar/window.h"
#include "calendar/zone.h"
#include "money/money.h"

#define TARIFF_PERIODS_MAX 12
#define TARIFF_TIERS_MAX 12
#define TARIFF_LINES_MAX 16
#define TARIFF_ROWS_MAX 48
#define TARIFF_BANDS_MAX 48
#define TARIFF_FLAGS_MAX 8
#define TARIFF_FLAGGED_DAYS_MAX 400
#define TARIFF_NAME_MAX 64
#define TARIFF_PERCENT_DEPTH_MAX 3
#define TARIFF_POWER_FACTORS_MAX 64
#define TARIFF_HEADS_MAX 1000

typedef enum tier_kind {
#define TIER_KIND(name, text, meaning) TIER_KIND_##name,
#include "rating/tier_kind.def"
#undef TIER_KIND
    TIER_KIND_COUNT
} tier_kind;

typedef enum line_kind {
#define LINE_KIND(name, text, meaning) LINE_KIND_##name,
#include "rating/line_kind.def"
#undef LINE_KIND
    LINE_KIND_COUNT
} line_kind;

typedef enum fixed_per {
#define FIXED_PER(name, text) FIXED_PER_##name,
#include "rating/fixed_per.def"
#undef FIXED_PER
    FIXED_PER_COUNT
} fixed_per;

typedef enum utility {
#define UTILITY(name, text, unit, other_unit) UTILITY_##name,
#include "rating/utility.def"
#undef UTILITY
    UTILITY_COUNT
} utility;

const char *tier_kind_name(tier_kind kind);
bool tier_kind_parse(sv text, tier_kind *out_kind);
const char *line_kind_name(line_kind kind);
bool line_kind_parse(sv text, line_kind *out_kind);
const char *fixed_per_name(fixed_per per);
bool fixed_per_parse(sv text, fixed_per *out_per);
const char *utility_name(utility self);
bool utility_parse(sv text, utility *out_utility);
bool utility_has_unit(utility self, sv unit);

// [from, to) in minutes of the local day; to <= from wraps midnight; equal ends are the whole day.
typedef struct tariff_band {
    int32_t from_minute;  // 0–1439
    int32_t to_minute;    // 0–1440
    uint32_t period;
} tariff_band;

typedef struct tariff_row {
    month_day from;
    month_day to;
    uint32_t days;  // DAY_KIND_BIT of each
    int32_t flag;   // index of the flag that must be set on the day, or -1
    size_t band_count;
    const tariff_band *bands;
} tariff_row;

typedef struct tariff_flag {
    sv name;
    size_t day_count;
    const int64_t *days;  // local days since 1970-01-01
} tariff_flag;

typedef struct tariff_factor_step {
    int64_t from_factor_micro;  // power factor from which the rate holds
    int64_t rate_micro;
} tariff_factor_step;

typedef struct tariff_line {
    sv name;
    line_kind kind;

    // QUANTITY. price_micro[period][tier]; over_total ("*"): only row 0, for the total of all periods.
    bool over_total;
    size_t price_count[TARIFF_PERIODS_MAX];  // prices given for the period; one serves all tiers, 0 is a missing period
    int64_t price_micro[TARIFF_PERIODS_MAX][TARIFF_TIERS_MAX];
    int64_t free_milli;  // units free in each tier window, taken first
    bool has_quantity_rounding;
    int32_t quantity_scale;
    rounding_mode quantity_mode;

    // FIXED, MINIMUM: the amount. DEMAND: the price per kW or kVA.
    money_micro amount_micro;
    fixed_per per;
    bool prorated_by_day;
    bool by_contract;  // DEMAND: per kVA of contracted capacity, else per kW of maximum demand

    // PERCENT, MINIMUM, POWER_FACTOR: the lines it builds on, as a bit mask of line indices.
    uint32_t of;
    int64_t rate_micro;  // PERCENT
    size_t factor_count;
    const tariff_factor_step *factors;
} tariff_line;

typedef struct tariff_spec {
    uint64_t version;  // the caller's number of this immutable version; not 0
    sv code;
    utility utility;
    sv unit;
    currency currency;
    instant_ms effective_from;
    const zone *zone;              // borrowed; must outlive the tariff
    const day_calendar *calendar;  // borrowed, may be NULL; must outlive the tariff

    size_t period_count;  // 0: the one period "flat"
    sv periods[TARIFF_PERIODS_MAX];
    size_t row_count;  // 0 only with one period
    const tariff_row *rows;
    size_t flag_count;
    tariff_flag flags[TARIFF_FLAGS_MAX];

    // Tiers. has_tiers false: one tier and one window for the life of the account.
    bool has_tiers;
    window_rule over;
    tier_kind tier_kind;
    size_t upper_count;
    int64_t upper_milli[TARIFF_TIERS_MAX];     // each belongs to its own tier
    int64_t per_head_milli[TARIFF_TIERS_MAX];  // added for each head above heads_above
    int32_t heads_above[TARIFF_TIERS_MAX];
    bool prorates_opening;  // an account opened inside the window has edges in proportion to the local days left

    size_t line_count;
    const tariff_line *lines;

    rounding_mode rounding;
    int32_t rounding_scale;
    bool rounds_each_line;
} tariff_spec;

// What the tariff is compiled for; each use refuses what it could not price right.
typedef enum tariff_use {
    TARIFF_FOR_CHARGING,  // readings for years, across versions; what posts at a window's close is rating_close's alone
    TARIFF_FOR_READINGS,  // readings whose caller knows demand and power factor when an interval reaches a window's end
    TARIFF_FOR_QUOTE,     // a given usage
} tariff_use;

typedef struct tariff tariff;

// ERR_BAD_INPUT with the place and the broken rule. Copies everything but zone and calendar. The caller frees.
err_t tariff_new(const tariff_spec *spec, tariff_use use, tariff **out_tariff, fault *out_fault) MUST_CHECK;
void tariff_free(tariff *self);
void tariff_free_variable(tariff **self);
#define AUTO_TARIFF __attribute__((cleanup(tariff_free_variable))) tariff *

uint64_t tariff_version(const tariff *self);
sv tariff_code(const tariff *self);
currency tariff_currency(const tariff *self);
sv tariff_unit(const tariff *self);
instant_ms tariff_effective_from(const tariff *self);
const zone *tariff_zone(const tariff *self);
int32_t tariff_rounding_scale(const tariff *self);
rounding_mode tariff_rounding_mode(const tariff *self);
bool tariff_rounds_each_line(const tariff *self);
size_t tariff_period_count(const tariff *self);
sv tariff_period_name(const tariff *self, size_t period);
// The period with this name; false when the tariff does not know it.
bool tariff_find_period(const tariff *self, sv name, size_t *out_period);
size_t tariff_tier_count(const tariff *self);
size_t tariff_line_count(const tariff *self);
sv tariff_line_name(const tariff *self, size_t line);
line_kind tariff_line_kind(const tariff *self, size_t line);
int64_t tariff_line_rate_micro(const tariff *self, size_t line);  // PERCENT
// It has lines that post when a window closes; demand and power-factor lines among them need to know what was measured.
bool tariff_has_closing_lines(const tariff *self);
bool tariff_needs_closing(const tariff *self);
// Tier edges depend on the holder's heads, or on when its account was opened.
bool tariff_is_personal(const tariff *self);
// The tier window that holds `at`: what one replay covers.
time_window tariff_window(const tariff *self, instant_ms at);
// The period in force at `at`, by local civil time.
size_t tariff_period_at(const tariff *self, instant_ms at);
