// Money: decimal text, rounding and checked arithmetic, against tables worked out by hand and a seeded property.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "money/apportion.h"
#include "money/money.h"

static void decimals_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int32_t scale;
        decimal_answer answer;
        int64_t value;
    } ROWS[] = {
        {"0", 6, DECIMAL_OK, 0},
        {"0.617", 6, DECIMAL_OK, 617000},
        {"-12.5", 3, DECIMAL_OK, -12500},
        {"1.500", 2, DECIMAL_OK, 150},
        {"1.505", 2, DECIMAL_TOO_PRECISE, 0},
        {"0.0000001", 6, DECIMAL_TOO_PRECISE, 0},
        {"0.0000010", 6, DECIMAL_OK, 1},
        {"9223372036854.775807", 6, DECIMAL_OK, INT64_MAX},
        {"-9223372036854.775808", 6, DECIMAL_OK, INT64_MIN},
        {"9223372036854.775808", 6, DECIMAL_OUT_OF_RANGE, 0},
        {"18446744073709551616", 0, DECIMAL_OUT_OF_RANGE, 0},
        {"99999999999999999999999", 0, DECIMAL_OUT_OF_RANGE, 0},
        {"", 2, DECIMAL_MALFORMED, 0},
        {"-", 2, DECIMAL_MALFORMED, 0},
        {"-0", 2, DECIMAL_MALFORMED, 0},
        {"-0.00", 2, DECIMAL_MALFORMED, 0},
        {"+1", 2, DECIMAL_MALFORMED, 0},
        {".5", 2, DECIMAL_MALFORMED, 0},
        {"5.", 2, DECIMAL_MALFORMED, 0},
        {"1.2.3", 2, DECIMAL_MALFORMED, 0},
        {"01", 2, DECIMAL_MALFORMED, 0},
        {"1e3", 2, DECIMAL_MALFORMED, 0},
        {"1,5", 2, DECIMAL_MALFORMED, 0},
        {" 1", 2, DECIMAL_MALFORMED, 0},
        {"--1", 2, DECIMAL_MALFORMED, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t value = -77;
        decimal_answer answer = decimal_parse(sv_of(ROWS[i].text), ROWS[i].scale, &value);
        if (answer != ROWS[i].answer) fail_msg("\"%s\": answer %d", ROWS[i].text, (int)answer);
        assert_true(value == (answer == DECIMAL_OK ? ROWS[i].value : -77));
    }
}

static void decimals_are_written_shortest(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        int32_t scale, min_decimals;
        const char *text;
    } ROWS[] = {
        {147900000, 6, 2, "147.90"},
        {617000, 6, 0, "0.617"},
        {300000, 3, 0, "300"},
        {228400, 3, 0, "228.4"},
        {96300000, 6, 3, "96.300"},
        {0, 6, 0, "0"},
        {0, 6, 2, "0.00"},
        {-5, 3, 0, "-0.005"},
        {-1500, 3, 2, "-1.50"},
        {1, 6, 0, "0.000001"},
        {10, 0, 0, "10"},
        {INT64_MIN, 6, 0, "-9223372036854.775808"},
        {INT64_MIN, 18, 18, "-9.223372036854775808"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char text[DECIMAL_TEXT_MAX];
        size_t len = decimal_format(ROWS[i].value, ROWS[i].scale, ROWS[i].min_decimals, text);
        assert_string_equal(text, ROWS[i].text);
        assert_int_equal(len, strlen(text));
    }
    char wide[DECIMAL_WIDE_TEXT_MAX];
    decimal_format_wide((int128)147441210 * power_of_ten(21), 27, 2, wide);
    assert_string_equal(wide, "147.44121");
}

static void rounding_follows_its_mode(void **state) {
    (void)state;
    static const struct {
        int64_t value, by, up, even, truncated, ceil;
    } ROWS[] = {
        {25, 10, 3, 2, 2, 3},      {35, 10, 4, 4, 3, 4},      {24, 10, 2, 2, 2, 3},      {26, 10, 3, 3, 2, 3}, {-25, 10, -3, -2, -2, -2},
        {-35, 10, -4, -4, -3, -3}, {-26, 10, -3, -3, -2, -2}, {-21, 10, -2, -2, -2, -2}, {30, 10, 3, 3, 3, 3}, {0, 7, 0, 0, 0, 0},
        {1, 3, 0, 0, 0, 1},        {2, 3, 1, 1, 0, 1},        {5, 1, 5, 5, 5, 5},        {-1, 3, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        const int64_t wanted[] = {ROWS[i].up, ROWS[i].even, ROWS[i].truncated, ROWS[i].ceil};
        for (int mode = 0; mode < ROUNDING_COUNT; mode++) {
            assert_true(round_divide(ROWS[i].value, ROWS[i].by, (rounding_mode)mode) == wanted[mode]);
            // The same in numbers beyond 64 bits.
            int128 wide = power_of_ten(20);
            assert_true(round_divide(ROWS[i].value * wide, ROWS[i].by * wide, (rounding_mode)mode) == wanted[mode]);
        }
    }
    for (int mode = 0; mode < ROUNDING_COUNT; mode++) {
        rounding_mode read;
        assert_true(rounding_mode_parse(sv_of(rounding_mode_name((rounding_mode)mode)), &read));
        assert_int_equal(read, mode);
    }
    rounding_mode none;
    assert_false(rounding_mode_parse(SV("half"), &none));
}

static void arithmetic_says_when_it_does_not_fit(void **state) {
    (void)state;
    int64_t out = -7;
    assert_false(money_add(INT64_MAX, 1, &out));
    assert_false(money_subtract(INT64_MIN, 1, &out));
    assert_false(money_multiply_divide(INT64_MAX, 2, 1, ROUNDING_HALF_UP, &out));
    assert_true(out == -7);
    assert_true(money_multiply_divide(INT64_MAX, 4, 4, ROUNDING_HALF_UP, &out) && out == INT64_MAX);
    assert_true(money_multiply_divide(617000, 180000, 1000, ROUNDING_HALF_UP, &out) && out == 111060000);
    assert_true(money_round(1005000, 2, ROUNDING_HALF_UP, &out) && out == 1010000);
    assert_true(money_round(1005000, 2, ROUNDING_HALF_EVEN, &out) && out == 1000000);
    assert_true(money_round(-1005001, 2, ROUNDING_TRUNCATE, &out) && out == -1000000);
    assert_false(money_round(INT64_MAX, 0, ROUNDING_CEIL, &out));
}

static void currencies_have_their_exponent(void **state) {
    (void)state;
    currency found;
    assert_true(currency_parse(SV("CNY"), &found));
    assert_string_equal(currency_code(found), "CNY");
    assert_int_equal(currency_exponent(found), 2);
    assert_true(currency_parse(SV("JOD"), &found) && currency_exponent(found) == 3);
    assert_false(currency_parse(SV("cny"), &found));
    assert_false(currency_parse(SV("XXX"), &found));
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

// Written text reads back to the same value; rounding is never further off than one step, and half modes than half one.
static void text_and_rounding_hold_for_random_values(void **state) {
    (void)state;
    uint64_t seed = 20240311;
    printf("# seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 20000; i++) {
        int64_t value = (int64_t)(next_random(&seed) >> (next_random(&seed) % 64));
        if (next_random(&seed) & 1) value = -value;
        int32_t scale = (int32_t)(next_random(&seed) % 19);
        char text[DECIMAL_TEXT_MAX];
        int64_t back;
        sv written = {text, decimal_format(value, scale, (int32_t)(next_random(&seed) % (uint64_t)(scale + 1)), text)};
        if (value != 0) assert_true(decimal_parse(written, scale, &back) == DECIMAL_OK && back == value);
        int64_t by = (int64_t)(next_random(&seed) % 1000000) + 1;
        for (int mode = 0; mode < ROUNDING_COUNT; mode++) {
            int128 off = round_divide(value, by, (rounding_mode)mode) * by - value;
            assert_true(off < by && off > -by);
            if (mode == ROUNDING_HALF_UP || mode == ROUNDING_HALF_EVEN) assert_true(2 * off <= by && 2 * off >= -by);
            if (mode == ROUNDING_CEIL) assert_true(off >= 0);
            if (mode == ROUNDING_TRUNCATE) assert_true(value >= 0 ? off <= 0 : off >= 0);
        }
    }
}

// Quotients of every size, by numbers odd and even: what is cut off is less than one, on the side the mode says.
static void rounding_holds_for_values_of_every_width(void **state) {
    (void)state;
    uint64_t seed = 77;
    printf("# seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 100000; round++) {
        uint64_t high = next_random(&seed), low = next_random(&seed);
        int128 value = (int128)((unsigned __int128)high << 64 | low) >> (4 + next_random(&seed) % 120);
        int128 by =
            round % 2 ? power_of_ten((int32_t)(next_random(&seed) % 31)) : 1 + (int128)(next_random(&seed) >> next_random(&seed) % 64);
        for (int mode = 0; mode < ROUNDING_COUNT; mode++) {
            int128 off = round_divide(value, by, (rounding_mode)mode) * by - value;
            assert_true(off < by && off > -by);
            if (mode == ROUNDING_HALF_UP || mode == ROUNDING_HALF_EVEN) assert_true(off <= by - off && -off <= by + off);
            if (mode == ROUNDING_CEIL) assert_true(off >= 0);
            if (mode == ROUNDING_TRUNCATE) assert_true(value >= 0 ? off <= 0 : off >= 0);
        }
    }
}

static void shares_add_up_and_follow_their_weights(void **state) {
    (void)state;
    uint64_t seed = 90210;
    printf("# seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 20000; round++) {
        int64_t weights[20];
        money_micro shares[20];
        uint64_t drawn[24];
        for (size_t i = 0; i < ARRAY_LEN(drawn); i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            drawn[i] = seed;
        }
        size_t count = 1 + drawn[20] % 20;
        int32_t scale = (int32_t)(drawn[21] % 7);
        int64_t unit = (int64_t)power_of_ten(MONEY_SCALE - scale);
        money_micro amount = (money_micro)(drawn[22] >> 20) / unit * unit * (drawn[23] % 2 ? 1 : -1);
        int128 total = 0;
        for (size_t i = 0; i < count; i++) total += weights[i] = (int64_t)(drawn[i] % (round % 3 ? 5 : INT64_MAX));
        if (!money_apportion(amount, scale, weights, count, shares)) {
            assert_true(total == 0);
            continue;
        }
        money_micro sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += shares[i];
            assert_true(shares[i] % unit == 0);
            // Less than one step away from the exact share, and nothing for nothing.
            int128 off = ((int128)shares[i] * total - (int128)amount * weights[i]) / total;
            assert_true(off < unit && off > -unit);
            if (weights[i] == 0) assert_true(shares[i] == 0);
            for (size_t j = 0; j < i; j++) {
                money_micro earlier = amount < 0 ? -shares[j] : shares[j];
                if (weights[j] >= weights[i]) assert_true(earlier >= (amount < 0 ? -shares[i] : shares[i]));
            }
        }
        assert_true(sum == amount);
    }
    static const int64_t NEGATIVE[] = {1, -1, 1};
    static const int64_t ONE[] = {1};
    money_micro share = 42;
    assert_false(money_apportion(1000000, 2, NEGATIVE, 3, &share));
    assert_false(money_apportion(1000000, 2, ONE, 0, &share));
    assert_false(money_apportion(1000001, 2, ONE, 1, &share));
    assert_true(share == 42);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_read_strictly),
        cmocka_unit_test(decimals_are_written_shortest),
        cmocka_unit_test(rounding_follows_its_mode),
        cmocka_unit_test(arithmetic_says_when_it_does_not_fit),
        cmocka_unit_test(currencies_have_their_exponent),
        cmocka_unit_test(text_and_rounding_hold_for_random_values),
        cmocka_unit_test(rounding_holds_for_values_of_every_width),
        cmocka_unit_test(shares_add_up_and_follow_their_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
