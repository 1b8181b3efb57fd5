// One interval into the matrix, the matrix into money.
#include "charge.h"

#include <string.h>

#include "accrue.h"
#include "bands.h"
#include "base/check.h"
#include "quick.h"

static const struct {
    const char *name;
    const char *text;
} ANSWERS[] = {
#define RATING_ANSWER(name, text) [RATING_##name] = {#name, text},
#include "rating/answer.def"
#undef RATING_ANSWER
};

const char *rating_answer_name(rating_answer answer) {
    CHECK((unsigned)answer < RATING_ANSWER_COUNT);
    return ANSWERS[answer].name;
}

const char *rating_answer_text(rating_answer answer) {
    CHECK((unsigned)answer < RATING_ANSWER_COUNT);
    return ANSWERS[answer].text;
}

// One interval on its way through pieces and windows. `left_*` is what no piece has taken yet.
typedef struct charging {
    const tariff *tariff;
    rating_cache *cache;
    rating_state *state;
    const rating_interval *interval;
    rating_trace *trace;
    rating_result result;
    int64_t used;  // tier position in the open window
    const int64_t *step_upper;
    int64_t own_edges[RATING_STEPS_MAX];
    int64_t left_milli;
    int64_t left_per_period_milli[TARIFF_PERIODS_MAX];
} charging;

int64_t rating_split_by_time(int64_t quantity_milli, instant_ms from, instant_ms to, instant_ms at) {
    CHECK(from < to && at >= from && at <= to);
    return (int64_t)((int128)quantity_milli * (at - from) / (to - from));
}

static void trace_piece(const tariff *self, rating_trace *trace, time_window when, size_t period, uint32_t step, int64_t quantity) {
    if (!trace || quantity == 0) return;
    uint32_t tier = self->tier_kind == TIER_KIND_GRADUATED ? self->tier_of_step[step] : 0;
    vec_push(&trace->pieces, ((rating_piece){when.from, when.to, (uint32_t)period, tier, quantity}));
}

// Takes `part` of `total` from each period in proportion: cumulative floor, so that the last period takes the rest.
static void take_in_proportion(const tariff *self, int64_t *quantities, int64_t part, int64_t total, int64_t *out_taken) {
    int128 cumulative = 0;
    int64_t taken = 0;
    for (size_t i = 0; i < self->periods; i++) {
        cumulative += quantities[i];
        out_taken[i] = (int64_t)(cumulative * part / total) - taken;
        taken += out_taken[i];
        quantities[i] -= out_taken[i];
    }
}

static void add_periods(const tariff *self, const int64_t *step_upper, rating_state *state, int64_t *used, const int64_t *quantities,
                        time_window when, rating_trace *trace) {
    int64_t left[TARIFF_PERIODS_MAX];
    int64_t taken[TARIFF_PERIODS_MAX];
    int64_t total = 0;
    for (size_t i = 0; i < self->periods; i++) total += left[i] = quantities[i];
    uint32_t step = 0;
    while (total > 0) {
        while (*used >= step_upper[step]) step++;
        int64_t room = step_upper[step] - *used;
        int64_t part = total < room ? total : room;
        take_in_proportion(self, left, part, total, taken);
        for (size_t i = 0; i < self->periods; i++) {
            state->used_milli[i * state->steps + step] += taken[i];
            trace_piece(self, trace, when, i, step, taken[i]);
        }
        *used += part;
        total -= part;
    }
}

void matrix_add(const tariff *self, const int64_t *step_upper, rating_state *state, int64_t *used, int32_t period,
                const int64_t *quantities, time_window when, rating_trace *trace) {
    if (period < 0) {
        add_periods(self, step_upper, state, used, quantities, when, trace);
        return;
    }
    int64_t left = *quantities;
    uint32_t step = 0;
    while (left > 0) {
        while (*used >= step_upper[step]) step++;
        int64_t room = step_upper[step] - *used;
        int64_t part = left < room ? left : room;
        state->used_milli[(size_t)period * state->steps + step] += part;
        trace_piece(self, trace, when, (size_t)period, step, part);
        *used += part;
        left -= part;
    }
}

static uint32_t dates_ahead(const tariff *self, time_window window) {
    if (window.from == INSTANT_MIN) return 0;
    return (accrue_is_ahead(self, window.from) ? RATING_AHEAD_FROM : 0) | (accrue_is_ahead(self, window.to) ? RATING_AHEAD_TO : 0);
}

// Whether the version's window that holds `at` is the open one: of the same local dates, in whatever zone.
static bool is_open_window(const tariff *self, const rating_state *state, instant_ms at) {
    time_window window = tariff_window(self, at);
    if (window.from == state->window.from && window.to == state->window.to) return true;
    if (window.from == INSTANT_MIN || state->window.from == INSTANT_MIN) return false;
    uint32_t ahead = state->window_dates_ahead;
    return zone_local_day(self->zone, window.from) == accrue_date(state->window.from, ahead & RATING_AHEAD_FROM) &&
           zone_local_day(self->zone, window.to) == accrue_date(state->window.to, ahead & RATING_AHEAD_TO);
}

static void open_window(const tariff *self, rating_state *state, instant_ms at) {
    bool is_other = state->version != self->version;
    rating_state_hand_over(state);
    if (is_other) accrue_move(self, &state->accrued);
    state->version = self->version;
    state->window = tariff_window(self, at);
    state->window_dates_ahead = dates_ahead(self, state->window);
    state->priced.scale = state->carried.scale = self->exact_scale;
    state->periods = self->periods;
    state->steps = self->steps;
    memset(state->used_milli, 0, (size_t)self->periods * self->steps * sizeof state->used_milli[0]);
}

// A new version inside the window: what was used so far keeps its price and counts towards the tiers.
static void change_version(const tariff *self, rating_state *state, instant_ms at) {
    int64_t used = rating_state_used_milli(state);
    instant_ms from = state->window.from;
    uint32_t from_ahead = state->window_dates_ahead & RATING_AHEAD_FROM;
    money_micro charged_micro = state->charged_micro;
    exact_amount priced = state->priced;
    int32_t rest = state->priced_rest;
    uint32_t ahead = state->priced_ahead_count;
    open_window(self, state, at);
    state->window.from = from;
    state->window_dates_ahead = (state->window_dates_ahead & RATING_AHEAD_TO) | from_ahead;
    state->charged_micro = charged_micro;
    state->before_milli = used;
    state->carried = state->priced = priced;
    state->carried_rest = state->priced_rest = rest;
    state->carried_ahead_count = ahead;
    memcpy(state->carried_ahead, state->priced_ahead, ahead * sizeof state->carried_ahead[0]);
}

static void close_window(charging *c) {
    c->result.windows_closed++;
    if (c->trace) vec_push(&c->trace->closed, *c->state);
}

static void look_at_window(charging *c) {
    c->used = rating_state_used_milli(c->state);
    c->step_upper = step_edges_of(c->tariff, c->interval->holder, c->state->window, c->own_edges);
}

// Makes the state one of this tariff and of the window that holds `at`.
static void enter_window(charging *c, instant_ms at) {
    rating_state *state = c->state;
    const tariff *self = c->tariff;
    if (state->version == 0) {
        open_window(self, state, at);
    } else if (at >= state->window.to) {
        close_window(c);
        open_window(self, state, at);
    } else if (state->version != self->version) {
        if (is_open_window(self, state, at)) {
            change_version(self, state, at);
        } else {
            close_window(c);
            open_window(self, state, at);
        }
    }
    look_at_window(c);
}

// What of a quantity was used before `until` and not taken yet: floors add up, so that a cut between two pieces of the
// same period changes nothing.
static int64_t take_until(const rating_interval *in, int64_t whole, int64_t *left, instant_ms until) {
    int64_t behind = whole - rating_split_by_time(whole, in->from, in->to, until);
    int64_t share = *left - behind;
    *left = behind;
    return share;
}

// The piece [from, to): its share of the whole interval by time.
static void add_piece(charging *c, instant_ms from, instant_ms to, uint32_t period) {
    const rating_interval *in = c->interval;
    if (!in->per_period_milli) {
        int64_t share = take_until(in, in->quantity_milli, &c->left_milli, to);
        matrix_add(c->tariff, c->step_upper, c->state, &c->used, (int32_t)period, &share, (time_window){from, to}, c->trace);
        return;
    }
    int64_t shares[TARIFF_PERIODS_MAX];
    for (size_t i = 0; i < c->tariff->periods; i++) shares[i] = take_until(in, in->per_period_milli[i], &c->left_per_period_milli[i], to);
    matrix_add(c->tariff, c->step_upper, c->state, &c->used, -1, shares, (time_window){from, to}, c->trace);
}

// The part of the interval that lies in the open window, from `from` on: pieces, then one price.
static rating_answer charge_window(charging *c, instant_ms from, instant_ms *out_until) {
    instant_ms until = c->state->window.to < c->interval->to ? c->state->window.to : c->interval->to;
    if (c->interval->per_period_milli) {
        add_piece(c, from, until, 0);
    } else {
        __attribute__((uninitialized)) band_table scratch;  // a kilobyte to clear for nothing where there is a cache
        for (instant_ms at = from; at < until;) {
            instant_ms end;
            uint32_t period = band_run(c->tariff, c->cache, &scratch, at, until, &end);
            add_piece(c, at, end, period);
            at = end;
        }
    }
    accrue_fixed(c->tariff, &c->state->accrued, from, until);
    bool is_closing = c->tariff->has_closing_lines && !c->tariff->closes_apart && until == c->state->window.to;
    if (is_closing && c->tariff->needs_closing && !c->interval->closing) return RATING_INPUT_MISSING;
    window_pricing pricing = {
        .tariff = c->tariff, .state = c->state, .used = c->used, .is_closing = is_closing, .closing = c->interval->closing};
    money_micro price, difference;
    if (c->used > c->tariff->quantity_limit_milli || !price_window(&pricing, c->state, &price)) return RATING_TOO_LARGE;
    if ((c->tariff->tier_kind == TIER_KIND_VOLUME || c->state->carried_ahead_count > 0) && !price_ahead(&pricing, c->state))
        return RATING_VOLUME_CHANGE;
    if (!money_subtract(price, c->state->charged_micro, &difference)) return RATING_TOO_LARGE;
    if (!money_add(c->result.amount_micro, difference, &c->result.amount_micro)) return RATING_TOO_LARGE;
    c->state->charged_micro = price;
    *out_until = until;
    return RATING_OK;
}

static rating_answer charge_windows(charging *c) {
    for (instant_ms at = c->interval->from; at < c->interval->to;) {
        enter_window(c, at);
        rating_answer answer = charge_window(c, at, &at);
        if (answer != RATING_OK) return answer;
    }
    return RATING_OK;
}

static void copy_state(rating_state *to, const rating_state *from) {
    memcpy(to, from, offsetof(rating_state, used_milli) + (size_t)from->periods * from->steps * sizeof from->used_milli[0]);
    memcpy(to->carried_ahead, from->carried_ahead, from->carried_ahead_count * sizeof from->carried_ahead[0]);
    memcpy(to->priced_ahead, from->priced_ahead, from->priced_ahead_count * sizeof from->priced_ahead[0]);
}

// Checks the interval and finds its whole quantity.
static rating_answer begin(charging *c) {
    const rating_interval *in = c->interval;
    if (in->from >= in->to || in->from < INSTANT_MIN || in->to > INSTANT_MAX) return RATING_BAD_INTERVAL;
    if (in->per_period_milli) {
        c->left_milli = 0;
        for (size_t i = 0; i < c->tariff->periods; i++) {
            c->left_per_period_milli[i] = in->per_period_milli[i];
            if (in->per_period_milli[i] < 0) return RATING_BAD_INTERVAL;
            if (__builtin_add_overflow(c->left_milli, in->per_period_milli[i], &c->left_milli)) return RATING_TOO_LARGE;
        }
    } else {
        c->left_milli = in->quantity_milli;
        if (in->quantity_milli < 0) return RATING_BAD_INTERVAL;
    }
    if (c->left_milli > c->tariff->quantity_limit_milli) return RATING_TOO_LARGE;
    c->result = (rating_result){.quantity_milli = c->left_milli};
    if (c->state->version == 0) return RATING_OK;
    if (c->state->version == c->tariff->version && (c->state->periods != c->tariff->periods || c->state->steps != c->tariff->steps))
        return RATING_STATE_MISMATCH;
    return in->from < c->state->window.from ? RATING_LATE : RATING_OK;
}

rating_answer rating_charge(const tariff *self, rating_cache *cache, rating_state *state, const rating_interval *interval,
                            rating_result *out_result, rating_trace *trace) {
    if (!trace && quick_charge(self, cache, state, interval, out_result)) return RATING_OK;
    __attribute__((uninitialized)) charging c;
    c.tariff = self;
    c.cache = cache;
    c.state = state;
    c.interval = interval;
    c.trace = trace;
    rating_answer answer = begin(&c);
    if (answer != RATING_OK) return answer;
    bool stays = state->version == self->version && interval->to <= state->window.to;
    if (stays) look_at_window(&c);
    bool has_carried = state->carried.value != 0 || state->carried_rest != 0 || state->carried_ahead_count > 0;
    if (stays && self->is_simple && !has_carried && c.used <= self->quantity_limit_milli - c.left_milli) {
        // Nothing can fail any more: quantities up to the limit have a price that fits.
        instant_ms until;
        answer = charge_window(&c, interval->from, &until);
        CHECK(answer == RATING_OK);
    } else {
        __attribute__((uninitialized)) rating_state copy;
        copy_state(&copy, state);
        c.state = &copy;
        answer = charge_windows(&c);
        if (answer != RATING_OK) return answer;
        copy_state(state, &copy);
    }
    *out_result = c.result;
    return RATING_OK;
}

void rating_trace_done(rating_trace *self) {
    vec_done(&self->pieces);
    vec_done(&self->closed);
}

void rating_trace_auto(rating_trace *self) { rating_trace_done(self); }
