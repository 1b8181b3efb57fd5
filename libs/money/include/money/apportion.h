// Sharing an amount so that nothing is lost and nothing is added.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "money/money.h"

#define APPORTION_MEMBERS_MAX 100000

// Shares `amount` in proportion to `weights` (none negative, not all 0), in steps of `scale` decimals (0–6), by largest
// remainder: each member gets its share rounded down, and the steps left over go one each to the largest remainders,
// the earlier member first where they are equal. A negative amount is shared as its opposite. The shares add up to the
// amount. False, and nothing written, when the weights do not allow it, when there are none or more than
// APPORTION_MEMBERS_MAX, or when the amount has more than `scale` decimals.
bool money_apportion(money_micro amount, int32_t scale, const int64_t *weights, size_t count, money_micro *out_shares);
