// The kinds of alerts: whom they concern, and how they are told where no rule says otherwise.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/sv.h"
#include "contracts/texts.h"

typedef enum alert_audience { AUDIENCE_CUSTOMER, AUDIENCE_OPERATORS } alert_audience;

typedef enum alert_kind {
#define ALERT_KIND(name, text, audience, is_urgent, is_standing, chain, wait_s, hours) ALERT_##name,
#include "kinds.def"
#undef ALERT_KIND
    ALERT_KIND_COUNT
} alert_kind;

typedef struct alert_kind_info {
    const char *text;
    alert_audience audience;
    bool is_urgent, is_standing;
    const char *chain;  // kinds of channels, in the order in which they are tried
    int32_t wait_s, hours;
    text_key subject, body;
} alert_kind_info;

const alert_kind_info *alert_kind_of(alert_kind kind);
bool alert_kind_parse(sv text, alert_kind *out_kind);

// The first instant at or after `at` outside the quiet hours [from, to) of local minutes, which may wrap midnight; `at`
// itself when there are none (from < 0 or from = to).
struct zone;
int64_t quiet_until(const struct zone *where, int32_t from_minute, int32_t to_minute, int64_t at);
