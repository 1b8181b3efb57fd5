#include "lines.h"

#include <stdlib.h>

#include "base/check.h"

void rating_lines_done(rating_lines *self) { vec_done(&self->list); }

void rating_lines_auto(rating_lines *self) { rating_lines_done(self); }

void lines_add(rating_lines *out, const rating_line *line) {
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

static void add_quantity_line(rating_lines *out, const tariff *self, size_t index, const rating_state *state, int sign) {
    const compiled_line *line = &self->lines[index];
    bool is_volume = self->tier_kind == TIER_KIND_VOLUME;
    uint32_t volume_column = is_volume ? volume_tier(self, rating_state_used_milli(state)) : 0;
    for (size_t cell = 0; cell < (size_t)state->periods * state->steps; cell++) {
        int64_t quantity = sign * state->used_milli[cell];
        if (quantity == 0) continue;
        size_t column = is_volume ? volume_column : cell % state->steps;
        size_t period = cell / state->steps;
        int64_t price = line->price_micro[line->over_total ? 0 : period][column];
        rating_line entry = {.line = index,
                             .period = line->over_total ? -1 : (int32_t)period,
                             .tier = (int32_t)(is_volume ? column : self->tier_of_step[column]),
                             .quantity_milli = quantity,
                             .price_micro = price,
                             .amount = {(int128)quantity * price, PRODUCT_SCALE}};
        lines_add(out, &entry);
    }
}

void lines_add_quantity(rating_lines *out, const tariff *self, size_t line, const rating_state *before, const rating_state *after) {
    add_quantity_line(out, self, line, after, 1);
    add_quantity_line(out, self, line, before, -1);
}

void lines_add_matrix(rating_lines *out, const tariff *self, const rating_state *state, int sign) {
    if (state->version != self->version) return;
    for (size_t i = 0; i < self->line_count; i++) {
        if (self->lines[i].kind == LINE_KIND_QUANTITY) add_quantity_line(out, self, i, state, sign);
        if (self->lines[i].kind != LINE_KIND_PERCENT) continue;
        int128 value = sign * matrix_line_price(self, i, state, rating_state_used_milli(state));
        rating_line entry = {
            .line = i, .period = -1, .tier = -1, .price_micro = self->lines[i].rate_micro, .amount = {value, self->exact_scale}};
        lines_add(out, &entry);
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

void rating_state_lines(const tariff *self, const rating_state *state, rating_lines *out_lines) {
    *out_lines = (rating_lines){0};
    rating_lines_add_state(out_lines, self, state);
}

void rating_lines_add_state(rating_lines *lines, const tariff *self, const rating_state *state) {
    lines_add_matrix(lines, self, state, 1);
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
    for (size_t i = 0; i < out->trace.closed.len; i++) lines_add_matrix(&out->lines, self, &out->trace.closed.items[i], 1);
    lines_add_matrix(&out->lines, self, &out->after, 1);
    lines_add_matrix(&out->lines, self, before, -1);
    lines_tidy(&out->lines);
    return RATING_OK;
}

void rating_explanation_done(rating_explanation *self) {
    rating_trace_done(&self->trace);
    rating_lines_done(&self->lines);
}

void rating_explanation_auto(rating_explanation *self) { rating_explanation_done(self); }
