#include "measure/measure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "measure_sql.h"

static int64_t process_cpu_ns(int32_t pid) {
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    char *line = fgets(text, sizeof text, file);
    fclose(file);
    CHECK(line != NULL);
    return (int64_t)strtoll(text, NULL, 10);
}

static int64_t wal_position(db *conn) {
    db_rows rows;
    err_t err = db_query_one(conn, &SQL_MEASURE_WAL_POSITION, DB_NO_PARAMS, &rows);
    CHECK(err == ERR_OK);
    int64_t bytes = db_i64(&rows, 0, 0);
    db_rows_done(&rows);
    return bytes;
}

measure_point measure_now(db *conn) {
    measure_point point = {0};
    if (conn) point.wal_bytes = wal_position(conn);
    point.cpu_ns = process_cpu_ns(conn ? db_backend_pid(conn) : (int32_t)getpid());
    point.wall_ns = clock_monotonic_ns();
    return point;
}

static int64_t per_unit(int64_t amount, int64_t units) { return (int64_t)((__int128)amount * 1000 / units); }

void measure_add_round(measure_series *self, measure_point begin, measure_point end, int64_t units) {
    CHECK(self->rounds < MEASURE_ROUNDS_MAX && units > 0);
    self->wall_ps[self->rounds] = per_unit(end.wall_ns - begin.wall_ns, units);
    self->cpu_ps[self->rounds] = per_unit(end.cpu_ns - begin.cpu_ns, units);
    self->wal_milli[self->rounds] = per_unit(end.wal_bytes - begin.wal_bytes, units);
    self->rounds++;
}

static int compare(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

int64_t measure_median(const int64_t *values, int64_t count) {
    int64_t sorted[MEASURE_ROUNDS_MAX];
    CHECK(count > 0 && count <= MEASURE_ROUNDS_MAX);
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static void add_thousandths(buf *out, const char *key, int64_t value) {
    buf_addf(out, ",\"%s\":\"%" PRId64 ".%03" PRId64 "\"", key, value / 1000, value % 1000);
}

void measure_series_add(buf *out, const measure_series *self) {
    int64_t wall_ps = measure_median(self->wall_ps, self->rounds);
    buf_addf(out, "{\"name\":\"%s\",\"unit\":\"%s\",\"rounds\":%" PRId64 ",\"per_second\":%" PRId64, self->name, self->unit, self->rounds,
             wall_ps ? 1000000000000 / wall_ps : 0);
    add_thousandths(out, "cpu_ns", measure_median(self->cpu_ps, self->rounds));
    add_thousandths(out, "wall_ns", wall_ps);
    add_thousandths(out, "wal_bytes", measure_median(self->wal_milli, self->rounds));
    buf_add_byte(out, '}');
}

// The median of each round's own ratio, so that a neighbour that slows one round slows both of its sides.
static int64_t ratio_milli(const int64_t *floor, const int64_t *subject, int64_t rounds) {
    int64_t ratios[MEASURE_ROUNDS_MAX];
    for (int64_t i = 0; i < rounds; i++) ratios[i] = subject[i] ? floor[i] * 1000 / subject[i] : 0;
    return measure_median(ratios, rounds);
}

void measure_ratio_add(buf *out, const char *name, const measure_series *subject, const measure_series *floor) {
    CHECK(subject->rounds == floor->rounds);
    buf_addf(out, "{\"name\":\"%s\",\"subject\":\"%s\",\"floor\":\"%s\"", name, subject->name, floor->name);
    add_thousandths(out, "rate_ratio", ratio_milli(floor->wall_ps, subject->wall_ps, subject->rounds));
    add_thousandths(out, "cpu_ratio", ratio_milli(floor->cpu_ps, subject->cpu_ps, subject->rounds));
    buf_add_byte(out, '}');
}
