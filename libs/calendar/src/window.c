#include "calendar/window.h"

#include "base/check.h"

static const char *const NAMES[] = {
#define WINDOW(name, text) [WINDOW_##name] = text,
#include "calendar/window.def"
#undef WINDOW
};

const char *window_kind_name(window_kind kind) {
    CHECK((unsigned)kind < WINDOW_COUNT);
    return NAMES[kind];
}

bool window_kind_parse(sv text, window_kind *out_kind) {
    for (int i = 0; i < WINDOW_COUNT; i++) {
        if (!sv_equal(text, sv_of(NAMES[i]))) continue;
        *out_kind = (window_kind)i;
        return true;
    }
    return false;
}

static time_window between_days(const zone *in_zone, int64_t first, int64_t next) {
    return (time_window){zone_day_start(in_zone, first), zone_day_start(in_zone, next)};
}

static time_window month_window(const zone *in_zone, const local_time *now, int32_t first_day) {
    int32_t year = now->year;
    int32_t month = now->month;
    if (now->day_of_month < first_day && --month == 0) {
        month = 12;
        year--;
    }
    int64_t first = days_from_civil(year, month, first_day);
    int64_t next = month == 12 ? days_from_civil(year + 1, 1, first_day) : days_from_civil(year, month + 1, first_day);
    return between_days(in_zone, first, next);
}

// A season that starts on 02-29 starts on 03-01 in other years.
static int64_t season_start(const window_rule *rule, size_t index, int32_t year) {
    return days_from_civil(year, rule->seasons[index].month, rule->seasons[index].day);
}

static time_window season_window(const zone *in_zone, const window_rule *rule, const local_time *now) {
    CHECK(rule->season_count >= 1 && rule->season_count <= WINDOW_SEASONS_MAX);
    size_t after = 0;  // the first season of this year that starts after today
    while (after < rule->season_count && season_start(rule, after, now->year) <= now->day) after++;
    int64_t next = after < rule->season_count ? season_start(rule, after, now->year) : season_start(rule, 0, now->year + 1);
    int64_t first = after > 0 ? season_start(rule, after - 1, now->year) : season_start(rule, rule->season_count - 1, now->year - 1);
    return between_days(in_zone, first, next);
}

static local_time begun_day(const zone *in_zone, instant_ms at) {
    local_time now = zone_local_time(in_zone, at);
    int64_t day = zone_begun_day(in_zone, at);
    if (day != now.day) civil_from_days(now.day = day, &now.year, &now.month, &now.day_of_month);
    return now;
}

time_window window_at(const zone *in_zone, const window_rule *rule, instant_ms at) {
    if (rule->kind == WINDOW_LIFE) return (time_window){INSTANT_MIN, INSTANT_MAX};
    local_time now = begun_day(in_zone, at);
    switch (rule->kind) {
        case WINDOW_MONTH:
        case WINDOW_BILLING_PERIOD: return month_window(in_zone, &now, rule->billing_day ? rule->billing_day : 1);
        case WINDOW_YEAR: return between_days(in_zone, days_from_civil(now.year, 1, 1), days_from_civil(now.year + 1, 1, 1));
        case WINDOW_SEASON: return season_window(in_zone, rule, &now);
        case WINDOW_DAY: return between_days(in_zone, now.day, now.day + 1);
        case WINDOW_LIFE:
        case WINDOW_COUNT: break;
    }
    BUG("window kind");
}
