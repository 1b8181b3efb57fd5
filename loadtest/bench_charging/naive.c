// The effects of the charging transaction for one reading at a time: the claim that makes it effective once, the look at
// the configuration, the point under its row lock, reading, charge, transfer, projections.
#include "base/clock.h"
#include "base/id.h"
#include "bench.h"
#include "bench_charging_sql.h"
#include "measure_sql.h"

typedef struct naive_reading {
    int64_t id, point, channel;
    int32_t company;
    instant_ms now;
} naive_reading;

static void charge_one(db *conn, const naive_reading *r) {
    db_tx __attribute__((cleanup(db_tx_auto))) tx;
    must(db_begin(conn, &tx), conn, "begin");
    AUTO(db_rows) row = {0}, config = {0}, purse_row = {0};
    must(db_exec(conn, &SQL_BENCH_NAIVE_CLAIM, DB_PARAMS(DB_I16(BENCH_PARTITION), DB_I64(r->id), DB_TIME(r->now)), NULL), conn, "claim");
    must(db_query_one(conn, &SQL_BENCH_NAIVE_CONFIG, DB_PARAMS(DB_I32(r->company)), &config), conn, "config");
    must(db_query_one(conn, &SQL_BENCH_NAIVE_POINT, DB_PARAMS(DB_I64(r->point)), &row), conn, "point");
    db_param value = DB_I64(db_i64(&row, 0, 1) + 10), purse = DB_I64(db_i64(&row, 0, 2)), account = DB_I64(db_i64(&row, 0, 3));
    db_param now = DB_TIME(r->now), id = DB_I64(r->id), company = DB_I32(r->company);
    must(db_exec(conn, &SQL_BENCH_NAIVE_READING, DB_PARAMS(company, DB_I64(r->channel), now, value, now), NULL), conn, "reading");
    must(db_exec(conn, &SQL_BENCH_NAIVE_CHARGE,
                 DB_PARAMS(id, company, DB_I64(r->point), account, purse, DB_I64(r->channel), now, value, now), NULL),
         conn, "charge");
    must(db_exec(conn, &SQL_BENCH_NAIVE_TRANSFER, DB_PARAMS(id, company, purse, now), NULL), conn, "transfer");
    must(db_exec(conn, &SQL_BENCH_NAIVE_MOVE, DB_PARAMS(DB_I64(r->point), now, value, DB_BYTES(db_bytes(&row, 0, 0))), NULL), conn, "move");
    must(db_query_one(conn, &SQL_BENCH_NAIVE_PURSE, DB_PARAMS(purse, now), &purse_row), conn, "purse");
    must(db_commit(&tx), conn, "commit");
}

void naive_run(const bench_options *options, const site *place, measure_series *series) {
    db_options connection = db_options_default(options->owner, NULL, "bench-charging/naive");
    AUTO_DB conn = NULL;
    fault why = {0};
    must(db_open(&connection, &conn, &why), NULL, why.reason);
    AUTO(db_rows) points = {0};
    must(db_query(conn, &SQL_BENCH_NAIVE_POINTS, DB_PARAMS(DB_I32(place->company), DB_I64(options->naive)), &points), conn, "points");
    must(db_exec(conn, &SQL_MEASURE_CHECKPOINT, DB_NO_PARAMS, NULL), conn, "checkpoint");
    penstock_clock clock = clock_system();
    num_series nums = {.replica = 510};
    measure_point begin = measure_now(conn);
    for (int64_t i = 0; i < options->naive; i++) {
        size_t row = (size_t)i % points.len;
        instant_ms now = clock_now(&clock);
        naive_reading reading = {num_next(&nums, now), db_i64(&points, row, 0), db_i64(&points, row, 1), place->company, now};
        charge_one(conn, &reading);
    }
    measure_add_round(series, begin, measure_now(conn), options->naive);
}
