// What a recharge would change: the usage of points rated again as known now, against what was charged.
#pragma once

#include "charging/difference.h"
#include "database.h"
#include "setups/setups.h"

// One usage point and account. Amounts are of the local months from the one on in which the change begins; `closes` is what
// the closing lines of ended tier windows would add or take away.
typedef struct recharge_line {
    size_t point;  // of the list compared
    int64_t account;
    money_micro charged;
    money_micro rated;
    money_micro closes;
} recharge_line;

typedef struct recharge_point {
    int32_t company;
    int64_t num;
    instant_ms last_at;
    bool is_waiting;    // for a replay or another recharge: what it is charged is not settled
    instant_ms change;  // from when on another version would price it; INSTANT_MAX: none
} recharge_point;

typedef struct recharge_comparison {
    VEC(recharge_point) points;
    VEC(recharge_line) lines;  // by point and account; those without any difference too
} recharge_comparison;

typedef struct recharge_question {
    instant_ms from, known_at;
    const int64_t *versions;  // only points that one of these would price, or priced; NULL: all
    size_t version_count;
} recharge_question;

// Fills `change` and `lines` of the points that are given. In a snapshot. The fault is set where the data is to blame.
err_t recharge_compare(recharge_comparison *self, db *conn, const recharge_question *asked, fault *out_fault) MUST_CHECK;
void recharge_comparison_auto(recharge_comparison *self);
