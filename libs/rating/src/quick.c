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

// What a row's rounding adds when its last used step grows: the cumulative quantity there is rounded anew. False where
// later steps are used: then those differences move too.
static bool grow_row(const rounded_line *line, const int64_t *used, uint32_t steps, uint32_t step, int64_t quantity, int64_t weight,
                     int128 *in_out_price) {
    int64_t cumulative = 0;
    for (uint32_t i = 0; i <= step; i++) cumulative += used[i];
    for (uint32_t i = step + 1; i < steps; i++)
        if (used[i] != 0) return false;
    int64_t grown = round_to_unit(cumulative + quantity, line->unit_milli, line->mode) -
                    round_to_unit(cumulative, line->unit_milli, line->mode) - quantity;
    *in_out_price += (int128)grown * weight;
    return true;
}

static bool grow_rounded(const tariff *self, const rating_state *state, uint32_t period, uint32_t step, int64_t quantity,
                         int128 *in_out_price) {
    uint32_t steps = state->steps;
    for (uint32_t i = 0; i < self->rounded_count; i++) {
        const rounded_line *line = &self->rounded[i];
        const int64_t *used = &state->used_milli[(size_t)period * steps];
        size_t row = line->over_total ? 0 : period;
        int64_t total[RATING_STEPS_MAX];
        if (line->over_total) {
            for (uint32_t k = 0; k < steps; k++) total[k] = 0;
            for (size_t cell = 0; cell < (size_t)state->periods * steps; cell++) total[cell % steps] += state->used_milli[cell];
            used = total;
        }
        if (!grow_row(line, used, steps, step, quantity, line->unit_weights[row * steps + step], in_out_price)) return false;
    }
    return true;
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
    if (!grow_rounded(self, state, period, step, in->quantity_milli, &price.amount.value)) return false;
    money_micro charged, difference;
    if (!price_round(self, price, &charged) || !money_subtract(charged, state->charged_micro, &difference)) return false;
    state->used_milli[cell] += in->quantity_milli;
    state->priced = price.amount;
    state->charged_micro = charged;
    *out_result = (rating_result){.amount_micro = difference, .quantity_milli = in->quantity_milli};
    return true;
}
