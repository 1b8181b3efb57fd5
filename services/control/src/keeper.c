#include "keeper.h"

#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/vec.h"
#include "consider.h"
#include "control_sql.h"
#include "requests.h"

#define ROUND_MS 250
#define ROUND_ITEMS_MAX 200
#define CLOCK_ROUND_MS 1000
#define READING_ROUND_MS (5 * SECOND_MS)
#define SWEEP_ROUND_MS MINUTE_MS
#define RESULT_SLACK_MS MINUTE_MS
#define BROKEN_LOOK_MS (5 * MINUTE_MS)
#define PARAMETER_LIVES_MS HOUR_MS

typedef struct known_company {
    int32_t company;
    int64_t seq;
} known_company;

typedef struct keeper {
    control_app *app;
    db *conn;
    instant_ms clock_at, reading_at, sweep_at;
    VEC(known_company) companies;
} keeper;

// One item in one transaction; *out_found false: there is nothing due.
typedef err_t (*one_item)(keeper *self, bool *out_found);

static err_t run_request(keeper *self, bool *out_found) { return requests_run_one(self->app, self->conn, NULL, out_found); }

static err_t run_watch(keeper *self, bool *out_found) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_WATCH_DUE, DB_PARAMS(DB_TIME(service_now(self->app->svc))), &rows);
    *out_found = !err && rows.len > 0;
    if (err || rows.len == 0) return err;
    int32_t company = (int32_t)db_i64(&rows, 0, 0);
    int64_t point = db_i64(&rows, 0, 1);
    err = db_set_company(self->conn, company);
    if (!err) err = consider_point(self->app, self->conn, company, point);
    if (!err || db_is_broken(self->conn) || err_retry_class(err) != ERR_RETRY_NO) return err;
    LOG_ERROR("a point cannot be decided about; it is left for some minutes", LOG_I("company", company), LOG_I("usage_point", point),
              LOG_S("error", err_name(err)), LOG_S("why", db_error_text(self->conn)));
    return err;
}

static err_t run_parameter(keeper *self, bool *out_found) {
    AUTO(db_rows) rows = {0};
    instant_ms now = service_now(self->app->svc);
    err_t err = db_query(self->conn, &SQL_PARAMETER_DUE, DB_PARAMS(DB_TIME(now)), &rows);
    *out_found = !err && rows.len > 0;
    if (err || rows.len == 0) return err;
    subject it = {.app = self->app,
                  .conn = self->conn,
                  .company = (int32_t)db_i64(&rows, 0, 0),
                  .point = db_i64(&rows, 0, 1),
                  .property = db_i64(&rows, 0, 2),
                  .gateway = db_i64(&rows, 0, 3),
                  .meter = db_i64(&rows, 0, 4),
                  .channel = db_i64(&rows, 0, 5),
                  .now = now};
    err = subject_command_issue(&it, &(subject_command){.operation = "set_parameters",
                                                        .parameters = db_text(&rows, 0, 7),
                                                        .version = db_i64(&rows, 0, 6),
                                                        .not_after = now + PARAMETER_LIVES_MS});
    if (err) return err;
    return db_exec(self->conn, &SQL_PARAMETER_ISSUED, DB_PARAMS(DB_I32(it.company), DB_I64(it.point)), NULL);
}

static err_t one(keeper *self, one_item run, bool *out_found) {
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = run(self, out_found);
    CRASH_POINT("control.before_commit");
    if (!err) err = db_commit(&tx);
    CRASH_POINT("control.after_commit");
    return err;
}

static err_t some(keeper *self, one_item run) {
    bool found = true;
    err_t err = ERR_OK;
    for (int i = 0; !err && found && i < ROUND_ITEMS_MAX && !service_is_stopping(self->app->svc); i++) {
        err = one(self, run, &found);
        if (!err && found) service_ring_relay(self->app->svc);
        if (err == ERR_SERIALIZATION) err = ERR_OK;
    }
    return err;
}

static err_t watch_points(keeper *self, const db_rows *rows, instant_ms at) {
    for (size_t i = 0; i < rows->len; i++) {
        int32_t company = (int32_t)db_i64(rows, i, 0);
        int64_t point = db_i64(rows, i, 1);
        err_t err =
            db_exec(self->conn, &SQL_POINTS_WATCH, DB_PARAMS(DB_I32_ARRAY(&company, 1), DB_I64_ARRAY(&point, 1), DB_TIME(at)), NULL);
        if (err) return err;
    }
    return ERR_OK;
}

static err_t expire(keeper *self, instant_ms now) {
    AUTO(db_rows) rows = {0};
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_query(self->conn, &SQL_COMMAND_EXPIRE, DB_PARAMS(DB_TIME(now), DB_TIME(now - RESULT_SLACK_MS)), &rows);
    if (!err) err = watch_points(self, &rows, now);
    if (!err) err = db_exec(self->conn, &SQL_FORCE_ON_EXPIRE, DB_PARAMS(DB_TIME(now)), NULL);
    if (!err) err = db_exec(self->conn, &SQL_BATCH_EXPIRE, DB_PARAMS(DB_TIME(now)), NULL);
    return err ? err : db_commit(&tx);
}

static err_t wake_readers(keeper *self, instant_ms now) {
    AUTO(db_rows) companies = {0};
    err_t err = db_query(self->conn, &SQL_READING_WAITERS, DB_NO_PARAMS, &companies);
    for (size_t i = 0; !err && i < companies.len; i++) {
        AUTO(db_rows) row = {0};
        AUTO(db_tx) tx = {0};
        int32_t company = (int32_t)db_i64(&companies, i, 0);
        err = db_begin(self->conn, &tx);
        if (!err) err = db_set_company(self->conn, company);
        if (!err) err = db_query_one(self->conn, &SQL_WAKE_READ, DB_PARAMS(DB_I32(company), DB_TIME(now)), &row);
        if (!err) err = db_commit(&tx);
    }
    return err;
}

// Arrears that nobody watches: a policy came after them, or an event never did.
static err_t sweep(keeper *self, int32_t company, instant_ms now) {
    AUTO(db_rows) rows = {0};
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_set_company(self->conn, company);
    if (!err) err = db_query(self->conn, &SQL_UNWATCHED_POINTS, DB_PARAMS(DB_I32(company), DB_TIME(now)), &rows);
    for (size_t i = 0; !err && i < rows.len; i++) err = consider_point(self->app, self->conn, company, db_i64(&rows, i, 0));
    if (!err) err = db_commit(&tx);
    if (!err && rows.len > 0) service_ring_relay(self->app->svc);
    return err;
}

// Edits after change number `since`; *out_taken false: none that switching stands on.
static err_t take_edits(keeper *self, int32_t company, int64_t since, instant_ms now, bool *out_taken) {
    AUTO(db_rows) changed = {0};
    AUTO(db_rows) row = {0};
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_set_company(self->conn, company);
    if (!err) err = db_query_one(self->conn, &SQL_HAS_CHANGED, DB_PARAMS(DB_I32(company), DB_I64(since)), &changed);
    if (err) return err;
    *out_taken = db_bool(&changed, 0, 0);
    if (!*out_taken) return ERR_OK;
    err = db_exec(self->conn, &SQL_POLICY_CHANGED, DB_PARAMS(DB_I32(company), DB_TIME(now)), NULL);
    if (!err) err = db_query_one(self->conn, &SQL_PARAMETERS_SYNC, DB_PARAMS(DB_I32(company), DB_TIME(now)), &row);
    return err ? err : db_commit(&tx);
}

static known_company *find(keeper *self, int32_t company) {
    for (size_t i = 0; i < self->companies.len; i++)
        if (self->companies.items[i].company == company) return &self->companies.items[i];
    vec_push(&self->companies, ((known_company){.company = company, .seq = -1}));
    return &self->companies.items[self->companies.len - 1];
}

static err_t follow(keeper *self, instant_ms now, bool sweeps_all) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_CONTROL_CHANGE_SEQS, DB_NO_PARAMS, &rows);
    for (size_t i = 0; !err && i < rows.len && !service_is_stopping(self->app->svc); i++) {
        known_company *known = find(self, (int32_t)db_i64(&rows, i, 0));
        int64_t seq = db_i64(&rows, i, 1);
        bool is_changed = false;
        if (known->seq != seq) err = take_edits(self, known->company, known->seq, now, &is_changed);
        if (!err && (is_changed || sweeps_all)) err = sweep(self, known->company, now);
        if (!err) known->seq = seq;
    }
    return err;
}

static err_t rounds(keeper *self) {
    instant_ms now = service_now(self->app->svc);
    err_t err = some(self, run_request);
    if (!err) err = some(self, run_watch);
    if (!err && now >= self->clock_at) {
        bool sweeps_all = now >= self->sweep_at;
        err = expire(self, now);
        if (!err) err = follow(self, now, sweeps_all);
        if (!err) err = some(self, run_parameter);
        self->clock_at = now + CLOCK_ROUND_MS;
        if (!err && sweeps_all) self->sweep_at = now + SWEEP_ROUND_MS;
    }
    if (!err && now >= self->reading_at) {
        err = wake_readers(self, now);
        self->reading_at = now + READING_ROUND_MS;
    }
    return err;
}

// A point that cannot be decided about must not stop the others: it is looked at later.
static void put_aside(keeper *self) {
    AUTO(db_rows) rows = {0};
    AUTO(db_tx) tx = {0};
    instant_ms now = service_now(self->app->svc);
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_query(self->conn, &SQL_WATCH_DUE, DB_PARAMS(DB_TIME(now)), &rows);
    if (!err && rows.len > 0)
        err = db_exec(self->conn, &SQL_POINT_LATER,
                      DB_PARAMS(DB_I32(db_i64(&rows, 0, 0)), DB_I64(db_i64(&rows, 0, 1)), DB_TIME(now + BROKEN_LOOK_MS)), NULL);
    if (!err) err = db_commit(&tx);
    if (err) LOG_WARN("a point could not be put aside", LOG_S("why", db_error_text(self->conn)));
}

void keeper_run(service *svc, void *context) {
    keeper self = {.app = context};
    db_options options = service_db_options(svc, "keeper");
    while (!service_is_stopping(svc)) {
        if ((!self.conn || db_is_broken(self.conn)) && service_db_connect(svc, &options, &self.conn)) break;
        err_t err = rounds(&self);
        if (err && !db_is_broken(self.conn)) {
            LOG_WARN("control will look again", LOG_S("error", err_name(err)), LOG_S("why", db_error_text(self.conn)));
            if (err_retry_class(err) == ERR_RETRY_NO) put_aside(&self);
        }
        (void)service_wait(svc, err ? (int32_t)SECOND_MS : ROUND_MS);
    }
    vec_done(&self.companies);
    db_close(self.conn);
}
