// Packs the readings of finished local days: one lossless row per usage point and day, made from the hot rows and from
// what an earlier row of that day holds already. A request is answered once the day has ended and its writers are done.
#include <stdlib.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "metering/day_row.h"
#include "metering/register.h"
#include "worker.h"

#define SETTLE_MS (5 * SECOND_MS)  // requests of transactions that are about to commit
#define DAYS_PER_TURN 50

typedef struct packing {
    worker *by;
    const charging_setup *setup;
    int32_t day;
    instant_ms from, to;
    day_reading *readings;
    size_t count;
} packing;

static err_t load_hot(packing *self, db *conn) {
    int64_t channels[64];
    size_t count = 0;
    for (size_t i = 0; i < self->setup->installation_count && count < ARRAY_LEN(channels); i++)
        channels[count++] = self->setup->installations[i].channel;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_DAY_READINGS, DB_PARAMS(DB_I64_ARRAY(channels, count), DB_TIME(self->from), DB_TIME(self->to)), &rows);
    if (err) return err;
    self->readings = mem_new(rows.len + 1, sizeof *self->readings);
    for (size_t i = 0; i < rows.len; i++) {
        day_reading one = {.at = db_time(&rows, i, 0),
                           .reg = (uint8_t)db_i64(&rows, i, 1),
                           .value = db_i64(&rows, i, 2),
                           .quality = (uint8_t)db_i64(&rows, i, 3),
                           .flags = (uint16_t)db_i64(&rows, i, 4),
                           .epoch = (int32_t)db_i64(&rows, i, 5)};
        const day_reading *last = self->count ? &self->readings[self->count - 1] : NULL;
        // A stopped point may have stored a repetition; the first one stands.
        bool repeats = last && last->at == one.at && last->reg == one.reg && last->epoch == one.epoch;
        if (!repeats) self->readings[self->count++] = one;
    }
    return ERR_OK;
}

static err_t merge_stored(packing *self, sv packed, fault *out_fault) {
    size_t count = 0;
    if (day_row_count(packed, &count)) return fault_set(out_fault, ERR_INTERNAL, "day", "a packed day cannot be read");
    day_reading *stored = mem_new(count + 1, sizeof *stored);
    err_t err = day_row_unpack(packed, self->from, stored, count, &count);
    if (!err) {
        day_reading *merged = mem_new(count + self->count + 1, sizeof *merged);
        size_t conflicts = 0;
        self->count = day_row_merge(stored, count, self->readings, self->count, merged, &conflicts);
        if (conflicts > 0)
            LOG_WARN("a stored day and the readings differ; the day stands", LOG_I("usage_point", self->setup->usage_point),
                     LOG_I("conflicts", conflicts));
        mem_free(self->readings);
        self->readings = merged;
    }
    mem_free(stored);
    return err ? fault_set(out_fault, ERR_INTERNAL, "day", "a packed day cannot be read") : ERR_OK;
}

static uint8_t total_register(const packing *self) {
    for (size_t i = 0; i < self->count; i++)
        if (!register_tariff_number(self->readings[i].reg) && self->readings[i].reg != REGISTER_REVERSE_ACTIVE_ENERGY_TOTAL)
            return self->readings[i].reg;
    return REGISTER_ACTIVE_ENERGY_TOTAL;
}

static err_t put_day(packing *self, db *conn, fault *out_fault) {
    AUTO(buf) packed = {.max = DAY_ROW_BYTES_MAX};
    err_t err = day_row_pack(self->readings, self->count, self->from, &packed);
    if (err) return fault_set(out_fault, ERR_INTERNAL, "day", "the readings of a day cannot be packed: %s", err_name(err));
    AUTO(db_rows) sums = {0};
    err = db_query_one(conn, &SQL_DAY_CHARGED, DB_PARAMS(DB_I64(self->setup->usage_point), DB_TIME(self->from), DB_TIME(self->to)), &sums);
    if (err) return fault_set(out_fault, err, "charge", "%.180s", db_error_text(conn));
    day_summary total = day_row_summarize(self->readings, self->count, total_register(self));
    err = db_exec(conn, &SQL_DAY_PUT,
                  DB_PARAMS(DB_I32(self->setup->company), DB_I64(self->setup->usage_point), DB_DATE(self->day),
                            DB_I32((int32_t)self->count), DB_I64(db_i64(&sums, 0, 0)), DB_I64(db_i64(&sums, 0, 1)), DB_I64(total.min),
                            DB_I64(total.max), DB_BYTES(buf_view(&packed))),
                  NULL);
    return err ? fault_set(out_fault, err, "day", "%.180s", db_error_text(conn)) : ERR_OK;
}

static err_t pack_day(worker *self, int64_t usage_point, int32_t day, fault *out_fault) {
    packing work = {.by = self, .setup = setups_find(self->setups, usage_point), .day = day};
    if (!work.setup) return setups_fault(self->setups, usage_point) ? ERR_BUSY : ERR_OK;  // unusable now; or there is no such point
    work.from = zone_day_start(work.setup->zone, day);
    work.to = zone_day_start(work.setup->zone, day + 1);
    err_t err = load_hot(&work, self->conn);
    AUTO(db_rows) stored = {0};
    if (!err) err = db_query(self->conn, &SQL_DAY_STORED, DB_PARAMS(DB_I64(usage_point), DB_DATE(day)), &stored);
    if (err) fault_set(out_fault, err, "reading", "%.180s", db_error_text(self->conn));
    if (!err && stored.len == 1) err = merge_stored(&work, db_bytes(&stored, 0, 0), out_fault);
    if (!err && work.count > 0) err = put_day(&work, self->conn, out_fault);
    mem_free(work.readings);
    return err;
}

// A request is gone when its day is packed; that of a point whose setup cannot be used waits an hour.
static err_t answer(worker *self, const db_rows *asked, instant_ms until, fault *out_fault) {
    err_t err = ERR_OK;
    for (size_t i = 0; !err && i < asked->len; i++) {
        db_param point = DB_I64(db_i64(asked, i, 1)), day = DB_DATE(db_date(asked, i, 2));
        err = pack_day(self, db_i64(asked, i, 1), db_date(asked, i, 2), out_fault);
        if (err == ERR_BUSY)
            err = db_exec(self->conn, &SQL_DAY_REQUEST_LATER, DB_PARAMS(point, day, DB_TIME(until + HOUR_MS)), NULL);
        else if (!err)
            err = db_exec(self->conn, &SQL_DAY_REQUEST_DONE, DB_PARAMS(point, day, DB_TIME(until)), NULL);
    }
    return err;
}

// Late and imported days reach back further than the partitions that are made ahead.
static err_t ensure_months(worker *self, const db_rows *asked) {
    for (size_t i = 0; i < asked->len; i++) {
        int32_t day = db_date(asked, i, 2), year, month, day_of_month;
        civil_from_days(day, &year, &month, &day_of_month);
        if (self->ensured_month == year * 100 + month) continue;
        AUTO(db_rows) row = {0};
        err_t err = db_query(self->conn, &SQL_DAY_MONTHS, DB_PARAMS(DB_DATE(day), DB_DATE(day)), &row);
        if (err) return err;
        self->ensured_month = year * 100 + month;
    }
    return ERR_OK;
}

err_t day_run(worker *self, bool *out_did, fault *out_fault) {
    *out_did = false;
    if (self->owned_count == 0) return ERR_OK;
    instant_ms now = service_now(self->svc), until = now - SETTLE_MS;
    AUTO(db_rows) asked = {0};
    err_t err = db_query(self->conn, &SQL_DAY_NEXT,
                         DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), DB_TIME(until), DB_I64(DAYS_PER_TURN)), &asked);
    if (err) return fault_set(out_fault, err, "day", "%.180s", db_error_text(self->conn));
    if (asked.len == 0) return ERR_OK;
    *out_did = true;
    setups_key keys[DAYS_PER_TURN];
    for (size_t i = 0; i < asked.len; i++) keys[i] = (setups_key){(int32_t)db_i64(&asked, i, 0), db_i64(&asked, i, 1)};
    err = ensure_months(self, &asked);
    if (err) return fault_set(out_fault, err, "day", "%.180s", db_error_text(self->conn));
    AUTO(db_tx) tx = {0};
    err = db_begin(self->conn, &tx);
    if (!err) err = points_load_nums(self->points, self->conn, keys, asked.len, out_fault);
    if (!err) err = answer(self, &asked, until, out_fault);
    CRASH_POINT("billing.day.before_commit");
    if (!err) err = db_commit(&tx);
    if (err) return out_fault->reason[0] ? err : fault_set(out_fault, err, "day", "%.180s", db_error_text(self->conn));
    metric_add(self->app->metrics.days, (int64_t)asked.len);
    return ERR_OK;
}

err_t day_ask_silent(worker *self) {
    return db_exec(self->conn, &SQL_DAY_SILENT, DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), DB_TIME(service_now(self->svc))),
                   NULL);
}
