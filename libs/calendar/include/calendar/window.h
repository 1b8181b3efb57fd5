// Windows of local time: month, year, season, billing period, day; LIFE is the one window without ends.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "calendar/days.h"
#include "calendar/zone.h"

typedef enum window_kind {
#define WINDOW(name, text) WINDOW_##name,
#include "calendar/window.def"
#undef WINDOW
    WINDOW_COUNT
} window_kind;

const char *window_kind_name(window_kind kind);
bool window_kind_parse(sv text, window_kind *out_kind);

#define WINDOW_SEASONS_MAX 12

typedef struct window_rule {
    window_kind kind;
    int32_t billing_day;  // 1–28: first day of MONTH and BILLING_PERIOD; 0 means 1
    size_t season_count;  // SEASON only: at least one start, rising within the year
    month_day seasons[WINDOW_SEASONS_MAX];
} window_rule;

typedef struct time_window {
    instant_ms from;
    instant_ms to;  // half-open: [from, to)
} time_window;

// The window that holds `at`. LIFE is [INSTANT_MIN, INSTANT_MAX].
time_window window_at(const zone *in_zone, const window_rule *rule, instant_ms at);
