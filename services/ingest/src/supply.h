// What status words say of relays, valves and loads, told to others when it differs from what they said before. The
// bookkeeper's thread only.
#pragma once

#include "db/db.h"
#include "ingest.h"

// Of newly written last values, those that are status words. Repeating it does nothing.
err_t supply_observe(ingest *app, db *conn, const value_list *values) MUST_CHECK;
