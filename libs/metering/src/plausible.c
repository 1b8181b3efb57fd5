#include "metering/plausible.h"

#include <stddef.h>

sv verdict_text(reading_verdict verdict) {
    switch (verdict) {
#define VERDICT(name, text, is_accepted, meaning) \
    case VERDICT_##name:                          \
        return SV(text);
#include "metering/verdicts.def"
#undef VERDICT
        case VERDICT_COUNT: break;
    }
    return SV("");
}

bool verdict_is_accepted(reading_verdict verdict) {
    switch (verdict) {
#define VERDICT(name, text, is_accepted, meaning) \
    case VERDICT_##name:                          \
        return (is_accepted);
#include "metering/verdicts.def"
#undef VERDICT
        case VERDICT_COUNT: break;
    }
    return false;
}

int64_t reading_step_max(const reading_limits *limits, instant_ms from, instant_ms to) {
    if (limits->max_per_hour <= 0) return INT64_MAX;
    __int128 elapsed = (__int128)to - from;
    if (elapsed < 0) elapsed = -elapsed;
    __int128 most = (elapsed + READING_STEP_SLACK_MS) * limits->max_per_hour * 6 / (5 * HOUR_MS) + 2 * (__int128)limits->resolution;
    return most > INT64_MAX ? INT64_MAX : (int64_t)most;
}

static bool is_in_range(const reading_limits *limits, int64_t value) { return value >= 0 && (limits->range <= 0 || value < limits->range); }

// A counter that fell: over its end when it stood in the last tenth, is in the first tenth, and the way over the end is
// possible in the time; a small step back is noise; all else is suspect.
static reading_verdict judge_fall(const reading_limits *limits, const reading_point *previous, reading_point next, int64_t *out_usage) {
    if (previous->value - next.value <= 2 * limits->resolution) return VERDICT_BACKWARD_SMALL;
    int64_t tenth = limits->range / 10;
    if (limits->range <= 0 || previous->value < limits->range - tenth || next.value > tenth) return VERDICT_BACKWARD;
    int64_t usage = limits->range - previous->value + next.value;
    if (usage > reading_step_max(limits, previous->at, next.at)) return VERDICT_BACKWARD;
    *out_usage = usage;
    return VERDICT_ROLLOVER;
}

reading_verdict reading_judge(const reading_limits *limits, const reading_point *previous, reading_point next, int64_t *out_usage) {
    *out_usage = 0;
    if (!is_in_range(limits, next.value)) return VERDICT_OUT_OF_RANGE;
    if (!previous) return VERDICT_FIRST;
    if (next.at == previous->at) return next.value == previous->value ? VERDICT_DUPLICATE : VERDICT_CONFLICT;
    if (next.at < previous->at) return VERDICT_LATE;
    if (next.value < previous->value) return judge_fall(limits, previous, next, out_usage);
    int64_t usage = next.value - previous->value;
    if (usage > reading_step_max(limits, previous->at, next.at)) return VERDICT_IMPLAUSIBLE;
    *out_usage = usage;
    return VERDICT_STEP;
}

reading_verdict reading_judge_between(const reading_limits *limits, const reading_point *before, const reading_point *after,
                                      reading_point late) {
    int64_t usage = 0;
    if (after && after->at == late.at) return after->value == late.value ? VERDICT_DUPLICATE : VERDICT_CONFLICT;
    reading_verdict verdict = reading_judge(limits, before, late, &usage);
    if (!after || verdict == VERDICT_DUPLICATE || !verdict_is_accepted(verdict)) return verdict;
    if (verdict == VERDICT_ROLLOVER || verdict == VERDICT_BACKWARD_SMALL || late.value > after->value) return VERDICT_BACKWARD;
    return after->value - late.value > reading_step_max(limits, late.at, after->at) ? VERDICT_IMPLAUSIBLE : VERDICT_STEP;
}
