// bench-charging: the charging transaction of the running billing service, from unclaimed block to commit, by the CPU
// of its one server process per reading. Floor: binary COPY of exactly the rows it inserted into bare heaps, in
// transactions of the same size, in the same rounds. Beside it: one transaction per reading.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "bench.h"
#include "bench_charging_sql.h"
#include "measure_sql.h"

#define EXIT_USAGE 2
#define STEP_MS 60000  // between two readings of a point
#define STEP_WH 20
#define BLOCKS_PER_FLUSH 4  // of one partition, in one transaction of ingest
#define ROWS_PER_COPY 10000
#define PATIENCE_MS 120000

void must(err_t err, db *conn, const char *what) {
    if (err == ERR_OK) return;
    fprintf(stderr, "bench-charging: %s: %s: %s\n", what, err_text(err), conn ? db_error_text(conn) : "");
    exit(EXIT_FAILURE);
}

static db *connect_to(const char *conninfo) {
    db_options options = db_options_default(conninfo, NULL, "bench-charging");
    options.statement_timeout_ms = 0;
    options.idle_in_transaction_timeout_ms = 0;
    db *conn = NULL;
    fault why = {0};
    must(db_open(&options, &conn, &why), NULL, why.reason);
    return conn;
}

// ---- the service under measurement

static pid_t child;

static void stop_child(void) {
    if (child <= 0) return;
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    child = 0;
}

static void start_service(const bench_options *options) {
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 32);
    CHECK(len > 0);
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    CHECK(slash);
    memcpy(slash, "/penstock-billing", sizeof "/penstock-billing");
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setenv("PENSTOCK_DATABASE", options->database, 1);
        setenv("PENSTOCK_REDIS", "unix:/nonexistent/redis.sock", 1);
        setenv("PENSTOCK_ADMIN_LISTEN", "127.0.0.1:0", 1);
        setenv("PENSTOCK_LOG_LEVEL", "error", 1);
        if (!freopen("/dev/null", "w", stdout)) _exit(127);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    atexit(stop_child);
}

static int32_t worker_pid(db *conn) {
    int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (clock_monotonic_ms() < deadline_ms) {
        AUTO(db_rows) rows = {0};
        must(db_query(conn, &SQL_BENCH_CHARGING_WORKER, DB_NO_PARAMS, &rows), conn, "worker");
        if (rows.len == 1) return (int32_t)db_i64(&rows, 0, 0);
        usleep(50000);
    }
    fputs("bench-charging: the service did not connect\n", stderr);
    exit(EXIT_FAILURE);
}

static int64_t cpu_ns_of(int32_t pid) {
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    FILE *file = fopen(path, "re");
    CHECK(file && fgets(text, sizeof text, file));
    fclose(file);
    return (int64_t)strtoll(text, NULL, 10);
}

static measure_point now_of(db *conn, int32_t pid) {
    measure_point point = measure_now(conn);
    point.cpu_ns = cpu_ns_of(pid);
    return point;
}

// ---- one round

// `readings` in blocks, `k` adjacent ones of a point at a time, journaled like ingest does while the service stands still.
static void journal(db *conn, site *self, int64_t readings, int64_t k, num_series *nums) {
    size_t blocks = (size_t)((readings + READING_BLOCK_MAX - 1) / READING_BLOCK_MAX), block = 0, filled = 0, point = 0;
    int64_t *ids = mem_new(blocks, sizeof *ids);
    sv *bytes = mem_new(blocks, sizeof *bytes);
    uint8_t *store = mem_new(blocks, READING_BLOCK_BYTES_MAX);
    reading_record records[READING_BLOCK_MAX];
    penstock_clock clock = clock_system();
    instant_ms now = clock_now(&clock), base = self->at;
    for (int64_t i = 0; i < readings; i++) {
        int64_t pass = i / k / (int64_t)self->count, step = i % k;
        instant_ms at = base + (pass * k + step + 1) * STEP_MS;
        self->values[point] += STEP_WH;
        records[filled++] =
            (reading_record){.channel = self->channels[point], .at = at, .value = self->values[point], .company = self->company};
        if (at > self->at) self->at = at;
        if (step == k - 1) point = (point + 1) % self->count;
        if (filled < READING_BLOCK_MAX && i + 1 < readings) continue;
        uint8_t *to = store + block * READING_BLOCK_BYTES_MAX;
        ids[block] = num_next(nums, now);
        bytes[block++] = sv_slice(to, reading_block_pack(records, filled, to));
        filled = 0;
    }
    for (size_t from = 0; from < block; from += BLOCKS_PER_FLUSH) {
        size_t len = block - from < BLOCKS_PER_FLUSH ? block - from : BLOCKS_PER_FLUSH;
        must(db_exec(conn, &SQL_BENCH_CHARGING_JOURNAL,
                     DB_PARAMS(DB_I16(BENCH_PARTITION), DB_I64_ARRAY(ids + from, len), DB_BYTES_ARRAY(bytes + from, len), DB_TIME(now)),
                     NULL),
             conn, "journal");
    }
    mem_free(ids);
    mem_free(bytes);
    mem_free(store);
}

static void wait_claimed(db *conn) {
    int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        AUTO(db_rows) row = {0};
        must(db_query_one(conn, &SQL_BENCH_CHARGING_UNCLAIMED, DB_PARAMS(DB_I16(BENCH_PARTITION)), &row), conn, "unclaimed");
        if (db_i64(&row, 0, 0) == 0) return;
        if (clock_monotonic_ms() > deadline_ms) break;
        usleep(20000);
    }
    fputs("bench-charging: the service did not charge in time\n", stderr);
    exit(EXIT_FAILURE);
}

static instant_ms charge_round(db *conn, int32_t pid, site *self, int64_t readings, int64_t k, num_series *nums, measure_series *series) {
    must(db_exec(conn, &SQL_BENCH_CHARGING_VACUUM_POINTS, DB_NO_PARAMS, NULL), conn, "vacuum");
    must(db_exec(conn, &SQL_BENCH_CHARGING_VACUUM_PURSES, DB_NO_PARAMS, NULL), conn, "vacuum");
    must(db_exec(conn, &SQL_MEASURE_CHECKPOINT, DB_NO_PARAMS, NULL), conn, "checkpoint");
    penstock_clock clock = clock_system();
    instant_ms since = clock_now(&clock);
    kill(child, SIGSTOP);  // every transaction finds its full batch
    journal(conn, self, readings, k, nums);
    measure_point begin = now_of(conn, pid);
    kill(child, SIGCONT);
    wait_claimed(conn);
    measure_point end = now_of(conn, pid);
    if (series) measure_add_round(series, begin, end, readings);
    return since;
}

// ---- the floor

static void copy_column(db_copy *copy, const db_rows *rows, size_t row, int column, char kind) {
    switch (kind) {
        case '2': db_copy_i16(copy, (int16_t)db_i64(rows, row, column)); return;
        case '4': db_copy_i32(copy, (int32_t)db_i64(rows, row, column)); return;
        case '8': db_copy_i64(copy, db_i64(rows, row, column)); return;
        case 't': db_copy_time(copy, db_time(rows, row, column)); return;
        case 'x': db_copy_text(copy, db_text(rows, row, column)); return;
        default: BUG("kind of column");
    }
}

typedef struct floor_table {
    const db_statement *read, *copy;
    const char *kinds;  // of the columns
    db_rows rows;
} floor_table;

static void copy_part(db *conn, const floor_table *table, size_t part, size_t parts) {
    size_t from = table->rows.len * part / parts, to = table->rows.len * (part + 1) / parts;
    if (from == to) return;
    db_copy __attribute__((cleanup(db_copy_auto))) copy;
    must(db_copy_open(conn, table->copy, DB_NO_LEAF, &copy), conn, "floor");
    int columns = (int)strlen(table->kinds);
    for (size_t row = from; row < to; row++) {
        db_copy_row(&copy, columns);
        for (int column = 0; column < columns; column++) copy_column(&copy, &table->rows, row, column, table->kinds[column]);
    }
    must(db_copy_close(&copy, NULL), conn, "floor");
}

static void floor_round(db *conn, instant_ms since, int64_t readings, measure_series *series) {
    floor_table tables[] = {{&SQL_BENCH_CHARGING_READINGS, &SQL_BENCH_CHARGING_COPY_READING, "484222t882t", {0}},
                            {&SQL_BENCH_CHARGING_CHARGES,
                             &SQL_BENCH_CHARGING_COPY_CHARGE,
                             "8488884222"
                             "8tt88888t",
                             {0}},
                            {&SQL_BENCH_CHARGING_TRANSFERS, &SQL_BENCH_CHARGING_COPY_TRANSFER, "84222228888ttx", {0}}};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        must(db_query(conn, tables[i].read, DB_PARAMS(DB_TIME(since)), &tables[i].rows), conn, "rows");
    CHECK(tables[0].rows.len == (size_t)readings);
    must(db_exec(conn, &SQL_BENCH_CHARGING_FLOOR_DROP, DB_NO_PARAMS, NULL), conn, "floor");
    must(db_exec(conn, &SQL_BENCH_CHARGING_FLOOR_READING, DB_NO_PARAMS, NULL), conn, "floor");
    must(db_exec(conn, &SQL_BENCH_CHARGING_FLOOR_CHARGE, DB_NO_PARAMS, NULL), conn, "floor");
    must(db_exec(conn, &SQL_BENCH_CHARGING_FLOOR_TRANSFER, DB_NO_PARAMS, NULL), conn, "floor");
    must(db_exec(conn, &SQL_MEASURE_CHECKPOINT, DB_NO_PARAMS, NULL), conn, "checkpoint");
    size_t parts = (size_t)((readings + ROWS_PER_COPY - 1) / ROWS_PER_COPY);
    measure_point begin = measure_now(conn);
    for (size_t part = 0; part < parts; part++) {
        db_tx __attribute__((cleanup(db_tx_auto))) tx;
        must(db_begin(conn, &tx), conn, "begin");
        for (size_t i = 0; i < ARRAY_LEN(tables); i++) copy_part(conn, &tables[i], part, parts);
        must(db_commit(&tx), conn, "commit");
    }
    measure_add_round(series, begin, measure_now(conn), readings);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) db_rows_done(&tables[i].rows);
}

// ---- the program

static void refuse_losses(db *conn) {
    AUTO(db_rows) row = {0};
    must(db_query_one(conn, &SQL_BENCH_CHARGING_SET_ASIDE, DB_NO_PARAMS, &row), conn, "quarantine");
    if (db_i64(&row, 0, 0) == 0) return;
    fputs("bench-charging: readings were set aside: the figures would be of something else\n", stderr);
    exit(EXIT_FAILURE);
}

// How many times less CPU the floor takes, in thousandths: the median of each round's own ratio.
static int64_t cpu_ratio_milli(const measure_series *subject, const measure_series *floor) {
    int64_t ratios[MEASURE_ROUNDS_MAX];
    for (int64_t i = 0; i < subject->rounds; i++) ratios[i] = floor->cpu_ps[i] * 1000 / subject->cpu_ps[i];
    return measure_median(ratios, subject->rounds);
}

enum { K1, FLOOR_K1, K4, FLOOR_K4, NAIVE, SERIES };

static int report(const bench_options *options, const measure_series *series) {
    AUTO(buf) out = {.max = 65536};
    buf_addf(&out, "{\"points\":%lld,\"readings\":%lld,\"series\":[", (long long)options->points, (long long)options->readings);
    for (size_t i = 0; i < SERIES; i++) {
        if (i) buf_add_byte(&out, ',');
        measure_series_add(&out, &series[i]);
    }
    buf_add(&out, SV("],\"ratios\":["));
    measure_ratio_add(&out, "one reading a point to copy", &series[K1], &series[FLOOR_K1]);
    buf_add_byte(&out, ',');
    measure_ratio_add(&out, "four readings a point to copy", &series[K4], &series[FLOOR_K4]);
    buf_add_byte(&out, ',');
    measure_ratio_add(&out, "one reading a point to one transaction a reading", &series[K1], &series[NAIVE]);
    buf_add_byte(&out, ',');
    measure_ratio_add(&out, "four readings a point to one transaction a reading", &series[K4], &series[NAIVE]);
    bool held = cpu_ratio_milli(&series[K1], &series[FLOOR_K1]) >= options->min_k1_milli &&
                cpu_ratio_milli(&series[K4], &series[FLOOR_K4]) >= options->min_k4_milli &&
                cpu_ratio_milli(&series[K4], &series[NAIVE]) >= options->min_naive_times * 1000;
    buf_addf(&out, "],\"held\":%s}", held ? "true" : "false");
    puts(buf_cstr(&out));
    return held ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_all(const bench_options *options, db *conn) {
    site place = {0};
    site_make(conn, options->points, &place);
    must(db_exec(conn, &SQL_BENCH_CHARGING_FLOOR_SCHEMA, DB_NO_PARAMS, NULL), conn, "floor");
    start_service(options);
    int32_t pid = worker_pid(conn);
    num_series nums = {.replica = 509};
    measure_series series[SERIES] = {[K1] = {.name = "charging_1", .unit = "reading"},
                                     [FLOOR_K1] = {.name = "copy_1", .unit = "reading"},
                                     [K4] = {.name = "charging_4", .unit = "reading"},
                                     [FLOOR_K4] = {.name = "copy_4", .unit = "reading"},
                                     [NAIVE] = {.name = "one_transaction_a_reading", .unit = "reading"}};
    // The first pass makes the rows of points and purses.
    (void)charge_round(conn, pid, &place, options->points, 1, &nums, NULL);
    for (int64_t round = 0; round < options->rounds; round++) {
        instant_ms since = charge_round(conn, pid, &place, options->readings, 1, &nums, &series[K1]);
        floor_round(conn, since, options->readings, &series[FLOOR_K1]);
        since = charge_round(conn, pid, &place, options->readings, 4, &nums, &series[K4]);
        floor_round(conn, since, options->readings, &series[FLOOR_K4]);
    }
    refuse_losses(conn);
    stop_child();
    for (int64_t round = 0; round < options->rounds; round++) naive_run(options, &place, &series[NAIVE]);
    must(db_exec(conn, &SQL_BENCH_CHARGING_FLOOR_DROP, DB_NO_PARAMS, NULL), conn, "floor");
    site_done(&place);
    return report(options, series);
}

static const char HELP[] =
    "bench-charging [--rounds N] [--points N] [--readings N] [--naive N]\n"
    "Measures the running billing service (penstock-billing beside this program) and prints JSON; exit status 1 when its\n"
    "CPU per reading is more than COPY's / 0.15 at one, / 0.25 at four readings per usage point and transaction, or more\n"
    "than a thirtieth of one transaction per reading (at four). Needs a private, migrated database: PENSTOCK_DATABASE without a\n"
    "user, and PENSTOCK_OWNER_DATABASE.\n";

static bool take_option(int option, bench_options *options) {
    switch (option) {
        case 'r': return sv_to_i64(sv_of(optarg), &options->rounds) && options->rounds > 0 && options->rounds <= MEASURE_ROUNDS_MAX;
        case 'p': return sv_to_i64(sv_of(optarg), &options->points) && options->points > 0 && options->points <= 1000000;
        case 'n': return sv_to_i64(sv_of(optarg), &options->readings) && options->readings > 0 && options->readings % 4 == 0;
        case 'v': return sv_to_i64(sv_of(optarg), &options->naive) && options->naive > 0;
        default: return false;
    }
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"rounds", 1, NULL, 'r'}, {"points", 1, NULL, 'p'}, {"readings", 1, NULL, 'n'},
                                            {"naive", 1, NULL, 'v'},  {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0}};
    bench_options options = {.owner = getenv("PENSTOCK_OWNER_DATABASE"),
                             .database = getenv("PENSTOCK_DATABASE"),
                             .rounds = 5,
                             .points = 20000,
                             .readings = 100000,
                             .naive = 2000,
                             .min_k1_milli = 150,
                             .min_k4_milli = 250,
                             .min_naive_times = 30};
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 'h') {
            fputs(HELP, stdout);
            return EXIT_SUCCESS;
        }
        if (!take_option(option, &options)) return EXIT_USAGE;
    }
    if (!options.owner || !options.database) {
        fputs("bench-charging: no database; see --help\n", stderr);
        return EXIT_USAGE;
    }
    AUTO_DB conn = connect_to(options.owner);
    return run_all(&options, conn);
}
