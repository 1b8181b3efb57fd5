#include "money/rounding.h"

#include "base/check.h"

static const char *const NAMES[] = {
#define ROUNDING(name, text, description) [ROUNDING_##name] = text,
#include "money/rounding.def"
#undef ROUNDING
};

const char *rounding_mode_name(rounding_mode mode) {
    CHECK((unsigned)mode < ROUNDING_COUNT);
    return NAMES[mode];
}

bool rounding_mode_parse(sv text, rounding_mode *out_mode) {
    for (int i = 0; i < ROUNDING_COUNT; i++) {
        if (!sv_equal(text, sv_of(NAMES[i]))) continue;
        *out_mode = (rounding_mode)i;
        return true;
    }
    return false;
}

// By how much the quotient, cut towards zero, has to move: -1, 0 or +1. `rest` is not zero and has the value's sign.
static int correction(int128 quotient, int128 rest, int128 by, rounding_mode mode) {
    int away = rest < 0 ? -1 : 1;
    int128 size = rest < 0 ? -rest : rest;
    int128 other = by - size;  // compared instead of 2 * size, which could overflow
    switch (mode) {
        case ROUNDING_HALF_UP: return size >= other ? away : 0;
        case ROUNDING_HALF_EVEN: return size > other || (size == other && quotient % 2 != 0) ? away : 0;
        case ROUNDING_TRUNCATE: return 0;
        case ROUNDING_CEIL: return rest > 0 ? 1 : 0;
        case ROUNDING_COUNT: break;
    }
    BUG("rounding mode");
}

// Powers of ten are even: without the twos that divide `by`, most of what does not fit 64 bits does.
static int128 divide_wide(int128 value, int128 by) {
    if (by > INT64_MAX || value == 0) return value / by;
    int twos = __builtin_ctzll((uint64_t)by);
    unsigned __int128 magnitude = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    unsigned __int128 whole = magnitude >> twos;
    if (whole > UINT64_MAX) return value / by;
    int128 quotient = (uint64_t)whole / ((uint64_t)by >> twos);
    return value < 0 ? -quotient : quotient;
}

int128 round_divide(int128 value, int128 by, rounding_mode mode) {
    CHECK(by > 0);
    // Most amounts fit 64 bits, where division is several times faster.
    if (value >= INT64_MIN && value <= INT64_MAX && by <= INT64_MAX) {
        int64_t quotient = (int64_t)value / (int64_t)by;
        int64_t rest = (int64_t)value % (int64_t)by;
        return rest == 0 ? quotient : quotient + correction(quotient, rest, by, mode);
    }
    int128 quotient = divide_wide(value, by);
    int128 rest = value - quotient * by;
    return rest == 0 ? quotient : quotient + correction(quotient, rest, by, mode);
}

int128 power_of_ten(int32_t exponent) {
    CHECK(exponent >= 0 && exponent <= 38);
    int128 result = 1;
    for (int32_t i = 0; i < exponent; i++) result *= 10;
    return result;
}
