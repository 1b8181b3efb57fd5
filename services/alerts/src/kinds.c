#include "kinds.h"

#include "base/check.h"
#include "base/instant.h"
#include "calendar/zone.h"

static const alert_kind_info KINDS[] = {
#define ALERT_KIND(name, text, audience, is_urgent, is_standing, chain, wait_s, hours) \
    {text, AUDIENCE_##audience, is_urgent, is_standing, chain, wait_s, hours, TEXT_ALERT_##name##_SUBJECT, TEXT_ALERT_##name##_BODY},
#include "kinds.def"
#undef ALERT_KIND
};

const alert_kind_info *alert_kind_of(alert_kind kind) {
    CHECK((size_t)kind < ARRAY_LEN(KINDS));
    return &KINDS[kind];
}

bool alert_kind_parse(sv text, alert_kind *out_kind) {
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        if (!sv_equal(text, sv_of(KINDS[i].text))) continue;
        *out_kind = (alert_kind)i;
        return true;
    }
    return false;
}

int64_t quiet_until(const zone *where, int32_t from_minute, int32_t to_minute, int64_t at) {
    if (from_minute < 0 || from_minute == to_minute) return at;
    local_time local = zone_local_time(where, at);
    int32_t minute = local.ms_of_day / (int32_t)MINUTE_MS;
    bool wraps = from_minute > to_minute;
    bool is_quiet = wraps ? minute >= from_minute || minute < to_minute : minute >= from_minute && minute < to_minute;
    if (!is_quiet) return at;
    int64_t day = wraps && minute >= from_minute ? local.day + 1 : local.day;
    int64_t end = zone_instant(where, day, to_minute * (int32_t)MINUTE_MS);
    return end > at ? end : at;
}
