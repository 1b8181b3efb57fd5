// Decides about facts given line by line, for the comparison with control.refusal_of. A line: the facts in the order of
// control.switch_facts up to min_on_ms, separated by tabs; "-" is NULL. Answers the reason, "-" for none.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "switching/switching.h"

#define LINE_MAX_BYTES 4096
#define FIELDS 24

static switching_truth truth(sv text) {
    if (sv_equal(text, SV("-"))) return SWITCHING_NOT_KNOWN;
    return sv_equal(text, SV("true")) ? SWITCHING_YES : SWITCHING_NO;
}

static int64_t number(sv text, int64_t when_null) {
    int64_t value = when_null;
    if (sv_equal(text, SV("-"))) return when_null;
    if (!sv_to_i64(text, &value)) exit(2);
    return value;
}

int main(void) {
    static char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, stdin)) {
        sv f[FIELDS], rest = sv_trim(sv_of(line));
        size_t len = 0;
        while (len < FIELDS && sv_next(&rest, '\t', &f[len])) len++;
        if (len != FIELDS) return 2;
        switching_facts facts = {.cause = switching_cause_of(f[0]),
                                 .is_newest = truth(f[1]),
                                 .is_switchable = truth(f[2]),
                                 .never_cut = truth(f[3]),
                                 .is_forced_on = truth(f[4]),
                                 .is_frozen = truth(f[5]),
                                 .off_last_hour = number(f[6], -1),
                                 .off_limit = number(f[7], -1),
                                 .has_unknown_off = truth(f[8]),
                                 .is_own = truth(f[9]),
                                 .prepaid_rule = truth(f[10]),
                                 .is_shared = truth(f[11]),
                                 .level = (int32_t)number(f[12], SWITCHING_LEVEL_NONE),
                                 .payment_block = sv_equal(f[13], SV("-")) ? SV_NONE : f[13],
                                 .credit_age_ms = number(f[14], SWITCHING_NEVER),
                                 .is_stopped = truth(f[15]),
                                 .reading_age_ms = number(f[16], SWITCHING_NEVER),
                                 .tariff_age_ms = number(f[17], SWITCHING_NEVER),
                                 .in_window = truth(f[18]),
                                 .is_warned = truth(f[19]),
                                 .on_age_ms = number(f[20], SWITCHING_NEVER),
                                 .stale_after_ms = number(f[21], -1),
                                 .credit_quiet_ms = number(f[22], -1),
                                 .min_on_ms = number(f[23], -1)};
        const char *reason = switching_refusal_text(switching_refusal_of(&facts));
        puts(reason ? reason : "-");
    }
    return 0;
}
