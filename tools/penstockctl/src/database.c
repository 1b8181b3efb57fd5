#include "database.h"

#include <stdlib.h>

#define ADMIN_ROLE "penstock_admin"

bool ctl_db_options(const char *purpose, db_options *out_options) {
    const char *conninfo = getenv("PENSTOCK_DATABASE");
    if (!conninfo || !conninfo[0]) {
        ctl_say("PENSTOCK_DATABASE is not set: it names the database, e.g. \"host=/run/postgresql dbname=penstock\"");
        return false;
    }
    *out_options = db_options_default(conninfo, ADMIN_ROLE, purpose);
    return true;
}

bool ctl_db_open_with(const db_options *options, db **out_conn) {
    fault why = {0};
    if (!db_open(options, out_conn, &why)) return true;
    ctl_say("the database: %s", why.reason[0] ? why.reason : err_text(why.err));
    return false;
}

bool ctl_db_open(const char *purpose, db **out_conn) {
    db_options options;
    return ctl_db_options(purpose, &options) && ctl_db_open_with(&options, out_conn);
}

int ctl_db_fault(const db *conn, const char *doing, err_t err) {
    // The server's first line says what; the others say where in its own text.
    sv rest = sv_of(db_error_text(conn)), line = SV_NONE;
    sv_next(&rest, '\n', &line);
    if (sv_starts_with(line, SV("ERROR:"))) line = sv_trim(sv_skip(line, 6));
    if (line.len > 0)
        ctl_say("%s: %.*s", doing, SV_ARG(line));
    else
        ctl_say("%s: %s", doing, err_text(err));
    return CTL_NO;
}
