// bench-floor: what this machine can do at most, measured in the same minutes as the product: a durable write, binary
// COPY of rows, and bare arithmetic. Every speed of Penstock is told as a ratio to one of these.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "db/copy.h"
#include "floor_sql.h"
#include "measure/measure.h"
#include "measure_sql.h"

#define WRITE_BYTES 8192
#define WRITES_PER_ROUND 300
#define SINGLE_ROWS_PER_ROUND 300
#define METERS 200000
#define KERNEL_READINGS 4000000
#define EXIT_USAGE 2

typedef struct bench_options {
    const char *database;
    const char *directory;
    int64_t rounds;
    int64_t rows;   // per round
    int64_t batch;  // rows per transaction
} bench_options;

static void must(err_t err, db *conn, const char *what) {
    if (err == ERR_OK) return;
    fprintf(stderr, "bench-floor: %s: %s: %s\n", what, err_text(err), db_error_text(conn));
    exit(EXIT_FAILURE);
}

// ---- a durable write

static void run_fdatasync(const bench_options *options, measure_series *series) {
    char path[512];
    static const char PAGE[WRITE_BYTES];
    snprintf(path, sizeof path, "%s/bench-floor-XXXXXX", options->directory);
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unlink(path);
    CHECK(posix_fallocate(fd, 0, (off_t)WRITE_BYTES * WRITES_PER_ROUND) == 0 && fsync(fd) == 0);
    measure_point begin = measure_now(NULL);
    for (int64_t i = 0; i < WRITES_PER_ROUND; i++) {
        CHECK(pwrite(fd, PAGE, sizeof PAGE, (off_t)(i * WRITE_BYTES)) == WRITE_BYTES);
        CHECK(fdatasync(fd) == 0);
    }
    measure_add_round(series, begin, measure_now(NULL), WRITES_PER_ROUND);
    close(fd);
}

// ---- rows

static instant_ms row_time(int64_t row) { return 1795190400000 + row / METERS * 900000; }

static void copy_batch(db *conn, const db_statement *statement, int64_t from, int64_t count) {
    db_tx __attribute__((cleanup(db_tx_auto))) tx;
    db_copy __attribute__((cleanup(db_copy_auto))) copy;
    must(db_begin(conn, &tx), conn, "begin");
    must(db_copy_open(conn, statement, DB_NO_LEAF, &copy), conn, "copy");
    for (int64_t row = from; row < from + count; row++) {
        db_copy_row(&copy, 4);
        db_copy_i32(&copy, 1);
        db_copy_i64(&copy, row % METERS);
        db_copy_time(&copy, row_time(row));
        db_copy_i64(&copy, row * 7);
    }
    must(db_copy_close(&copy, NULL), conn, "copy");
    must(db_commit(&tx), conn, "commit");
}

static void run_copy(const bench_options *options, db *conn, const db_statement *const table[3], measure_series *series) {
    must(db_exec(conn, table[0], DB_NO_PARAMS, NULL), conn, table[0]->name);
    must(db_exec(conn, table[1], DB_NO_PARAMS, NULL), conn, table[1]->name);
    must(db_exec(conn, &SQL_MEASURE_CHECKPOINT, DB_NO_PARAMS, NULL), conn, "checkpoint");
    measure_point begin = measure_now(conn);
    for (int64_t row = 0; row < options->rows; row += options->batch) copy_batch(conn, table[2], row, options->batch);
    measure_add_round(series, begin, measure_now(conn), options->rows);
}

static void run_single_rows(db *conn, measure_series *series) {
    measure_point begin = measure_now(conn);
    for (int64_t i = 0; i < SINGLE_ROWS_PER_ROUND; i++)
        must(db_exec(conn, &SQL_FLOOR_INSERT_ROW, DB_PARAMS(DB_I32(1), DB_I64(-1 - i), DB_TIME(row_time(i)), DB_I64(i)), NULL), conn,
             "insert");
    measure_add_round(series, begin, measure_now(conn), SINGLE_ROWS_PER_ROUND);
}

// ---- arithmetic

// The least a tariff of five periods and three tiers needs: find the slot, find the tier, one 128-bit product, one
// rounding. No calendar, no state, no checks.
static int64_t price_one(int64_t minute, int64_t quantity_wh, int64_t used_wh) {
    static const uint8_t SLOT_PERIOD[48] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2, 3, 3,
                                            3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 0, 0, 4, 4};
    static const int64_t PRICE[5][3] = {{1100000, 1150000, 1400000},
                                        {1000000, 1050000, 1300000},
                                        {850000, 900000, 1150000},
                                        {600000, 650000, 900000},
                                        {300000, 350000, 600000}};
    int tier = (used_wh > 200000) + (used_wh > 400000);
    __int128 product = (__int128)quantity_wh * PRICE[SLOT_PERIOD[minute / 30]][tier];
    return (int64_t)((product + 500) / 1000);
}

static void run_arithmetic(measure_series *series) {
    int64_t sum = 0;
    measure_point begin = measure_now(NULL);
    for (int64_t i = 0; i < KERNEL_READINGS; i++) sum += price_one(i * 15 % 1440, i % 977, i * 13 % 600000);
    measure_point end = measure_now(NULL);
    CHECK(sum > 0);
    measure_add_round(series, begin, end, KERNEL_READINGS);
}

// ---- the program

static void print_all(const measure_series *series, size_t count) {
    AUTO(buf) out;
    buf_init(&out, 65536);
    buf_add(&out, SV("{\"floors\":["));
    for (size_t i = 0; i < count; i++) {
        if (i) buf_add_byte(&out, ',');
        measure_series_add(&out, &series[i]);
    }
    buf_add(&out, SV("]}"));
    puts(buf_cstr(&out));
}

static void run_all(const bench_options *options, db *conn) {
    static const db_statement *const HEAP[3] = {&SQL_FLOOR_DROP_HEAP, &SQL_FLOOR_CREATE_HEAP, &SQL_FLOOR_COPY_HEAP};
    static const db_statement *const KEYED[3] = {&SQL_FLOOR_DROP_KEYED, &SQL_FLOOR_CREATE_KEYED, &SQL_FLOOR_COPY_KEYED};
    measure_series series[] = {{.name = "fdatasync_8k", .unit = "write"},
                               {.name = "copy_heap", .unit = "row"},
                               {.name = "copy_keyed", .unit = "row"},
                               {.name = "row_per_transaction", .unit = "row"},
                               {.name = "arithmetic", .unit = "reading"}};
    for (int64_t round = 0; round < options->rounds; round++) {
        run_fdatasync(options, &series[0]);
        run_copy(options, conn, HEAP, &series[1]);
        run_copy(options, conn, KEYED, &series[2]);
        run_single_rows(conn, &series[3]);
        run_arithmetic(&series[4]);
    }
    must(db_exec(conn, &SQL_FLOOR_DROP_HEAP, DB_NO_PARAMS, NULL), conn, "drop");
    must(db_exec(conn, &SQL_FLOOR_DROP_KEYED, DB_NO_PARAMS, NULL), conn, "drop");
    print_all(series, ARRAY_LEN(series));
}

static const char HELP[] =
    "bench-floor [--database CONNINFO] [--directory DIR] [--rounds N] [--rows N] [--batch N]\n"
    "Measures this machine's limits and prints them as JSON. The database (default PENSTOCK_OWNER_DATABASE) is a private\n"
    "one: a schema \"floor\" is made in it. The directory (default .) is where durable writes are tried.\n";

static bool take_option(int option, bench_options *options) {
    switch (option) {
        case 'd': options->database = optarg; return true;
        case 'D': options->directory = optarg; return true;
        case 'r': return sv_to_i64(sv_of(optarg), &options->rounds) && options->rounds > 0 && options->rounds <= MEASURE_ROUNDS_MAX;
        case 'n': return sv_to_i64(sv_of(optarg), &options->rows) && options->rows > 0;
        case 'b': return sv_to_i64(sv_of(optarg), &options->batch) && options->batch > 0;
        default: return false;
    }
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"database", 1, NULL, 'd'}, {"directory", 1, NULL, 'D'}, {"rounds", 1, NULL, 'r'},
                                            {"rows", 1, NULL, 'n'},     {"batch", 1, NULL, 'b'},     {"help", 0, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    bench_options options = {.database = getenv("PENSTOCK_OWNER_DATABASE"), .directory = ".", .rounds = 5, .rows = 300000, .batch = 10000};
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 'h') {
            fputs(HELP, stdout);
            return EXIT_SUCCESS;
        }
        if (!take_option(option, &options)) return EXIT_USAGE;
    }
    if (!options.database || options.rows % options.batch) {
        fputs("bench-floor: no database, or rows are no multiple of a batch; see --help\n", stderr);
        return EXIT_USAGE;
    }
    db_options connection = db_options_default(options.database, NULL, "bench-floor");
    connection.statement_timeout_ms = 0;
    AUTO_DB conn = NULL;
    fault why;
    if (db_open(&connection, &conn, &why)) {
        fprintf(stderr, "bench-floor: %s\n", why.reason);
        return EXIT_FAILURE;
    }
    must(db_exec(conn, &SQL_FLOOR_CREATE_SCHEMA, DB_NO_PARAMS, NULL), conn, "schema");
    run_all(&options, conn);
    return EXIT_SUCCESS;
}
