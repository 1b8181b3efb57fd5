// Following the configuration: what a company's edits change for its points and purses.
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "effects_rare.h"
#include "worker.h"

#define RELOAD_MAX 5000  // changed rows; beyond it all points of the company are loaded anew as they come

static company_seq *find_company(worker *self, int32_t company) {
    for (size_t i = 0; i < self->companies.len; i++)
        if (self->companies.items[i].company == company) return &self->companies.items[i];
    vec_push(&self->companies, ((company_seq){.company = company, .seq = -1, .watched_seq = -1}));
    return &self->companies.items[self->companies.len - 1];
}

static int compare_keys(const void *left, const void *right) {
    const setups_key *a = left, *b = right;
    return a->num < b->num ? -1 : a->num > b->num;
}

static err_t reload_points(worker *self, setups_key *keys, size_t count) {
    if (count == 0) return ERR_OK;
    qsort(keys, count, sizeof *keys, compare_keys);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || keys[kept - 1].num != keys[i].num) keys[kept++] = keys[i];
    return points_reload(self->points, self->conn, keys, kept);
}

// Most edits touch a few points, or nothing that charging depends on; a tariff touches all.
static err_t take_changes(worker *self, const company_seq *known) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_CHANGED_SINCE, DB_PARAMS(DB_I32(known->company), DB_I64(known->seq)), &rows);
    if (err) return err;
    setups_key *keys = mem_new(rows.len + 1, sizeof *keys);
    size_t count = 0;
    bool is_all = rows.len > RELOAD_MAX;
    for (size_t i = 0; i < rows.len && !is_all; i++) {
        int64_t num = db_i64(&rows, i, 1);
        switch (db_i64(&rows, i, 0)) {
            case 0: is_all = true; break;
            case 1: keys[count++] = (setups_key){known->company, num}; break;
            default: points_forget_channel(self->points, num); break;
        }
    }
    if (is_all)
        points_forget_company(self->points, known->company);
    else
        err = reload_points(self, keys, count);
    mem_free(keys);
    return err;
}

// Brings what is cached of a company up to `seq`.
static err_t follow_one(worker *self, company_seq *known, int64_t seq) {
    if (known->seq == seq) return ERR_OK;
    err_t err = known->seq >= 0 ? take_changes(self, known) : ERR_OK;
    if (err) return err;
    known->seq = seq;
    known->has_purses = false;
    return ERR_OK;
}

err_t config_follow(worker *self, const int32_t *companies, size_t count) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_CHANGE_SEQS, DB_PARAMS(DB_I32_ARRAY(companies, count)), &rows);
    int32_t *without = mem_new(count + 1, sizeof *without);
    size_t len = 0;
    for (size_t i = 0; !err && i < rows.len; i++) {
        company_seq *known = find_company(self, (int32_t)db_i64(&rows, i, 0));
        err = follow_one(self, known, db_i64(&rows, i, 1));
        if (!err && !known->has_purses && len < count) without[len++] = known->company;
        known->has_purses = true;
    }
    if (!err && len > 0)
        err = db_exec(self->conn, &SQL_PURSE_OPEN,
                      DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), DB_I32_ARRAY(without, len), DB_TIME(service_now(self->svc))),
                      NULL);
    mem_free(without);
    return err;
}

void config_doubt(worker *self) {
    for (size_t i = 0; i < self->companies.len; i++) self->companies.items[i].has_purses = false;
}

static void touch_rows(const db_rows *rows, effects *out) {
    for (size_t i = 0; i < rows->len; i++) effects_touch(out, (int32_t)db_i64(rows, i, 0), db_i64(rows, i, 1));
}

err_t config_sync_purses(worker *self, const int32_t *companies, size_t count, fault *out_fault) {
    if (self->owned_count == 0) return ERR_OK;
    instant_ms now = service_now(self->svc);
    db_param all_or_some = count ? DB_I32_ARRAY(companies, count) : DB_NULL;
    AUTO(effects) touched = {0};
    AUTO(db_rows) rows = {0};
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err)
        err =
            db_exec(self->conn, &SQL_PURSE_OPEN, DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), all_or_some, DB_TIME(now)), NULL);
    if (!err)
        err = db_query(self->conn, &SQL_PURSE_THRESHOLDS,
                       DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), all_or_some, DB_TIME(now)), &rows);
    if (!err) err = db_commit(&tx);
    if (err) return fault_set(out_fault, err, "purse", "%.180s", db_error_text(self->conn));
    if (rows.len == 0) return ERR_OK;
    touch_rows(&rows, &touched);
    service_ring_relay(self->svc);
    board_ring(self, touched.properties.items, touched.properties.len);
    return ERR_OK;
}

// Points that waited for their configuration are replayed from where they stand.
static err_t resume_stopped(worker *self, const int32_t *companies, size_t count) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_STOPPED_POINTS,
                         DB_PARAMS(DB_I32_ARRAY(companies, count), DB_I16_ARRAY(self->owned, self->owned_count)), &rows);
    if (err || rows.len == 0) return err;
    arena_reset(self->memory);
    replay_row *requests = ARENA_ARRAY(self->memory, replay_row, rows.len);
    for (size_t i = 0; i < rows.len; i++)
        requests[i] = (replay_row){(int32_t)db_i64(&rows, i, 0), db_i64(&rows, i, 1), (int16_t)db_i64(&rows, i, 2), db_time(&rows, i, 3),
                                   "configuration changed"};
    return replay_rows_put(self->conn, self->memory, requests, rows.len, service_now(self->svc));
}

err_t config_watch(worker *self, fault *out_fault) {
    if (self->owned_count == 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_CHANGE_SEQS_ALL, DB_NO_PARAMS, &rows);
    if (err) return fault_set(out_fault, err, "config", "%.180s", db_error_text(self->conn));
    int32_t *changed = mem_new(rows.len + 1, sizeof *changed);
    size_t count = 0;
    for (size_t i = 0; !err && i < rows.len; i++) {
        company_seq *known = find_company(self, (int32_t)db_i64(&rows, i, 0));
        if (known->watched_seq == db_i64(&rows, i, 1)) continue;
        err = follow_one(self, known, db_i64(&rows, i, 1));
        changed[count++] = known->company;
    }
    if (err) fault_set(out_fault, err, "config", "%.180s", db_error_text(self->conn));
    if (!err && count > 0) err = config_sync_purses(self, changed, count, out_fault);
    if (!err && count > 0) err = resume_stopped(self, changed, count);
    for (size_t i = 0; !err && i < rows.len; i++) find_company(self, (int32_t)db_i64(&rows, i, 0))->watched_seq = db_i64(&rows, i, 1);
    mem_free(changed);
    return err;
}
