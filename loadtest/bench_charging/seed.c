#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"
#include "bench_charging_sql.h"

static const char TARIFF[] =
    "{\"code\":\"bench\",\"utility\":\"electricity\",\"unit\":\"kWh\",\"currency\":\"CNY\",\"time_zone\":\"Asia/Shanghai\","
    "\"effective_from\":\"2020-01-01T00:00:00+08:00\",\"periods\":[\"critical_peak\",\"peak\",\"flat\",\"valley\",\"deep_valley\"],"
    "\"calendar\":[{\"from\":\"01-01\",\"to\":\"12-31\",\"days\":[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\",\"holiday\"],"
    "\"bands\":[{\"from\":\"10:00\",\"to\":\"11:00\",\"period\":\"critical_peak\"},{\"from\":\"11:00\",\"to\":\"15:00\",\"period\":"
    "\"peak\"},"
    "{\"from\":\"15:00\",\"to\":\"22:00\",\"period\":\"flat\"},{\"from\":\"22:00\",\"to\":\"02:00\",\"period\":\"valley\"},"
    "{\"from\":\"02:00\",\"to\":\"10:00\",\"period\":\"deep_valley\"}]}],"
    "\"tiers\":{\"over\":\"month\",\"kind\":\"graduated\",\"upper\":[\"240\",\"400\"]},"
    "\"lines\":[{\"name\":\"energy\",\"kind\":\"quantity\",\"prices\":{\"critical_peak\":[\"1.41\",\"1.46\",\"1.71\"],"
    "\"peak\":[\"1.03\",\"1.08\",\"1.33\"],\"flat\":[\"0.61\",\"0.66\",\"0.91\"],\"valley\":[\"0.29\",\"0.34\",\"0.59\"],"
    "\"deep_valley\":[\"0.19\",\"0.24\",\"0.49\"]}}],\"rounding\":{\"mode\":\"half_up\",\"scale\":2,\"at\":\"total\"}}";

static int64_t one(db *conn, const db_statement *statement, db_params params) {
    AUTO(db_rows) row = {0};
    must(db_query_one(conn, statement, params, &row), conn, statement->name);
    return db_i64(&row, 0, 0);
}

static void run(db *conn, const db_statement *statement, db_params params) {
    must(db_exec(conn, statement, params, NULL), conn, statement->name);
}

static void load_channels(db *conn, site *self) {
    AUTO(db_rows) rows = {0};
    must(db_query(conn, &SQL_BENCH_CHARGING_CHANNELS, DB_PARAMS(DB_I32(self->company)), &rows), conn, "channels");
    self->count = rows.len;
    self->channels = mem_new(rows.len, sizeof *self->channels);
    self->values = mem_new(rows.len, sizeof *self->values);
    for (size_t i = 0; i < rows.len; i++) self->channels[i] = db_i64(&rows, i, 0);
}

// Reading times lie within the local day that began last: packing a finished day is another lane's work.
static instant_ms begin_of_today(void) {
    penstock_clock clock = clock_system();
    const int64_t offset_ms = 8 * HOUR_MS;
    return (clock_now(&clock) + offset_ms) / DAY_MS * DAY_MS - offset_ms + 5 * MINUTE_MS;
}

void site_make(db *conn, int64_t points, site *out_site) {
    instant_ms begin = begin_of_today();
    site self = {.at = begin};
    db_tx __attribute__((cleanup(db_tx_auto))) tx;
    must(db_begin(conn, &tx), conn, "begin");
    self.company = (int32_t)one(conn, &SQL_BENCH_CHARGING_COMPANY, DB_NO_PARAMS);
    db_param company = DB_I32(self.company);
    db_param property = DB_I64(one(conn, &SQL_BENCH_CHARGING_PROPERTY, DB_PARAMS(company, DB_I16(BENCH_PARTITION))));
    run(conn, &SQL_BENCH_CHARGING_SELLER, DB_PARAMS(company, property));
    db_param room = DB_I64(one(conn, &SQL_BENCH_CHARGING_ROOM, DB_PARAMS(company, property)));
    db_param agreement = DB_I64(one(conn, &SQL_BENCH_CHARGING_AGREEMENT, DB_PARAMS(company, property)));
    run(conn, &SQL_BENCH_CHARGING_TARIFF, DB_PARAMS(company, property, DB_CSTR(TARIFF)));
    AUTO(db_rows) made = {0};
    must(db_query_one(conn, &SQL_BENCH_CHARGING_GATEWAY, DB_PARAMS(company, property), &made), conn, "gateway");
    db_param model = DB_I64(db_i64(&made, 0, 0)), gateway = DB_I64(db_i64(&made, 0, 1));
    run(conn, &SQL_BENCH_CHARGING_PORT, DB_PARAMS(company, gateway));
    run(conn, &SQL_BENCH_CHARGING_POINTS,
        DB_PARAMS(company, property, room, agreement, model, gateway, DB_I32((int32_t)points), DB_TIME(begin)));
    must(db_commit(&tx), conn, "commit");
    run(conn, &SQL_BENCH_CHARGING_ANALYZE, DB_NO_PARAMS);
    load_channels(conn, &self);
    *out_site = self;
}

void site_done(site *self) {
    mem_free(self->channels);
    mem_free(self->values);
}
