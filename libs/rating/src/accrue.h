// Fixed lines: which calendar windows and days a stretch of time begins.
#pragma once

#include "tariff_compiled.h"

// Counts what [from, until) touches and was not counted before.
void accrue_fixed(const tariff *tariff, rating_accrued *accrued, instant_ms from, instant_ms until);
// What a fixed line of a quote counts between `from` and `to`: whole windows, or begun days.
int64_t accrue_quoted(const tariff *tariff, const compiled_line *line, const rating_usage *usage);
