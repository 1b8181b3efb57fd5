// Fair shares: every worker beats; the live beats say how many partitions each may hold. Surplus is released between
// transactions, what is free is taken by a lock that never waits, on the connection that writes the effects.
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "billing_sql.h"
#include "contracts/streams.h"
#include "worker.h"

#define NUM_LOCK_SPACE 7001
#define NUM_FIRST 512
#define NUM_LAST 1023
#define BEAT_FRESH_MS (10 * SECOND_MS)
#define BEAT_DEAD_MS HOUR_MS
#define CLAIM_KEEP_MS (5 * DAY_MS)

static err_t database_fault(const worker *self, err_t err, const char *what, fault *out_fault) {
    return fault_set(out_fault, err, what, "%.180s", db_error_text(self->conn));
}

// A number nobody else writes with: its lock lasts as long as this session.
static err_t take_num(worker *self) {
    uint32_t random;
    random_fill(&random, sizeof random);
    for (uint32_t i = 0; i <= NUM_LAST - NUM_FIRST; i++) {
        int32_t num = NUM_FIRST + (int32_t)((random + i) % (NUM_LAST - NUM_FIRST + 1));
        bool taken = false;
        err_t err = db_try_lock(self->conn, NUM_LOCK_SPACE, num, &taken);
        if (err) return err;
        if (!taken) continue;
        self->num = (int16_t)num;
        self->nums = (num_series){.replica = (uint16_t)num};
        return ERR_OK;
    }
    return ERR_BUSY;
}

static void forget_partitions(worker *self) {
    atomic_fetch_sub(&self->app->owned, (long long)self->owned_count);
    self->owned_count = 0;
    mem_free(self->cursors);
    self->cursors = NULL;
    points_clear(self->points);
}

err_t share_enter(worker *self, fault *out_fault) {
    forget_partitions(self);
    self->id = uuid_v7_now();
    err_t err = take_num(self);
    instant_ms now = service_now(self->svc);
    char host[65] = "";
    (void)gethostname(host, sizeof host - 1);
    if (!err) err = db_exec(self->conn, &SQL_REPLICA_FORGET, DB_PARAMS(DB_I16(self->num), DB_TIME(now - BEAT_DEAD_MS)), NULL);
    if (!err)
        err = db_exec(self->conn, &SQL_REPLICA_ENTER, DB_PARAMS(DB_UUID(self->id), DB_I16(self->num), DB_CSTR(host), DB_TIME(now)), NULL);
    return err ? database_fault(self, err, "replica", out_fault) : ERR_OK;
}

void share_leave(worker *self) {
    forget_partitions(self);
    if (self->conn && !db_is_broken(self->conn)) (void)!db_exec(self->conn, &SQL_REPLICA_LEAVE, DB_PARAMS(DB_UUID(self->id)), NULL);
}

static bool does_own(const worker *self, int16_t partition) {
    for (size_t i = 0; i < self->owned_count; i++)
        if (self->owned[i] == partition) return true;
    return false;
}

static err_t release_one(worker *self) {
    int16_t partition = self->owned[self->owned_count - 1];
    err_t err = db_exec(self->conn, &SQL_PARTITION_UNLOCK, DB_PARAMS(DB_I32(partition)), NULL);
    if (err) return err;
    self->owned_count--;
    atomic_fetch_sub(&self->app->owned, 1);
    return ERR_OK;
}

static int compare_i16(const void *left, const void *right) {
    const int16_t *a = left, *b = right;
    return *a - *b;
}

static err_t try_some(worker *self, const int32_t *candidates, size_t count) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_PARTITION_TRY_LOCKS, DB_PARAMS(DB_I32_ARRAY(candidates, count)), &rows);
    for (size_t i = 0; !err && i < rows.len; i++) {
        if (!db_bool(&rows, i, 1)) continue;
        self->owned[self->owned_count++] = (int16_t)db_i64(&rows, i, 0);
        atomic_fetch_add(&self->app->owned, 1);
    }
    return err;
}

// Asks for exactly as many as are missing, beginning anywhere, so that workers do not all want the same ones.
static err_t take_missing(worker *self, size_t target) {
    int32_t partitions = self->app->partitions;
    uint32_t random;
    random_fill(&random, sizeof random);
    int32_t asked = 0;
    while (self->owned_count < target && asked < partitions) {
        int32_t candidates[PARTITIONS_MAX];
        size_t count = 0;
        for (; asked < partitions && count < target - self->owned_count; asked++) {
            int32_t partition = (int32_t)((random + (uint32_t)asked) % (uint32_t)partitions);
            if (!does_own(self, (int16_t)partition)) candidates[count++] = partition;
        }
        err_t err = count ? try_some(self, candidates, count) : ERR_OK;
        if (err) return err;
    }
    return ERR_OK;
}

static err_t load_floors(worker *self) {
    err_t err = db_exec(self->conn, &SQL_FLOOR_OPEN, DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count)), NULL);
    AUTO(db_rows) rows = {0};
    if (!err) err = db_query(self->conn, &SQL_FLOOR_LIST, DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count)), &rows);
    if (err) return err;
    if (rows.len != self->owned_count) return ERR_INTERNAL;
    for (size_t i = 0; i < rows.len; i++) self->scan_from[i] = self->floors[i] = db_i64(&rows, i, 1);
    return ERR_OK;
}

static err_t settle(worker *self, fault *out_fault) {
    qsort(self->owned, self->owned_count, sizeof *self->owned, compare_i16);
    points_clear(self->points);  // states of partitions that come or go may have been changed by others
    self->looks_deep = true;
    self->busy_partitions = self->owned_count;
    self->lag_ms = 0;
    mem_free(self->cursors);
    self->cursors = mem_new(self->owned_count + 1, sizeof *self->cursors);
    for (size_t i = 0; i < self->owned_count; i++) {
        char name[STREAM_NAME_MAX];
        stream_partition_name(STREAM_READINGS, self->owned[i], name);
        bus_cursor_init(&self->cursors[i], name);
    }
    LOG_INFO("share of partitions changed", LOG_I("worker", self->num), LOG_I("owned", self->owned_count));
    err_t err = self->owned_count ? load_floors(self) : ERR_OK;
    if (err) return database_fault(self, err, "floor", out_fault);
    return self->owned_count ? config_sync_purses(self, NULL, 0, out_fault) : ERR_OK;
}

err_t share_rebalance(worker *self, fault *out_fault) {
    instant_ms now = service_now(self->svc);
    int64_t beats = 0;
    err_t err = db_exec(self->conn, &SQL_REPLICA_BEAT, DB_PARAMS(DB_UUID(self->id), DB_TIME(now), DB_I64(self->lag_ms)), &beats);
    if (!err && beats != 1) {
        // Somebody took us for dead: begin anew rather than hold what may be held twice.
        db_break(self->conn);
        return fault_set(out_fault, ERR_UNAVAILABLE, "replica", "this worker's row is gone");
    }
    AUTO(db_rows) row = {0};
    if (!err) err = db_query_one(self->conn, &SQL_REPLICA_LIVE, DB_PARAMS(DB_TIME(now - BEAT_FRESH_MS)), &row);
    if (err) return database_fault(self, err, "replica", out_fault);
    int64_t live = db_i64(&row, 0, 0) > 0 ? db_i64(&row, 0, 0) : 1;
    size_t target = (size_t)((self->app->partitions + live - 1) / live);
    size_t before = self->owned_count;
    while (!err && self->owned_count > target) err = release_one(self);
    if (!err && self->owned_count < target) err = take_missing(self, target);
    if (err) return database_fault(self, err, "partition", out_fault);
    return self->owned_count != before ? settle(self, out_fault) : ERR_OK;
}

err_t share_raise_floors(worker *self) {
    if (self->owned_count == 0) return ERR_OK;
    db_params params = DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count));
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_FLOOR_RAISE, params, &rows);
    for (size_t i = 0; !err && i < rows.len; i++)
        for (size_t k = 0; k < self->owned_count; k++)
            if (self->owned[k] == db_i64(&rows, i, 0)) self->floors[k] = db_i64(&rows, i, 1);
    if (err) return err;
    instant_ms now = service_now(self->svc);
    return db_exec(self->conn, &SQL_CLAIMS_FORGET, DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), DB_TIME(now - CLAIM_KEEP_MS)),
                   NULL);
}
