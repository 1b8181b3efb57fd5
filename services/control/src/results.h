// What became of commands. A result may come twice, late, or after a newer one: what was read back counts, by the time it
// was read, and a final end never changes into a less certain one.
#pragma once

#include "subject.h"

typedef enum result_outcome { RESULT_VERIFIED, RESULT_REFUSED, RESULT_FAILED, RESULT_EXPIRED, RESULT_UNKNOWN } result_outcome;

bool result_outcome_parse(sv text, result_outcome *out_outcome);

typedef struct result {
    int32_t company;
    uuid command;
    result_outcome outcome;
    char reason[SUBJECT_TEXT_MAX];  // empty: none
    switching_state seen;           // read back with it
    instant_ms at;
} result;

// ERR_NOT_FOUND: nobody issued such a command.
err_t results_take(control_app *app, db *conn, const result *what) MUST_CHECK;

// A state that was read, whoever asked for it: switch-offs sent before and not heard of since are resolved by it, and the
// newest version is verified where it agrees.
err_t results_look(subject *self, switching_state state, instant_ms at) MUST_CHECK;
