#include "accrue.h"

static window_rule months_of(const tariff *self) { return (window_rule){.kind = WINDOW_MONTH, .billing_day = self->over.billing_day}; }

int64_t accrue_date(instant_ms at, bool is_ahead) { return at / DAY_MS - (at % DAY_MS < 0) + is_ahead; }

bool accrue_is_ahead(const tariff *self, instant_ms midnight) {
    return zone_local_day(self->zone, midnight) != accrue_date(midnight, false);
}

static void keep_date(const tariff *self, rating_accrued *accrued, instant_ms clock, int64_t bit) {
    accrued->dates_ahead = accrue_is_ahead(self, clock) ? accrued->dates_ahead | bit : accrued->dates_ahead & ~bit;
}

static void move_clock(const tariff *self, rating_accrued *accrued, instant_ms *clock, int64_t bit) {
    if (*clock == 0) return;
    *clock = zone_day_start(self->zone, accrue_date(*clock, accrued->dates_ahead & bit));
    keep_date(self, accrued, *clock, bit);
}

void accrue_move(const tariff *self, rating_accrued *accrued) {
    move_clock(self, accrued, &accrued->windows_until, RATING_AHEAD_WINDOWS);
    move_clock(self, accrued, &accrued->days_until, RATING_AHEAD_DAYS);
}

static instant_ms begin_of(instant_ms from, instant_ms clock) { return clock != 0 && clock > from ? clock : from; }

static void accrue_windows(const tariff *self, rating_accrued *accrued, instant_ms from, instant_ms until) {
    window_rule rule = months_of(self);
    for (instant_ms at = begin_of(from, accrued->windows_until); at < until; at = accrued->windows_until) {
        accrued->windows++;
        accrued->windows_until = window_at(self->zone, &rule, at).to;
        keep_date(self, accrued, accrued->windows_until, RATING_AHEAD_WINDOWS);
    }
}

// A day that the date line took has no length and never began.
int64_t accrue_days_touched(const zone *in_zone, instant_ms at, instant_ms until) {
    int64_t first = zone_begun_day(in_zone, at), last = zone_begun_day(in_zone, until - 1);
    instant_ms lasted = zone_day_start(in_zone, last + 1) - zone_day_start(in_zone, first);
    int64_t days = (lasted + DAY_MS / 2) / DAY_MS;
    return days < last - first + 1 ? days : last - first + 1;
}

static int64_t share_of_days(const zone *in_zone, time_window window, int64_t days) {
    return days * RATING_SHARES / accrue_days_touched(in_zone, window.from, window.to);
}

static void accrue_days(const tariff *self, rating_accrued *accrued, instant_ms from, instant_ms until) {
    window_rule rule = months_of(self);
    for (instant_ms at = begin_of(from, accrued->days_until); at < until; at = accrued->days_until) {
        time_window window = window_at(self->zone, &rule, at);
        instant_ms end = window.to < until ? window.to : until;
        int64_t days = accrue_days_touched(self->zone, at, end);
        accrued->days += days;
        accrued->shares += share_of_days(self->zone, window, days);
        accrued->days_until = zone_day_start(self->zone, zone_begun_day(self->zone, end - 1) + 1);
        keep_date(self, accrued, accrued->days_until, RATING_AHEAD_DAYS);
    }
}

void accrue_fixed(const tariff *self, rating_accrued *accrued, instant_ms from, instant_ms until) {
    if (self->accrues_windows && begin_of(from, accrued->windows_until) < until) accrue_windows(self, accrued, from, until);
    if (self->accrues_days && begin_of(from, accrued->days_until) < until) accrue_days(self, accrued, from, until);
}

static int64_t whole_days(const zone *in_zone, instant_ms from, instant_ms to) {
    int64_t first = zone_begun_day(in_zone, from);
    if (zone_day_start(in_zone, first) < from) first++;
    int64_t last = zone_begun_day(in_zone, to);  // itself not whole
    return last > first ? accrue_days_touched(in_zone, zone_day_start(in_zone, first), zone_day_start(in_zone, last)) : 0;
}

int64_t accrue_quoted(const tariff *self, const compiled_line *line, const rating_usage *usage) {
    if (line->per == FIXED_PER_PURCHASE) return 1;
    if (usage->counts_once) return line->counter == ACCRUAL_SHARES ? RATING_SHARES : 1;
    if (line->per == FIXED_PER_DAY)
        return line->prorated_by_day ? accrue_days_touched(self->zone, usage->from, usage->to)
                                     : whole_days(self->zone, usage->from, usage->to);
    window_rule rule = months_of(self);
    int64_t count = 0;
    for (instant_ms at = usage->from; at < usage->to;) {
        time_window window = window_at(self->zone, &rule, at);
        bool is_whole = window.from >= usage->from && window.to <= usage->to;
        instant_ms end = window.to < usage->to ? window.to : usage->to;
        if (line->prorated_by_day)
            count += share_of_days(self->zone, window, accrue_days_touched(self->zone, at, end));
        else if (is_whole)
            count++;
        at = window.to;
    }
    return count;
}
