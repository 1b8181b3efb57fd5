// The price of one tier window, line by line.
#pragma once

#include "tariff_compiled.h"

// The step edges in force: the tariff's own, or a holder's, which are put into `room`.
const int64_t *step_edges_of(const tariff *tariff, const rating_holder *holder, time_window window, int64_t room[RATING_STEPS_MAX]);

// An exact amount that may have a rest in RATING_SHARES: (value * shares) + rest over that, at 10^-scale.
typedef struct exact_price {
    exact_amount amount;
    int32_t rest;  // 0 to RATING_SHARES - 1
} exact_price;

typedef struct window_pricing {
    const tariff *tariff;
    const rating_state *state;
    int64_t used;                   // in the whole window, all versions
    bool is_closing;                // the window is over: demand, minimum and power-factor lines count
    const rating_closing *closing;  // may be NULL
    int32_t extra_scale;            // decimals beyond the tariff's, where a minimum meets a finer carried price
} window_pricing;

// To micro-units, as the tariff rounds a whole price; false when it does not fit.
bool price_round(const tariff *tariff, exact_price price, money_micro *out_micro);
// A quantity in whole units of a quantity_rounding. A division by a constant costs a tenth of one by a variable.
static inline int64_t round_to_unit(int64_t milli, int64_t unit_milli, rounding_mode mode) {
    int64_t rest = unit_milli == 1000 ? milli % 1000 : unit_milli == 100 ? milli % 100 : milli % unit_milli;
    if (rest == 0 || mode == ROUNDING_TRUNCATE) return milli - rest;
    return (int64_t)round_divide(milli, unit_milli, mode) * unit_milli;
}

// Of each line, exact (with the extra decimals). False when one passes AMOUNT_LIMIT.
bool price_lines(const window_pricing *self, int128 amounts[TARIFF_LINES_MAX]);
// The sum of all lines, without what earlier versions carried.
bool price_matrix(const window_pricing *self, int128 *out_sum);
// The rounded price with what is carried; also brings state->priced and ->carried up to date.
bool price_window(const window_pricing *self, rating_state *state, money_micro *out_micro);
// Whether a state has room for what this version alone comes to at each edge of its volume tiers.
bool price_ahead_fits(const tariff *tariff);
// Volume tiers: works out state->priced_ahead, for a version that may follow. False when there is no room.
bool price_ahead(const window_pricing *self, rating_state *state);

// How a line sees the matrix: quantities per row (period, or the total) and step, rounded as the line says.
typedef struct line_quantities {
    size_t rows;
    uint32_t volume_tier;
    int64_t milli[RATING_CELLS_MAX];  // [row * steps + step]
} line_quantities;
void price_quantities(const window_pricing *self, const compiled_line *line, line_quantities *out);
// The price of one unit in a step; `volume_tier` as found.
int64_t price_of_step(const tariff *tariff, const compiled_line *line, size_t row, size_t step, uint32_t volume_tier);
// The lines that build on others, in order, once quantity, fixed and demand lines are known. `carried` counts towards
// minimum lines.
typedef struct dependence {
    bool is_closing;
    int64_t power_factor_micro;
    int128 carried;
    int32_t extra_scale;
} dependence;
bool price_dependent_lines(const tariff *tariff, const dependence *on, int128 *amounts);
bool price_demand(const tariff *tariff, const compiled_line *line, const rating_closing *closing, int128 *out_amount);

// value * 10^(to - from) for to >= from; false when it passes 2^126.
bool exact_lift(int128 value, int32_t from_scale, int32_t to_scale, int128 *out_value);
// Exact sum at the finer of both scales.
bool exact_add(exact_amount a, exact_amount b, exact_amount *out_sum);
// An exact amount of this tariff as plain decimals: where shares of months have none, six more, cut.
exact_amount exact_plain(const tariff *tariff, int128 value);
// To micro-units, rounded as the tariff says; false when it does not fit.
bool exact_round(const tariff *tariff, int128 value, money_micro *out_micro);
