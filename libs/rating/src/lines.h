// Lists of priced lines, added up by line, period and tier.
#pragma once

#include "charge.h"

// Adds every line of a window's pricing, `sign` times (+1 or -1).
void lines_add_pricing(rating_lines *out, const window_pricing *pricing, int sign);
// Adds one quantity line of the matrix.
void lines_add_quantity(rating_lines *out, const window_pricing *pricing, size_t line, int sign);
// Adds a line that does not depend on periods and tiers. `rate_micro`: of a power-factor line.
void lines_add_amount(rating_lines *out, const tariff *tariff, size_t line, int128 amount);
// Without entries that came to nothing; in the order of lines, periods, tiers.
void lines_tidy(rating_lines *out);
