// Rounding, the only place where a value is made coarser. Everything else in money and rating is exact.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/sv.h"

typedef __int128 int128;

typedef enum rounding_mode {
#define ROUNDING(name, text, description) ROUNDING_##name,
#include "money/rounding.def"
#undef ROUNDING
    ROUNDING_COUNT
} rounding_mode;

const char *rounding_mode_name(rounding_mode mode);
bool rounding_mode_parse(sv text, rounding_mode *out_mode);

// value / by, rounded; `by` > 0. Exact for every value.
int128 round_divide(int128 value, int128 by, rounding_mode mode);

// 10^exponent, exponent 0–38.
int128 power_of_ten(int32_t exponent);
