// Money: int64 micro-units (10^-6) of a currency. ±9.2 * 10^12 units; arithmetic that would pass that says so.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/sv.h"
#include "money/decimal.h"
#include "money/rounding.h"

typedef int64_t money_micro;

#define MONEY_SCALE 6
#define MONEY_MICRO 1000000LL

typedef enum currency {
#define CURRENCY(code, exponent) CURRENCY_##code,
#include "money/currency.def"
#undef CURRENCY
    CURRENCY_COUNT
} currency;

const char *currency_code(currency self);
int32_t currency_exponent(currency self);  // decimals in common payment: 2 for CNY
bool currency_parse(sv code, currency *out_currency);

// False, and nothing written, when the result does not fit.
bool money_add(money_micro a, money_micro b, money_micro *out_sum);
bool money_subtract(money_micro a, money_micro b, money_micro *out_difference);
// a * b / by, rounded once; `by` > 0.
bool money_multiply_divide(int64_t a, int64_t b, int64_t by, rounding_mode mode, int64_t *out_result);
// To `scale` decimals (0–6), still in micro-units: 1.005 at scale 2, half up, is 1.010000.
bool money_round(money_micro amount, int32_t scale, rounding_mode mode, money_micro *out_rounded);
