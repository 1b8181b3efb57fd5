// Decimal text <-> integers at a scale: "12.5" at scale 3 is 12500. Strict: optional '-', no '+', no exponent, no
// white space, digits on both sides of the point, no leading zeros, "-0" refused.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"
#include "money/rounding.h"

#define DECIMAL_SCALE_MAX 18
#define DECIMAL_TEXT_MAX 24       // sign, 19 digits, point, leading zero, NUL
#define DECIMAL_WIDE_TEXT_MAX 44  // the same for 128 bits
#define DECIMAL_WIDE_SCALE_MAX 38

typedef enum decimal_answer {
    DECIMAL_OK,
    DECIMAL_MALFORMED,     // not a decimal number as described above
    DECIMAL_TOO_PRECISE,   // a digit other than zero beyond the scale
    DECIMAL_OUT_OF_RANGE,  // does not fit 64 bits at this scale
} decimal_answer;

// `scale` 0–18. Zeros beyond the scale are accepted ("1.500" at scale 2).
decimal_answer decimal_parse(sv text, int32_t scale, int64_t *out_value);
// One English sentence for a fault's reason; `scale` is the one that was asked for.
const char *decimal_answer_text(decimal_answer answer);

// Writes with trailing zeros dropped down to `min_decimals` (0–scale); NUL-terminated, returns the length.
size_t decimal_format(int64_t value, int32_t scale, int32_t min_decimals, char out[DECIMAL_TEXT_MAX]);
size_t decimal_format_wide(int128 value, int32_t scale, int32_t min_decimals, char out[DECIMAL_WIDE_TEXT_MAX]);
