#include "calendar/days.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/instant.h"
#include "base/mem.h"

struct day_calendar {
    size_t count;
    uint64_t fingerprint;
    dated_day days[];  // rising, without repeats
};

static const char *const NAMES[] = {
#define DAY_KIND(name, text) [DAY_KIND_##name] = text,
#include "calendar/day_kind.def"
#undef DAY_KIND
};

const char *day_kind_name(day_kind kind) {
    CHECK((unsigned)kind < DAY_KIND_COUNT);
    return NAMES[kind];
}

bool day_kind_parse(sv text, day_kind *out_kind) {
    for (int i = 0; i < DAY_KIND_COUNT; i++) {
        if (!sv_equal(text, sv_of(NAMES[i]))) continue;
        *out_kind = (day_kind)i;
        return true;
    }
    return false;
}

day_kind day_weekday(int64_t day) {
    int64_t since_monday = (day + 3) % 7;  // 1970-01-01 was a Thursday
    return (day_kind)(since_monday < 0 ? since_monday + 7 : since_monday);
}

static bool take_number(sv *text, size_t digits, int32_t *out_value) {
    if (text->len < digits) return false;
    int32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9') return false;
        value = value * 10 + (text->ptr[i] - '0');
    }
    *text = sv_skip(*text, digits);
    *out_value = value;
    return true;
}

static bool take_hyphen(sv *text) {
    if (text->len == 0 || text->ptr[0] != '-') return false;
    *text = sv_skip(*text, 1);
    return true;
}

static bool take_month_day(sv *text, int32_t year, month_day *out_day) {
    month_day read;
    if (!take_number(text, 2, &read.month) || !take_hyphen(text) || !take_number(text, 2, &read.day) || text->len != 0) return false;
    if (read.month < 1 || read.month > 12 || read.day < 1 || read.day > days_in_month(year, read.month)) return false;
    *out_day = read;
    return true;
}

bool month_day_parse(sv text, month_day *out_day) {
    static const int32_t ANY_LEAP_YEAR = 2000;
    return take_month_day(&text, ANY_LEAP_YEAR, out_day);
}

bool local_date_parse(sv text, int64_t *out_day) {
    int32_t year;
    month_day read;
    if (!take_number(&text, 4, &year) || year < 1 || !take_hyphen(&text) || !take_month_day(&text, year, &read)) return false;
    *out_day = days_from_civil(year, read.month, read.day);
    return true;
}

bool month_day_is_within(month_day day, month_day from, month_day to) {
    int32_t at = day.month * 100 + day.day;
    int32_t first = from.month * 100 + from.day;
    int32_t last = to.month * 100 + to.day;
    return first <= last ? at >= first && at <= last : at >= first || at <= last;
}

static int by_day(const void *a, const void *b) {
    int64_t left = ((const dated_day *)a)->day;
    int64_t right = ((const dated_day *)b)->day;
    return (left > right) - (left < right);
}

// FNV-1a over the numbers, so that equal content has an equal fingerprint.
static uint64_t fingerprint_of(const dated_day *days, size_t count) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < count; i++) {
        uint64_t word = (uint64_t)days[i].day * 16 + (uint64_t)days[i].kind;
        for (int shift = 0; shift < 64; shift += 8) hash = (hash ^ (word >> shift & 0xFF)) * 1099511628211u;
    }
    return hash;
}

day_calendar *day_calendar_new(const dated_day *days, size_t count) {
    day_calendar *self = mem_new(1, sizeof *self + count * sizeof self->days[0]);
    if (count) memcpy(self->days, days, count * sizeof days[0]);
    qsort(self->days, count, sizeof self->days[0], by_day);
    for (size_t i = 0; i < count; i++) {
        CHECK(self->days[i].kind == DAY_KIND_HOLIDAY || self->days[i].kind == DAY_KIND_WORKDAY);
        bool repeated = self->count > 0 && self->days[self->count - 1].day == self->days[i].day;
        if (repeated && self->days[self->count - 1].kind != self->days[i].kind) {
            mem_free(self);
            return NULL;
        }
        if (!repeated) self->days[self->count++] = self->days[i];
    }
    self->fingerprint = fingerprint_of(self->days, self->count);
    return self;
}

void day_calendar_free(day_calendar *self) { mem_free(self); }

day_kind day_calendar_kind(const day_calendar *self, int64_t day) {
    if (!self) return day_weekday(day);
    dated_day wanted = {.day = day};
    const dated_day *found = bsearch(&wanted, self->days, self->count, sizeof wanted, by_day);
    return found ? found->kind : day_weekday(day);
}

uint64_t day_calendar_fingerprint(const day_calendar *self) { return self ? self->fingerprint : 0; }
