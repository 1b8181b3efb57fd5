#include "consider.h"

#include <stdio.h>

#include "control_sql.h"

#define OFF_LIVES_MS (5 * MINUTE_MS)
#define ON_LIVES_MS (24 * HOUR_MS)
#define READ_LIVES_MS (5 * MINUTE_MS)
#define PENDING_LOOK_MS (2 * MINUTE_MS)
#define LONG_LOOK_MS HOUR_MS
#define LOOK_LEAST_MS (5 * SECOND_MS)
#define LOOK_MOST_MS (10 * MINUTE_MS)

// A wait that only time or a silent change ends is looked at after an eighth of its age.
static instant_ms growing_look(const subject *self, const char *reason) {
    bool is_same = sv_equal(sv_of(self->waits_for), sv_of(reason));
    int64_t interval = is_same && self->waits_since ? (self->now - self->waits_since) / 8 : 0;
    interval = interval < LOOK_LEAST_MS ? LOOK_LEAST_MS : interval > LOOK_MOST_MS ? LOOK_MOST_MS : interval;
    return self->now + interval;
}

static instant_ms after_age(const subject *self, int64_t age_ms, int64_t quiet_ms) {
    int64_t left = quiet_ms - age_ms;
    return self->now + (left < LOOK_LEAST_MS ? LOOK_LEAST_MS : left);
}

// When the reason may be gone; what edits and events change wakes the point by itself.
static instant_ms next_look(const subject *self, switching_refusal refusal) {
    const switching_facts *f = &self->facts;
    switch (refusal) {
        case SWITCHING_OUTSIDE_WINDOW: return self->next_window_at ? self->next_window_at : self->now + LONG_LOOK_MS;
        case SWITCHING_CREDIT_RECENT: return after_age(self, f->credit_age_ms, f->credit_quiet_ms);
        case SWITCHING_TARIFF_CHANGED: return after_age(self, f->tariff_age_ms, SWITCHING_TARIFF_QUIET_MS);
        case SWITCHING_ON_RECENT: return after_age(self, f->on_age_ms, f->min_on_ms);
        case SWITCHING_STALE_READING:
        case SWITCHING_POINT_STOPPED:
        case SWITCHING_FROZEN:
        case SWITCHING_LIMITER: return self->now + LOOK_MOST_MS;
        case SWITCHING_NEVER_CUT:
        case SWITCHING_NOT_SWITCHABLE:
        case SWITCHING_FORCE_ON: return self->now + LONG_LOOK_MS;
        case SWITCHING_NOT_ALLOWED:
        case SWITCHING_RULE_OFF:
        case SWITCHING_SHARED:
        case SWITCHING_NO_PURSE:
        case SWITCHING_NOT_IN_ARREARS: return 0;
        case SWITCHING_ALLOWED:
        case SWITCHING_MISSING_FACTS:
        case SWITCHING_SUPERSEDED:
        case SWITCHING_OUTCOME_UNKNOWN:
        case SWITCHING_PAYMENT_UNKNOWN:
        case SWITCHING_PAYMENT_NOT_CREDITED:
        case SWITCHING_PAYMENT_IN_SUSPENSE:
        case SWITCHING_PAYMENT_RECENT:
        case SWITCHING_NO_WARNING:
        case SWITCHING_REFUSAL_COUNT: break;
    }
    return growing_look(self, switching_refusal_text(refusal));
}

static err_t freeze(subject *self) {
    char detail[120];
    snprintf(detail, sizeof detail, "%lld switch-offs within an hour, %lld allowed", (long long)self->facts.off_last_hour,
             (long long)self->facts.off_limit);
    metric_add(self->app->frozen, 1);
    return db_exec(self->conn, &SQL_FREEZE_COMPANY, DB_PARAMS(DB_I32(self->company), DB_CSTR(detail), DB_TIME(self->now)), NULL);
}

err_t consider_off(subject *self, const char *by, const uuid *request, switching_refusal *out_refusal) {
    *out_refusal = switching_refusal_of(&self->facts);
    err_t err = *out_refusal == SWITCHING_LIMITER ? freeze(self) : ERR_OK;
    if (err || *out_refusal) return err;
    err = subject_set(self, true, switching_cause_text(self->facts.cause), self->facts.cause);
    if (!err)
        err = subject_command_issue(self, &(subject_command){.operation = "switch_off",
                                                             .cause = self->facts.cause,
                                                             .requested_by = by,
                                                             .request = request,
                                                             .not_after = self->now + OFF_LIVES_MS});
    return err ? err : subject_wait(self, NULL, self->now + PENDING_LOOK_MS, 0);
}

// The rule's own proposal: what stands against it is noted, and it is looked at again when that may have gone.
static err_t propose_off(subject *self) {
    switching_refusal refusal;
    const char *by = self->hold == SWITCHING_HOLD_OFF ? self->hold_by : NULL;
    err_t err = consider_off(self, by, NULL, &refusal);
    if (err || !refusal) return err;
    const char *reason = switching_refusal_text(refusal);
    bool needs_reading = refusal == SWITCHING_STALE_READING || refusal == SWITCHING_POINT_STOPPED;
    instant_ms after = !needs_reading ? 0 : self->last_reading_at ? self->last_reading_at : 1;
    err = subject_refuse(self, "off", reason, by, NULL);
    return err ? err : subject_wait(self, reason, next_look(self, refusal), after);
}

static err_t send_on(subject *self, const char *by, const uuid *request) {
    if (self->facts.is_switchable != SWITCHING_YES) return subject_wait(self, NULL, self->now + LONG_LOOK_MS, 0);
    err_t err = subject_command_issue(
        self,
        &(subject_command){
            .operation = "switch_on", .cause = self->cause, .requested_by = by, .request = request, .not_after = self->now + ON_LIVES_MS});
    return err ? err : subject_wait(self, NULL, self->now + PENDING_LOOK_MS, 0);
}

err_t consider_on(subject *self, const char *reason, const char *by, const uuid *request) {
    err_t err = subject_set(self, false, reason, SWITCHING_CAUSE_UNKNOWN);
    return err ? err : send_on(self, by, request);
}

err_t consider_read_back(subject *self, const uuid *request) {
    if (self->facts.is_switchable != SWITCHING_YES) return subject_wait(self, NULL, self->now + LONG_LOOK_MS, 0);
    err_t err = subject_command_issue(
        self, &(subject_command){.operation = "read_state", .request = request, .not_after = self->now + READ_LIVES_MS});
    return err ? err : subject_wait(self, NULL, self->now + PENDING_LOOK_MS, 0);
}

static const char *reason_of_on(const subject *self) {
    if (self->facts.never_cut == SWITCHING_YES) return "never_cut";
    if (self->facts.is_forced_on == SWITCHING_YES) return "force_on";
    if (self->hold == SWITCHING_HOLD_ON) return "operator";
    if (self->facts.prepaid_rule != SWITCHING_YES || self->facts.is_shared == SWITCHING_YES) return "rule_off";
    return self->cause == SWITCHING_CAUSE_ARREARS ? "paid" : "resumed";
}

// Brings the device to the newest version.
static err_t converge(subject *self) {
    switching_position position = subject_position(self);
    switch (switching_step_of(&position)) {
        case SWITCHING_SEND_ON: metric_add(self->app->retries, 1); return send_on(self, NULL, NULL);
        case SWITCHING_READ_BACK: return consider_read_back(self, NULL);
        case SWITCHING_PROPOSE_OFF: return propose_off(self);
        case SWITCHING_REST: break;
    }
    bool is_pending = position.has_open_on || position.has_open_off || position.has_unknown_off;
    return subject_wait(self, NULL, is_pending ? self->now + PENDING_LOOK_MS : 0, 0);
}

err_t consider(subject *self) {
    switching_standing standing = subject_standing(self);
    switching_wish wish = switching_wish_of(&standing);
    if (wish == SWITCHING_WANT_OFF && !self->is_off) {
        // What was sent and never heard of is asked for first, whatever is wanted now.
        if (self->has_unknown_off && !self->has_open_read && !self->has_fresh_look) return consider_read_back(self, NULL);
        return propose_off(self);
    }
    if (wish == SWITCHING_WANT_ON && self->is_off) return consider_on(self, reason_of_on(self), NULL, NULL);
    return converge(self);
}

err_t consider_point(control_app *app, db *conn, int32_t company, int64_t point) {
    subject it;
    err_t err = subject_load(&it, app, conn, company, point);
    if (err == ERR_NOT_FOUND) return ERR_OK;
    return err ? err : consider(&it);
}
