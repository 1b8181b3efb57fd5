#include "results.h"

#include <string.h>

#include "consider.h"
#include "control_sql.h"

#define RETRY_LEAST_MS (30 * SECOND_MS)
#define DECIDE_ANEW_MS (2 * SECOND_MS)
#define OFF_RETRY_MS (10 * MINUTE_MS)
#define PARAMETER_RETRY_MS (10 * MINUTE_MS)

static const char *const OUTCOMES[] = {"verified", "refused", "failed", "expired", "unknown"};

bool result_outcome_parse(sv text, result_outcome *out_outcome) {
    for (size_t i = 0; i < ARRAY_LEN(OUTCOMES); i++) {
        if (!sv_equal(sv_of(OUTCOMES[i]), text)) continue;
        *out_outcome = (result_outcome)i;
        return true;
    }
    return false;
}

typedef struct command {
    uuid id, request;
    bool has_request, is_off, is_on, was_sent;
    char operation[32], state[16];
    int64_t version;
    instant_ms issued_at;
} command;

static db_param text_or_null(const char *text) { return text && *text ? DB_CSTR(text) : DB_NULL; }

static err_t finish_request(const subject *self, const uuid *request, const char *state, const char *outcome) {
    return db_exec(self->conn, &SQL_REQUEST_FINISH,
                   DB_PARAMS(DB_I32(self->company), DB_UUID(*request), DB_CSTR(state), text_or_null(outcome), DB_TIME(self->now)), NULL);
}

// The newest version, read back: told once.
static err_t verify(subject *self, instant_ms at) {
    AUTO(db_rows) row = {0};
    if (self->is_verified) return ERR_OK;
    err_t err = db_query(self->conn, &SQL_POINT_VERIFY,
                         DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_I64(self->version), DB_TIME(at)), &row);
    if (err || row.len == 0) return err;
    self->is_verified = true;
    metric_add(self->app->verified, 1);
    service_ring_relay(self->app->svc);
    return db_exec(self->conn, &SQL_SWITCHED_TELL,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_I64(self->property),
                             self->account ? DB_I64(self->account) : DB_NULL, self->purse ? DB_I64(self->purse) : DB_NULL,
                             DB_TEXT(db_text(&row, 0, 1)), DB_TEXT(db_text(&row, 0, 0)), DB_I64(self->version), DB_TIME(at)),
                   NULL);
}

// What it says of switch-offs nobody has heard of.
static err_t resolve(subject *self, switching_state state, instant_ms at) {
    bool is_off = state == SWITCHING_STATE_OFF;
    if (!is_off && state != SWITCHING_STATE_ON) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_COMMAND_RESOLVE,
                         DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_CSTR(is_off ? "verified" : "failed"),
                                   DB_CSTR(switching_state_text(state)), DB_TIME(at)),
                         &rows);
    for (size_t i = 0; !err && i < rows.len; i++) {
        uuid request = db_uuid(&rows, i, 2);
        if (!db_is_null(&rows, i, 2)) err = finish_request(self, &request, is_off ? "done" : "failed", "read_back");
        if (!err && !is_off && self->is_off && db_i64(&rows, i, 1) == self->version) err = subject_revert(self, "no_effect");
    }
    if (!err && rows.len > 0) self->has_unknown_off = false;
    return err;
}

err_t results_look(subject *self, switching_state state, instant_ms at) {
    err_t err = subject_observe(self, state, at);
    if (err || self->seen != state) return err;  // an older look
    if (!self->has_open_off) err = resolve(self, state, at);
    bool agrees = self->is_off ? state == SWITCHING_STATE_OFF : state == SWITCHING_STATE_ON;
    bool was_switched = self->version > 0;
    return !err && agrees && was_switched ? verify(self, at) : err;
}

static err_t close_command(const subject *self, const command *which, const char *state, const result *what) {
    err_t err = db_exec(self->conn, &SQL_COMMAND_FINISH,
                        DB_PARAMS(DB_I32(self->company), DB_UUID(which->id), DB_CSTR(state), text_or_null(what->reason),
                                  what->seen ? DB_CSTR(switching_state_text(what->seen)) : DB_NULL, DB_TIME(what->at)),
                        NULL);
    if (err || (!which->is_off && !which->is_on)) return err;
    return db_exec(self->conn, &SQL_PROGRESS_TELL,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_I64(self->property), DB_UUID(which->id), DB_CSTR(state),
                             DB_I64(which->version), DB_TIME(self->now)),
                   NULL);
}

// A switch-off that had no effect: nothing is off that should not be, and what wants it off decides anew.
static err_t end_without_effect(subject *self, const command *which, const result *what) {
    const char *reason = what->reason[0] ? what->reason : OUTCOMES[what->outcome];
    err_t err = ERR_OK;
    bool is_told = strcmp(which->state, "refused") == 0 || strcmp(which->state, "superseded") == 0;  // by the claim, or a newer version
    if (!is_told) err = subject_refuse(self, "off", reason, NULL, which->has_request ? &which->request : NULL);
    if (!err && which->has_request) err = finish_request(self, &which->request, "failed", reason);
    if (!err && self->is_off && which->version == self->version) err = subject_revert(self, "no_effect");
    if (err) return err;
    // What stands against it is found anew; a device that did not obey gets time, or a reconnect.
    return is_told ? subject_wait(self, NULL, self->now + DECIDE_ANEW_MS, 0) : subject_wait(self, reason, self->now + OFF_RETRY_MS, 0);
}

static err_t take_off(subject *self, const command *which, const result *what) {
    // Seen on without an answer: the frame may still wait in the gateway.
    bool may_wait = what->outcome == RESULT_UNKNOWN && what->seen == SWITCHING_STATE_ON;
    switching_end end = switching_end_of(true, may_wait ? SWITCHING_STATE_UNKNOWN : what->seen, which->was_sent);
    if (end == SWITCHING_END_UNKNOWN) {
        metric_add(self->app->unknown, 1);
        err_t err = close_command(self, which, "unknown", what);
        self->has_unknown_off = true;
        return err ? err : consider(self);
    }
    if (end == SWITCHING_DONE) {
        err_t err = close_command(self, which, "verified", what);
        if (!err && which->has_request) err = finish_request(self, &which->request, "done", "off");
        if (!err && self->seen == what->seen) err = results_look(self, what->seen, what->at);
        return err ? err : consider_point(self->app, self->conn, self->company, self->point);
    }
    bool keeps = strcmp(which->state, "refused") == 0 || strcmp(which->state, "superseded") == 0 || strcmp(which->state, "expired") == 0;
    const char *state = keeps                             ? which->state
                        : what->outcome == RESULT_REFUSED ? "refused"
                        : what->outcome == RESULT_EXPIRED ? "expired"
                                                          : "failed";
    err_t err = close_command(self, which, state, what);
    return err ? err : end_without_effect(self, which, what);
}

static err_t take_on(subject *self, const command *which, const result *what) {
    switching_end end = switching_end_of(false, what->seen, true);
    const char *state = end == SWITCHING_DONE ? "verified" : what->outcome == RESULT_VERIFIED ? "failed" : OUTCOMES[what->outcome];
    err_t err = close_command(self, which, state, what);
    if (!err && which->has_request)
        err = finish_request(self, &which->request, end == SWITCHING_DONE ? "done" : "failed", end == SWITCHING_DONE ? "on" : what->reason);
    if (err || end == SWITCHING_DONE) return err ? err : consider_point(self->app, self->conn, self->company, self->point);
    // Tried again for as long as it is wanted, with the age of the try as pause.
    int64_t age = self->now - which->issued_at;
    return subject_wait(self, NULL, self->now + (age < RETRY_LEAST_MS ? RETRY_LEAST_MS : age > HOUR_MS ? HOUR_MS : age), 0);
}

static err_t take_parameters(subject *self, const command *which, const result *what) {
    bool is_mismatch = strcmp(what->reason, "parameter_mismatch") == 0;
    bool is_done = what->outcome == RESULT_VERIFIED;
    err_t err = close_command(self, which, OUTCOMES[what->outcome], what);
    if (err) return err;
    return db_exec(self->conn, &SQL_PARAMETER_FINISH,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_I64(which->version),
                             DB_CSTR(is_done       ? "confirmed"
                                     : is_mismatch ? "mismatch"
                                                   : "failed"),
                             text_or_null(what->reason), DB_TIME(what->at),
                             is_done ? DB_NULL : DB_TIME(self->now + (is_mismatch ? HOUR_MS : PARAMETER_RETRY_MS))),
                   NULL);
}

static err_t take_other(subject *self, const command *which, const result *what) {
    bool is_read = strcmp(which->operation, "read_state") == 0 && what->seen != SWITCHING_STATE_UNKNOWN;
    bool is_done = is_read || what->outcome == RESULT_VERIFIED;
    err_t err = close_command(self, which, is_done ? "verified" : OUTCOMES[what->outcome], what);
    if (!err && which->has_request)
        err = finish_request(self, &which->request, is_done ? "done" : "failed",
                             is_read           ? switching_state_text(what->seen)
                             : what->reason[0] ? what->reason
                                               : NULL);
    if (err) return err;
    if (is_read) return consider_point(self->app, self->conn, self->company, self->point);
    return self->has_unknown_off ? subject_wait(self, NULL, self->now + RETRY_LEAST_MS, 0) : ERR_OK;
}

static err_t load_command(db *conn, const result *what, command *out, int64_t *out_point) {
    AUTO(db_rows) row = {0};
    err_t err = db_query(conn, &SQL_COMMAND_LOAD, DB_PARAMS(DB_I32(what->company), DB_UUID(what->command)), &row);
    if (!err && row.len == 0) err = ERR_NOT_FOUND;
    if (err) return err;
    *out = (command){.id = what->command, .version = db_i64(&row, 0, 3), .has_request = !db_is_null(&row, 0, 5)};
    if (out->has_request) out->request = db_uuid(&row, 0, 5);
    sv_copy_truncated(db_text(&row, 0, 1), out->operation, sizeof out->operation);
    sv_copy_truncated(db_text(&row, 0, 2), out->state, sizeof out->state);
    out->was_sent = db_bool(&row, 0, 6);
    out->issued_at = db_time(&row, 0, 7);
    out->is_off = strcmp(out->operation, "switch_off") == 0;
    out->is_on = strcmp(out->operation, "switch_on") == 0;
    *out_point = db_i64(&row, 0, 0);
    return ERR_OK;
}

// Ends that stay: told before, or found out since by a look.
static bool is_final(const command *which, const result *what) {
    if (strcmp(which->state, "verified") == 0 || strcmp(which->state, "failed") == 0) return true;
    bool is_ended = strcmp(which->state, "refused") == 0 || strcmp(which->state, "superseded") == 0 || strcmp(which->state, "expired") == 0;
    return is_ended && which->is_off && which->was_sent && what->seen == SWITCHING_STATE_UNKNOWN;
}

err_t results_take(control_app *app, db *conn, const result *what) {
    command which;
    int64_t point;
    subject it;
    err_t err = load_command(conn, what, &which, &point);
    if (!err) err = subject_load(&it, app, conn, what->company, point);
    // Read again under the point's lock: a claim or another result may have changed it meanwhile.
    if (!err) err = load_command(conn, what, &which, &point);
    if (err || is_final(&which, what)) return err;
    if (what->seen != SWITCHING_STATE_UNKNOWN && what->at <= it.now + SWITCHING_FUTURE_MS) {
        err = subject_observe(&it, what->seen, what->at);
        bool is_newest = !err && it.seen == what->seen;
        if (is_newest && !which.is_off) err = results_look(&it, what->seen, what->at);
        if (err) return err;
    }
    if (which.is_off) return take_off(&it, &which, what);
    if (which.is_on) return take_on(&it, &which, what);
    if (strcmp(which.operation, "set_parameters") == 0) return take_parameters(&it, &which, what);
    return take_other(&it, &which, what);
}
