// Runs tests/scenarios/rating.txt: every amount in it was worked out by hand. Its grammar is told at its top.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "documents/tariff_document.h"
#include "money/apportion.h"
#include "rating/rating.h"

#define FILE_BYTES_MAX (256 * 1024)

typedef struct scenario {
    size_t line_number;
    zone_set *zones;
    rating_cache *cache;
    tariff_document *quoted;   // the last document, compiled for a given usage
    tariff_document *charged;  // and for readings, where that is possible
    rating_state state;
    bool has_reading;
    instant_ms last_at;
    int64_t last_value;
    bool is_continued;  // the next document is a new version of the account's tariff
    uint64_t version;
    rating_holder holder;
    rating_closing closing;
    rating_lines lines;
    int checked;
} scenario;

#define FAIL(s, ...)                                       \
    do {                                                   \
        print_error("rating.txt:%zu: ", (s)->line_number); \
        fail_msg(__VA_ARGS__);                             \
    } while (0)

static int64_t number(const scenario *s, sv text, int32_t scale) {
    int64_t value = 0;
    if (decimal_parse(text, scale, &value) != DECIMAL_OK) FAIL(s, "not a number: %.*s", SV_ARG(text));
    return value;
}

static instant_ms instant(const scenario *s, sv text) {
    instant_ms at = 0;
    if (!instant_parse(text, &at)) FAIL(s, "not a time: %.*s", SV_ARG(text));
    return at;
}

static sv word(sv *rest) {
    sv found = SV_NONE;
    *rest = sv_trim(*rest);
    return sv_next(rest, ' ', &found) ? found : SV("");
}

static void new_account(scenario *s) {
    rating_state_init(&s->state);
    s->has_reading = false;
    s->holder = (rating_holder){0};
    s->closing = (rating_closing){0};
}

static void load_tariff(scenario *s, sv json) {
    tariff_document_free(s->quoted);
    tariff_document_free(s->charged);
    s->quoted = s->charged = NULL;
    fault why = {0};
    s->version = s->is_continued ? s->version + 1 : 1;
    tariff_reading how = {.version = s->version, .use = TARIFF_FOR_QUOTE, .zones = s->zones};
    if (tariff_document_read(json, &how, &s->quoted, &why)) FAIL(s, "%s: %s", why.place, why.reason);
    how.use = TARIFF_FOR_READINGS;
    if (tariff_document_read(json, &how, &s->charged, &why)) s->charged = NULL;
    if (!s->is_continued) new_account(s);
    s->is_continued = false;
}

static void expect_amount(scenario *s, int64_t found_micro, sv wanted) {
    char text[DECIMAL_TEXT_MAX];
    const tariff *rated = tariff_document_tariff(s->quoted);
    sv found = {text, decimal_format(found_micro, MONEY_SCALE, tariff_rounding_scale(rated), text)};
    if (!sv_equal(found, wanted)) FAIL(s, "%s instead of %.*s", text, SV_ARG(wanted));
    s->checked++;
}

// What `amount_milli` buys: a quantity, or the reason why nothing. One step more must cost more than that.
static void expect_bought(scenario *s, rating_usage *usage, int64_t amount_milli, sv wanted) {
    const tariff *rated = tariff_document_tariff(s->quoted);
    AUTO(rating_quote) quote = {0};
    AUTO(rating_quote) more = {0};
    int64_t step = rating_bought_step_milli(rated);
    int64_t nothing[TARIFF_PERIODS_MAX] = {0};
    if (tariff_period_count(rated) == 1) usage->quantity_milli = nothing;
    rating_answer answer = rating_quote_amount(rated, usage, amount_milli * 1000, step, &quote);
    s->checked++;
    if (answer != RATING_OK) {
        if (!sv_equal(sv_of(rating_answer_name(answer)), wanted)) FAIL(s, "%s", rating_answer_text(answer));
        return;
    }
    if (quote.quantity_milli != number(s, wanted, 3)) FAIL(s, "%lld instead of %.*s", (long long)quote.quantity_milli, SV_ARG(wanted));
    assert_true(quote.total_micro <= amount_milli * 1000);
    if (tariff_period_count(rated) > 1) return;
    int64_t next = quote.quantity_milli + step;
    usage->quantity_milli = &next;
    assert_int_equal(rating_quote_usage(rated, usage, &more), RATING_OK);
    assert_true(more.total_micro > amount_milli * 1000);
}

// "180 peak, 120 valley" or "5200", then "after N", "from T to T", "= AMOUNT".
static void run_usage(scenario *s, sv rest, bool buys) {
    const tariff *rated = tariff_document_tariff(s->quoted);
    int64_t quantities[TARIFF_PERIODS_MAX] = {0};
    int64_t before[TARIFF_PERIODS_MAX] = {0};
    rating_usage usage = {.quantity_milli = quantities,
                          .used_before_milli = before,
                          .max_demand_w = s->closing.max_demand_w,
                          .contracted_va = s->closing.contracted_va,
                          .power_factor_micro = s->closing.power_factor_micro,
                          .holder = &s->holder,
                          .counts_once = buys};
    assert_true(instant_parse(SV("2024-02-29T16:00:00Z"), &usage.from) && instant_parse(SV("2024-03-31T16:00:00Z"), &usage.to));
    size_t period = 0;
    int64_t read = 0;
    for (sv next = word(&rest); !sv_equal(next, SV("=")); next = word(&rest)) {
        if (next.len == 0) FAIL(s, "\"=\" is missing");
        if (next.ptr[next.len - 1] == ',') next.len--;
        if (sv_equal(next, SV("after")))
            before[0] = number(s, word(&rest), 3);
        else if (sv_equal(next, SV("from")))
            usage.from = instant(s, word(&rest));
        else if (sv_equal(next, SV("to")))
            usage.to = instant(s, word(&rest));
        else if (!tariff_find_period(rated, next, &period)) {
            read = number(s, next, 3);
            quantities[0] = tariff_period_count(rated) == 1 ? read : quantities[0];
        } else {
            quantities[period] = read;
        }
    }
    AUTO(rating_quote) quote = {0};
    if (buys) {
        expect_bought(s, &usage, read, word(&rest));
        return;
    }
    rating_answer answer = rating_quote_usage(rated, &usage, &quote);
    if (answer != RATING_OK) FAIL(s, "%s", rating_answer_text(answer));
    expect_amount(s, quote.total_micro, word(&rest));
    rating_lines_done(&s->lines);
    s->lines = quote.lines;
    quote.lines = (rating_lines){0};
}

static void run_read(scenario *s, sv rest) {
    if (!s->charged) FAIL(s, "this tariff is not rated from readings");
    const tariff *rated = tariff_document_tariff(s->charged);
    instant_ms at = instant(s, word(&rest));
    int64_t value = number(s, word(&rest), 3);
    if (s->has_reading) {
        rating_interval interval = {
            .from = s->last_at, .to = at, .quantity_milli = value - s->last_value, .holder = &s->holder, .closing = &s->closing};
        rating_state before = s->state;
        rating_result result;
        rating_answer answer = rating_charge(rated, s->cache, &s->state, &interval, &result, NULL);
        if (answer != RATING_OK) FAIL(s, "%s", rating_answer_text(answer));
        if (!sv_equal(word(&rest), SV("="))) FAIL(s, "\"=\" is missing");
        expect_amount(s, result.amount_micro, word(&rest));
        // The explanation reaches the same charge and state, without the cache.
        AUTO(rating_explanation) explained = {0};
        assert_int_equal(rating_explain(rated, &before, &interval, &explained), RATING_OK);
        assert_true(explained.result.amount_micro == result.amount_micro);
        assert_true(rating_state_equal(&explained.after, &s->state));
    }
    s->has_reading = true;
    s->last_at = at;
    s->last_value = value;
}

static void run_line(scenario *s, sv rest) {
    const tariff *rated = tariff_document_tariff(s->quoted);
    sv name = word(&rest);
    sv period = word(&rest);
    sv tier = word(&rest);
    int64_t quantity = number(s, word(&rest), 3);
    sv amount = word(&rest);
    for (size_t i = 0; i < s->lines.list.len; i++) {
        const rating_line *at = &s->lines.list.items[i];
        sv at_period = at->period < 0 ? SV("*") : tariff_period_name(rated, (size_t)at->period);
        char at_tier[16];
        snprintf(at_tier, sizeof at_tier, at->tier < 0 ? "*" : "%d", at->tier + 1);
        if (!sv_equal(name, tariff_line_name(rated, at->line)) || !sv_equal(period, at_period) || !sv_equal(tier, sv_of(at_tier))) continue;
        char text[DECIMAL_WIDE_TEXT_MAX];
        decimal_format_wide(at->amount.value, at->amount.scale, 2, text);
        if (!sv_equal(sv_of(text), amount) || at->quantity_milli != quantity) FAIL(s, "the line comes to %s", text);
        s->checked++;
        return;
    }
    FAIL(s, "no such line");
}

static void run_given(scenario *s, sv rest) {
    for (sv what = word(&rest); what.len > 0; what = word(&rest)) {
        if (sv_equal(what, SV("demand")))
            s->closing.max_demand_w = number(s, word(&rest), 3);
        else if (sv_equal(what, SV("contract")))
            s->closing.contracted_va = number(s, word(&rest), 3);
        else if (sv_equal(what, SV("factor")))
            s->closing.power_factor_micro = number(s, word(&rest), 6);
        else if (sv_equal(what, SV("heads")))
            s->holder.heads = (int32_t)number(s, word(&rest), 0);
        else if (sv_equal(what, SV("opened")))
            s->holder.opened_at = instant(s, word(&rest));
        else
            FAIL(s, "unknown input: %.*s", SV_ARG(what));
    }
}

// "1000.00 over 1 1 1 = 333.34 333.33 333.33"
static void run_apportion(scenario *s, sv rest) {
    int64_t weights[16];
    money_micro shares[16];
    size_t count = 0;
    money_micro amount = number(s, word(&rest), MONEY_SCALE);
    if (!sv_equal(word(&rest), SV("over"))) FAIL(s, "\"over\" is missing");
    for (sv next = word(&rest); !sv_equal(next, SV("=")) && count < ARRAY_LEN(weights); next = word(&rest))
        weights[count++] = number(s, next, 3);
    if (!money_apportion(amount, 2, weights, count, shares)) FAIL(s, "it cannot be shared");
    for (size_t i = 0; i < count; i++) {
        if (shares[i] != number(s, word(&rest), MONEY_SCALE)) FAIL(s, "share %zu is %lld", i + 1, (long long)shares[i]);
        s->checked++;
    }
}

static void run_row(scenario *s, sv row) {
    sv rest = row;
    sv verb = word(&rest);
    if (sv_equal(verb, SV("usage")))
        run_usage(s, rest, false);
    else if (sv_equal(verb, SV("buys")))
        run_usage(s, rest, true);
    else if (sv_equal(verb, SV("apportion")))
        run_apportion(s, rest);
    else if (sv_equal(verb, SV("given")))
        run_given(s, rest);
    else if (sv_equal(verb, SV("then")))
        s->is_continued = true;
    else if (sv_equal(verb, SV("read")))
        run_read(s, rest);
    else if (sv_equal(verb, SV("line")))
        run_line(s, rest);
    else if (sv_equal(verb, SV("new")))
        new_account(s);
    else
        FAIL(s, "unknown row: %.*s", SV_ARG(row));
}

static void every_amount_is_reached(void **state) {
    (void)state;
    AUTO_MEM char *bytes = mem_new(1, FILE_BYTES_MAX);
    FILE *file = fopen(SCENARIO_FOLDER "/rating.txt", "rb");
    assert_non_null(file);
    sv rest = {bytes, fread(bytes, 1, FILE_BYTES_MAX, file)};
    fclose(file);
    scenario s = {.zones = zone_set_new(SV(ZONE_FILES_FOLDER)), .cache = rating_cache_new(16)};
    sv row;
    sv document = SV_NONE;  // from its first line to the empty line behind it
    while (sv_next(&rest, '\n', &row)) {
        s.line_number++;
        sv text = sv_trim(row);
        if (document.ptr && text.len == 0) {
            load_tariff(&s, (sv){document.ptr, (size_t)(row.ptr - document.ptr)});
            document = SV_NONE;
        } else if (!document.ptr && sv_starts_with(text, SV("{"))) {
            document = row;
        } else if (!document.ptr && text.len > 0 && text.ptr[0] != '#') {
            run_row(&s, text);
        }
    }
    printf("# %d amounts\n", s.checked);
    assert_true(s.checked > 160);
    rating_lines_done(&s.lines);
    tariff_document_free(s.quoted);
    tariff_document_free(s.charged);
    rating_cache_free(s.cache);
    zone_set_free(s.zones);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_amount_is_reached)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
