// What a given usage costs: the difference of two matrices, and the lines that do not depend on the quantity.
#include "accrue.h"
#include "base/check.h"
#include "lines.h"

typedef struct quoting {
    const tariff *tariff;
    const rating_usage *usage;
    rating_state before;
    rating_state after;
    window_pricing pricing_before;
    window_pricing pricing_after;
    int128 amounts[TARIFF_LINES_MAX];
} quoting;

static int64_t total_of(const tariff *self, const int64_t *quantities, bool *out_fits) {
    int64_t total = 0;
    for (size_t i = 0; quantities && i < self->periods; i++)
        if (quantities[i] < 0 || __builtin_add_overflow(total, quantities[i], &total)) *out_fits = false;
    return total;
}

static void fill(quoting *q) {
    const tariff *self = q->tariff;
    time_window when = {q->usage->from, q->usage->to};
    int64_t room[RATING_STEPS_MAX];
    const int64_t *step_upper = step_edges_of(self, q->usage->holder, tariff_window(self, q->usage->from), room);
    rating_state_init(&q->before);
    q->before.version = self->version;
    q->before.window = when;
    q->before.periods = self->periods;
    q->before.steps = self->steps;
    for (size_t i = 0; i < (size_t)self->periods * self->steps; i++) q->before.used_milli[i] = 0;
    int64_t used = 0;
    if (q->usage->used_before_milli) matrix_add(self, step_upper, &q->before, &used, -1, q->usage->used_before_milli, when, NULL);
    q->pricing_before = (window_pricing){.tariff = self, .state = &q->before, .used = used};
    q->after = q->before;
    matrix_add(self, step_upper, &q->after, &used, -1, q->usage->quantity_milli, when, NULL);
    q->pricing_after = (window_pricing){.tariff = self, .state = &q->after, .used = used};
}

// The lines that do not build on others.
static bool basic_amounts(quoting *q) {
    const tariff *self = q->tariff;
    int128 before[TARIFF_LINES_MAX], after[TARIFF_LINES_MAX];
    if (!price_lines(&q->pricing_before, before) || !price_lines(&q->pricing_after, after)) return false;
    const rating_closing closing = {q->usage->max_demand_w, q->usage->contracted_va, q->usage->power_factor_micro};
    for (size_t i = 0; i < self->line_count; i++) {
        const compiled_line *line = &self->lines[i];
        q->amounts[i] = line->kind == LINE_KIND_QUANTITY ? after[i] - before[i] : 0;
        if (line->kind == LINE_KIND_DEMAND && !price_demand(self, line, &closing, &q->amounts[i])) return false;
        if (line->kind != LINE_KIND_FIXED) continue;
        if (__builtin_mul_overflow(line->unit_price, (int128)accrue_quoted(self, line, q->usage), &q->amounts[i])) return false;
        if (q->amounts[i] > AMOUNT_LIMIT || q->amounts[i] < -AMOUNT_LIMIT) return false;
    }
    return true;
}

static bool round_total(const quoting *q, money_micro *out_total) {
    const tariff *self = q->tariff;
    int128 sum = 0;
    money_micro total = 0;
    for (size_t i = 0; i < self->line_count; i++) {
        money_micro line = 0;
        if (self->rounds_each_line && !exact_round(self, q->amounts[i], &line)) return false;
        if (!money_add(total, line, &total) || __builtin_add_overflow(sum, q->amounts[i], &sum)) return false;
    }
    *out_total = total;
    return self->rounds_each_line || exact_round(self, sum, out_total);
}

static rating_answer price_usage(quoting *q, int64_t *out_quantity, money_micro *out_total) {
    const tariff *self = q->tariff;
    const rating_usage *usage = q->usage;
    if (usage->from >= usage->to || usage->from < INSTANT_MIN || usage->to > INSTANT_MAX) return RATING_BAD_INTERVAL;
    bool fits = true;
    int64_t quantity = total_of(self, usage->quantity_milli, &fits);
    int64_t before = total_of(self, usage->used_before_milli, &fits);
    if (!fits || before > self->quantity_limit_milli - quantity || quantity > self->quantity_limit_milli) return RATING_TOO_LARGE;
    fill(q);
    const dependence on = {.is_closing = true, .power_factor_micro = usage->power_factor_micro};
    if (!basic_amounts(q) || !price_dependent_lines(self, &on, q->amounts)) return RATING_TOO_LARGE;
    if (!round_total(q, out_total)) return RATING_TOO_LARGE;
    *out_quantity = quantity;
    return RATING_OK;
}

rating_answer rating_quote_usage(const tariff *self, const rating_usage *usage, rating_quote *out_quote) {
    rating_quote quote = {0};
    quoting q = {.tariff = self, .usage = usage};
    rating_answer answer = price_usage(&q, &quote.quantity_milli, &quote.total_micro);
    if (answer != RATING_OK) return answer;
    for (size_t i = 0; i < self->line_count; i++) {
        if (self->lines[i].kind == LINE_KIND_QUANTITY) {
            lines_add_quantity(&quote.lines, &q.pricing_after, i, 1);
            lines_add_quantity(&quote.lines, &q.pricing_before, i, -1);
        } else {
            lines_add_amount(&quote.lines, self, i, q.amounts[i]);
        }
    }
    lines_tidy(&quote.lines);
    *out_quote = quote;
    return RATING_OK;
}

void rating_quote_done(rating_quote *self) { rating_lines_done(&self->lines); }

void rating_quote_auto(rating_quote *self) { rating_quote_done(self); }

// ---- from money to quantity

typedef struct buying {
    const tariff *tariff;
    const rating_usage *usage;
    money_micro amount_micro;
    int64_t step_milli;
    int64_t mix_total;
    int64_t parts[TARIFF_PERIODS_MAX];
} buying;

// The usage of `steps` steps, mixed over the periods by cumulative floors.
static rating_usage usage_of(buying *b, int64_t steps) {
    int128 cumulative = 0;
    int64_t taken = 0;
    for (size_t i = 0; i < b->tariff->periods; i++) {
        cumulative += b->mix_total ? b->usage->quantity_milli[i] : 1;
        int64_t upto = (int64_t)(cumulative * steps * b->step_milli / (b->mix_total ? b->mix_total : 1));
        b->parts[i] = upto - taken;
        taken = upto;
    }
    rating_usage usage = *b->usage;
    usage.quantity_milli = b->parts;
    return usage;
}

static bool is_affordable(buying *b, int64_t steps) {
    rating_usage usage = usage_of(b, steps);
    quoting q = {.tariff = b->tariff, .usage = &usage};
    int64_t quantity;
    money_micro total;
    return price_usage(&q, &quantity, &total) == RATING_OK && total <= b->amount_micro;
}

// Between two neighbouring edges the price runs one way: the last affordable of [low, high], or -1.
static int64_t last_affordable(buying *b, int64_t low, int64_t high) {
    if (is_affordable(b, high)) return high;
    if (!is_affordable(b, low)) return -1;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (is_affordable(b, middle))
            low = middle;
        else
            high = middle;
    }
    return low;
}

// Steps bought at which the window reaches a tier or free edge, rising, without doubles.
static size_t edges_in_steps(const buying *b, int64_t most, int64_t *out_edges) {
    const tariff *self = b->tariff;
    bool fits = true;
    int64_t before = total_of(self, b->usage->used_before_milli, &fits);
    int64_t room[RATING_STEPS_MAX];
    const int64_t *step_upper = step_edges_of(self, b->usage->holder, tariff_window(self, b->usage->from), room);
    size_t count = 0;
    for (size_t i = 0; i + 1 < self->steps; i++) out_edges[count++] = step_upper[i];
    for (size_t i = 0; self->tier_kind == TIER_KIND_VOLUME && i + 1 < self->tiers; i++) out_edges[count++] = self->tier_upper[i];
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t at = (out_edges[i] - before) / b->step_milli;
        if (out_edges[i] <= before || at >= most) continue;
        size_t place = kept++;
        for (; place > 0 && out_edges[place - 1] > at; place--) out_edges[place] = out_edges[place - 1];
        out_edges[place] = at;
    }
    return kept;
}

int64_t rating_bought_step_milli(const tariff *self) {
    int64_t step = 0;
    for (size_t i = 0; i < self->line_count; i++) {
        int64_t unit = self->lines[i].quantity_unit_milli;
        if (unit > 0 && (step == 0 || unit < step)) step = unit;
    }
    return step ? step : 100;
}

rating_answer rating_quote_amount(const tariff *self, const rating_usage *usage, money_micro amount_micro, int64_t step_milli,
                                  rating_quote *out_quote) {
    buying b = {.tariff = self, .usage = usage, .amount_micro = amount_micro, .step_milli = step_milli};
    bool fits = true;
    b.mix_total = total_of(self, usage->quantity_milli, &fits);
    int64_t before = total_of(self, usage->used_before_milli, &fits);
    if (usage->from >= usage->to || step_milli < 1) return RATING_BAD_INTERVAL;
    if (!fits || before > self->quantity_limit_milli) return RATING_TOO_LARGE;
    if (b.mix_total == 0 && self->periods > 1) return RATING_NO_MIX;
    int64_t most = (self->quantity_limit_milli - before) / step_milli;
    int64_t edges[RATING_STEPS_MAX + TARIFF_TIERS_MAX];
    size_t count = edges_in_steps(&b, most, edges);
    // From the dearest stretch down: volume tiers may cost less behind an edge than before it.
    int64_t found = -1;
    int64_t high = most;
    for (size_t i = count + 1; i-- > 0 && found < 0;) {
        int64_t low = i > 0 ? edges[i - 1] + 1 : 0;
        if (low <= high) found = last_affordable(&b, low, high);
        high = low - 1;
    }
    if (found < 0) return RATING_TOO_LITTLE;
    if (found == most) return RATING_NO_BOUND;
    rating_usage bought = usage_of(&b, found);
    return rating_quote_usage(self, &bought, out_quote);
}
