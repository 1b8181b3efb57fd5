#include "money/apportion.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

typedef struct claim {
    int128 remainder;
    size_t member;
} claim;

static int by_remainder(const void *a, const void *b) {
    const claim *left = a;
    const claim *right = b;
    if (left->remainder != right->remainder) return left->remainder > right->remainder ? -1 : 1;
    return (left->member > right->member) - (left->member < right->member);
}

static bool sum_weights(const int64_t *weights, size_t count, int128 *out_sum) {
    *out_sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] < 0) return false;
        *out_sum += weights[i];
    }
    return *out_sum > 0;
}

bool money_apportion(money_micro amount, int32_t scale, const int64_t *weights, size_t count, money_micro *out_shares) {
    CHECK(scale >= 0 && scale <= MONEY_SCALE);
    int128 sum;
    int64_t unit = (int64_t)power_of_ten(MONEY_SCALE - scale);
    if (count < 1 || count > APPORTION_MEMBERS_MAX || amount == INT64_MIN || amount % unit != 0 || !sum_weights(weights, count, &sum))
        return false;
    int64_t sign = amount < 0 ? -1 : 1;
    int64_t steps = amount / unit * sign;
    int64_t left = steps;
    AUTO_MEM claim *claims = mem_new(count, sizeof *claims);
    for (size_t i = 0; i < count; i++) {
        int128 product = (int128)steps * weights[i];
        int64_t share = (int64_t)(product / sum);
        claims[i] = (claim){product % sum, i};
        out_shares[i] = share * unit * sign;
        left -= share;
    }
    qsort(claims, count, sizeof claims[0], by_remainder);
    for (size_t i = 0; left > 0; i++, left--) out_shares[claims[i].member] += unit * sign;
    return true;
}
