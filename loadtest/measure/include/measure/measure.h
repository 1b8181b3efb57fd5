// Measuring a subject: wall time, on-CPU time of the one server process that did the work, and WAL bytes, per unit and
// as medians over rounds. Wall time on a shared machine swings; the server's CPU time is the figure to compare.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "db/db.h"

#define MEASURE_ROUNDS_MAX 64

typedef struct measure_point {
    int64_t wall_ns;
    int64_t cpu_ns;     // of the server process, from /proc/<pid>/schedstat; of this process without a connection
    int64_t wal_bytes;  // 0 without a connection
} measure_point;

// `conn` may be NULL. Aborts when the server cannot be asked: a benchmark without its figures is worthless.
measure_point measure_now(db *conn);

typedef struct measure_series {
    const char *name;
    const char *unit;  // what one is: "row", "reading", "write"
    int64_t rounds;
    int64_t wall_ps[MEASURE_ROUNDS_MAX];  // per unit, picoseconds
    int64_t cpu_ps[MEASURE_ROUNDS_MAX];
    int64_t wal_milli[MEASURE_ROUNDS_MAX];  // thousandths of a byte
} measure_series;

// Adds one round of `units` done between the two points.
void measure_add_round(measure_series *self, measure_point begin, measure_point end, int64_t units);
int64_t measure_median(const int64_t *values, int64_t count);

// {"name":…,"unit":…,"rounds":n,"per_second":n,"cpu_ns":"840.1","wall_ns":"…","wal_bytes":"41.0"}
void measure_series_add(buf *out, const measure_series *self);
// {"name":…,"rate_ratio":"1.64","cpu_ratio":"2.00"}: how many times faster, and how many times less CPU, than the floor.
void measure_ratio_add(buf *out, const char *name, const measure_series *subject, const measure_series *floor);
