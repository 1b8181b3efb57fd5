// The steps of a charge that explanations and quotes share.
#pragma once

#include "price.h"
#include "rating/rating.h"
#include "tariff_compiled.h"

// Adds one piece of time to the matrix, filling steps from the tier position *used on. `quantities` has one entry per
// period when `period` is -1; else it is the one quantity of that period.
void matrix_add(const tariff *tariff, const int64_t *step_upper, rating_state *state, int64_t *used, int32_t period,
                const int64_t *quantities, time_window when, rating_trace *trace);
