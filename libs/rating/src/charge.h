// The steps of a charge that explanations and quotes share.
#pragma once

#include "rating/rating.h"
#include "tariff_compiled.h"

// Adds one piece of time to the matrix, filling steps from the tier position *used on. `quantities` has one entry per
// period when `period` is -1; else it is the one quantity of that period.
void matrix_add(const tariff *tariff, rating_state *state, int64_t *used, int32_t period, const int64_t *quantities, time_window when,
                rating_trace *trace);

// The matrix without carried usage, priced and not rounded, at the tariff's exact_scale.
int128 matrix_price(const tariff *tariff, const rating_state *state, int64_t used);
// The same for one line.
int128 matrix_line_price(const tariff *tariff, size_t line, const rating_state *state, int64_t used);

// The column of a volume tariff that a total falls into.
uint32_t volume_tier(const tariff *tariff, int64_t used);

// value * 10^(to - from) for to >= from; false when it passes 2^126.
bool exact_lift(int128 value, int32_t from_scale, int32_t to_scale, int128 *out_value);
// Exact sum at the finer of both scales.
bool exact_add(exact_amount a, exact_amount b, exact_amount *out_sum);
// To micro-units, rounded as the tariff says; false when it does not fit.
bool exact_round(const tariff *tariff, exact_amount amount, money_micro *out_micro);
