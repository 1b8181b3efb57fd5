// An explanation as JSON and as sentences.
#include "explaining/explaining.h"

#define ARGUMENTS_MAX 10
#define SENTENCE_MAX 1024
#define PIECE_SENTENCES_MAX 24
#define QUANTITY_SCALE 3

// Words of one sentence; each lives until the next sentence.
typedef struct words {
    char texts[ARGUMENTS_MAX][80];
    sv items[ARGUMENTS_MAX];
    size_t len;
} words;

typedef struct teller {
    const explanation *of;
    text_locale in;
    void (*take)(void *context, sv sentence);
    void *context;
    words words;
} teller;

static void word_text(teller *self, sv text) { self->words.items[self->words.len++] = text; }

static void word_quantity(teller *self, int64_t value) {
    char *text = self->words.texts[self->words.len];
    size_t len = decimal_format(value, QUANTITY_SCALE, 0, text);
    word_text(self, (sv){text, len});
}

static void word_number(teller *self, int64_t value) {
    char *text = self->words.texts[self->words.len];
    size_t len = decimal_format(value, 0, 0, text);
    word_text(self, (sv){text, len});
}

static void word_exact(teller *self, exact_amount amount) {
    char *text = self->words.texts[self->words.len];
    size_t len = decimal_format_wide(amount.value, amount.scale, amount.scale < 2 ? amount.scale : 2, text);
    word_text(self, (sv){text, len});
}

static void word_money(teller *self, money_micro amount) { word_exact(self, (exact_amount){amount, MONEY_SCALE}); }

static void word_price(teller *self, int64_t price_micro, int32_t scale) {
    char *text = self->words.texts[self->words.len];
    size_t len = decimal_format(price_micro, scale, 0, text);
    word_text(self, (sv){text, len});
}

// "2026-11-21 09:30", with seconds where there are some.
static void word_time(teller *self, instant_ms at, bool with_time) {
    local_time local = zone_local_time(self->of->zone, at);
    AUTO(buf) text;
    buf_init(&text, 64);
    buf_addf(&text, "%04d-%02d-%02d", local.year, local.month, local.day_of_month);
    int32_t seconds = local.ms_of_day / 1000;
    if (with_time) buf_addf(&text, " %02d:%02d", seconds / 3600, seconds / 60 % 60);
    if (with_time && seconds % 60) buf_addf(&text, ":%02d", seconds % 60);
    char *kept = self->words.texts[self->words.len];
    sv_copy_truncated(buf_view(&text), kept, sizeof self->words.texts[0]);
    word_text(self, sv_of(kept));
}

static void say(teller *self, text_key which) {
    AUTO(buf) sentence;
    buf_init(&sentence, SENTENCE_MAX);
    text_add(&sentence, which, self->in, self->words.items, self->words.len);
    self->take(self->context, buf_view(&sentence));
    self->words.len = 0;
}

static void say_readings(teller *self) {
    const explanation *of = self->of;
    bool has_ratio = of->ratio_num != of->ratio_den;
    word_quantity(self, of->from_value);
    word_text(self, sv_of(of->unit));
    word_time(self, of->from_at, true);
    word_quantity(self, of->to_value);
    word_time(self, of->to_at, true);
    word_quantity(self, of->quantity);
    if (has_ratio) {
        char *text = self->words.texts[self->words.len];
        AUTO(buf) ratio;
        buf_init(&ratio, 64);
        buf_add_i64(&ratio, of->ratio_num);
        if (of->ratio_den != 1) buf_addf(&ratio, "/%d", of->ratio_den);
        sv_copy_truncated(buf_view(&ratio), text, sizeof self->words.texts[0]);
        word_text(self, sv_of(text));
    }
    say(self, has_ratio ? TEXT_EXPLAIN_READINGS_RATIO : TEXT_EXPLAIN_READINGS);
}

static void say_estimate(teller *self) {
    const explanation *of = self->of;
    word_time(self, of->from_at, true);
    word_time(self, of->to_at, true);
    say(self, of->is_estimated_end ? TEXT_EXPLAIN_ESTIMATED_CLOSE
              : of->has_profile    ? TEXT_EXPLAIN_ESTIMATED_PROFILE
                                   : TEXT_EXPLAIN_ESTIMATED_TIME);
}

static void say_close(teller *self) {
    const explanation *of = self->of;
    word_time(self, of->from_at, false);
    word_time(self, of->to_at, false);
    say(self, TEXT_EXPLAIN_CLOSE);
    if (of->has_demand_line && of->demand_source == DEMAND_UNKNOWN) say(self, TEXT_EXPLAIN_NO_DEMAND);
    if (of->has_demand_line && of->demand_source != DEMAND_UNKNOWN) {
        word_quantity(self, of->closing.max_demand_w);
        say(self, of->demand_source == DEMAND_OF_REGISTER ? TEXT_EXPLAIN_DEMAND_REGISTER : TEXT_EXPLAIN_DEMAND_READINGS);
    }
    if (of->has_demand_line && of->closing.contracted_va > 0) {
        word_quantity(self, of->closing.contracted_va);
        say(self, TEXT_EXPLAIN_CAPACITY);
    }
    if (of->has_factor_line && of->closing.power_factor_micro == 0) say(self, TEXT_EXPLAIN_NO_POWER_FACTOR);
    if (of->has_factor_line && of->closing.power_factor_micro != 0) {
        word_quantity(self, of->active);
        word_quantity(self, of->reactive);
        word_price(self, of->closing.power_factor_micro / 1000, 3);
        say(self, TEXT_EXPLAIN_POWER_FACTOR);
    }
}

static void say_indices(teller *self) {
    for (size_t i = 0; i < self->of->index_count; i++) {
        const explanation_index *index = &self->of->indices[i];
        word_text(self, index->name);
        word_text(self, index->month);
        word_price(self, index->value_micro, MONEY_SCALE);
        say(self, index->is_provisional ? TEXT_EXPLAIN_INDEX_PROVISIONAL : TEXT_EXPLAIN_INDEX);
    }
}

static void say_correction(teller *self) {
    const explanation *of = self->of;
    bool is_recharge = sv_equal(sv_of(of->cause), SV("recharge"));
    if (of->corrects.charge) {
        word_number(self, of->corrects.charge);
        word_time(self, of->corrects.booked_at, true);
        word_number(self, of->corrects.tariff_version);
        say(self, TEXT_EXPLAIN_CORRECTS);
    }
    word_text(self, sv_of(of->currency));
    word_money(self, of->amount);
    say(self, !is_recharge ? TEXT_EXPLAIN_CORRECTION : of->is_true_up ? TEXT_EXPLAIN_TRUE_UP : TEXT_EXPLAIN_RECHARGE);
}

static void say_pieces(teller *self) {
    const explanation *of = self->of;
    bool has_tiers = of->tiers > 1;
    for (size_t i = 0; i < of->piece_count && i < PIECE_SENTENCES_MAX; i++) {
        const explanation_piece *piece = &of->pieces[i];
        bool has_period = piece->period.ptr != NULL;
        word_time(self, piece->from, true);
        word_time(self, piece->to, true);
        word_quantity(self, piece->quantity);
        word_text(self, sv_of(of->unit));
        if (has_period) word_text(self, piece->period);
        if (has_tiers) word_number(self, piece->tier);
        say(self, has_period ? (has_tiers ? TEXT_EXPLAIN_PIECE_PERIOD_TIER : TEXT_EXPLAIN_PIECE_PERIOD)
                             : (has_tiers ? TEXT_EXPLAIN_PIECE_TIER : TEXT_EXPLAIN_PIECE));
    }
    if (of->piece_count <= PIECE_SENTENCES_MAX) return;
    word_number(self, (int64_t)(of->piece_count - PIECE_SENTENCES_MAX));
    say(self, TEXT_EXPLAIN_PIECES_MORE);
}

static exact_amount difference(const explanation_line *line) {
    int32_t scale = line->before.scale > line->after.scale ? line->before.scale : line->after.scale;
    return (exact_amount){
        line->after.value * power_of_ten(scale - line->after.scale) - line->before.value * power_of_ten(scale - line->before.scale), scale};
}

// "energy (peak, 2)": what is not a word of ours stays as the tariff writes it.
static void word_line(teller *self, const explanation_line *line) {
    AUTO(buf) name;
    buf_init(&name, 256);
    buf_add(&name, sv_equal(line->name, SV("carried")) ? text_pattern(TEXT_EXPLAIN_CARRIED, self->in) : line->name);
    if (line->period.ptr && self->of->piece_count && self->of->pieces[0].period.ptr) buf_addf(&name, " · %.*s", SV_ARG(line->period));
    if (line->tier > 0 && self->of->tiers > 1) buf_addf(&name, " · %d", line->tier);
    char *kept = self->words.texts[self->words.len];
    sv_copy_truncated(buf_view(&name), kept, sizeof self->words.texts[0]);
    word_text(self, sv_of(kept));
}

static void say_lines(teller *self) {
    for (size_t i = 0; i < self->of->line_count; i++) {
        const explanation_line *line = &self->of->lines[i];
        exact_amount amount = difference(line);
        if (amount.value == 0) continue;
        bool is_share = line->has_price && sv_equal(sv_of(line->kind), SV("percent"));
        word_line(self, line);
        if (line->has_quantity) {
            word_quantity(self, line->quantity_after - line->quantity_before);
            word_text(self, sv_of(self->of->unit));
            word_price(self, line->price_micro, MONEY_SCALE);
        } else if (is_share) {
            word_price(self, line->price_micro, MONEY_SCALE - 2);
        }
        word_text(self, sv_of(self->of->currency));
        word_exact(self, amount);
        say(self, line->has_quantity ? TEXT_EXPLAIN_LINE : is_share ? TEXT_EXPLAIN_LINE_PERCENT : TEXT_EXPLAIN_LINE_AMOUNT);
    }
}

static sv rounding_word(const teller *self) {
    static const struct {
        const char *name;
        text_key word;
    } WORDS[] = {{"half_up", TEXT_ROUNDING_HALF_UP},
                 {"half_even", TEXT_ROUNDING_HALF_EVEN},
                 {"truncate", TEXT_ROUNDING_TRUNCATE},
                 {"ceil", TEXT_ROUNDING_CEIL}};
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++)
        if (sv_equal(sv_of(WORDS[i].name), sv_of(self->of->rounding_mode))) return text_pattern(WORDS[i].word, self->in);
    return sv_of(self->of->rounding_mode);
}

static void say_sums(teller *self) {
    const explanation *of = self->of;
    if (of->tiers > 1) {
        word_time(self, of->window.from, false);
        word_quantity(self, of->used_before);
        word_text(self, sv_of(of->unit));
        word_quantity(self, of->used_after);
        say(self, TEXT_EXPLAIN_WINDOW);
    }
    word_exact(self, of->unrounded_total);
    word_text(self, sv_of(of->currency));
    word_money(self, of->total);
    word_number(self, of->rounding_scale);
    word_text(self, rounding_word(self));
    say(self, TEXT_EXPLAIN_ROUNDING);
    if (of->is_correction && !of->is_close) {
        say_correction(self);
        return;
    }
    word_money(self, of->already_charged);
    word_text(self, sv_of(of->currency));
    word_money(self, of->amount);
    say(self, TEXT_EXPLAIN_RESULT);
}

static void tell(const explanation *of, text_locale in, void (*take)(void *, sv), void *context) {
    teller self = {.of = of, .in = in, .take = take, .context = context};
    if (!of->is_close) say_readings(&self);
    if (!of->is_held) {
        say(&self, TEXT_EXPLAIN_NOT_HELD);
        return;
    }
    word_text(&self, of->tariff_code);
    word_number(&self, of->tariff_version);
    word_time(&self, of->tariff_from, false);
    say(&self, TEXT_EXPLAIN_TARIFF);
    say_indices(&self);
    if (of->is_estimated) say_estimate(&self);
    if (of->is_close) say_close(&self);
    say_pieces(&self);
    say_lines(&self);
    say_sums(&self);
}

static void take_line(void *context, sv sentence) {
    buf *out = context;
    buf_add(out, sentence);
    buf_add_byte(out, '\n');
}

void explanation_write_text(const explanation *self, text_locale in, buf *out) { tell(self, in, take_line, out); }

// JSON.

static void put_decimal(json_writer *out, const char *key, int128 value, int32_t scale) {
    char text[DECIMAL_WIDE_TEXT_MAX];
    size_t len = decimal_format_wide(value, scale, 0, text);
    json_put_text(out, key, (sv){text, len});
}

// As everywhere in the API: at least the currency's minor digits.
static void put_money(json_writer *out, const char *key, money_micro amount) {
    char text[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(amount, MONEY_SCALE, 2, text);
    json_put_text(out, key, (sv){text, len});
}

static int32_t offset_at(const explanation *self, instant_ms at) { return zone_local_time(self->zone, at).offset_s; }

static void put_time(const explanation *self, json_writer *out, const char *key, instant_ms at) {
    if (at >= INSTANT_MAX)
        json_put_null(out, key);
    else
        json_put_instant(out, key, at, offset_at(self, at));
}

static void put_text_or_null(json_writer *out, const char *key, sv text) {
    if (text.ptr)
        json_put_text(out, key, text);
    else
        json_put_null(out, key);
}

static void charge_put(const explanation *self, sv charge_id, json_writer *out) {
    json_key(out, "charge");
    json_open_object(out);
    json_put_text(out, "id", charge_id);
    json_put_text(out, "cause", sv_of(self->cause));
    json_put_boolean(out, "estimated", self->is_estimated);
    put_time(self, out, "from", self->from_at);
    put_time(self, out, "to", self->to_at);
    put_time(self, out, "booked_at", self->booked_at);
    put_decimal(out, "quantity", self->quantity, QUANTITY_SCALE);
    json_put_text(out, "unit", sv_of(self->unit));
    put_money(out, "amount", self->amount);
    json_put_text(out, "currency", sv_of(self->currency));
    json_close_object(out);
}

static void reading_put(const explanation *self, const char *key, int64_t value, instant_ms at, json_writer *out) {
    json_key(out, key);
    json_open_object(out);
    put_decimal(out, "value", value, QUANTITY_SCALE);
    json_put_text(out, "unit", sv_of(self->unit));
    put_time(self, out, "read_at", at);
    json_close_object(out);
}

static void line_put(const explanation_line *line, json_writer *out) {
    exact_amount amount = difference(line);
    json_open_object(out);
    json_put_text(out, "name", line->name);
    json_put_text(out, "kind", sv_of(line->kind));
    put_text_or_null(out, "period", line->period);
    if (line->tier > 0)
        json_put_integer(out, "tier", line->tier);
    else
        json_put_null(out, "tier");
    if (line->has_quantity)
        put_decimal(out, "quantity_before", line->quantity_before, QUANTITY_SCALE);
    else
        json_put_null(out, "quantity_before");
    if (line->has_quantity)
        put_decimal(out, "quantity_after", line->quantity_after, QUANTITY_SCALE);
    else
        json_put_null(out, "quantity_after");
    if (line->has_price)
        put_decimal(out, "price", line->price_micro, MONEY_SCALE);
    else
        json_put_null(out, "price");
    put_decimal(out, "amount_before", line->before.value, line->before.scale);
    put_decimal(out, "amount_after", line->after.value, line->after.scale);
    put_decimal(out, "amount", amount.value, amount.scale);
    json_close_object(out);
}

static void take_item(void *context, sv sentence) { json_add_text(context, sentence); }

static void basis_put(const explanation *self, json_writer *out) {
    if (!self->is_held) {
        json_put_null(out, "tariff");
        json_put_null(out, "window");
        return;
    }
    json_key(out, "tariff");
    json_open_object(out);
    json_put_text(out, "code", self->tariff_code);
    json_put_integer(out, "version", self->tariff_version);
    put_time(self, out, "effective_from", self->tariff_from);
    json_close_object(out);
    json_key(out, "window");
    json_open_object(out);
    json_put_text(out, "over", sv_of(self->window_over));
    // A tariff without tiers has one window for life: it began with the tariff.
    put_time(self, out, "from", self->window.from > self->tariff_from ? self->window.from : self->tariff_from);
    put_time(self, out, "to", self->window.to);
    put_decimal(out, "used_before", self->used_before, QUANTITY_SCALE);
    put_decimal(out, "used_after", self->used_after, QUANTITY_SCALE);
    json_close_object(out);
}

// What was known of the window when it closed.
static void closing_put(const explanation *self, json_writer *out) {
    static const char *const SOURCES[] = {[DEMAND_OF_REGISTER] = "register", [DEMAND_OF_READINGS] = "readings"};
    if (!self->is_close) {
        json_put_null(out, "closing");
        return;
    }
    json_key(out, "closing");
    json_open_object(out);
    put_text_or_null(out, "demand_source", self->demand_source == DEMAND_UNKNOWN ? SV_NONE : sv_of(SOURCES[self->demand_source]));
    put_decimal(out, "max_demand_kw", self->closing.max_demand_w, QUANTITY_SCALE);
    put_decimal(out, "contracted_kva", self->closing.contracted_va, QUANTITY_SCALE);
    put_decimal(out, "active_kwh", self->active, QUANTITY_SCALE);
    put_decimal(out, "reactive_kvarh", self->reactive, QUANTITY_SCALE);
    if (self->closing.power_factor_micro)
        put_decimal(out, "power_factor", self->closing.power_factor_micro, MONEY_SCALE);
    else
        json_put_null(out, "power_factor");
    json_close_object(out);
}

// The id of another charge of the point: as the caller names this one, which ends with its num.
static void corrects_put(const explanation *self, sv charge_id, json_writer *out) {
    const explanation_corrected *of = &self->corrects;
    if (!of->charge) {
        json_put_null(out, "corrects");
        return;
    }
    char num[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(self->charge, 0, 0, num);
    AUTO(buf) id;
    buf_init(&id, 256);
    if (charge_id.len >= len) buf_add(&id, (sv){charge_id.ptr, charge_id.len - len});
    buf_add_i64(&id, of->charge);
    json_key(out, "corrects");
    json_open_object(out);
    json_put_text(out, "id", buf_view(&id));
    put_time(self, out, "from", of->from_at);
    put_time(self, out, "to", of->to_at);
    put_time(self, out, "booked_at", of->booked_at);
    put_money(out, "amount", of->amount);
    if (of->tariff_version)
        json_put_integer(out, "tariff_version", of->tariff_version);
    else
        json_put_null(out, "tariff_version");
    json_close_object(out);
}

static void indices_put(const explanation *self, json_writer *out) {
    json_key(out, "indices");
    json_open_array(out);
    for (size_t i = 0; i < self->index_count; i++) {
        json_open_object(out);
        json_put_text(out, "index", self->indices[i].name);
        json_put_text(out, "month", self->indices[i].month);
        put_decimal(out, "value", self->indices[i].value_micro, MONEY_SCALE);
        json_put_boolean(out, "provisional", self->indices[i].is_provisional);
        json_close_object(out);
    }
    json_close_array(out);
}

static void pieces_put(const explanation *self, json_writer *out) {
    json_key(out, "pieces");
    json_open_array(out);
    for (size_t i = 0; i < self->piece_count; i++) {
        const explanation_piece *piece = &self->pieces[i];
        json_open_object(out);
        put_time(self, out, "from", piece->from);
        put_time(self, out, "to", piece->to);
        put_text_or_null(out, "period", piece->period);
        json_put_integer(out, "tier", piece->tier);
        put_decimal(out, "quantity", piece->quantity, QUANTITY_SCALE);
        json_close_object(out);
    }
    json_close_array(out);
}

void explanation_write_json(const explanation *self, text_locale in, sv charge_id, json_writer *out) {
    json_open_object(out);
    charge_put(self, charge_id, out);
    json_key(out, "sentences");
    json_open_array(out);
    tell(self, in, take_item, out);
    json_close_array(out);
    if (self->is_close) {
        json_put_null(out, "readings");
    } else {
        json_key(out, "readings");
        json_open_object(out);
        reading_put(self, "from", self->from_value, self->from_at, out);
        reading_put(self, "to", self->to_value, self->to_at, out);
        json_close_object(out);
    }
    closing_put(self, out);
    corrects_put(self, charge_id, out);
    basis_put(self, out);
    indices_put(self, out);
    pieces_put(self, out);
    json_key(out, "lines");
    json_open_array(out);
    for (size_t i = 0; i < self->line_count; i++) line_put(&self->lines[i], out);
    json_close_array(out);
    put_decimal(out, "unrounded_total", self->unrounded_total.value, self->unrounded_total.scale);
    json_key(out, "rounding");
    json_open_object(out);
    json_put_text(out, "mode", sv_of(self->is_held ? self->rounding_mode : "half_up"));
    json_put_integer(out, "scale", self->rounding_scale);
    json_put_text(out, "at", self->rounds_each_line ? SV("line") : SV("total"));
    json_close_object(out);
    put_money(out, "total", self->total);
    put_money(out, "already_charged", self->already_charged);
    json_close_object(out);
}
