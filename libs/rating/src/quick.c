#include "quick.h"

#include "bands.h"
#include "price.h"

static bool is_usual(const tariff *self, const rating_state *state, const rating_interval *in) {
    if (!self->is_incremental || state->version != self->version) return false;
    if (in->from < state->window.from || in->to > state->window.to || in->from >= in->to) return false;
    if (in->per_period_milli || in->quantity_milli < 0 || in->quantity_milli > self->quantity_limit_milli) return false;
    if (state->periods != self->periods || state->steps != self->steps) return false;
    // What earlier versions carry may have more decimals, or depend on the total.
    if (state->priced.scale != self->exact_scale || state->carried_ahead_count > 0) return false;
    if (self->accrues_windows && state->accrued.windows_until < in->to) return false;
    return !self->accrues_days || state->accrued.days_until >= in->to;
}

static int128 total_difference(const rating_state *state, const compiled_line *line) {
    int64_t total[RATING_STEPS_MAX] = {0};
    for (size_t cell = 0; cell < (size_t)state->periods * state->steps; cell++) total[cell % state->steps] += state->used_milli[cell];
    return price_row_difference(line, total, line->unit_weights, state->steps);
}

// What the rounding of quantities adds on the rows that a cell belongs to.
static int128 differences_at(const tariff *self, const rating_state *state, uint32_t period) {
    int128 sum = 0;
    size_t row = (size_t)period * state->steps;
    for (uint32_t i = 0; i < self->rounded_count; i++) {
        const compiled_line *line = &self->lines[self->rounded[i]];
        sum += line->over_total ? total_difference(state, line)
                                : price_row_difference(line, &state->used_milli[row], &line->unit_weights[row], state->steps);
    }
    return sum;
}

// The step that holds the whole quantity; false where it ends in another than it begins in.
static bool find_step(const tariff *self, const rating_state *state, const rating_interval *in, uint32_t *out_step) {
    int64_t room[RATING_STEPS_MAX];
    const int64_t *upper = step_edges_of(self, in->holder, state->window, room);
    int64_t used = rating_state_used_milli(state);
    uint32_t step = 0;
    while (used >= upper[step]) step++;
    *out_step = step;
    return in->quantity_milli <= upper[step] - used && used <= self->quantity_limit_milli - in->quantity_milli;
}

bool quick_charge(const tariff *self, rating_cache *cache, rating_state *state, const rating_interval *in, rating_result *out_result) {
    if (!is_usual(self, state, in)) return false;
    __attribute__((uninitialized)) band_table scratch;
    instant_ms end;
    uint32_t step;
    uint32_t period = band_run(self, cache, &scratch, in->from, in->to, &end);
    if (end != in->to || !find_step(self, state, in, &step)) return false;
    size_t cell = (size_t)period * state->steps + step;
    exact_price price = {state->priced, state->priced_rest};
    price.amount.value += (int128)in->quantity_milli * self->narrow_weights[cell];
    if (self->has_rounded_quantities) {
        price.amount.value -= differences_at(self, state, period);
        state->used_milli[cell] += in->quantity_milli;
        price.amount.value += differences_at(self, state, period);
        state->used_milli[cell] -= in->quantity_milli;
    }
    money_micro charged, difference;
    if (!price_round(self, price, &charged) || !money_subtract(charged, state->charged_micro, &difference)) return false;
    state->used_milli[cell] += in->quantity_milli;
    state->priced = price.amount;
    state->charged_micro = charged;
    *out_result = (rating_result){.amount_micro = difference, .quantity_milli = in->quantity_milli};
    return true;
}
