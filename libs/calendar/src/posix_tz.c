#include "posix_tz.h"

#include "base/check.h"
#include "calendar/days.h"

static bool take_byte(sv *text, char byte) {
    if (text->len == 0 || text->ptr[0] != byte) return false;
    *text = sv_skip(*text, 1);
    return true;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool take_name(sv *text) {
    if (take_byte(text, '<')) {
        size_t end;
        if (!sv_find(*text, '>', &end)) return false;
        *text = sv_skip(*text, end + 1);
        return end >= 3;
    }
    size_t len = 0;
    while (len < text->len && is_letter(text->ptr[len])) len++;
    *text = sv_skip(*text, len);
    return len >= 3;
}

static bool take_number(sv *text, int32_t max, int32_t *out_value) {
    int32_t value = 0;
    size_t digits = 0;
    while (digits < text->len && digits < 3 && text->ptr[digits] >= '0' && text->ptr[digits] <= '9')
        value = value * 10 + (text->ptr[digits++] - '0');
    *text = sv_skip(*text, digits);
    *out_value = value;
    return digits > 0 && value <= max;
}

// [+-]hh[:mm[:ss]]; up to 167 hours, as version 3 of TZif allows.
static bool take_time(sv *text, int32_t *out_s) {
    int32_t hours, minutes = 0, seconds = 0;
    bool negative = take_byte(text, '-');
    if (!negative) (void)take_byte(text, '+');
    if (!take_number(text, 167, &hours)) return false;
    if (take_byte(text, ':')) {
        if (!take_number(text, 59, &minutes)) return false;
        if (take_byte(text, ':') && !take_number(text, 59, &seconds)) return false;
    }
    int32_t total = hours * 3600 + minutes * 60 + seconds;
    *out_s = negative ? -total : total;
    return true;
}

static bool take_day(sv *text, posix_day *out_day) {
    *out_day = (posix_day){.time_s = 2 * 3600};
    if (take_byte(text, 'M')) {
        out_day->kind = POSIX_DAY_MONTH_WEEK;
        if (!take_number(text, 12, &out_day->month) || out_day->month < 1 || !take_byte(text, '.')) return false;
        if (!take_number(text, 5, &out_day->week) || out_day->week < 1 || !take_byte(text, '.')) return false;
        if (!take_number(text, 6, &out_day->weekday)) return false;
    } else if (take_byte(text, 'J')) {
        out_day->kind = POSIX_DAY_JULIAN;
        if (!take_number(text, 365, &out_day->day) || out_day->day < 1) return false;
    } else {
        out_day->kind = POSIX_DAY_ZERO_BASED;
        if (!take_number(text, 365, &out_day->day)) return false;
    }
    return !take_byte(text, '/') || take_time(text, &out_day->time_s);
}

bool posix_tz_parse(sv text, posix_tz *out_rule) {
    posix_tz rule = {0};
    int32_t west_s;  // POSIX counts offsets westwards
    if (!take_name(&text) || !take_time(&text, &west_s)) return false;
    rule.standard_offset_s = -west_s;
    if (text.len > 0) {
        rule.has_summer = true;
        rule.summer_offset_s = rule.standard_offset_s + 3600;
        if (!take_name(&text)) return false;
        if (text.len > 0 && text.ptr[0] != ',') {
            if (!take_time(&text, &west_s)) return false;
            rule.summer_offset_s = -west_s;
        }
        if (!take_byte(&text, ',') || !take_day(&text, &rule.summer_starts)) return false;
        if (!take_byte(&text, ',') || !take_day(&text, &rule.summer_ends)) return false;
    }
    if (text.len > 0) return false;
    *out_rule = rule;
    return true;
}

static int64_t day_of_rule(const posix_day *rule, int32_t year) {
    int64_t new_year = days_from_civil(year, 1, 1);
    switch (rule->kind) {
        case POSIX_DAY_JULIAN: return new_year + rule->day - 1 + (rule->day >= 60 && days_in_month(year, 2) == 29);
        case POSIX_DAY_ZERO_BASED: return new_year + rule->day;
        case POSIX_DAY_MONTH_WEEK: break;
    }
    int64_t first = days_from_civil(year, rule->month, 1);
    int64_t last = first + days_in_month(year, rule->month) - 1;
    int32_t first_weekday = ((int32_t)day_weekday(first) + 1) % 7;  // Sunday is 0 here
    int64_t day = first + (rule->weekday - first_weekday + 7) % 7 + 7 * (rule->week - 1);
    return day > last ? day - 7 : day;
}

void posix_tz_year(const posix_tz *self, int32_t year, instant_ms *out_start, instant_ms *out_end) {
    CHECK(self->has_summer);
    // Each edge is told in the local time that holds before it.
    *out_start = day_of_rule(&self->summer_starts, year) * DAY_MS + (self->summer_starts.time_s - self->standard_offset_s) * SECOND_MS;
    *out_end = day_of_rule(&self->summer_ends, year) * DAY_MS + (self->summer_ends.time_s - self->summer_offset_s) * SECOND_MS;
}
