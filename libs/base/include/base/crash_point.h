// Marked places where a test may kill or freeze the process: `CRASH_POINT("billing.before_commit")`. Compiled in only
// by presets with PENSTOCK_CRASH_POINTS; release builds contain nothing.
//
// PENSTOCK_CRASH_POINT=<name>[:<n>][:stop] makes the n-th pass (default 1) end the process as SIGKILL would, or with
// `stop` freeze it as SIGSTOP would.
#pragma once

#ifdef PENSTOCK_CRASH_POINTS
#define CRASH_POINT(name) crash_point_pass(name)
void crash_point_pass(const char *name);
#else
#define CRASH_POINT(name) ((void)0)
#endif
