// Lines that post at the close of a window: priced apart from the readings, they come to the same as priced with them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rating/rating.h"

#define MARCH 1709222400000LL  // 2024-03-01T00:00:00+08:00
#define APRIL 1711900800000LL
#define KWH 1000

static zone *shanghai;

// Energy at 0.50, and behind it the lines of the test.
static tariff *tariff_of(uint64_t version, tariff_use use, const tariff_line *more, size_t count, window_kind over) {
    static const tariff_factor_step FACTORS[] = {{0, 50000}, {900000, 0}, {950000, -7500}};
    tariff_line lines[6] = {{.name = SV("energy"), .kind = LINE_KIND_QUANTITY, .price_count = {1}, .price_micro = {{500000}}}};
    for (size_t i = 0; i < count; i++) {
        lines[i + 1] = more[i];
        if (more[i].kind != LINE_KIND_POWER_FACTOR) continue;
        lines[i + 1].factors = FACTORS;
        lines[i + 1].factor_count = ARRAY_LEN(FACTORS);
    }
    tariff_spec spec = {.version = version,
                        .code = SV("t"),
                        .utility = UTILITY_ELECTRICITY,
                        .unit = SV("kWh"),
                        .currency = CURRENCY_CNY,
                        .zone = shanghai,
                        .has_tiers = over != WINDOW_LIFE,
                        .over = {.kind = over, .billing_day = over == WINDOW_BILLING_PERIOD ? 16 : 0},
                        .upper_count = over != WINDOW_LIFE,
                        .upper_milli = {1000 * KWH},
                        .line_count = count + 1,
                        .lines = lines,
                        .rounding = ROUNDING_HALF_UP,
                        .rounding_scale = 2};
    tariff *made = NULL;
    fault why = {0};
    if (tariff_new(&spec, use, &made, &why)) fail_msg("%s: %s", why.place, why.reason);
    return made;
}

static const tariff_line MINIMUM = {.name = SV("least"), .kind = LINE_KIND_MINIMUM, .amount_micro = 30000000, .of = 1};
static const tariff_line DEMAND = {.name = SV("demand"), .kind = LINE_KIND_DEMAND, .amount_micro = 32000000};
static const tariff_line CAPACITY = {.name = SV("capacity"), .kind = LINE_KIND_DEMAND, .amount_micro = 22000000, .by_contract = true};
static const tariff_line FACTOR = {.name = SV("factor"), .kind = LINE_KIND_POWER_FACTOR, .of = 1};
static const tariff_line TAX = {.name = SV("tax"), .kind = LINE_KIND_PERCENT, .of = 6, .rate_micro = 130000};

static void a_month_is_closed_as_an_accountant_would(void **state) {
    (void)state;
    // 50 kWh at 0.50 are 25.00.
    static const struct {
        tariff_line lines[3];
        size_t count;
        rating_closing closing;
        int64_t wanted;
    } ROWS[] = {
        {{MINIMUM}, 1, {0}, 5000000},                                   // up to 30.00
        {{DEMAND}, 1, {.max_demand_w = 7500}, 240000000},               // 7.5 kW at 32.00
        {{CAPACITY}, 1, {.contracted_va = 10000}, 220000000},           // 10 kVA at 22.00
        {{FACTOR}, 1, {.power_factor_micro = 850000}, 1250000},         // 5 % of 25.00
        {{FACTOR}, 1, {.power_factor_micro = 960000}, -190000},         // −0.75 % of 25.00, rounded with it: 24.81
        {{FACTOR}, 1, {.power_factor_micro = 0}, 0},                    // not measured
        {{MINIMUM, DEMAND, TAX}, 3, {.max_demand_w = 1000}, 41810000},  // 5.00 + 32.00, and 13 % of both
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_TARIFF t = tariff_of(1, TARIFF_FOR_CHARGING, ROWS[i].lines, ROWS[i].count, WINDOW_LIFE);
        assert_true(tariff_has_closing_lines(t));
        rating_state window;
        rating_state_init(&window);
        rating_interval march = {.from = MARCH, .to = APRIL, .quantity_milli = 50 * KWH};
        rating_result result;
        assert_int_equal(rating_charge(t, NULL, &window, &march, &result, NULL), RATING_OK);
        assert_true(result.amount_micro == 25000000);
        money_micro due = 0;
        assert_int_equal(rating_close(t, &window, &ROWS[i].closing, &due), RATING_OK);
        if (due != ROWS[i].wanted) fail_msg("row %zu: %lld", i, (long long)due);
    }
}

static void what_must_be_known_is_asked_for(void **state) {
    (void)state;
    AUTO_TARIFF t = tariff_of(1, TARIFF_FOR_CHARGING, &DEMAND, 1, WINDOW_LIFE);
    rating_state window;
    rating_state_init(&window);
    money_micro due = 0;
    assert_true(tariff_needs_closing(t));
    assert_int_equal(rating_close(t, &window, &(rating_closing){0}, &due), RATING_STATE_MISMATCH);
    rating_interval march = {.from = MARCH, .to = APRIL, .quantity_milli = KWH};
    rating_result result;
    assert_int_equal(rating_charge(t, NULL, &window, &march, &result, NULL), RATING_OK);
    assert_int_equal(rating_close(t, &window, NULL, &due), RATING_INPUT_MISSING);
}

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

// Two versions, random readings that meet the window's end: readings plus close equal readings that know it all.
static void apart_or_together_is_the_same(void **state) {
    (void)state;
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20240301;
    printf("# SEED=%llu\n", (unsigned long long)seed);
    const tariff_line lines[] = {MINIMUM, DEMAND, FACTOR, {.name = SV("tax"), .kind = LINE_KIND_PERCENT, .of = 15, .rate_micro = 60000}};
    static const window_kind OVER[] = {WINDOW_LIFE, WINDOW_MONTH, WINDOW_BILLING_PERIOD, WINDOW_YEAR};
    for (int round = 0; round < 2000; round++) {
        window_kind over = OVER[random_next(&seed) % ARRAY_LEN(OVER)];
        size_t count = 1 + random_next(&seed) % ARRAY_LEN(lines);
        tariff *apart[2] = {tariff_of(1, TARIFF_FOR_CHARGING, lines, count, over), tariff_of(2, TARIFF_FOR_CHARGING, lines, count, over)};
        tariff *together[2] = {tariff_of(1, TARIFF_FOR_READINGS, lines, count, over),
                               tariff_of(2, TARIFF_FOR_READINGS, lines, count, over)};
        rating_closing known = {(int64_t)(random_next(&seed) % 50000), 0, (int64_t)(random_next(&seed) % 1000001)};
        rating_state a, b;
        rating_state_init(&a);
        rating_state_init(&b);
        time_window window = tariff_window(apart[0], MARCH + (instant_ms)(random_next(&seed) % 1000) * HOUR_MS);
        money_micro sum_apart = 0, sum_together = 0;
        instant_ms at = window.from, change = window.from + (window.to - window.from) / 3;
        for (int step = 0; at < window.to; step++) {
            instant_ms to = at + 1 + (instant_ms)(random_next(&seed) % (uint64_t)((window.to - window.from) / 4));
            if (to > window.to) to = window.to;
            size_t by = round % 2 && at >= change;
            rating_interval use = {.from = at, .to = to, .quantity_milli = (int64_t)(random_next(&seed) % 30000), .closing = &known};
            rating_result result;
            assert_int_equal(rating_charge(apart[by], NULL, &a, &use, &result, NULL), RATING_OK);
            sum_apart += result.amount_micro;
            assert_int_equal(rating_charge(together[by], NULL, &b, &use, &result, NULL), RATING_OK);
            sum_together += result.amount_micro;
            at = to;
        }
        money_micro due = 0;
        assert_int_equal(rating_close(apart[a.version - 1], &a, &known, &due), RATING_OK);
        if (sum_apart + due != sum_together)
            fail_msg("round %d: %lld and %lld", round, (long long)(sum_apart + due), (long long)sum_together);
        for (int i = 0; i < 2; i++) {
            tariff_free(apart[i]);
            tariff_free(together[i]);
        }
    }
}

static int make(void **state) {
    (void)state;
    shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    return 0;
}

static int drop(void **state) {
    (void)state;
    zone_free(shanghai);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_month_is_closed_as_an_accountant_would),
        cmocka_unit_test(what_must_be_known_is_asked_for),
        cmocka_unit_test(apart_or_together_is_the_same),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make, drop);
}
