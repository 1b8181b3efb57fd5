// Vocabularies of tariffs and what callers may ask a compiled one.
#include "rating/tariff.h"

#include <stdlib.h>

#include "bands.h"
#include "base/check.h"
#include "base/mem.h"
#include "tariff_compiled.h"

static const char *const TIER_KINDS[] = {
#define TIER_KIND(name, text, meaning) [TIER_KIND_##name] = text,
#include "rating/tier_kind.def"
#undef TIER_KIND
};

static const char *const LINE_KINDS[] = {
#define LINE_KIND(name, text, meaning) [LINE_KIND_##name] = text,
#include "rating/line_kind.def"
#undef LINE_KIND
};

static const char *const FIXED_PERS[] = {
#define FIXED_PER(name, text) [FIXED_PER_##name] = text,
#include "rating/fixed_per.def"
#undef FIXED_PER
};

static const struct {
    const char *name;
    const char *unit;
    const char *other_unit;
} UTILITIES[] = {
#define UTILITY(name, text, unit, other_unit) [UTILITY_##name] = {text, unit, other_unit},
#include "rating/utility.def"
#undef UTILITY
};

static bool find_name(const char *const *names, int count, sv text, int *out_index) {
    for (int i = 0; i < count; i++) {
        if (!sv_equal(text, sv_of(names[i]))) continue;
        *out_index = i;
        return true;
    }
    return false;
}

const char *tier_kind_name(tier_kind kind) {
    CHECK((unsigned)kind < TIER_KIND_COUNT);
    return TIER_KINDS[kind];
}

bool tier_kind_parse(sv text, tier_kind *out_kind) {
    int found;
    if (!find_name(TIER_KINDS, TIER_KIND_COUNT, text, &found)) return false;
    *out_kind = (tier_kind)found;
    return true;
}

const char *line_kind_name(line_kind kind) {
    CHECK((unsigned)kind < LINE_KIND_COUNT);
    return LINE_KINDS[kind];
}

bool line_kind_parse(sv text, line_kind *out_kind) {
    int found;
    if (!find_name(LINE_KINDS, LINE_KIND_COUNT, text, &found)) return false;
    *out_kind = (line_kind)found;
    return true;
}

const char *fixed_per_name(fixed_per per) {
    CHECK((unsigned)per < FIXED_PER_COUNT);
    return FIXED_PERS[per];
}

bool fixed_per_parse(sv text, fixed_per *out_per) {
    int found;
    if (!find_name(FIXED_PERS, FIXED_PER_COUNT, text, &found)) return false;
    *out_per = (fixed_per)found;
    return true;
}

const char *utility_name(utility self) {
    CHECK((unsigned)self < UTILITY_COUNT);
    return UTILITIES[self].name;
}

bool utility_parse(sv text, utility *out_utility) {
    for (int i = 0; i < UTILITY_COUNT; i++) {
        if (!sv_equal(text, sv_of(UTILITIES[i].name))) continue;
        *out_utility = (utility)i;
        return true;
    }
    return false;
}

bool utility_has_unit(utility self, sv unit) {
    CHECK((unsigned)self < UTILITY_COUNT);
    if (unit.len == 0) return false;
    return sv_equal(unit, sv_of(UTILITIES[self].unit)) || sv_equal(unit, sv_of(UTILITIES[self].other_unit));
}

void tariff_free(tariff *self) {
    if (!self) return;
    mem_free(self->rows);
    mem_free(self->flags);
    for (size_t i = 0; i < self->line_count; i++) mem_free(self->lines[i].unit_weights);
    mem_free(self->narrow_weights);
    mem_free(self->weights);
    mem_free(self);
}

void tariff_free_variable(tariff **self) { tariff_free(*self); }

uint64_t tariff_version(const tariff *self) { return self->version; }

sv tariff_code(const tariff *self) { return sv_of(self->code); }

currency tariff_currency(const tariff *self) { return self->currency; }

sv tariff_unit(const tariff *self) { return sv_of(self->unit); }

instant_ms tariff_effective_from(const tariff *self) { return self->effective_from; }

const zone *tariff_zone(const tariff *self) { return self->zone; }

int32_t tariff_rounding_scale(const tariff *self) { return self->rounding_scale; }

rounding_mode tariff_rounding_mode(const tariff *self) { return self->rounding; }

bool tariff_rounds_each_line(const tariff *self) { return self->rounds_each_line; }

size_t tariff_period_count(const tariff *self) { return self->periods; }

sv tariff_period_name(const tariff *self, size_t period) {
    CHECK(period < self->periods);
    return sv_of(self->period_names[period]);
}

bool tariff_find_period(const tariff *self, sv name, size_t *out_period) {
    for (size_t i = 0; i < self->periods; i++) {
        if (!sv_equal(name, sv_of(self->period_names[i]))) continue;
        *out_period = i;
        return true;
    }
    return false;
}

size_t tariff_tier_count(const tariff *self) { return self->tiers; }

size_t tariff_line_count(const tariff *self) { return self->line_count; }

sv tariff_line_name(const tariff *self, size_t line) {
    CHECK(line < self->line_count);
    return sv_of(self->lines[line].name);
}

line_kind tariff_line_kind(const tariff *self, size_t line) {
    CHECK(line < self->line_count);
    return self->lines[line].kind;
}

int64_t tariff_line_rate_micro(const tariff *self, size_t line) {
    CHECK(line < self->line_count);
    return self->lines[line].rate_micro;
}

bool tariff_has_closing_lines(const tariff *self) { return self->has_closing_lines; }

bool tariff_needs_closing(const tariff *self) { return self->needs_closing; }

bool tariff_is_personal(const tariff *self) { return self->is_personal; }

time_window tariff_window(const tariff *self, instant_ms at) { return window_at(self->zone, &self->over, at); }

size_t tariff_period_at(const tariff *self, instant_ms at) {
    band_table scratch;
    instant_ms until;
    return band_run(self, NULL, &scratch, at, at + 1, &until);
}

static int by_day(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static bool is_flagged(const tariff *self, int32_t flag, int64_t day) {
    const compiled_flag *days = &self->flags[flag];
    return bsearch(&day, days->days, days->day_count, sizeof day, by_day) != NULL;
}

// The first row for this kind of day whose range and flag match, or NULL.
static const compiled_row *row_for_kind(const tariff *self, int64_t day, month_day date, day_kind kind) {
    for (size_t i = 0; i < self->row_count; i++) {
        const compiled_row *row = &self->rows[i];
        if (!(row->days & DAY_KIND_BIT(kind)) || !month_day_is_within(date, row->from, row->to)) continue;
        if (row->flag >= 0 && !is_flagged(self, row->flag, day)) continue;
        return row;
    }
    return NULL;
}

const compiled_row *tariff_row_of_day(const tariff *self, int64_t day) {
    int32_t year;
    month_day date;
    civil_from_days(day, &year, &date.month, &date.day);
    day_kind kind = day_calendar_kind(self->calendar, day);
    const compiled_row *row = row_for_kind(self, day, date, kind);
    // A holiday, or a make-up workday, without a row of its own is its weekday.
    if (!row) row = row_for_kind(self, day, date, day_weekday(day));
    CHECK(row != NULL);
    return row;
}
