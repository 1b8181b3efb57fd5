// What persons ask for: switch off and on, force on and release, back under the prepaid rule, read the state.
#pragma once

#include "control.h"
#include "db/db.h"

// Carries out one request that nobody has carried out yet, in the open transaction. `which` NULL: the oldest of any
// company. *out_found false: there is none.
err_t requests_run_one(control_app *app, db *conn, const uuid *which, bool *out_found) MUST_CHECK;
