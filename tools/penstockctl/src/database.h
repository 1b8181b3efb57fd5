// The command line's way to the database: PENSTOCK_DATABASE, as the role penstock_admin unless it names another.
#pragma once

#include "command.h"
#include "db/db.h"

// Tells on stderr what went wrong; then return CTL_NO.
bool ctl_db_open(const char *purpose, db **out_conn);
// The same with other time-outs: fill from ctl_db_options first. `out_conn` as above.
bool ctl_db_options(const char *purpose, db_options *out_options);
bool ctl_db_open_with(const db_options *options, db **out_conn);

// Tells the last error of the connection and returns CTL_NO.
int ctl_db_fault(const db *conn, const char *doing, err_t err);
