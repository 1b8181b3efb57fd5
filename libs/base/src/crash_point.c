#include "base/crash_point.h"

#ifdef PENSTOCK_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/sv.h"

static atomic_llong passes;

void crash_point_pass(const char *name) {
    const char *wanted = getenv("PENSTOCK_CRASH_POINT");
    if (!wanted) return;
    sv rest = sv_of(wanted);
    sv head = SV_NONE;
    if (!sv_next(&rest, ':', &head) || !sv_equal(head, sv_of(name))) return;
    int64_t at_pass = 1;
    bool stop = false;
    while (sv_next(&rest, ':', &head)) {
        if (sv_equal(head, SV("stop")))
            stop = true;
        else if (!sv_to_i64(head, &at_pass))
            return;
    }
    if (atomic_fetch_add(&passes, 1) + 1 != at_pass) return;
    raise(stop ? SIGSTOP : SIGKILL);
}

#else
typedef int crash_point_is_compiled_out;
#endif
