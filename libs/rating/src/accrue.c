#include "accrue.h"

static window_rule months_of(const tariff *self) { return (window_rule){.kind = WINDOW_MONTH, .billing_day = self->over.billing_day}; }

static instant_ms begin_of(instant_ms from, instant_ms clock) { return clock != 0 && clock > from ? clock : from; }

static void accrue_windows(const tariff *self, rating_accrued *accrued, instant_ms from, instant_ms until) {
    window_rule rule = months_of(self);
    for (instant_ms at = begin_of(from, accrued->windows_until); at < until; at = accrued->windows_until) {
        accrued->windows++;
        accrued->windows_until = window_at(self->zone, &rule, at).to;
    }
}

// Local days touched by [at, until), and how many the whole window has.
static int64_t days_touched(const zone *in_zone, instant_ms at, instant_ms until) {
    return zone_local_day(in_zone, until - 1) - zone_local_day(in_zone, at) + 1;
}

static int64_t share_of_days(const zone *in_zone, time_window window, int64_t days) {
    return days * RATING_SHARES / days_touched(in_zone, window.from, window.to);
}

static void accrue_days(const tariff *self, rating_accrued *accrued, instant_ms from, instant_ms until) {
    window_rule rule = months_of(self);
    for (instant_ms at = begin_of(from, accrued->days_until); at < until; at = accrued->days_until) {
        time_window window = window_at(self->zone, &rule, at);
        instant_ms end = window.to < until ? window.to : until;
        int64_t days = days_touched(self->zone, at, end);
        accrued->days += days;
        accrued->shares += share_of_days(self->zone, window, days);
        accrued->days_until = zone_day_start(self->zone, zone_local_day(self->zone, end - 1) + 1);
    }
}

void accrue_fixed(const tariff *self, rating_accrued *accrued, instant_ms from, instant_ms until) {
    if (self->accrues_windows && begin_of(from, accrued->windows_until) < until) accrue_windows(self, accrued, from, until);
    if (self->accrues_days && begin_of(from, accrued->days_until) < until) accrue_days(self, accrued, from, until);
}

static int64_t whole_days(const zone *in_zone, instant_ms from, instant_ms to) {
    int64_t first = zone_local_day(in_zone, from);
    if (zone_day_start(in_zone, first) < from) first++;
    int64_t last = zone_local_day(in_zone, to);  // itself not whole
    return last > first ? last - first : 0;
}

int64_t accrue_quoted(const tariff *self, const compiled_line *line, const rating_usage *usage) {
    if (line->per == FIXED_PER_PURCHASE) return 1;
    if (usage->counts_once) return line->counter == ACCRUAL_SHARES ? RATING_SHARES : 1;
    if (line->per == FIXED_PER_DAY)
        return line->prorated_by_day ? days_touched(self->zone, usage->from, usage->to) : whole_days(self->zone, usage->from, usage->to);
    window_rule rule = months_of(self);
    int64_t count = 0;
    for (instant_ms at = usage->from; at < usage->to;) {
        time_window window = window_at(self->zone, &rule, at);
        bool is_whole = window.from >= usage->from && window.to <= usage->to;
        instant_ms end = window.to < usage->to ? window.to : usage->to;
        if (line->prorated_by_day)
            count += share_of_days(self->zone, window, days_touched(self->zone, at, end));
        else if (is_whole)
            count++;
        at = window.to;
    }
    return count;
}
