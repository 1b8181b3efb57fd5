// From the usage matrix to money. Linear tariffs are one sum of products; others are priced line by line.
#include "price.h"

#include <string.h>

#include "accrue.h"
#include "base/check.h"

static int64_t personal_edge(const tariff *self, const rating_holder *holder, size_t tier, int64_t days_left, int64_t days) {
    int64_t edge = self->tier_upper[tier];
    int64_t above = holder->heads - self->heads_above[tier];
    if (above > 0) edge += self->per_head_milli[tier] * (above < TARIFF_HEADS_MAX ? above : TARIFF_HEADS_MAX);
    return (int64_t)((int128)edge * days_left / days);
}

const int64_t *step_edges_of(const tariff *self, const rating_holder *holder, time_window window, int64_t room[RATING_STEPS_MAX]) {
    if (!self->is_personal || !holder) return self->step_upper;
    int64_t days = 1, days_left = 1;
    // A window that began in another zone has the days of this one's.
    if (self->prorates_opening) window = tariff_window(self, window.to - 1);
    if (self->prorates_opening && holder->opened_at > window.from && holder->opened_at < window.to) {
        days = accrue_days_touched(self->zone, window.from, window.to);
        days_left = accrue_days_touched(self->zone, holder->opened_at, window.to);
    }
    for (size_t step = 0; step + 1 < self->steps; step++) {
        room[step] = self->ends_tier[step] ? personal_edge(self, holder, self->tier_of_step[step], days_left, days)
                                           : (int64_t)((int128)self->step_upper[step] * days_left / days);
        // An edge that more heads overtake moves along: its tier is then empty.
        if (step > 0 && room[step] < room[step - 1]) room[step] = room[step - 1];
    }
    room[self->steps - 1] = INT64_MAX;
    return room;
}

static int64_t round_quantity(const compiled_line *line, int64_t milli) {
    return line->quantity_unit_milli == 0 ? milli : round_to_unit(milli, line->quantity_unit_milli, line->quantity_mode);
}

static uint32_t volume_tier(const window_pricing *self, const compiled_line *line) {
    if (self->tariff->tier_kind != TIER_KIND_VOLUME) return 0;
    int64_t total = line ? round_quantity(line, self->used) : self->used;
    uint32_t tier = 0;
    while (total > self->tariff->tier_upper[tier]) tier++;
    return tier;
}

void price_quantities(const window_pricing *self, const compiled_line *line, line_quantities *out) {
    const rating_state *state = self->state;
    out->rows = line->over_total ? 1 : state->periods;
    out->volume_tier = volume_tier(self, line);
    for (size_t row = 0; row < out->rows; row++) {
        int64_t cumulative = 0, before = 0;
        for (size_t step = 0; step < state->steps; step++) {
            int64_t earlier = cumulative;
            for (size_t period = row; period < (line->over_total ? state->periods : row + 1); period++)
                cumulative += state->used_milli[period * state->steps + step];
            int64_t rounded = cumulative == earlier ? before : round_quantity(line, cumulative);
            out->milli[row * state->steps + step] = rounded - before;
            before = rounded;
        }
    }
}

int64_t price_of_step(const tariff *self, const compiled_line *line, size_t row, size_t step, uint32_t volume_tier) {
    if (self->step_upper[step] <= line->free_milli) return 0;
    return line->price_micro[row][self->tier_kind == TIER_KIND_VOLUME ? volume_tier : self->tier_of_step[step]];
}

static int128 quantity_amount(const window_pricing *self, const compiled_line *line) {
    line_quantities quantities;
    price_quantities(self, line, &quantities);
    int128 sum = 0;
    uint32_t steps = self->state->steps;
    for (size_t row = 0; row < quantities.rows; row++)
        for (size_t step = 0; step < steps; step++)
            sum += (int128)quantities.milli[row * steps + step] * price_of_step(self->tariff, line, row, step, quantities.volume_tier);
    return sum * self->tariff->product_lift;
}

static int64_t counted(const rating_accrued *accrued, accrual counter) {
    switch (counter) {
        case ACCRUAL_WINDOWS: return accrued->windows;
        case ACCRUAL_SHARES: return accrued->shares;
        case ACCRUAL_DAYS: return accrued->days;
        case ACCRUAL_COUNT: break;
    }
    BUG("counter");
}

static bool multiply(int128 a, int64_t b, int128 *out) {
    const int128 usual = (int128)1 << 88;
    if (a <= usual && a >= -usual && b <= INT32_MAX && b >= INT32_MIN) {
        *out = a * b;
        return true;
    }
    return !__builtin_mul_overflow(a, (int128)b, out) && *out <= AMOUNT_LIMIT && *out >= -AMOUNT_LIMIT;
}

bool price_demand(const tariff *self, const compiled_line *line, const rating_closing *closing, int128 *out_amount) {
    int64_t milli = !closing ? 0 : line->by_contract ? closing->contracted_va : closing->max_demand_w;
    int128 product = (int128)line->amount_micro * milli;
    return !__builtin_mul_overflow(product, self->product_lift, out_amount) && *out_amount <= AMOUNT_LIMIT && *out_amount >= -AMOUNT_LIMIT;
}

static int64_t rate_of_factor(const compiled_line *line, int64_t factor_micro) {
    int64_t rate = 0;
    for (size_t i = 0; factor_micro > 0 && i < line->factor_count && line->factors[i].from_factor_micro <= factor_micro; i++)
        rate = line->factors[i].rate;
    return rate;
}

// Tops up to the amount of the line, counting what earlier versions of the window came to.
static bool minimum_amount(const compiled_line *line, const dependence *on, int128 sum, int128 *out_amount) {
    *out_amount = 0;
    if (!on->is_closing) return true;
    int128 least;
    if (__builtin_mul_overflow(line->unit_price, power_of_ten(on->extra_scale), &least) || least > AMOUNT_LIMIT) return false;
    int128 short_of = least - sum - on->carried;
    if (short_of > 0) *out_amount = short_of;
    return true;
}

// sum / 10^rate_scale where nothing is left over: a shift and a product with the inverse of 5^rate_scale modulo 2^128.
static int128 divide_exactly(const tariff *self, int128 sum) {
    return (int128)((unsigned __int128)(sum >> self->rate_scale) * self->rate_inverse);
}

bool price_dependent_lines(const tariff *self, const dependence *on, int128 *amounts) {
    for (size_t i = 0; i < self->line_count; i++) {
        size_t index = self->order[i];
        const compiled_line *line = &self->lines[index];
        if (line->of == 0) continue;
        int128 sum = 0;
        for (size_t j = 0; line->of >> j; j++)
            if (line->of >> j & 1) sum += amounts[j];
        if (sum > AMOUNT_LIMIT || sum < -AMOUNT_LIMIT) return false;
        // Each level keeps the decimals of a rate in hand for the next, so the division leaves nothing.
        if (line->kind == LINE_KIND_PERCENT && !multiply(divide_exactly(self, sum), line->rate, &amounts[index])) return false;
        if (line->kind == LINE_KIND_POWER_FACTOR) {
            int64_t rate = on->is_closing ? rate_of_factor(line, on->power_factor_micro) : 0;
            if (!multiply(divide_exactly(self, sum), rate, &amounts[index])) return false;
        }
        if (line->kind == LINE_KIND_MINIMUM && !minimum_amount(line, on, sum, &amounts[index])) return false;
    }
    return true;
}

// The exact value at 10^-scale / RATING_SHARES.
static bool to_shares(exact_price price, int32_t scale, int128 *out_value) {
    int128 lifted, rest;
    if (!exact_lift(price.amount.value, price.amount.scale, scale, &lifted)) return false;
    if (__builtin_mul_overflow(lifted, (int128)RATING_SHARES, &lifted)) return false;
    if (!exact_lift(price.rest, price.amount.scale, scale, &rest)) return false;
    return !__builtin_add_overflow(lifted, rest, out_value) && *out_value < (int128)1 << 126 && *out_value > -((int128)1 << 126);
}

// What earlier versions of the window come to, in the units of this pricing; for minimum lines.
static bool carried_here(const window_pricing *self, int128 *out_value) {
    const rating_state *state = self->state;
    const tariff *t = self->tariff;
    int32_t scale = t->exact_scale + self->extra_scale;
    *out_value = 0;
    if (!t->has_minimum || (state->carried.value == 0 && state->carried_rest == 0)) return true;
    exact_price carried = {state->carried, state->carried_rest};
    if (carried.amount.scale > scale) {  // only where it is listed, not charged
        carried.amount.value /= power_of_ten(carried.amount.scale - scale);
        carried.amount.scale = scale;
    }
    return to_shares(carried, scale, out_value) && *out_value <= AMOUNT_LIMIT && *out_value >= -AMOUNT_LIMIT;
}

bool price_lines(const window_pricing *self, int128 amounts[TARIFF_LINES_MAX]) {
    const tariff *t = self->tariff;
    dependence on = {.is_closing = self->is_closing, .extra_scale = self->extra_scale};
    int128 finer = self->extra_scale ? power_of_ten(self->extra_scale) : 1;
    for (size_t i = 0; i < t->line_count; i++) {
        const compiled_line *line = &t->lines[i];
        amounts[i] = 0;
        if (line->kind == LINE_KIND_QUANTITY) amounts[i] = quantity_amount(self, line);
        if (line->kind == LINE_KIND_FIXED && line->per != FIXED_PER_PURCHASE)
            amounts[i] = line->unit_price * counted(&self->state->accrued, line->counter);
        if (line->kind == LINE_KIND_DEMAND && self->is_closing && !price_demand(t, line, self->closing, &amounts[i])) return false;
        if (self->extra_scale > 0 && __builtin_mul_overflow(amounts[i], finer, &amounts[i])) return false;
    }
    if (self->is_closing && !carried_here(self, &on.carried)) return false;
    if (self->closing) on.power_factor_micro = self->closing->power_factor_micro;
    return price_dependent_lines(t, &on, amounts);
}

// What rounding quantities adds to the price of a row as it is: where a cumulative quantity is not whole, the difference
// moves between its step and the next used one.
static int128 row_difference(const compiled_line *line, const int64_t *used, const int64_t *weights, uint32_t steps) {
    int64_t cumulative = 0, before = 0;
    int128 sum = 0;
    for (size_t step = 0; step < steps; step++) {
        if (used[step] == 0) continue;
        cumulative += used[step];
        int64_t difference = round_quantity(line, cumulative) - cumulative;
        if (difference != before) sum += (int128)(difference - before) * weights[step];
        before = difference;
    }
    return sum;
}

static int128 rounding_difference(const rating_state *state, const compiled_line *line) {
    uint32_t steps = state->steps;
    if (line->over_total) {
        int64_t total[RATING_STEPS_MAX];
        for (size_t step = 0; step < steps; step++) total[step] = 0;
        for (size_t cell = 0; cell < (size_t)state->periods * steps; cell++) total[cell % steps] += state->used_milli[cell];
        return row_difference(line, total, line->unit_weights, steps);
    }
    int128 sum = 0;
    for (size_t at = 0; at < (size_t)state->periods * steps; at += steps)
        sum += row_difference(line, &state->used_milli[at], &line->unit_weights[at], steps);
    return sum;
}

bool price_matrix(const window_pricing *self, int128 *out_sum) {
    const tariff *t = self->tariff;
    const rating_state *state = self->state;
    int128 sum = 0;
    if (!t->is_linear || (self->is_closing && t->has_closing_lines)) {
        int128 amounts[TARIFF_LINES_MAX];
        if (!price_lines(self, amounts)) return false;
        for (size_t i = 0; i < t->line_count; i++) sum += amounts[i];
        *out_sum = sum;
        return true;
    }
    size_t cells = (size_t)t->periods * t->steps;
    size_t plane = volume_tier(self, NULL) * (cells + ACCRUAL_COUNT);
    const int64_t *narrow = &t->narrow_weights[plane];
    const int128 *wide = &t->weights[plane];
    for (size_t i = 0; t->is_narrow && i < cells; i++) sum += (int128)state->used_milli[i] * narrow[i];
    for (size_t i = 0; t->has_rounded_quantities && i < t->line_count; i++)
        if (t->lines[i].quantity_unit_milli > 0) sum += rounding_difference(state, &t->lines[i]);
    if (t->shares > 1) sum *= t->shares;
    for (size_t i = 0; !t->is_narrow && i < cells; i++) sum += state->used_milli[i] * wide[i];
    if (t->accrues_windows || t->accrues_days)
        sum += wide[cells + ACCRUAL_WINDOWS] * state->accrued.windows + wide[cells + ACCRUAL_SHARES] * state->accrued.shares +
               wide[cells + ACCRUAL_DAYS] * state->accrued.days;
    *out_sum = sum;
    return true;
}

static exact_price from_shares(int128 value, int32_t scale) {
    int128 whole = (value - (RATING_SHARES - 1) * (value < 0)) / RATING_SHARES;  // rounded down; the rest is kept
    return (exact_price){{whole, scale}, (int32_t)(value - whole * RATING_SHARES)};
}

static bool price_add(exact_price a, exact_price b, exact_price *out_sum) {
    if (a.rest == 0 && b.rest == 0) {
        out_sum->rest = 0;
        return exact_add(a.amount, b.amount, &out_sum->amount);
    }
    int32_t scale = a.amount.scale > b.amount.scale ? a.amount.scale : b.amount.scale;
    int128 left, right;
    if (!to_shares(a, scale, &left) || !to_shares(b, scale, &right)) return false;
    *out_sum = from_shares(left + right, scale);
    return true;
}

static exact_price price_of_value(const window_pricing *self, int128 value) {
    int32_t scale = self->tariff->exact_scale + self->extra_scale;
    if (self->tariff->shares == 1) return (exact_price){{value, scale}, 0};
    return from_shares(value, scale);
}

// A rest is less than one unit of the last decimal, so that it decides no more than whether something is there.
bool price_round(const tariff *self, exact_price price, money_micro *out_micro) {
    const int128 most = (int128)1 << 124;
    if (price.amount.value > most || price.amount.value < -most) return false;
    int128 divisor =
        price.amount.scale == self->exact_scale ? self->plain_divisor : power_of_ten(price.amount.scale - self->rounding_scale);
    int128 steps = price.rest ? round_divide(price.amount.value * 4 + 1, divisor * 4, self->rounding)
                              : round_divide(price.amount.value, divisor, self->rounding);
    int128 limit = INT64_MAX / self->rounding_step;
    if (steps > limit || steps < -limit) return false;
    *out_micro = (int64_t)steps * self->rounding_step;
    return true;
}

// With volume tiers what is carried depends on where the whole window stands.
static exact_price carried_at(const rating_state *state, int64_t used) {
    if (state->carried_ahead_count == 0) return (exact_price){state->carried, state->carried_rest};
    const rating_ahead *at = state->carried_ahead;
    while (used > at->upper_milli) at++;
    return (exact_price){{at->value, at->scale}, at->rest};
}

static bool round_lines(const window_pricing *self, exact_price carried, money_micro *out_micro) {
    int128 amounts[TARIFF_LINES_MAX];
    money_micro sum = 0;
    if (!price_lines(self, amounts)) return false;
    if ((carried.amount.value != 0 || carried.rest != 0) && !price_round(self->tariff, carried, &sum)) return false;
    for (size_t i = 0; i < self->tariff->line_count; i++) {
        money_micro line;
        if (!price_round(self->tariff, price_of_value(self, amounts[i]), &line) || !money_add(sum, line, &sum)) return false;
    }
    *out_micro = sum;
    return true;
}

static bool price_plainly(const window_pricing *self, rating_state *state, money_micro *out_micro) {
    int128 matrix;
    if (!price_matrix(self, &matrix)) return false;
    exact_price price = price_of_value(self, matrix);
    state->priced = price.amount;
    state->priced_rest = price.rest;
    return self->tariff->shares == 1 ? exact_round(self->tariff, matrix, out_micro) : price_round(self->tariff, price, out_micro);
}

bool price_window(const window_pricing *self, rating_state *state, money_micro *out_micro) {
    const tariff *t = self->tariff;
    bool has_carried = state->carried_ahead_count > 0 || state->carried.value != 0 || state->carried_rest != 0;
    if (!has_carried && !t->rounds_each_line) return price_plainly(self, state, out_micro);
    exact_price carried = carried_at(state, self->used);
    state->carried = carried.amount;
    state->carried_rest = carried.rest;
    window_pricing finer = *self;
    if (self->is_closing && t->has_minimum && has_carried) {
        // Percent lines on the minimum take their decimals from its own, which then are as fine as what is carried.
        finer.extra_scale = t->exact_scale - PRODUCT_SCALE;
        if (carried.amount.scale > t->exact_scale) finer.extra_scale += carried.amount.scale - t->exact_scale;
    }
    int128 matrix;
    exact_price sum;
    if (!price_matrix(&finer, &matrix) || !price_add(price_of_value(&finer, matrix), carried, &sum)) return false;
    state->priced = sum.amount;
    state->priced_rest = sum.rest;
    return t->rounds_each_line ? round_lines(&finer, carried, out_micro) : price_round(t, sum, out_micro);
}

// The highest total at which this line still stands in `tier`: where its rounding of quantities passes the edge.
static int64_t last_total_in(const compiled_line *line, int64_t edge) {
    if (line->kind != LINE_KIND_QUANTITY) return INT64_MAX;
    if (line->quantity_unit_milli == 0 || edge == INT64_MAX) return edge;
    int64_t total = edge + line->quantity_unit_milli;
    while (round_quantity(line, total) > edge) total--;
    return total;
}

// The last total from `used` on that has the same prices, those of earlier versions included.
static int64_t last_total_alike(const window_pricing *self, int64_t used) {
    const tariff *t = self->tariff;
    const rating_state *state = self->state;
    int64_t last = INT64_MAX;
    for (uint32_t i = 0; i < state->carried_ahead_count; i++) {
        int64_t upper = state->carried_ahead[i].upper_milli;
        if (upper >= used && upper < last) last = upper;
    }
    for (size_t tier = 0; t->tier_kind == TIER_KIND_VOLUME && tier + 1 < t->tiers; tier++) {
        for (size_t i = 0; i < t->line_count; i++) {
            int64_t upper = last_total_in(&t->lines[i], self->tariff->tier_upper[tier]);
            if (upper >= used && upper < last) last = upper;
        }
    }
    return last;
}

bool price_ahead_fits(const tariff *self) {
    static const rating_state NOTHING;
    window_pricing pricing = {.tariff = self, .state = &NOTHING};
    uint32_t count = 0;
    for (int64_t upper = -1; self->tier_kind == TIER_KIND_VOLUME && upper != INT64_MAX; count++)
        upper = last_total_alike(&pricing, upper + 1);
    return count <= RATING_AHEAD_MAX;
}

bool price_ahead(const window_pricing *self, rating_state *state) {
    window_pricing at = *self;
    state->priced_ahead_count = 0;
    if (self->tariff->tier_kind != TIER_KIND_VOLUME && state->carried_ahead_count == 0) return true;
    uint32_t count = 0;
    for (int64_t upper = -1; upper != INT64_MAX; count++) {
        at.used = upper < self->used ? self->used : upper + 1;
        upper = last_total_alike(self, at.used);
        exact_price sum;
        int128 matrix;
        if (count == RATING_AHEAD_MAX || !price_matrix(&at, &matrix)) return false;
        if (!price_add(price_of_value(self, matrix), carried_at(state, at.used), &sum)) return false;
        state->priced_ahead[count] = (rating_ahead){sum.amount.value, upper, sum.amount.scale, sum.rest};
    }
    state->priced_ahead_count = count > 1 ? count : 0;
    return true;
}
