#include "lines.h"

#include <stdlib.h>

#include "base/check.h"

void rating_lines_done(rating_lines *self) { vec_done(&self->list); }

void rating_lines_auto(rating_lines *self) { rating_lines_done(self); }

// Adds one entry to the one with the same line, period, tier and price.
static void add_entry(rating_lines *out, const rating_line *line) {
    for (size_t i = 0; i < out->list.len; i++) {
        rating_line *at = &out->list.items[i];
        if (at->line != line->line || at->period != line->period || at->tier != line->tier || at->price_micro != line->price_micro)
            continue;
        CHECK(exact_add(at->amount, line->amount, &at->amount));
        at->quantity_milli += line->quantity_milli;
        return;
    }
    vec_push(&out->list, *line);
}

void lines_add_quantity(rating_lines *out, const window_pricing *pricing, size_t index, int sign) {
    const tariff *self = pricing->tariff;
    const compiled_line *line = &self->lines[index];
    line_quantities quantities;
    price_quantities(pricing, line, &quantities);
    for (size_t row = 0; row < quantities.rows; row++) {
        for (size_t step = 0; step < self->steps; step++) {
            int64_t quantity = sign * quantities.milli[row * self->steps + step];
            if (quantity == 0) continue;
            int64_t price = price_of_step(self, line, row, step, quantities.volume_tier);
            bool is_volume = self->tier_kind == TIER_KIND_VOLUME;
            rating_line entry = {.line = index,
                                 .period = line->over_total ? -1 : (int32_t)row,
                                 .tier = (int32_t)(is_volume ? quantities.volume_tier : self->tier_of_step[step]),
                                 .quantity_milli = quantity,
                                 .price_micro = price,
                                 .amount = {(int128)quantity * price, PRODUCT_SCALE}};
            add_entry(out, &entry);
        }
    }
}

void lines_add_amount(rating_lines *out, const tariff *self, size_t index, int128 amount) {
    const compiled_line *line = &self->lines[index];
    int64_t price = line->kind == LINE_KIND_PERCENT ? line->rate_micro : line->amount_micro;
    rating_line entry = {.line = index, .period = -1, .tier = -1, .price_micro = price, .amount = exact_plain(self, amount)};
    add_entry(out, &entry);
}

void lines_add_pricing(rating_lines *out, const window_pricing *pricing, int sign) {
    int128 amounts[TARIFF_LINES_MAX];
    const tariff *self = pricing->tariff;
    if (pricing->state->version != self->version) return;
    CHECK(price_lines(pricing, amounts));
    for (size_t i = 0; i < self->line_count; i++) {
        if (self->lines[i].kind == LINE_KIND_QUANTITY)
            lines_add_quantity(out, pricing, i, sign);
        else if (self->lines[i].kind == LINE_KIND_PERCENT || amounts[i] != 0)
            lines_add_amount(out, self, i, sign * amounts[i]);
    }
}

static int by_place(const void *a, const void *b) {
    const rating_line *left = a;
    const rating_line *right = b;
    if (left->line != right->line) return left->line < right->line ? -1 : 1;
    if (left->period != right->period) return left->period < right->period ? -1 : 1;
    if (left->tier != right->tier) return left->tier < right->tier ? -1 : 1;
    return (left->price_micro > right->price_micro) - (left->price_micro < right->price_micro);
}

void lines_tidy(rating_lines *out) {
    size_t kept = 0;
    for (size_t i = 0; i < out->list.len; i++) {
        const rating_line *line = &out->list.items[i];
        if (line->tier >= 0 && line->quantity_milli == 0 && line->amount.value == 0) continue;
        out->list.items[kept++] = *line;
    }
    out->list.len = kept;
    if (kept) qsort(out->list.items, kept, sizeof out->list.items[0], by_place);
}

static window_pricing pricing_of(const tariff *self, const rating_state *state, bool is_closing, const rating_closing *closing) {
    return (window_pricing){
        .tariff = self, .state = state, .used = rating_state_used_milli(state), .is_closing = is_closing, .closing = closing};
}

void rating_state_lines(const tariff *self, const rating_state *state, rating_lines *out_lines) {
    *out_lines = (rating_lines){0};
    rating_lines_add_state(out_lines, self, state);
}

void rating_lines_add_state(rating_lines *lines, const tariff *self, const rating_state *state) {
    window_pricing pricing = pricing_of(self, state, false, NULL);
    lines_add_pricing(lines, &pricing, 1);
    lines_tidy(lines);
}

void rating_lines_add_closed(rating_lines *lines, const tariff *self, const rating_state *state, const rating_closing *closing) {
    window_pricing pricing = pricing_of(self, state, true, closing);
    lines_add_pricing(lines, &pricing, 1);
    lines_tidy(lines);
}

rating_answer rating_explain(const tariff *self, const rating_state *before, const rating_interval *interval, rating_explanation *out) {
    *out = (rating_explanation){.before = *before, .after = *before};
    rating_answer answer = rating_charge(self, NULL, &out->after, interval, &out->result, &out->trace);
    if (answer != RATING_OK) {
        rating_explanation_done(out);
        *out = (rating_explanation){0};
        return answer;
    }
    bool closes = !self->closes_apart;
    for (size_t i = 0; i < out->trace.closed.len; i++) {
        // The first may have been left at its very end by the interval before: then it was closed there.
        const rating_state *closed = &out->trace.closed.items[i];
        window_pricing pricing = pricing_of(self, closed, closes && closed->window.to <= interval->to, interval->closing);
        lines_add_pricing(&out->lines, &pricing, 1);
    }
    window_pricing after = pricing_of(self, &out->after, closes && out->after.window.to <= interval->to, interval->closing);
    window_pricing first = pricing_of(self, before, closes && before->window.to <= interval->from, interval->closing);
    lines_add_pricing(&out->lines, &after, 1);
    lines_add_pricing(&out->lines, &first, -1);
    lines_tidy(&out->lines);
    return RATING_OK;
}

void rating_explanation_done(rating_explanation *self) {
    rating_trace_done(&self->trace);
    rating_lines_done(&self->lines);
}

void rating_explanation_auto(rating_explanation *self) { rating_explanation_done(self); }
