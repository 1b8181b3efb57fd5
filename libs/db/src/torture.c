// In test builds PENSTOCK_DB_FAIL=<k>:<before|after> loses the connection at the k-th operation of the process, before
// the server saw it or after it took effect, so that a test can walk through every operation of a path.
#include "db_internal.h"

#ifdef PENSTOCK_CRASH_POINTS

#include <stdatomic.h>
#include <stdlib.h>

static atomic_llong operations;

torture db_torture_next(void) {
    const char *wanted = getenv("PENSTOCK_DB_FAIL");
    if (!wanted) return TORTURE_NONE;
    sv rest = sv_of(wanted);
    sv number = SV_NONE;
    int64_t at_operation = 0;
    if (!sv_next(&rest, ':', &number) || !sv_to_i64(number, &at_operation)) return TORTURE_NONE;
    if (atomic_fetch_add(&operations, 1) + 1 != at_operation) return TORTURE_NONE;
    return sv_equal(rest, SV("before")) ? TORTURE_BEFORE : TORTURE_AFTER;
}

#else

torture db_torture_next(void) { return TORTURE_NONE; }

#endif
