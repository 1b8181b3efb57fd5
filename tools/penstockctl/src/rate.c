// penstockctl rate: what a usage or a series of readings costs under a tariff document, by the engine that charges.
#include <stdio.h>

#include "command.h"
#include "documents/tariff_document.h"
#include "documents/usage_document.h"
#include "file.h"
#include "json/json_writer.h"
#include "rating/rating.h"

#define MEMORY_MAX (600UL << 20)
#define OUTPUT_BYTES_MAX (4UL << 20)
#define CACHE_DAYS 64
#define MILLI_SCALE 3

typedef struct rate_request {
    const char *tariff_file;
    const char *usage_file;  // one of these two
    const char *readings_file;
} rate_request;

// What was rated, ready to be printed.
typedef struct rated {
    const tariff *tariff;
    money_micro total_micro;
    int64_t quantity_milli;
    rating_lines lines;
} rated;

static int rate_run(const rate_request *request);

int ctl_rate(int argc, char **argv) {
    rate_request request = {0};
    const ctl_option options[] = {
        {"--tariff", "T.json", "the tariff document", &request.tariff_file, NULL},
        {"--usage", "U.json", "quantities already split by period", &request.usage_file, NULL},
        {"--readings", "R.csv", "read_at,value: a cumulative register at RFC 3339 times", &request.readings_file, NULL},
        {0}};
    const ctl_usage usage = {"rate", NULL,
                             "Rates a usage or readings and prints one JSON object: total, quantity and lines. \"-\" is stdin. Exit 2:\n"
                             "a file breaks a rule; stderr names the file, the place and the reason.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!request.tariff_file || !request.usage_file == !request.readings_file) {
        ctl_say("rate: --tariff and one of --usage and --readings are needed");
        return CTL_BAD_INPUT;
    }
    return rate_run(&request);
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

static int print(const rated *self) {
    AUTO(buf) text;
    buf_init(&text, OUTPUT_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "currency", sv_of(currency_code(tariff_currency(self->tariff))));
    put_decimal(&out, "total", self->total_micro, MONEY_SCALE, tariff_rounding_scale(self->tariff));
    put_decimal(&out, "quantity", self->quantity_milli, MILLI_SCALE, 0);
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

static int rate_usage(const char *file, arena *memory, rated *out) {
    sv text;
    usage_document document;
    fault why = {0};
    if (!ctl_file_read(file, USAGE_DOCUMENT_BYTES_MAX, memory, &text)) return CTL_BAD_INPUT;
    if (usage_document_read(text, out->tariff, &document, &why)) return ctl_fault(file, &why);
    const rating_usage usage = {.from = document.from,
                                .to = document.to,
                                .quantity_milli = document.quantity_milli,
                                .used_before_milli = document.used_before_milli,
                                .max_demand_w = document.max_demand_w,
                                .contracted_va = document.contracted_va};
    AUTO(rating_quote) quote = {0};
    rating_answer answer = rating_quote_usage(out->tariff, &usage, &quote);
    if (answer != RATING_OK) return refuse_answer(file, "/quantities", answer);
    out->total_micro = quote.total_micro;
    out->quantity_milli = quote.quantity_milli;
    out->lines = quote.lines;
    quote.lines = (rating_lines){0};
    return print(out);
}

// Charges one reading after the other and adds up; windows that close leave their lines.
static rating_answer charge_readings(const readings_csv *readings, rated *out, size_t *out_line) {
    AUTO_RATING_CACHE cache = rating_cache_new(CACHE_DAYS);
    rating_state state;
    rating_state_init(&state);
    for (size_t i = 1; i < readings->list.len; i++) {
        const register_reading *last = &readings->list.items[i - 1];
        const register_reading *next = &readings->list.items[i];
        rating_interval interval = {.from = last->at, .to = next->at, .quantity_milli = next->value_milli - last->value_milli};
        rating_result result;
        AUTO(rating_trace) trace = {0};
        rating_answer answer = rating_charge(out->tariff, cache, &state, &interval, &result, &trace);
        if (answer == RATING_OK && !money_add(out->total_micro, result.amount_micro, &out->total_micro)) answer = RATING_TOO_LARGE;
        *out_line = i + 2;
        if (answer != RATING_OK) return answer;
        out->quantity_milli += result.quantity_milli;
        for (size_t j = 0; j < trace.closed.len; j++) rating_lines_add_state(&out->lines, out->tariff, &trace.closed.items[j]);
    }
    rating_lines_add_state(&out->lines, out->tariff, &state);
    return RATING_OK;
}

static int rate_readings(const char *file, arena *memory, rated *out) {
    sv text;
    AUTO(readings_csv) readings = {0};
    fault why = {0};
    if (!ctl_file_read(file, READINGS_CSV_BYTES_MAX, memory, &text)) return CTL_BAD_INPUT;
    if (readings_csv_read(text, &readings, &why)) return ctl_fault(file, &why);
    if (readings.list.len < 2) {
        ctl_say("%s: line %zu: at least two readings are needed", file, readings.list.len + 1);
        return CTL_BAD_INPUT;
    }
    size_t line = 0;
    rating_answer answer = charge_readings(&readings, out, &line);
    if (answer == RATING_OK) return print(out);
    char place[32];
    snprintf(place, sizeof place, "line %zu", line);
    return refuse_answer(file, place, answer);
}

static int rate_run(const rate_request *request) {
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_TARIFF_DOCUMENT document = NULL;
    sv text;
    fault why = {0};
    if (!ctl_file_read(request->tariff_file, TARIFF_DOCUMENT_BYTES_MAX, memory, &text)) return CTL_BAD_INPUT;
    const tariff_reading how = {.use = request->usage_file ? TARIFF_FOR_QUOTE : TARIFF_FOR_READINGS, .zones = zones};
    if (tariff_document_read(text, &how, &document, &why)) return ctl_fault(request->tariff_file, &why);
    rated answer = {.tariff = tariff_document_tariff(document)};
    int code =
        request->usage_file ? rate_usage(request->usage_file, memory, &answer) : rate_readings(request->readings_file, memory, &answer);
    rating_lines_done(&answer.lines);
    return code;
}
