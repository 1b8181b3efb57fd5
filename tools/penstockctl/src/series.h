// Numbers for rows of hot tables, in a series nobody else uses while the connection lives.
#pragma once

#include "base/id.h"
#include "database.h"

// Takes the highest free replica number, held by an advisory lock of the session. ERR_BUSY when all are taken.
err_t ctl_series_open(db *conn, num_series *out_series) MUST_CHECK;
