// Lists of priced lines, added up by line, period and tier.
#pragma once

#include "charge.h"

// Adds the matrix of a state, `sign` times (+1 or -1).
void lines_add_matrix(rating_lines *out, const tariff *tariff, const rating_state *state, int sign);
// Adds one quantity line of the matrix of `after` without that of `before`.
void lines_add_quantity(rating_lines *out, const tariff *tariff, size_t line, const rating_state *before, const rating_state *after);
// Adds one entry to the one with the same line, period, tier and price.
void lines_add(rating_lines *out, const rating_line *line);
// Without entries that came to nothing; in the order of lines, periods, tiers.
void lines_tidy(rating_lines *out);
