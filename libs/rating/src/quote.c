// What a given usage costs: the difference of two matrices, and the lines that do not depend on the quantity.
#include "lines.h"

#include "base/check.h"

// Six decimals more than prices and rates need: room for amounts shared by day, which have no finite decimals.
#define SHARE_SCALE 6

typedef struct quoting {
    const tariff *tariff;
    const rating_usage *usage;
    rating_state before;
    rating_state after;
    int32_t scale;
    int128 amounts[TARIFF_LINES_MAX];
    rating_lines *lines;
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
    rating_state_init(&q->before);
    q->before.version = self->version;
    q->before.window = when;
    q->before.periods = self->periods;
    q->before.steps = self->steps;
    for (size_t i = 0; i < (size_t)self->periods * self->steps; i++) q->before.used_milli[i] = 0;
    int64_t used = 0;
    if (q->usage->used_before_milli) matrix_add(self, &q->before, &used, -1, q->usage->used_before_milli, when, NULL);
    q->after = q->before;
    matrix_add(self, &q->after, &used, -1, q->usage->quantity_milli, when, NULL);
}

// Windows of a fixed line between the usage's ends: the whole ones, or with shares also the days of a broken one.
static bool fixed_amount(const quoting *q, const compiled_line *line, int128 *out_amount) {
    static const window_kind KINDS[] = {[FIXED_PER_MONTH] = WINDOW_MONTH,
                                        [FIXED_PER_DAY] = WINDOW_DAY,
                                        [FIXED_PER_BILLING_PERIOD] = WINDOW_BILLING_PERIOD,
                                        [FIXED_PER_PURCHASE] = WINDOW_LIFE};
    int128 one;
    if (!exact_lift(line->amount_micro, MONEY_SCALE, q->scale, &one)) return false;
    int128 sum = line->per == FIXED_PER_PURCHASE ? one : 0;
    window_rule rule = {.kind = KINDS[line->per], .billing_day = q->tariff->over.billing_day};
    const zone *in_zone = q->tariff->zone;
    for (instant_ms at = q->usage->from; line->per != FIXED_PER_PURCHASE && at < q->usage->to;) {
        time_window window = window_at(in_zone, &rule, at);
        bool is_whole = window.from >= q->usage->from && window.to <= q->usage->to;
        int128 share = is_whole ? one : 0;
        if (!is_whole && line->prorated_by_day) {
            instant_ms end = window.to < q->usage->to ? window.to : q->usage->to;
            int64_t begun = zone_local_day(in_zone, end - 1) - zone_local_day(in_zone, at) + 1;
            int64_t days = zone_local_day(in_zone, window.to) - zone_local_day(in_zone, window.from);
            if (one / days > ((int128)1 << 100)) return false;
            share = one * begun / days;
        }
        if (__builtin_add_overflow(sum, share, &sum)) return false;
        at = window.to;
    }
    *out_amount = sum;
    return true;
}

static int128 sum_of(const quoting *q, uint32_t of) {
    int128 sum = 0;
    for (size_t i = 0; i < q->tariff->line_count; i++)
        if (of >> i & 1) sum += q->amounts[i];
    return sum;
}

static bool multiply(int128 a, int64_t b, int128 *out) {
    int128 limit = ((int128)1 << 120) / (b < 0 ? -(int128)b : b ? b : 1);
    if (a > limit || a < -limit) return false;
    *out = a * b;
    return true;
}

static bool line_amount(const quoting *q, size_t index, int128 *out_amount) {
    const tariff *self = q->tariff;
    const compiled_line *line = &self->lines[index];
    switch (line->kind) {
        case LINE_KIND_QUANTITY: {
            int128 difference = matrix_line_price(self, index, &q->after, rating_state_used_milli(&q->after)) -
                                matrix_line_price(self, index, &q->before, rating_state_used_milli(&q->before));
            return exact_lift(difference, self->exact_scale, q->scale, out_amount);
        }
        case LINE_KIND_FIXED: return fixed_amount(q, line, out_amount);
        case LINE_KIND_DEMAND: {
            int64_t milli = line->by_contract ? q->usage->contracted_va : q->usage->max_demand_w;
            return exact_lift((int128)line->amount_micro * milli, PRODUCT_SCALE, q->scale, out_amount);
        }
        case LINE_KIND_PERCENT: return multiply(sum_of(q, line->of) / MONEY_MICRO, line->rate_micro, out_amount);
        case LINE_KIND_MINIMUM: {
            int128 least;
            if (!exact_lift(line->amount_micro, MONEY_SCALE, q->scale, &least)) return false;
            int128 sum = sum_of(q, line->of);
            *out_amount = sum < least ? least - sum : 0;
            return true;
        }
        case LINE_KIND_POWER_FACTOR:
        case LINE_KIND_COUNT: break;
    }
    BUG("line kind");
}

static void list_other_lines(quoting *q) {
    for (size_t i = 0; i < q->tariff->line_count; i++) {
        const compiled_line *line = &q->tariff->lines[i];
        if (line->kind == LINE_KIND_QUANTITY) continue;
        int64_t price = line->kind == LINE_KIND_PERCENT ? line->rate_micro : line->amount_micro;
        lines_add(q->lines, &(rating_line){.line = i, .period = -1, .tier = -1, .price_micro = price, .amount = {q->amounts[i], q->scale}});
    }
}

static bool round_total(const quoting *q, money_micro *out_total) {
    const tariff *self = q->tariff;
    int128 sum = 0;
    money_micro total = 0;
    for (size_t i = 0; i < self->line_count; i++) {
        money_micro line = 0;
        if (self->rounds_each_line && !exact_round(self, (exact_amount){q->amounts[i], q->scale}, &line)) return false;
        if (!money_add(total, line, &total) || __builtin_add_overflow(sum, q->amounts[i], &sum)) return false;
    }
    *out_total = total;
    return self->rounds_each_line || exact_round(self, (exact_amount){sum, q->scale}, out_total);
}

rating_answer rating_quote_usage(const tariff *self, const rating_usage *usage, rating_quote *out_quote) {
    if (usage->from >= usage->to || usage->from < INSTANT_MIN || usage->to > INSTANT_MAX) return RATING_BAD_INTERVAL;
    bool fits = true;
    int64_t quantity = total_of(self, usage->quantity_milli, &fits);
    int64_t before = total_of(self, usage->used_before_milli, &fits);
    if (!fits || before > self->quantity_limit_milli - quantity || quantity > self->quantity_limit_milli) return RATING_TOO_LARGE;
    rating_quote quote = {.quantity_milli = quantity};
    quoting q = {.tariff = self, .usage = usage, .scale = self->exact_scale + SHARE_SCALE, .lines = &quote.lines};
    fill(&q);
    for (size_t i = 0; i < self->line_count; i++) {
        size_t line = self->order[i];
        // Amounts stay below 2^120, so that sums over all lines cannot overflow.
        if (!line_amount(&q, line, &q.amounts[line]) || q.amounts[line] >> 120 > 0 || q.amounts[line] >> 120 < -1) return RATING_TOO_LARGE;
    }
    if (!round_total(&q, &quote.total_micro)) return RATING_TOO_LARGE;
    for (size_t i = 0; i < self->line_count; i++)
        if (self->lines[i].kind == LINE_KIND_QUANTITY) lines_add_quantity(q.lines, self, i, &q.before, &q.after);
    list_other_lines(&q);
    lines_tidy(q.lines);
    *out_quote = quote;
    return RATING_OK;
}

void rating_quote_done(rating_quote *self) { rating_lines_done(&self->lines); }

void rating_quote_auto(rating_quote *self) { rating_quote_done(self); }
