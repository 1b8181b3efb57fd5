#include "requests.h"

#include <string.h>

#include "consider.h"
#include "control_sql.h"

#define KEEP_POWER_LIVES_MS (24 * HOUR_MS)

typedef struct request {
    uuid id;
    char action[32], by[SUBJECT_TEXT_MAX], reason[400];
    instant_ms until;  // 0: none
} request;

static err_t end_request(const subject *self, const request *asked, const char *state, const char *outcome) {
    return db_exec(
        self->conn, &SQL_REQUEST_END,
        DB_PARAMS(DB_I32(self->company), DB_UUID(asked->id), DB_CSTR(state), DB_CSTR(outcome), DB_I64(self->version), DB_TIME(self->now)),
        NULL);
}

static err_t refuse_request(subject *self, const request *asked, const char *reason) {
    err_t err = subject_refuse(self, asked->action, reason, asked->by, &asked->id);
    return err ? err : end_request(self, asked, "refused", reason);
}

static bool is_customer(const request *asked) { return sv_starts_with(sv_of(asked->by), SV("customer:")); }

static err_t switch_off(subject *self, const request *asked) {
    switching_refusal refusal;
    err_t err = subject_load_facts(self, is_customer(asked) ? SWITCHING_CAUSE_CUSTOMER : SWITCHING_CAUSE_OPERATOR, asked->by);
    if (err) return err;
    if (self->is_off && self->hold == SWITCHING_HOLD_OFF && is_customer(asked)) return end_request(self, asked, "done", "is_off");
    bool is_done = self->is_off && self->is_verified && self->seen == SWITCHING_STATE_OFF;
    if (!is_done) {
        err = consider_off(self, asked->by, &asked->id, &refusal);
        if (err) return err;
        if (refusal) return refuse_request(self, asked, switching_refusal_text(refusal));
    } else if (is_customer(asked) && self->facts.is_own != SWITCHING_YES) {
        return refuse_request(self, asked, switching_refusal_text(SWITCHING_NOT_ALLOWED));
    }
    err = subject_hold(self, SWITCHING_HOLD_OFF, asked->by, asked->until);
    return err ? err : end_request(self, asked, is_done ? "done" : "accepted", is_done ? "is_off" : NULL);
}

// A customer takes back his own switch-off, nobody else's, and not against arrears.
static const char *customer_on_refusal(const subject *self) {
    if (self->facts.is_own != SWITCHING_YES) return switching_refusal_text(SWITCHING_NOT_ALLOWED);
    if (self->hold == SWITCHING_HOLD_OFF && subject_hold_cause(self) != SWITCHING_CAUSE_CUSTOMER) return "held_by_operator";
    bool is_ruled = self->facts.prepaid_rule == SWITCHING_YES && self->facts.is_shared != SWITCHING_YES;
    return is_ruled && self->facts.level >= SWITCHING_LEVEL_ARREARS ? "in_arrears" : NULL;
}

static err_t switch_on(subject *self, const request *asked) {
    err_t err = subject_load_facts(self, is_customer(asked) ? SWITCHING_CAUSE_CUSTOMER : SWITCHING_CAUSE_OPERATOR, asked->by);
    if (err) return err;
    const char *reason = is_customer(asked) ? customer_on_refusal(self) : NULL;
    if (!reason && self->facts.is_switchable != SWITCHING_YES) reason = switching_refusal_text(SWITCHING_NOT_SWITCHABLE);
    if (reason) return refuse_request(self, asked, reason);
    err = is_customer(asked) ? subject_hold(self, SWITCHING_HOLD_NONE, NULL, 0)
                             : subject_hold(self, SWITCHING_HOLD_ON, asked->by, asked->until);
    if (!err) err = consider_on(self, is_customer(asked) ? "customer" : "operator", asked->by, &asked->id);
    return err ? err : end_request(self, asked, "accepted", NULL);
}

static err_t tell_meter(subject *self, const char *operation, const request *asked) {
    if (self->facts.is_switchable != SWITCHING_YES) return ERR_OK;
    return subject_command_issue(
        self, &(subject_command){.operation = operation, .requested_by = asked->by, .not_after = self->now + KEEP_POWER_LIVES_MS});
}

// A new version of the same state: of the meter's keep-power commands the newer replaces the older.
static err_t renew_on(subject *self, const char *reason) {
    err_t err = subject_set(self, false, reason, SWITCHING_CAUSE_UNKNOWN);
    if (err) return err;
    return db_exec(self->conn, &SQL_POINT_VERIFY,
                   DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_I64(self->version), DB_TIME(self->now)), NULL);
}

// The meter is told as well, so that it refuses to open whatever asks it to; the server's own refusal does not wait for
// that.
static err_t force_on(subject *self, const request *asked) {
    err_t err = db_exec(self->conn, &SQL_FORCE_ON_SET,
                        DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_TIME(self->now),
                                  asked->until ? DB_TIME(asked->until) : DB_NULL, DB_CSTR(asked->reason), DB_CSTR(asked->by)),
                        NULL);
    if (err) return err;
    bool is_on = !self->is_off && self->seen != SWITCHING_STATE_OFF;
    self->facts.is_forced_on = SWITCHING_YES;
    if (is_on) {
        err = renew_on(self, "force_on");
    } else {
        err = consider_on(self, "force_on", asked->by, &asked->id);
    }
    if (!err) err = tell_meter(self, "keep_power", asked);
    return err ? err : end_request(self, asked, is_on ? "done" : "accepted", is_on ? "is_on" : NULL);
}

static err_t release_force_on(subject *self, const request *asked) {
    int64_t released = 0;
    err_t err = db_exec(self->conn, &SQL_FORCE_ON_RELEASE,
                        DB_PARAMS(DB_I32(self->company), DB_I64(self->point), DB_TIME(self->now), DB_CSTR(asked->by)), &released);
    if (err) return err;
    if (released == 0) return refuse_request(self, asked, "not_forced_on");
    if (!self->is_off && self->is_verified) err = renew_on(self, "released");
    if (!err) err = tell_meter(self, "release_keep_power", asked);
    if (!err) err = end_request(self, asked, "done", NULL);
    return err ? err : consider_point(self->app, self->conn, self->company, self->point);
}

static err_t resume_prepaid(subject *self, const request *asked) {
    err_t err = subject_hold(self, SWITCHING_HOLD_NONE, NULL, 0);
    if (!err) err = end_request(self, asked, "done", NULL);
    return err ? err : consider_point(self->app, self->conn, self->company, self->point);
}

static err_t read_state(subject *self, const request *asked) {
    if (self->facts.is_switchable != SWITCHING_YES) return refuse_request(self, asked, switching_refusal_text(SWITCHING_NOT_SWITCHABLE));
    err_t err = consider_read_back(self, &asked->id);
    return err ? err : end_request(self, asked, "accepted", NULL);
}

static err_t carry_out(subject *self, const request *asked) {
    static const struct {
        const char *name;
        bool is_for_customers;
        err_t (*run)(subject *, const request *);
    } ACTIONS[] = {
        {"off", true, switch_off},         {"on", true, switch_on},
        {"force_on", false, force_on},     {"release_force_on", false, release_force_on},
        {"read_state", false, read_state}, {"resume_prepaid", false, resume_prepaid},
    };
    for (size_t i = 0; i < ARRAY_LEN(ACTIONS); i++) {
        if (strcmp(ACTIONS[i].name, asked->action) != 0) continue;
        if (is_customer(asked) && !ACTIONS[i].is_for_customers)
            return refuse_request(self, asked, switching_refusal_text(SWITCHING_NOT_ALLOWED));
        return ACTIONS[i].run(self, asked);
    }
    return refuse_request(self, asked, "unknown_action");
}

err_t requests_run_one(control_app *app, db *conn, const uuid *which, bool *out_found) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_REQUEST_DUE, DB_PARAMS(which ? DB_UUID(*which) : DB_NULL), &rows);
    *out_found = !err && rows.len > 0;
    if (err || rows.len == 0) return err;
    request asked = {.id = db_uuid(&rows, 0, 1), .until = db_time(&rows, 0, 6)};
    sv_copy_truncated(db_text(&rows, 0, 3), asked.action, sizeof asked.action);
    sv_copy_truncated(db_text(&rows, 0, 4), asked.by, sizeof asked.by);
    sv_copy_truncated(db_text(&rows, 0, 5), asked.reason, sizeof asked.reason);
    int32_t company = (int32_t)db_i64(&rows, 0, 0);
    subject it;
    err = db_set_company(conn, company);
    if (!err) err = subject_load(&it, app, conn, company, db_i64(&rows, 0, 2));
    return err ? err : carry_out(&it, &asked);
}
