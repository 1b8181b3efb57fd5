// bench-journal: what it costs to make readings durable as packed blocks, beside a COPY of one row per reading
// in the same rounds. The journal is the product's own table with its index and its day partitions, its blocks are
// packed by the product's own code; the rows go to bare heaps.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "bench_journal_sql.h"
#include "db/copy.h"
#include "measure/measure.h"
#include "measure_sql.h"
#include "metering/block.h"

#define PARTITIONS 64
#define FLUSH_BLOCKS_MAX 4096
#define METERS 200000
#define EXIT_USAGE 2

typedef struct bench_options {
    const char *database;
    int64_t rounds;
    int64_t readings;   // per round
    int64_t per_flush;  // readings of one transaction
    int64_t min_rate_milli, max_wal_milli;
} bench_options;

static void must(err_t err, db *conn, const char *what) {
    if (err == ERR_OK) return;
    fprintf(stderr, "bench-journal: %s: %s: %s\n", what, err_text(err), db_error_text(conn));
    exit(EXIT_FAILURE);
}

static reading_record record_of(int64_t reading, instant_ms at) {
    return (reading_record){.channel = 1000 + reading % METERS, .at = at - reading % 900000, .value = 1000000 + reading * 10, .company = 1};
}

// ---- the journal

typedef struct block_flush {
    num_series nums;
    size_t count;
    int16_t partitions[FLUSH_BLOCKS_MAX];
    int64_t ids[FLUSH_BLOCKS_MAX];
    instant_ms received[FLUSH_BLOCKS_MAX];
    int16_t counts[FLUSH_BLOCKS_MAX];
    sv records[FLUSH_BLOCKS_MAX];
    uint8_t bytes[FLUSH_BLOCKS_MAX * (size_t)READING_BLOCK_BYTES_MAX];
} block_flush;

static void flush_add_block(block_flush *self, int16_t partition, const reading_record *records, size_t count, instant_ms now) {
    CHECK(self->count < FLUSH_BLOCKS_MAX);
    size_t at = self->count++;
    uint8_t *bytes = self->bytes + at * READING_BLOCK_BYTES_MAX;
    self->partitions[at] = partition;
    self->ids[at] = num_next(&self->nums, now);
    self->received[at] = now;
    self->counts[at] = (int16_t)count;
    self->records[at] = (sv){(const char *)bytes, reading_block_pack(records, count, bytes)};
}

// The readings of one flush, spread evenly over the partitions.
static void flush_fill(block_flush *self, int64_t from, int64_t count) {
    penstock_clock clock = clock_system();
    instant_ms now = clock_now(&clock);
    self->count = 0;
    for (int16_t partition = 0; partition < PARTITIONS; partition++) {
        reading_record block[READING_BLOCK_MAX];
        size_t filled = 0;
        for (int64_t i = partition; i < count; i += PARTITIONS) {
            block[filled++] = record_of(from + i, now);
            if (filled < READING_BLOCK_MAX) continue;
            flush_add_block(self, partition, block, filled, now);
            filled = 0;
        }
        if (filled) flush_add_block(self, partition, block, filled, now);
    }
}

static void run_journal(const bench_options *options, db *conn, block_flush *flush, measure_series *series) {
    must(db_exec(conn, &SQL_MEASURE_CHECKPOINT, DB_NO_PARAMS, NULL), conn, "checkpoint");
    measure_point begin = measure_now(conn);
    for (int64_t from = 0; from < options->readings; from += options->per_flush) {
        flush_fill(flush, from, options->per_flush);
        db_tx __attribute__((cleanup(db_tx_auto))) tx;
        must(db_begin(conn, &tx), conn, "begin");
        must(db_exec(conn, &SQL_BENCH_JOURNAL_INSERT,
                     DB_PARAMS(DB_I16_ARRAY(flush->partitions, flush->count), DB_I64_ARRAY(flush->ids, flush->count),
                               DB_TIME_ARRAY(flush->received, flush->count), DB_I16_ARRAY(flush->counts, flush->count),
                               DB_BYTES_ARRAY(flush->records, flush->count)),
                     NULL),
             conn, "journal");
        must(db_commit(&tx), conn, "commit");
    }
    measure_add_round(series, begin, measure_now(conn), options->readings);
}

// ---- a row per reading

static void add_row(db_copy *copy, const reading_record *record, bool is_full) {
    db_copy_row(copy, is_full ? 7 : 4);
    db_copy_i32(copy, record->company);
    if (is_full) {
        db_copy_i16(copy, record->reg);
        db_copy_i16(copy, record->quality);
    }
    db_copy_i64(copy, record->channel);
    db_copy_time(copy, record->at);
    db_copy_i64(copy, record->value);
    if (is_full) db_copy_i32(copy, record->flags);
}

static void run_rows(const bench_options *options, db *conn, bool is_full, measure_series *series) {
    const db_statement *drop = is_full ? &SQL_BENCH_JOURNAL_DROP_FULL_ROWS : &SQL_BENCH_JOURNAL_DROP_ROWS;
    const db_statement *create = is_full ? &SQL_BENCH_JOURNAL_CREATE_FULL_ROWS : &SQL_BENCH_JOURNAL_CREATE_ROWS;
    const db_statement *copy_into = is_full ? &SQL_BENCH_JOURNAL_COPY_FULL_ROWS : &SQL_BENCH_JOURNAL_COPY_ROWS;
    must(db_exec(conn, drop, DB_NO_PARAMS, NULL), conn, "drop");
    must(db_exec(conn, create, DB_NO_PARAMS, NULL), conn, "create");
    must(db_exec(conn, &SQL_MEASURE_CHECKPOINT, DB_NO_PARAMS, NULL), conn, "checkpoint");
    penstock_clock clock = clock_system();
    instant_ms now = clock_now(&clock);
    measure_point begin = measure_now(conn);
    for (int64_t from = 0; from < options->readings; from += options->per_flush) {
        db_tx __attribute__((cleanup(db_tx_auto))) tx;
        db_copy __attribute__((cleanup(db_copy_auto))) copy;
        must(db_begin(conn, &tx), conn, "begin");
        must(db_copy_open(conn, copy_into, DB_NO_LEAF, &copy), conn, "copy");
        for (int64_t i = from; i < from + options->per_flush; i++) {
            reading_record record = record_of(i, now);
            add_row(&copy, &record, is_full);
        }
        must(db_copy_close(&copy, NULL), conn, "copy");
        must(db_commit(&tx), conn, "commit");
    }
    measure_add_round(series, begin, measure_now(conn), options->readings);
}

// ---- the program

static bool holds(const bench_options *options, const measure_series *journal, const measure_series *rows) {
    int64_t rate_milli = measure_median(rows->wall_ps, rows->rounds) * 1000 / measure_median(journal->wall_ps, journal->rounds);
    return rate_milli >= options->min_rate_milli && measure_median(journal->wal_milli, journal->rounds) <= options->max_wal_milli;
}

static int run_all(const bench_options *options, db *conn) {
    block_flush *flush = mem_new(1, sizeof *flush);
    flush->nums.replica = 511;
    measure_series series[] = {
        {.name = "journal", .unit = "reading"}, {.name = "row_copy", .unit = "reading"}, {.name = "full_row_copy", .unit = "reading"}};
    for (int64_t round = 0; round < options->rounds; round++) {
        run_journal(options, conn, flush, &series[0]);
        run_rows(options, conn, false, &series[1]);
        run_rows(options, conn, true, &series[2]);
    }
    must(db_exec(conn, &SQL_BENCH_JOURNAL_DROP_ROWS, DB_NO_PARAMS, NULL), conn, "drop");
    must(db_exec(conn, &SQL_BENCH_JOURNAL_DROP_FULL_ROWS, DB_NO_PARAMS, NULL), conn, "drop");
    AUTO(buf) out;
    buf_init(&out, 65536);
    buf_addf(&out, "{\"per_transaction\":%lld,\"series\":[", (long long)options->per_flush);
    for (size_t i = 0; i < ARRAY_LEN(series); i++) {
        if (i) buf_add_byte(&out, ',');
        measure_series_add(&out, &series[i]);
    }
    buf_add(&out, SV("],\"ratios\":["));
    measure_ratio_add(&out, "journal to row copy", &series[0], &series[1]);
    buf_add_byte(&out, ',');
    measure_ratio_add(&out, "journal to full row copy", &series[0], &series[2]);
    bool held = holds(options, &series[0], &series[1]);
    buf_addf(&out, "],\"held\":%s}", held ? "true" : "false");
    puts(buf_cstr(&out));
    mem_free(flush);
    return held ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const char HELP[] =
    "bench-journal [--database CONNINFO] [--rounds N] [--readings N] [--per-transaction N]\n"
    "Measures the block journal against a COPY of one row per reading and prints JSON; exit status 1 when the journal is\n"
    "slower than 1.2 times the row COPY or writes more than 45 bytes of WAL a reading. The database (default\n"
    "PENSTOCK_OWNER_DATABASE, as owner) is a private, migrated one: it is left with made-up blocks.\n";

static bool take_option(int option, bench_options *options) {
    switch (option) {
        case 'd': options->database = optarg; return true;
        case 'r': return sv_to_i64(sv_of(optarg), &options->rounds) && options->rounds > 0 && options->rounds <= MEASURE_ROUNDS_MAX;
        case 'n': return sv_to_i64(sv_of(optarg), &options->readings) && options->readings > 0;
        case 'b': return sv_to_i64(sv_of(optarg), &options->per_flush) && options->per_flush > 0 && options->per_flush <= 500000;
        default: return false;
    }
}

static void make_ready(db *conn) {
    penstock_clock clock = clock_system();
    int32_t today = (int32_t)(clock_now(&clock) / DAY_MS);
    must(db_exec(conn, &SQL_BENCH_JOURNAL_PARTITIONS, DB_PARAMS(DB_DATE(today), DB_DATE(today + 1)), NULL), conn, "partitions");
    must(db_exec(conn, &SQL_BENCH_JOURNAL_CREATE_SCHEMA, DB_NO_PARAMS, NULL), conn, "schema");
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"database", 1, NULL, 'd'},        {"rounds", 1, NULL, 'r'}, {"readings", 1, NULL, 'n'},
                                            {"per-transaction", 1, NULL, 'b'}, {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0}};
    bench_options options = {.database = getenv("PENSTOCK_OWNER_DATABASE"),
                             .rounds = 5,
                             .readings = 15360 * 40,
                             .per_flush = 15360,
                             .min_rate_milli = 1200,
                             .max_wal_milli = 45000};
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 'h') {
            fputs(HELP, stdout);
            return EXIT_SUCCESS;
        }
        if (!take_option(option, &options)) return EXIT_USAGE;
    }
    if (!options.database || options.readings % options.per_flush) {
        fputs("bench-journal: no database, or readings are no multiple of a transaction; see --help\n", stderr);
        return EXIT_USAGE;
    }
    db_options connection = db_options_default(options.database, NULL, "bench-journal");
    connection.statement_timeout_ms = 0;
    AUTO_DB conn = NULL;
    fault why;
    if (db_open(&connection, &conn, &why)) {
        fprintf(stderr, "bench-journal: %s\n", why.reason);
        return EXIT_FAILURE;
    }
    make_ready(conn);
    return run_all(&options, conn);
}
