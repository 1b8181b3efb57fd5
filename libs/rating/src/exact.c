#include "price.h"

bool exact_lift(int128 value, int32_t from_scale, int32_t to_scale, int128 *out_value) {
    int128 factor = power_of_ten(to_scale - from_scale);
    int128 limit = ((int128)1 << 126) / factor;
    if (value > limit || value < -limit) return false;
    *out_value = value * factor;
    return true;
}

bool exact_add(exact_amount a, exact_amount b, exact_amount *out_sum) {
    int32_t scale = a.scale > b.scale ? a.scale : b.scale;
    int128 left, right, sum;
    if (!exact_lift(a.value, a.scale, scale, &left) || !exact_lift(b.value, b.scale, scale, &right)) return false;
    if (__builtin_add_overflow(left, right, &sum)) return false;
    *out_sum = (exact_amount){sum, scale};
    return true;
}

// Six decimals more than prices and rates need: room for amounts shared by day, which have no finite decimals.
#define SHARE_SCALE 6

exact_amount exact_plain(const tariff *self, int128 value) {
    if (self->shares == 1) return (exact_amount){value, self->exact_scale};
    if (value % self->shares == 0) return (exact_amount){value / self->shares, self->exact_scale};
    int128 whole = value / self->shares;
    int128 rest = value % self->shares * power_of_ten(SHARE_SCALE) / self->shares;
    return (exact_amount){whole * power_of_ten(SHARE_SCALE) + rest, self->exact_scale + SHARE_SCALE};
}

bool exact_round(const tariff *self, int128 value, money_micro *out_micro) {
    int128 steps = round_divide(value, self->rounding_divisor, self->rounding);
    int128 limit = INT64_MAX / self->rounding_step;
    if (steps > limit || steps < -limit) return false;
    *out_micro = (int64_t)steps * self->rounding_step;
    return true;
}
