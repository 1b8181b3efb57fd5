// One usage point in an open transaction whose company is set: its row is locked from subject_load until the transaction
// ends, so that one decision at a time is taken about a point, and none while its switch-off is claimed.
#pragma once

#include "control.h"
#include "db/db.h"
#include "switching/switching.h"

#define SUBJECT_TEXT_MAX 80

typedef struct subject {
    control_app *app;
    db *conn;
    int32_t company;
    int64_t point;
    instant_ms now;

    // The row.
    int64_t property, version;
    bool is_off;
    switching_cause cause;
    switching_hold hold;
    char hold_by[SUBJECT_TEXT_MAX];
    switching_state seen;
    bool is_verified;
    bool has_fresh_look;
    bool has_alarm;  // its own protection opened since it was last read back
    char waits_for[SUBJECT_TEXT_MAX];
    instant_ms waits_since;

    // Facts, as of `now`.
    switching_facts facts;
    char payment_block[SUBJECT_TEXT_MAX];
    int64_t account, purse, channel, meter, gateway;  // 0: none
    instant_ms last_reading_at, next_window_at;       // 0: none
    bool scheduled_off;

    // Under way.
    bool has_open_on, has_open_off, has_unknown_off, has_open_read;
} subject;

// What one command on the line is; `version` 0: the subject's newest.
typedef struct subject_command {
    const char *operation;
    switching_cause cause;
    const char *requested_by;  // NULL: the rule
    const uuid *request;       // NULL: none
    instant_ms not_after;
    sv parameters;  // JSON; SV_NONE: none
    int64_t version;
} subject_command;

// Locks and reads. ERR_NOT_FOUND: the company has no such usage point. The facts are those of the cause that the row's
// hold names, the prepaid rule's without one.
err_t subject_load(subject *self, control_app *app, db *conn, int32_t company, int64_t point) MUST_CHECK;
// The facts of another cause, asked for by `requester` (NULL: nobody).
err_t subject_load_facts(subject *self, switching_cause cause, const char *requester) MUST_CHECK;

// The next version of what is wanted; older commands that nobody has sent are replaced.
err_t subject_set(subject *self, bool is_off, const char *reason, switching_cause cause) MUST_CHECK;
// What was to be switched off stays on: nothing has happened.
err_t subject_revert(subject *self, const char *reason) MUST_CHECK;
err_t subject_hold(subject *self, switching_hold hold, const char *by, instant_ms until) MUST_CHECK;
err_t subject_command_issue(subject *self, const subject_command *command) MUST_CHECK;
// Stores the refusal; of a standing condition (no request) the same one again is counted, not repeated.
err_t subject_refuse(subject *self, const char *action, const char *reason, const char *by, const uuid *request) MUST_CHECK;
// Why a wanted switch-off waits (NULL: it does not) and when to look again (0: when something happens).
err_t subject_wait(subject *self, const char *reason, instant_ms watch_at, instant_ms reading_after) MUST_CHECK;
err_t subject_observe(subject *self, switching_state state, instant_ms at) MUST_CHECK;

// The states of the pure decisions, from what was loaded.
switching_standing subject_standing(const subject *self);
switching_position subject_position(const subject *self);
switching_cause subject_hold_cause(const subject *self);
