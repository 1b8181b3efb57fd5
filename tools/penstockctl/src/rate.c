// penstockctl rate: what a usage or a series of readings costs under a tariff document, by the engine that charges.
#include <stdio.h>

#include "command.h"
#include "documents/tariff_document.h"
#include "documents/usage_document.h"
#include "file.h"
#include "json/json_writer.h"
#include "rate_tell.h"
#include "rating/rating.h"

#define MEMORY_MAX (600UL << 20)
#define OUTPUT_BYTES_MAX (4UL << 20)
#define CACHE_DAYS 64
#define MILLI_SCALE 3

typedef struct rate_request {
    const char *tariff_file;
    const char *usage_file;
    const char *readings_file;
    const char *amount;
    const char *index_file;
    const char *lang;
    bool explains;
    money_micro amount_micro;
    text_locale locale;
} rate_request;

// What the tariff document becomes in one month of price indices; without indices there is one for all months.
typedef struct tariff_month {
    int32_t month;
    tariff_document *document;
} tariff_month;

typedef struct rating_job {
    const rate_request *request;
    arena *memory;
    zone_set *zones;
    price_indices indices;
    sv tariff_text;
    tariff_use use;
    VEC(tariff_month) months;
} rating_job;

// What was rated, ready to be printed.
typedef struct rated {
    const tariff *tariff;
    money_micro total_micro;
    int64_t quantity_milli;
    rating_lines lines;
} rated;

static int rate_run(const rate_request *request);

static int check_request(rate_request *request) {
    bool has_source = request->usage_file || request->readings_file || request->amount;
    if (!request->tariff_file || !has_source || (request->readings_file && (request->usage_file || request->amount))) {
        ctl_say("rate: --tariff and one of --usage and --readings are needed, or --amount");
        return CTL_BAD_INPUT;
    }
    if (request->amount && decimal_parse(sv_of(request->amount), MONEY_SCALE, &request->amount_micro) != DECIMAL_OK) {
        ctl_say("--amount: not a decimal number of at most 6 decimals");
        return CTL_BAD_INPUT;
    }
    if (request->amount_micro < 0) {
        ctl_say("--amount: must not be negative");
        return CTL_BAD_INPUT;
    }
    request->locale = LOCALE_EN;
    if (!request->lang || locale_parse(sv_of(request->lang), &request->locale)) return CTL_OK;
    ctl_say("--lang: must be zh or en");
    return CTL_BAD_INPUT;
}

int ctl_rate(int argc, char **argv) {
    rate_request request = {0};
    const ctl_option options[] = {
        {"--tariff", "T.json", "the tariff document", &request.tariff_file, NULL},
        {"--usage", "U.json", "quantities already split by period", &request.usage_file, NULL},
        {"--readings", "R.csv", "read_at,value: a cumulative register at RFC 3339 times", &request.readings_file, NULL},
        {"--amount", "MONEY", "what quantity does this money buy; --usage then gives time, mix of periods, tier_used", &request.amount,
         NULL},
        {"--index", "I.csv", "index,month,value,provisional: price indices the tariff names", &request.index_file, NULL},
        {"--explain", NULL, "tell the arithmetic as text instead of JSON", NULL, &request.explains},
        {"--lang", "LANG", "of the text: en (default) or zh", &request.lang, NULL},
        {0}};
    const ctl_usage usage = {"rate", NULL,
                             "Rates a usage, readings or an amount and prints one JSON object: total, quantity and lines. \"-\" is stdin.\n"
                             "Without --usage an amount pays each fixed line once. Exit 2: a file breaks a rule, or the amount buys\n"
                             "nothing; stderr names the file, the place and the reason.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    end = check_request(&request);
    return end == CTL_OK ? rate_run(&request) : end;
}

// The document in force at `at`; NULL after telling what is wrong.
static const tariff_document *document_at(rating_job *job, instant_ms at) {
    if (job->months.len > 0) {
        const tariff_document *first = job->months.items[0].document;
        if (tariff_document_index_count(first) == 0) return first;
        int32_t month = price_index_month(tariff_zone(tariff_document_tariff(first)), at);
        for (size_t i = job->months.len; i-- > 0;)
            if (job->months.items[i].month == month) return job->months.items[i].document;
    }
    fault why = {0};
    tariff_month next = {0};
    const tariff_reading how = {.version = job->months.len + 1,
                                .use = job->use,
                                .zones = job->zones,
                                .indices = job->request->index_file ? &job->indices : NULL,
                                .index_at = at};
    if (tariff_document_read(job->tariff_text, &how, &next.document, &why)) {
        (void)ctl_fault(job->request->tariff_file, &why);
        return NULL;
    }
    next.month = price_index_month(tariff_zone(tariff_document_tariff(next.document)), at);
    vec_push(&job->months, next);
    return next.document;
}

// The last entry of a line takes what is left, so that the entries add up to the rounded line.
static int128 round_entry(const rated *self, size_t index, int128 *cumulative) {
    const rating_line *entry = &self->lines.list.items[index];
    int128 step = power_of_ten(entry->amount.scale - tariff_rounding_scale(self->tariff));
    rounding_mode mode = tariff_rounding_mode(self->tariff);
    if (index == 0 || entry[-1].line != entry->line) *cumulative = 0;
    int128 before = round_divide(*cumulative, step, mode);
    *cumulative += entry->amount.value;
    return (round_divide(*cumulative, step, mode) - before) * step;
}

static void put_decimal(json_writer *out, const char *key, int128 value, int32_t scale, int32_t min_decimals) {
    char text[DECIMAL_WIDE_TEXT_MAX];
    size_t len = decimal_format_wide(value, scale, min_decimals, text);
    json_put_text(out, key, (sv){text, len});
}

static void put_line(const rated *self, json_writer *out, const rating_line *line, int128 amount) {
    json_open_object(out);
    json_put_text(out, "name", tariff_line_name(self->tariff, line->line));
    switch (tariff_line_kind(self->tariff, line->line)) {
        case LINE_KIND_QUANTITY:
            json_put_text(out, "period", line->period < 0 ? SV("*") : tariff_period_name(self->tariff, (size_t)line->period));
            json_put_integer(out, "tier", line->tier + 1);
            put_decimal(out, "quantity", line->quantity_milli, MILLI_SCALE, 0);
            put_decimal(out, "price", line->price_micro, MONEY_SCALE, 0);
            break;
        case LINE_KIND_PERCENT: put_decimal(out, "rate", line->price_micro, MONEY_SCALE, 0); break;
        case LINE_KIND_FIXED:
        case LINE_KIND_DEMAND:
        case LINE_KIND_MINIMUM:
        case LINE_KIND_POWER_FACTOR: put_decimal(out, "price", line->price_micro, MONEY_SCALE, 0); break;
        case LINE_KIND_COUNT: break;
    }
    put_decimal(out, "amount", amount, line->amount.scale, tariff_rounding_scale(self->tariff));
    json_close_object(out);
}

static void put_indices(const rating_job *job, json_writer *out) {
    bool is_provisional = false;
    size_t count = 0;
    for (size_t i = 0; i < job->months.len; i++) {
        is_provisional |= tariff_document_is_provisional(job->months.items[i].document);
        count += tariff_document_index_count(job->months.items[i].document);
    }
    if (count == 0) return;
    json_put_boolean(out, "provisional", is_provisional);
    json_key(out, "indices");
    json_open_array(out);
    for (size_t i = 0; i < job->months.len; i++) {
        for (size_t j = 0; j < tariff_document_index_count(job->months.items[i].document); j++) {
            const price_index *index = tariff_document_index(job->months.items[i].document, j);
            char month[PRICE_INDEX_MONTH_TEXT_MAX];
            price_index_month_format(index->month, month);
            json_open_object(out);
            json_put_text(out, "index", sv_of(index->name));
            json_put_text(out, "month", sv_of(month));
            put_decimal(out, "value", index->value_micro, MONEY_SCALE, 0);
            json_put_boolean(out, "provisional", index->is_provisional);
            json_close_object(out);
        }
    }
    json_close_array(out);
}

static int print(const rating_job *job, const rated *self) {
    if (job->request->explains) return CTL_OK;
    AUTO(buf) text;
    buf_init(&text, OUTPUT_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "currency", sv_of(currency_code(tariff_currency(self->tariff))));
    if (job->request->amount) put_decimal(&out, "amount", job->request->amount_micro, MONEY_SCALE, 0);
    put_decimal(&out, "total", self->total_micro, MONEY_SCALE, tariff_rounding_scale(self->tariff));
    put_decimal(&out, "quantity", self->quantity_milli, MILLI_SCALE, 0);
    put_indices(job, &out);
    json_key(&out, "lines");
    json_open_array(&out);
    int128 cumulative = 0;
    for (size_t i = 0; i < self->lines.list.len; i++) {
        const rating_line *line = &self->lines.list.items[i];
        put_line(self, &out, line, tariff_rounds_each_line(self->tariff) ? round_entry(self, i, &cumulative) : line->amount.value);
    }
    json_close_array(&out);
    json_close_object(&out);
    if (buf_has_failed(&text)) {
        ctl_say("rate: the answer is too long");
        return CTL_NO;
    }
    printf("%.*s\n", SV_ARG(buf_view(&text)));
    return CTL_OK;
}

static int refuse_answer(const char *file, const char *place, rating_answer answer) {
    ctl_say("%s: %s: %s", file, place, rating_answer_text(answer));
    return CTL_BAD_INPUT;
}

// Prices a usage, or finds what the amount buys with it.
static int quote(rating_job *job, const tariff_document *document, const rating_usage *usage, const char *file) {
    const rate_request *request = job->request;
    rated out = {.tariff = tariff_document_tariff(document)};
    AUTO(rating_quote) quote = {0};
    rating_answer answer = request->amount
                               ? rating_quote_amount(out.tariff, usage, request->amount_micro, rating_bought_step_milli(out.tariff), &quote)
                               : rating_quote_usage(out.tariff, usage, &quote);
    if (answer != RATING_OK && request->amount) return refuse_answer(request->tariff_file, "--amount", answer);
    if (answer != RATING_OK) return refuse_answer(file, "/quantities", answer);
    if (request->explains) {
        rate_tell_indices(request->locale, document);
        rate_tell_quote(request->locale, out.tariff, usage, &quote, request->amount ? request->amount_micro : -1);
    }
    out.total_micro = quote.total_micro;
    out.quantity_milli = quote.quantity_milli;
    out.lines = quote.lines;
    return print(job, &out);
}

static bool has_one_index_month(const tariff_document *document, instant_ms from, instant_ms to) {
    const zone *in_zone = tariff_zone(tariff_document_tariff(document));
    return tariff_document_index_count(document) == 0 || price_index_month(in_zone, from) == price_index_month(in_zone, to - 1);
}

static int rate_usage(rating_job *job, const char *file) {
    sv text;
    usage_document usage;
    fault why = {0};
    if (!ctl_file_read(file, USAGE_DOCUMENT_BYTES_MAX, job->memory, &text)) return CTL_BAD_INPUT;
    // The month of the prices stands in the usage, whose periods are the tariff's: its head is read by itself first.
    instant_ms from;
    if (usage_document_from(text, &from, &why)) return ctl_fault(file, &why);
    const tariff_document *document = document_at(job, from);
    if (!document) return CTL_BAD_INPUT;
    const tariff *by = tariff_document_tariff(document);
    if (usage_document_read(text, by, &usage, &why)) return ctl_fault(file, &why);
    if (!has_one_index_month(document, usage.from, usage.to)) {
        ctl_say("%s: /to: the usage spans several months of price indices", file);
        return CTL_BAD_INPUT;
    }
    const rating_holder holder = {usage.heads, usage.opened_at};
    const rating_usage asked = {.from = usage.from,
                                .to = usage.to,
                                .quantity_milli = usage.quantity_milli,
                                .used_before_milli = usage.used_before_milli,
                                .max_demand_w = usage.max_demand_w,
                                .contracted_va = usage.contracted_va,
                                .power_factor_micro = usage.power_factor_micro,
                                .holder = &holder};
    return quote(job, document, &asked, file);
}

// Money alone: each fixed line once, nothing used before, at the newest month of the indices.
static int rate_amount(rating_job *job) {
    static const int64_t NOTHING[TARIFF_PERIODS_MAX];
    int32_t newest = 0;
    for (size_t i = 0; i < job->indices.list.len; i++)
        if (job->indices.list.items[i].month > newest) newest = job->indices.list.items[i].month;
    instant_ms at = (days_from_civil(newest / 12, newest % 12 + 1, 15)) * DAY_MS;
    const tariff_document *document = document_at(job, newest ? at : 0);
    if (!document) return CTL_BAD_INPUT;
    const tariff *by = tariff_document_tariff(document);
    instant_ms from = newest ? at : tariff_effective_from(by);
    const rating_usage asked = {.from = from, .to = from + DAY_MS, .quantity_milli = NOTHING, .counts_once = true};
    return quote(job, document, &asked, job->request->tariff_file);
}

typedef struct charging {
    rating_job *job;
    rating_cache *cache;
    rating_state state;
    const tariff *last;
    rated out;
} charging;

static void list_state(charging *c, const tariff *by, const rating_state *state, instant_ms reached) {
    if (state->window.to <= reached)
        rating_lines_add_closed(&c->out.lines, by, state, NULL);
    else
        rating_lines_add_state(&c->out.lines, by, state);
}

// One interval under one version; windows that close leave their lines.
static rating_answer charge_part(charging *c, const tariff *by, const register_reading *from, const register_reading *to) {
    rating_interval interval = {.from = from->at, .to = to->at, .quantity_milli = to->value_milli - from->value_milli};
    // A version that goes leaves its lines, too.
    if (c->last && c->last != by) list_state(c, c->last, &c->state, from->at);
    c->last = by;
    AUTO(rating_explanation) explained = {0};
    rating_answer answer;
    if (c->job->request->explains) {
        answer = rating_explain(by, &c->state, &interval, &explained);
        if (answer == RATING_OK) rate_tell_interval(c->job->request->locale, by, from, to, &explained);
        if (answer == RATING_OK) c->state = explained.after;
    } else {
        answer = rating_charge(by, c->cache, &c->state, &interval, &explained.result, &explained.trace);
    }
    if (answer == RATING_OK && !money_add(c->out.total_micro, explained.result.amount_micro, &c->out.total_micro))
        answer = RATING_TOO_LARGE;
    if (answer != RATING_OK) return answer;
    c->out.quantity_milli += explained.result.quantity_milli;
    for (size_t i = 0; i < explained.trace.closed.len; i++) list_state(c, by, &explained.trace.closed.items[i], to->at);
    return RATING_OK;
}

// An interval is cut where a month of price indices begins. False: told on stderr.
static bool charge_interval(charging *c, register_reading from, const register_reading *to, rating_answer *out_answer) {
    *out_answer = RATING_OK;
    while (from.at < to->at && *out_answer == RATING_OK) {
        const tariff_document *document = document_at(c->job, from.at);
        if (!document) return false;
        const tariff *by = tariff_document_tariff(document);
        if (c->job->request->explains && c->last != by) rate_tell_indices(c->job->request->locale, document);
        register_reading until = *to;
        if (tariff_document_index_count(document) > 0) {
            window_rule months = {.kind = WINDOW_MONTH};
            instant_ms end = window_at(tariff_zone(by), &months, from.at).to;
            if (end < to->at) {
                until.at = end;
                until.value_milli = from.value_milli + rating_split_by_time(to->value_milli - from.value_milli, from.at, to->at, end);
            }
        }
        *out_answer = charge_part(c, by, &from, &until);
        from = until;
    }
    return true;
}

static int charge_readings(rating_job *job, const char *file, const readings_csv *readings) {
    AUTO_RATING_CACHE cache = rating_cache_new(CACHE_DAYS);
    charging c = {.job = job, .cache = cache};
    rating_state_init(&c.state);
    int code = CTL_BAD_INPUT;
    for (size_t i = 1; i < readings->list.len; i++) {
        rating_answer answer = RATING_OK;
        char place[32];
        snprintf(place, sizeof place, "line %zu", i + 2);
        bool is_known = charge_interval(&c, readings->list.items[i - 1], &readings->list.items[i], &answer);
        if (is_known && answer != RATING_OK) (void)refuse_answer(file, place, answer);
        if (!is_known || answer != RATING_OK) goto done;
    }
    list_state(&c, c.last, &c.state, readings->list.items[readings->list.len - 1].at);
    c.out.tariff = c.last;
    code = print(job, &c.out);
done:
    rating_lines_done(&c.out.lines);
    return code;
}

static int rate_readings(rating_job *job, const char *file) {
    sv text;
    AUTO(readings_csv) readings = {0};
    fault why = {0};
    if (!ctl_file_read(file, READINGS_CSV_BYTES_MAX, job->memory, &text)) return CTL_BAD_INPUT;
    if (readings_csv_read(text, &readings, &why)) return ctl_fault(file, &why);
    if (readings.list.len >= 2) return charge_readings(job, file, &readings);
    ctl_say("%s: line %zu: at least two readings are needed", file, readings.list.len + 1);
    return CTL_BAD_INPUT;
}

static bool read_indices(rating_job *job) {
    const char *file = job->request->index_file;
    sv text;
    fault why = {0};
    if (!file) return true;
    if (!ctl_file_read(file, PRICE_INDICES_CSV_BYTES_MAX, job->memory, &text)) return false;
    if (!price_indices_read(text, &job->indices, &why)) return true;
    (void)ctl_fault(file, &why);
    return false;
}

static int rate_run(const rate_request *request) {
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    rating_job job = {
        .request = request, .memory = memory, .zones = zones, .use = request->readings_file ? TARIFF_FOR_READINGS : TARIFF_FOR_QUOTE};
    int code = CTL_BAD_INPUT;
    if (ctl_file_read(request->tariff_file, TARIFF_DOCUMENT_BYTES_MAX, memory, &job.tariff_text) && read_indices(&job)) {
        if (request->readings_file)
            code = rate_readings(&job, request->readings_file);
        else
            code = request->usage_file ? rate_usage(&job, request->usage_file) : rate_amount(&job);
    }
    for (size_t i = 0; i < job.months.len; i++) tariff_document_free(job.months.items[i].document);
    vec_done(&job.months);
    price_indices_done(&job.indices);
    return code;
}
