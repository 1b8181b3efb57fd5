// What usage comes to when it is rated again, against what was charged for it: by holding and local month, because
// difference charges are posted and shown by month. Usage belongs to the month in which it ended, like a charge.
//
//   charging_differences sums = {0};
//   charging_differences_begin(&sums, setup, &checkpoint);
//   … charging_differences_rate for the pieces, in order, then charging_differences_charge for every charge for usage
//   charging_differences_done(&sums);
#pragma once

#include "calendar/window.h"
#include "charging/point.h"

typedef struct charging_difference {
    charging_holding holding;
    time_window month;
    instant_ms from_at, to_at;  // of the usage that was rated again in it
    int64_t channel;            // of the last piece, as its epoch and version
    int32_t epoch;
    int64_t version_num;
    int64_t from_value, to_value;
    money_micro amount, charged;  // rated again; charged so far
    int64_t quantity, charged_quantity;
} charging_difference;

// In order of time. The first month of a holding holds all that was rated and charged before it in the same holding.
typedef struct charging_differences {
    const charging_setup *setup;
    VEC(charging_difference) list;
    charging_holding begun;  // the holding at the beginning, and what it came to until there
    money_micro begun_amount;
    int64_t begun_quantity;
} charging_differences;

// `from`: the point from where on usage is rated again. `borrowed_setup` must outlive the sums.
void charging_differences_begin(charging_differences *self, const charging_setup *borrowed_setup, const charging_point *from);
// Usage nobody held is left out.
void charging_differences_rate(charging_differences *self, const charging_piece *piece);
// A charge for usage, base or correction, once all pieces are in. What belongs to no holding that was rated is left out.
void charging_differences_charge(charging_differences *self, int64_t account, instant_ms from_at, instant_ms to_at, money_micro amount,
                                 int64_t quantity);
void charging_differences_done(charging_differences *self);
