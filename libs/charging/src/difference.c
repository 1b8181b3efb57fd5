#include "charging/difference.h"

static time_window month_of(const charging_setup *setup, instant_ms at) {
    static const window_rule MONTHLY = {.kind = WINDOW_MONTH};
    return window_at(setup->zone, &MONTHLY, at);
}

void charging_differences_begin(charging_differences *self, const charging_setup *borrowed_setup, const charging_point *from) {
    charging_differences_done(self);
    *self = (charging_differences){.setup = borrowed_setup};
    if (from->account == 0) return;
    charging_holding holding = charging_holding_at(borrowed_setup, from->last_at - 1);
    if (holding.account != from->account) return;
    self->begun = holding;
    self->begun_amount = from->charged_total;
    self->begun_quantity = from->quantity_total;
}

void charging_differences_rate(charging_differences *self, const charging_piece *piece) {
    if (!piece->account) return;
    charging_holding holding = charging_holding_at(self->setup, piece->from_at);
    instant_ms end = piece->to_at - 1;
    charging_difference *last = self->list.len ? &self->list.items[self->list.len - 1] : NULL;
    if (!last || last->holding.from != holding.from || end < last->month.from || end >= last->month.to) {
        charging_difference next = {
            .holding = holding, .month = month_of(self->setup, end), .from_at = piece->from_at, .from_value = piece->from_value};
        bool is_first = !last || last->holding.from != holding.from;
        if (is_first && self->begun.account && self->begun.from == holding.from) {
            next.amount = self->begun_amount;
            next.quantity = self->begun_quantity;
        }
        vec_push(&self->list, next);
        last = &self->list.items[self->list.len - 1];
    }
    last->to_at = piece->to_at;
    last->to_value = piece->to_value;
    last->channel = piece->channel;
    last->epoch = piece->epoch;
    last->version_num = piece->version_num;
    last->amount += piece->amount;
    last->quantity += piece->quantity;
}

void charging_differences_charge(charging_differences *self, int64_t account, instant_ms from_at, instant_ms to_at, money_micro amount,
                                 int64_t quantity) {
    charging_difference *found = NULL;
    for (size_t i = 0; i < self->list.len; i++) {
        charging_difference *each = &self->list.items[i];
        if (each->holding.account != account || from_at < each->holding.from || from_at >= each->holding.to) continue;
        if (found && to_at - 1 < each->month.from) break;
        found = each;
    }
    if (!found) return;
    found->charged += amount;
    found->charged_quantity += quantity;
}

void charging_differences_done(charging_differences *self) { vec_done(&self->list); }
