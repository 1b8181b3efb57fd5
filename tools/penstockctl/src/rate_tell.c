#include "rate_tell.h"

#include <stdio.h>

#define SENTENCE_MAX 1024
#define WORDS_MAX 10
#define MILLI_SCALE 3

// The words of one sentence, in order.
typedef struct telling {
    text_locale in;
    const tariff *tariff;
    char texts[WORDS_MAX][128];
    sv words[WORDS_MAX];
    size_t count;
} telling;

static void word(telling *self, sv text) {
    char *kept = self->texts[self->count];
    sv_copy_truncated(text, kept, sizeof self->texts[0]);
    self->words[self->count++] = sv_of(kept);
}

static void word_decimal(telling *self, int128 value, int32_t scale, int32_t min_decimals) {
    char text[DECIMAL_WIDE_TEXT_MAX];
    size_t len = decimal_format_wide(value, scale, min_decimals, text);
    word(self, (sv){text, len});
}

static void word_quantity(telling *self, int64_t milli) { word_decimal(self, milli, MILLI_SCALE, 0); }

static void word_money(telling *self, exact_amount amount) { word_decimal(self, amount.value, amount.scale, 2); }

static void word_micro(telling *self, money_micro micro) { word_decimal(self, micro, MONEY_SCALE, 2); }

static void word_currency(telling *self) { word(self, sv_of(currency_code(tariff_currency(self->tariff)))); }

static void word_unit(telling *self) { word(self, tariff_unit(self->tariff)); }

static void word_time(telling *self, instant_ms at) {
    local_time local = zone_local_time(tariff_zone(self->tariff), at);
    char text[64];
    int32_t seconds = local.ms_of_day / 1000;
    snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d", local.year, local.month, local.day_of_month, seconds / 3600,
             seconds / 60 % 60, seconds % 60);
    word(self, sv_of(text));
}

static void sentence(telling *self, text_key which, buf *out) {
    text_add(out, which, self->in, self->words, self->count);
    self->count = 0;
}

static void say(telling *self, text_key which) {
    AUTO(buf) text;
    buf_init(&text, SENTENCE_MAX);
    sentence(self, which, &text);
    printf("%.*s\n", SV_ARG(buf_view(&text)));
}

static void word_rounding(telling *self) {
    static const text_key MODES[ROUNDING_COUNT] = {[ROUNDING_HALF_UP] = TEXT_ROUNDING_HALF_UP,
                                                   [ROUNDING_HALF_EVEN] = TEXT_ROUNDING_HALF_EVEN,
                                                   [ROUNDING_TRUNCATE] = TEXT_ROUNDING_TRUNCATE,
                                                   [ROUNDING_CEIL] = TEXT_ROUNDING_CEIL};
    word_decimal(self, tariff_rounding_scale(self->tariff), 0, 0);
    word(self, text_pattern(MODES[tariff_rounding_mode(self->tariff)], self->in));
}

// The line's name with its period and tier, where it has them.
static void word_line(telling *self, const rating_line *line) {
    bool has_period = line->period >= 0 && tariff_period_count(self->tariff) > 1;
    bool has_tier = line->tier >= 0 && tariff_tier_count(self->tariff) > 1;
    telling label = {.in = self->in, .tariff = self->tariff};
    word(&label, tariff_line_name(self->tariff, line->line));
    if (has_period) word(&label, tariff_period_name(self->tariff, (size_t)line->period));
    if (has_tier) word_decimal(&label, line->tier + 1, 0, 0);
    if (!has_period && !has_tier) {
        word(self, label.words[0]);
        return;
    }
    AUTO(buf) text;
    buf_init(&text, SENTENCE_MAX);
    sentence(&label, has_period ? (has_tier ? TEXT_RATE_LINE_PERIOD_TIER : TEXT_RATE_LINE_PERIOD) : TEXT_RATE_LINE_TIER, &text);
    word(self, buf_view(&text));
}

static void say_line(telling *self, const rating_line *line) {
    line_kind kind = tariff_line_kind(self->tariff, line->line);
    word_line(self, line);
    if (kind == LINE_KIND_QUANTITY) {
        word_quantity(self, line->quantity_milli);
        word_unit(self);
        word_decimal(self, line->price_micro, MONEY_SCALE, 0);
    } else if (kind == LINE_KIND_PERCENT) {
        word_decimal(self, line->price_micro, MONEY_SCALE - 2, 0);
    }
    word_currency(self);
    word_money(self, line->amount);
    say(self, kind == LINE_KIND_QUANTITY  ? TEXT_EXPLAIN_LINE
              : kind == LINE_KIND_PERCENT ? TEXT_EXPLAIN_LINE_PERCENT
                                          : TEXT_EXPLAIN_LINE_AMOUNT);
}

void rate_tell_indices(text_locale in, const tariff_document *document) {
    telling t = {.in = in, .tariff = tariff_document_tariff(document)};
    for (size_t i = 0; i < tariff_document_index_count(document); i++) {
        const price_index *index = tariff_document_index(document, i);
        char month[PRICE_INDEX_MONTH_TEXT_MAX];
        price_index_month_format(index->month, month);
        word(&t, sv_of(index->name));
        word(&t, sv_of(month));
        word_decimal(&t, index->value_micro, MONEY_SCALE, 0);
        say(&t, index->is_provisional ? TEXT_RATE_INDEX_PROVISIONAL : TEXT_RATE_INDEX);
    }
}

// The unrounded sum of a list of lines.
static exact_amount sum_of(const rating_lines *lines) {
    exact_amount sum = {0};
    for (size_t i = 0; i < lines->list.len; i++) {
        exact_amount one = lines->list.items[i].amount;
        int32_t scale = sum.scale > one.scale ? sum.scale : one.scale;
        sum = (exact_amount){sum.value * power_of_ten(scale - sum.scale) + one.value * power_of_ten(scale - one.scale), scale};
    }
    return sum;
}

void rate_tell_quote(text_locale in, const tariff *rated, const rating_usage *usage, const rating_quote *quote, money_micro amount_micro) {
    telling t = {.in = in, .tariff = rated};
    word_time(&t, usage->from);
    word_time(&t, usage->to);
    word_quantity(&t, quote->quantity_milli);
    word_unit(&t);
    word(&t, tariff_code(rated));
    if (!usage->counts_once) say(&t, TEXT_RATE_USAGE);
    t.count = 0;
    int64_t before = 0;
    for (size_t i = 0; usage->used_before_milli && i < tariff_period_count(rated); i++) before += usage->used_before_milli[i];
    word_quantity(&t, before);
    word_unit(&t);
    if (before > 0) say(&t, TEXT_RATE_BEFORE);
    t.count = 0;
    for (size_t i = 0; i < quote->lines.list.len; i++) say_line(&t, &quote->lines.list.items[i]);
    word_money(&t, sum_of(&quote->lines));
    word_currency(&t);
    word_micro(&t, quote->total_micro);
    word_rounding(&t);
    say(&t, tariff_rounds_each_line(rated) ? TEXT_RATE_SUM_LINES : TEXT_RATE_SUM);
    if (amount_micro < 0) return;
    word_micro(&t, amount_micro);
    word_currency(&t);
    word_quantity(&t, quote->quantity_milli);
    word_unit(&t);
    word_micro(&t, quote->total_micro);
    say(&t, TEXT_RATE_BOUGHT);
}

static void say_window(telling *self, const rating_state *state) {
    if (tariff_tier_count(self->tariff) == 1) return;
    word_time(self, state->window.from);
    word_quantity(self, rating_state_used_milli(state));
    word_unit(self);
    word_micro(self, state->charged_micro);
    word_currency(self);
    say(self, TEXT_RATE_WINDOW);
}

void rate_tell_interval(text_locale in, const tariff *rated, const register_reading *from, const register_reading *to,
                        const rating_explanation *explained) {
    telling t = {.in = in, .tariff = rated};
    word_quantity(&t, from->value_milli);
    word_unit(&t);
    word_time(&t, from->at);
    word_quantity(&t, to->value_milli);
    word_time(&t, to->at);
    word_quantity(&t, explained->result.quantity_milli);
    say(&t, TEXT_EXPLAIN_READINGS);
    bool has_periods = tariff_period_count(rated) > 1, has_tiers = tariff_tier_count(rated) > 1;
    for (size_t i = 0; i < explained->trace.pieces.len; i++) {
        const rating_piece *piece = &explained->trace.pieces.items[i];
        word_time(&t, piece->from);
        word_time(&t, piece->to);
        word_quantity(&t, piece->quantity_milli);
        word_unit(&t);
        if (has_periods) word(&t, tariff_period_name(rated, piece->period));
        if (has_tiers) word_decimal(&t, piece->tier + 1, 0, 0);
        say(&t, has_periods ? (has_tiers ? TEXT_EXPLAIN_PIECE_PERIOD_TIER : TEXT_EXPLAIN_PIECE_PERIOD)
                            : (has_tiers ? TEXT_EXPLAIN_PIECE_TIER : TEXT_EXPLAIN_PIECE));
    }
    for (size_t i = 0; i < explained->lines.list.len; i++)
        if (explained->lines.list.items[i].amount.value != 0) say_line(&t, &explained->lines.list.items[i]);
    for (size_t i = 0; i < explained->trace.closed.len; i++) say_window(&t, &explained->trace.closed.items[i]);
    say_window(&t, &explained->after);
    word_currency(&t);
    word_micro(&t, explained->result.amount_micro);
    say(&t, TEXT_RATE_CHARGED);
}
