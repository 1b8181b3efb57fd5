#include "money/money.h"

#include "base/check.h"

static const struct {
    const char *code;
    int32_t exponent;
} TABLE[] = {
#define CURRENCY(code, exponent) [CURRENCY_##code] = {#code, exponent},
#include "money/currency.def"
#undef CURRENCY
};

const char *currency_code(currency self) {
    CHECK((unsigned)self < CURRENCY_COUNT);
    return TABLE[self].code;
}

int32_t currency_exponent(currency self) {
    CHECK((unsigned)self < CURRENCY_COUNT);
    return TABLE[self].exponent;
}

bool currency_parse(sv code, currency *out_currency) {
    for (int i = 0; i < CURRENCY_COUNT; i++) {
        if (!sv_equal(code, sv_of(TABLE[i].code))) continue;
        *out_currency = (currency)i;
        return true;
    }
    return false;
}

bool money_add(money_micro a, money_micro b, money_micro *out_sum) {
    money_micro sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out_sum = sum;
    return true;
}

bool money_subtract(money_micro a, money_micro b, money_micro *out_difference) {
    money_micro difference;
    if (__builtin_sub_overflow(a, b, &difference)) return false;
    *out_difference = difference;
    return true;
}

static bool narrow(int128 value, int64_t *out_value) {
    if (value < INT64_MIN || value > INT64_MAX) return false;
    *out_value = (int64_t)value;
    return true;
}

bool money_multiply_divide(int64_t a, int64_t b, int64_t by, rounding_mode mode, int64_t *out_result) {
    return narrow(round_divide((int128)a * b, by, mode), out_result);
}

bool money_round(money_micro amount, int32_t scale, rounding_mode mode, money_micro *out_rounded) {
    CHECK(scale >= 0 && scale <= MONEY_SCALE);
    int128 step = power_of_ten(MONEY_SCALE - scale);
    return narrow(round_divide(amount, step, mode) * step, out_rounded);
}
