#include "subject.h"

#include <string.h>

#include "control_sql.h"

#define REFUSAL_SAME_MS DAY_MS
#define FRESH_LOOK_MS MINUTE_MS

static switching_truth truth(const db_rows *rows, int column) {
    if (db_is_null(rows, 0, column)) return SWITCHING_NOT_KNOWN;
    return db_bool(rows, 0, column) ? SWITCHING_YES : SWITCHING_NO;
}

static int64_t number(const db_rows *rows, int column, int64_t when_null) {
    return db_is_null(rows, 0, column) ? when_null : db_i64(rows, 0, column);
}

static db_param text_or_null(const char *text) { return text && *text ? DB_CSTR(text) : DB_NULL; }
static db_param time_or_null(instant_ms at) { return at ? DB_TIME(at) : DB_NULL; }
static db_param num_or_null(int64_t num) { return num ? DB_I64(num) : DB_NULL; }

static void read_facts(subject *self, const db_rows *rows) {
    switching_facts *f = &self->facts;
    f->is_newest = truth(rows, 0);
    f->is_switchable = truth(rows, 1);
    f->never_cut = truth(rows, 2);
    f->is_forced_on = truth(rows, 3);
    f->is_frozen = truth(rows, 4);
    f->off_last_hour = number(rows, 5, -1);
    f->off_limit = number(rows, 6, -1);
    f->has_unknown_off = truth(rows, 7);
    f->is_own = truth(rows, 8);
    f->prepaid_rule = truth(rows, 9);
    f->is_shared = truth(rows, 10);
    f->level = (int32_t)number(rows, 11, SWITCHING_LEVEL_NONE);
    sv_copy_truncated(db_text(rows, 0, 12), self->payment_block, sizeof self->payment_block);
    f->payment_block = sv_of(self->payment_block);
    f->credit_age_ms = number(rows, 13, SWITCHING_NEVER);
    f->is_stopped = truth(rows, 14);
    f->reading_age_ms = number(rows, 15, SWITCHING_NEVER);
    f->tariff_age_ms = number(rows, 16, SWITCHING_NEVER);
    f->in_window = truth(rows, 17);
    f->is_warned = truth(rows, 18);
    f->on_age_ms = number(rows, 19, SWITCHING_NEVER);
    f->stale_after_ms = number(rows, 20, -1);
    f->credit_quiet_ms = number(rows, 21, -1);
    f->min_on_ms = number(rows, 22, -1);
    self->property = number(rows, 23, self->property);
    self->account = number(rows, 24, 0);
    self->purse = number(rows, 25, 0);
    self->channel = number(rows, 26, 0);
    self->meter = number(rows, 27, 0);
    self->gateway = number(rows, 28, 0);
    self->last_reading_at = db_time(rows, 0, 29);
    self->next_window_at = db_time(rows, 0, 30);
    self->scheduled_off = sv_equal(db_text(rows, 0, 31), SV("off"));
}

err_t subject_load_facts(subject *self, switching_cause cause, const char *requester) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query_one(self->conn, &SQL_POINT_FACTS,
                             DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_CSTR(switching_cause_text(cause)),
                                       text_or_null(requester), DB_TIME(self->now)),
                             &rows);
    if (err) return err;
    self->facts = (switching_facts){.cause = cause};
    read_facts(self, &rows);
    return ERR_OK;
}

static void read_row(subject *self, const db_rows *rows) {
    self->property = db_i64(rows, 0, 0);
    self->is_off = sv_equal(db_text(rows, 0, 1), SV("off"));
    self->version = db_i64(rows, 0, 2);
    self->cause = switching_cause_of(db_text(rows, 0, 3));
    sv hold = db_text(rows, 0, 4);
    self->hold = sv_equal(hold, SV("on")) ? SWITCHING_HOLD_ON : sv_equal(hold, SV("off")) ? SWITCHING_HOLD_OFF : SWITCHING_HOLD_NONE;
    sv_copy_truncated(db_text(rows, 0, 5), self->hold_by, sizeof self->hold_by);
    self->seen = switching_state_of(db_text(rows, 0, 7));
    instant_ms seen_at = db_time(rows, 0, 8);
    self->has_fresh_look = seen_at && self->now - seen_at < FRESH_LOOK_MS;
    self->is_verified = db_bool(rows, 0, 9);
    sv_copy_truncated(db_text(rows, 0, 10), self->waits_for, sizeof self->waits_for);
    self->waits_since = db_time(rows, 0, 11);
    self->has_alarm = db_bool(rows, 0, 12);
}

static err_t load_commands(subject *self) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_POINT_OPEN_COMMANDS, DB_PARAMS(DB_I32(self->company), DB_I64(self->point)), &rows);
    self->has_open_on = self->has_open_off = self->has_unknown_off = self->has_open_read = false;
    for (size_t i = 0; !err && i < rows.len; i++) {
        sv operation = db_text(&rows, i, 1), state = db_text(&rows, i, 2);
        bool is_newest = db_i64(&rows, i, 3) == self->version, is_issued = sv_equal(state, SV("issued"));
        if (sv_equal(operation, SV("switch_on")) && is_newest && is_issued) self->has_open_on = true;
        if (sv_equal(operation, SV("read_state")) && is_issued) self->has_open_read = true;
        if (!sv_equal(operation, SV("switch_off"))) continue;
        if (!is_issued) self->has_unknown_off = true;
        if (is_newest && is_issued) self->has_open_off = true;
    }
    return err;
}

switching_cause subject_hold_cause(const subject *self) {
    return sv_starts_with(sv_of(self->hold_by), SV("customer:")) ? SWITCHING_CAUSE_CUSTOMER : SWITCHING_CAUSE_OPERATOR;
}

err_t subject_load(subject *self, control_app *app, db *conn, int32_t company, int64_t point) {
    *self = (subject){.app = app, .conn = conn, .company = company, .point = point, .now = service_now(app->svc)};
    AUTO(db_rows) opened = {0};
    AUTO(db_rows) rows = {0};
    err_t err = db_query_one(conn, &SQL_POINT_OPEN, DB_PARAMS(DB_I32(company), DB_I64(point), DB_TIME(self->now)), &opened);
    if (!err && !db_bool(&opened, 0, 0)) return ERR_NOT_FOUND;
    if (!err) err = db_query_one(conn, &SQL_POINT_LOAD, DB_PARAMS(DB_I32(company), DB_I64(point), DB_TIME(self->now)), &rows);
    if (err) return err;
    read_row(self, &rows);
    if (db_bool(&rows, 0, 6)) err = subject_hold(self, SWITCHING_HOLD_NONE, NULL, 0);
    if (!err) err = load_commands(self);
    bool is_held_off = self->hold == SWITCHING_HOLD_OFF;
    if (!err)
        err =
            subject_load_facts(self, is_held_off ? subject_hold_cause(self) : SWITCHING_CAUSE_ARREARS, is_held_off ? self->hold_by : NULL);
    return err;
}

err_t subject_set(subject *self, bool is_off, const char *reason, switching_cause cause) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(self->conn, &SQL_POINT_SET,
                             DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_CSTR(is_off ? "off" : "on"), DB_CSTR(reason),
                                       text_or_null(switching_cause_text(cause)), DB_TIME(self->now), num_or_null(self->channel),
                                       num_or_null(self->meter), num_or_null(self->gateway)),
                             &row);
    if (err) return err;
    self->version = db_i64(&row, 0, 0);
    self->is_off = is_off;
    self->cause = cause;
    self->is_verified = self->has_open_on = self->has_open_off = false;
    self->waits_for[0] = '\0';
    metric_add(is_off ? self->app->decided_off : self->app->decided_on, 1);
    return db_exec(self->conn, &SQL_POINT_SUPERSEDE,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_I64(self->version), DB_TIME(self->now)), NULL);
}

err_t subject_revert(subject *self, const char *reason) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(self->conn, &SQL_POINT_REVERT,
                             DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_CSTR(reason), DB_TIME(self->now)), &row);
    if (err) return err;
    self->version = db_i64(&row, 0, 0);
    self->is_off = false;
    self->cause = SWITCHING_CAUSE_UNKNOWN;
    self->hold = SWITCHING_HOLD_NONE;
    self->is_verified = self->seen != SWITCHING_STATE_OFF;
    return ERR_OK;
}

err_t subject_hold(subject *self, switching_hold hold, const char *by, instant_ms until) {
    static const char *const HOLDS[] = {NULL, "on", "off"};
    self->hold = hold;
    sv_copy_truncated(sv_of(by), self->hold_by, sizeof self->hold_by);
    return db_exec(self->conn, &SQL_POINT_HOLD,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), text_or_null(HOLDS[hold]), text_or_null(by), time_or_null(until)),
                   NULL);
}

err_t subject_command_issue(subject *self, const subject_command *command) {
    uuid id = uuid_v7_now();
    service_ring_relay(self->app->svc);
    return db_exec(self->conn, &SQL_COMMAND_ISSUE,
                   DB_PARAMS(DB_I32(self->company), DB_UUID(id), DB_I64(self->point), DB_I64(self->property), DB_I64(self->gateway),
                             DB_I64(self->meter), DB_I64(self->channel), DB_CSTR(command->operation), DB_TEXT(command->parameters),
                             DB_I64(command->version ? command->version : self->version),
                             text_or_null(switching_cause_text(command->cause)), text_or_null(command->requested_by),
                             command->request ? DB_UUID(*command->request) : DB_NULL, DB_TIME(self->now), DB_TIME(command->not_after)),
                   NULL);
}

err_t subject_refuse(subject *self, const char *action, const char *reason, const char *by, const uuid *request) {
    db_param cause = text_or_null(switching_cause_text(self->facts.cause));
    int64_t counted = 0;
    err_t err = ERR_OK;
    if (!request)
        err = db_exec(self->conn, &SQL_REFUSAL_AGAIN,
                      DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_CSTR(action), DB_CSTR(reason), DB_I64(self->version), cause,
                                DB_TIME(self->now), DB_TIME(self->now - REFUSAL_SAME_MS)),
                      &counted);
    if (err || counted > 0) return err;
    metric_add(self->app->refused, 1);
    service_ring_relay(self->app->svc);
    return db_exec(self->conn, &SQL_REFUSAL_NOTE,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_I64(self->property), DB_CSTR(action), DB_CSTR(reason),
                             DB_I64(self->version), cause, text_or_null(by), request ? DB_UUID(*request) : DB_NULL,
                             num_or_null(self->account), DB_TIME(self->now)),
                   NULL);
}

err_t subject_wait(subject *self, const char *reason, instant_ms watch_at, instant_ms reading_after) {
    return db_exec(self->conn, &SQL_POINT_WAIT,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), text_or_null(reason), time_or_null(watch_at),
                             time_or_null(reading_after), DB_TIME(self->now)),
                   NULL);
}

err_t subject_observe(subject *self, switching_state state, instant_ms at) {
    int64_t taken = 0;
    err_t err = db_exec(self->conn, &SQL_POINT_OBSERVE,
                        DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_CSTR(switching_state_text(state)), DB_TIME(at)), &taken);
    if (!err && taken > 0) self->seen = state;
    return err;
}

switching_standing subject_standing(const subject *self) {
    return (switching_standing){.is_off = self->is_off,
                                .never_cut = self->facts.never_cut == SWITCHING_YES,
                                .is_forced_on = self->facts.is_forced_on == SWITCHING_YES,
                                .hold = self->hold,
                                .prepaid_rule = self->facts.prepaid_rule == SWITCHING_YES,
                                .is_shared = self->facts.is_shared == SWITCHING_YES,
                                .level = self->facts.level};
}

switching_position subject_position(const subject *self) {
    return (switching_position){.is_off = self->is_off,
                                .was_touched = self->version > 0,
                                .is_verified = self->is_verified,
                                .seen = self->seen,
                                .has_open_on = self->has_open_on,
                                .has_open_off = self->has_open_off,
                                .has_unknown_off = self->has_unknown_off,
                                .has_open_read = self->has_open_read,
                                .has_fresh_look = self->has_fresh_look,
                                .keeps_itself_off = self->has_alarm || self->scheduled_off};
}
