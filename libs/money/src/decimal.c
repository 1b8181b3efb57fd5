#include "money/decimal.h"

#include "base/check.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits before and after the point; false when the text is not a decimal number.
static bool decimal_shape(sv text, sv *out_whole, sv *out_fraction) {
    size_t point = text.len;
    bool has_point = sv_find(text, '.', &point);
    *out_whole = (sv){text.ptr, point};
    *out_fraction = has_point ? sv_skip(text, point + 1) : (sv){text.ptr, 0};
    if (out_whole->len == 0 || (has_point && out_fraction->len == 0)) return false;
    if (out_whole->len > 1 && out_whole->ptr[0] == '0') return false;
    for (size_t i = 0; i < text.len; i++)
        if (i != point && !is_digit(text.ptr[i])) return false;
    return true;
}

static bool push_digit(uint64_t *value, char digit) {
    return !__builtin_mul_overflow(*value, (uint64_t)10, value) && !__builtin_add_overflow(*value, (uint64_t)(digit - '0'), value);
}

decimal_answer decimal_parse(sv text, int32_t scale, int64_t *out_value) {
    CHECK(scale >= 0 && scale <= DECIMAL_SCALE_MAX);
    bool negative = text.len > 0 && text.ptr[0] == '-';
    sv whole, fraction;
    if (!decimal_shape(negative ? sv_skip(text, 1) : text, &whole, &fraction)) return DECIMAL_MALFORMED;
    for (size_t i = (size_t)scale; i < fraction.len; i++)
        if (fraction.ptr[i] != '0') return DECIMAL_TOO_PRECISE;
    uint64_t magnitude = 0;
    for (size_t i = 0; i < whole.len; i++)
        if (!push_digit(&magnitude, whole.ptr[i])) return DECIMAL_OUT_OF_RANGE;
    for (size_t i = 0; i < (size_t)scale; i++)
        if (!push_digit(&magnitude, i < fraction.len ? fraction.ptr[i] : '0')) return DECIMAL_OUT_OF_RANGE;
    if (negative && magnitude == 0) return DECIMAL_MALFORMED;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return DECIMAL_OUT_OF_RANGE;
    *out_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return DECIMAL_OK;
}

const char *decimal_answer_text(decimal_answer answer) {
    switch (answer) {
        case DECIMAL_OK: return "a decimal number";
        case DECIMAL_MALFORMED: return "not a decimal number";
        case DECIMAL_TOO_PRECISE: return "too many decimals";
        case DECIMAL_OUT_OF_RANGE: return "number too large";
    }
    BUG("decimal answer");
}

// Digits from the last to the first, at least scale + 1 of them; returns how many.
static size_t digits_backwards(unsigned __int128 magnitude, int32_t scale, char digits[DECIMAL_WIDE_TEXT_MAX]) {
    size_t count = 0;
    while (magnitude != 0 || count <= (size_t)scale) {
        digits[count++] = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
    }
    return count;
}

size_t decimal_format_wide(int128 value, int32_t scale, int32_t min_decimals, char out[DECIMAL_WIDE_TEXT_MAX]) {
    CHECK(scale >= 0 && scale <= DECIMAL_WIDE_SCALE_MAX && min_decimals >= 0 && min_decimals <= scale);
    char digits[DECIMAL_WIDE_TEXT_MAX];
    unsigned __int128 magnitude = value < 0 ? 0 - (unsigned __int128)value : (unsigned __int128)value;
    size_t count = digits_backwards(magnitude, scale, digits);
    size_t dropped = 0;
    while (scale - (int32_t)dropped > min_decimals && digits[dropped] == '0') dropped++;
    size_t len = 0;
    if (value < 0) out[len++] = '-';
    for (size_t i = count; i-- > dropped;) {
        out[len++] = digits[i];
        if (i == (size_t)scale && i > dropped) out[len++] = '.';
    }
    out[len] = '\0';
    return len;
}

size_t decimal_format(int64_t value, int32_t scale, int32_t min_decimals, char out[DECIMAL_TEXT_MAX]) {
    CHECK(scale <= DECIMAL_SCALE_MAX);
    char wide[DECIMAL_WIDE_TEXT_MAX];
    size_t len = decimal_format_wide(value, scale, min_decimals, wide);
    CHECK(len < DECIMAL_TEXT_MAX);
    for (size_t i = 0; i <= len; i++) out[i] = wide[i];
    return len;
}
