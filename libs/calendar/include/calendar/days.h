// Days: month-days, weekdays, and the dated calendar of public holidays and make-up working days.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

typedef enum day_kind {
#define DAY_KIND(name, text) DAY_KIND_##name,
#include "calendar/day_kind.def"
#undef DAY_KIND
    DAY_KIND_COUNT
} day_kind;

#define DAY_KIND_BIT(kind) (1u << (kind))

const char *day_kind_name(day_kind kind);
bool day_kind_parse(sv text, day_kind *out_kind);
day_kind day_weekday(int64_t day);  // DAY_KIND_MON … DAY_KIND_SUN

// A day of any year. 02-29 is valid and simply does not come in other years.
typedef struct month_day {
    int32_t month;
    int32_t day;
} month_day;

bool month_day_parse(sv text, month_day *out_day);                      // "MM-DD"
bool local_date_parse(sv text, int64_t *out_day);                       // "YYYY-MM-DD" to days since 1970-01-01
bool month_day_is_within(month_day day, month_day from, month_day to);  // both ends included; may wrap the year end

// Dated exceptions. Immutable; share between threads.
typedef struct day_calendar day_calendar;

typedef struct dated_day {
    int64_t day;
    day_kind kind;  // HOLIDAY or WORKDAY
} dated_day;

// Copies and sorts. NULL when a day occurs with both kinds. The caller frees.
day_calendar *day_calendar_new(const dated_day *days, size_t count);
void day_calendar_free(day_calendar *self);
// The kind of a day: HOLIDAY or WORKDAY when the calendar names it, else its weekday. `self` may be NULL.
day_kind day_calendar_kind(const day_calendar *self, int64_t day);
// Changes when the content does; the same for equal content.
uint64_t day_calendar_fingerprint(const day_calendar *self);
