// Fixed lines: which calendar windows and days a stretch of time begins.
#pragma once

#include "tariff_compiled.h"

// The local date of a midnight, by its instant and whether that date is the day after the UTC date.
int64_t accrue_date(instant_ms at, bool is_ahead);
bool accrue_is_ahead(const tariff *tariff, instant_ms midnight);
// A version that may be in another zone takes the clocks over: they stand at the same local dates.
void accrue_move(const tariff *tariff, rating_accrued *accrued);
// Local days touched by [at, until), and how many the whole window has.
int64_t accrue_days_touched(const zone *in_zone, instant_ms at, instant_ms until);
// Counts what [from, until) touches and was not counted before.
void accrue_fixed(const tariff *tariff, rating_accrued *accrued, instant_ms from, instant_ms until);
// What a fixed line of a quote counts between `from` and `to`: whole windows, or begun days.
int64_t accrue_quoted(const tariff *tariff, const compiled_line *line, const rating_usage *usage);
