// penstockctl supply …: what a supply shall be and is, and a wish for it, waited for until it is read back or refused.
// penstockctl control freeze …: what the limiter froze, and its release by two persons.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl_sql.h"
#include "database.h"

#define SHOWN_ROWS 20
#define WAIT_MS (60 * SECOND_MS)
#define POLL_MS 200

typedef struct supply_request {
    const char *company, *usage_point, *reason, *until_text, *name;
    instant_ms until;
    uuid point_id;
    int32_t company_num;
    int64_t point;
    bool is_quick;
} supply_request;

static const char *time_text(const db_rows *rows, size_t row, int column, char out[INSTANT_TEXT_MAX]) {
    if (db_is_null(rows, row, column)) return "-";
    instant_format(db_time(rows, row, column) / SECOND_MS * SECOND_MS, 0, out);
    return out;
}

static bool company_find(db *conn, const char *code, int32_t *out_num) {
    AUTO(db_rows) row = {0};
    err_t err = db_query(conn, &SQL_SUPPLY_COMPANY, DB_PARAMS(DB_CSTR(code)), &row);
    if (err) return ctl_db_fault(conn, "looking for the company", err) == CTL_OK;
    if (row.len == 1) *out_num = (int32_t)db_i64(&row, 0, 0);
    if (row.len == 0) ctl_say("--company: there is no company '%s'", code);
    return row.len == 1;
}

static bool point_find(db *conn, supply_request *self) {
    AUTO(db_rows) row = {0};
    if (!company_find(conn, self->company, &self->company_num)) return false;
    err_t err = db_query(conn, &SQL_SUPPLY_POINT, DB_PARAMS(DB_I32(self->company_num), DB_UUID(self->point_id)), &row);
    if (err) return ctl_db_fault(conn, "looking for the usage point", err) == CTL_OK;
    if (row.len == 0) {
        ctl_say("--usage-point: the company has no usage point %s", self->usage_point);
        return false;
    }
    self->point = db_i64(&row, 0, 0);
    printf("%.*s%s\n", SV_ARG(db_text(&row, 0, 1)), db_bool(&row, 0, 2) ? "  (never cut)" : "");
    return true;
}

static bool request_is_complete(const char *words, supply_request *self, bool needs_reason) {
    if (!self->company || !self->usage_point || (needs_reason && (!self->reason || !self->name)))
        ctl_say("%s: --company, --usage-point%s are needed", words, needs_reason ? ", --reason and --as" : "");
    else if (!uuid_parse(sv_of(self->usage_point), &self->point_id))
        ctl_say("--usage-point: '%s' is no id", self->usage_point);
    else if (self->until_text && !instant_parse(sv_of(self->until_text), &self->until))
        ctl_say("--until: '%s' is no RFC 3339 time with an offset", self->until_text);
    else
        return true;
    return false;
}

// ---- show ----

static err_t show_state(db *conn, const supply_request *self) {
    AUTO(db_rows) row = {0};
    char at[INSTANT_TEXT_MAX], seen[INSTANT_TEXT_MAX];
    err_t err = db_query(conn, &SQL_SUPPLY_STATE, DB_PARAMS(DB_I32(self->company_num), DB_I64(self->point)), &row);
    if (err) return err;
    if (row.len == 0) {
        puts("wanted   on  (nobody ever switched it from here)");
        return ERR_OK;
    }
    printf("wanted   %.*s  version %lld, %.*s, since %s%s\n", SV_ARG(db_text(&row, 0, 0)), (long long)db_i64(&row, 0, 1),
           SV_ARG(db_text(&row, 0, 2)), time_text(&row, 0, 3, at), db_bool(&row, 0, 6) ? ", read back" : "");
    printf("seen     %.*s  at %s\n", SV_ARG(db_text(&row, 0, 4)), time_text(&row, 0, 5, seen));
    if (!db_is_null(&row, 0, 7)) printf("waits    %.*s\n", SV_ARG(db_text(&row, 0, 7)));
    if (!db_is_null(&row, 0, 8)) printf("held     %.*s by %.*s\n", SV_ARG(db_text(&row, 0, 8)), SV_ARG(db_text(&row, 0, 9)));
    if (!db_is_null(&row, 0, 10)) printf("forced   on: %.*s\n", SV_ARG(db_text(&row, 0, 10)));
    return ERR_OK;
}

static err_t show_past(db *conn, const supply_request *self) {
    AUTO(db_rows) commands = {0};
    AUTO(db_rows) refusals = {0};
    char at[INSTANT_TEXT_MAX];
    db_params which = DB_PARAMS(DB_I32(self->company_num), DB_I64(self->point), DB_I64(SHOWN_ROWS));
    err_t err = db_query(conn, &SQL_SUPPLY_COMMANDS, which, &commands);
    if (!err) err = db_query(conn, &SQL_SUPPLY_REFUSALS, which, &refusals);
    for (size_t i = 0; !err && i < commands.len; i++)
        printf("command  %s  %.*s  version %lld  %.*s %.*s %.*s  by %.*s\n", time_text(&commands, i, 0, at),
               SV_ARG(db_text(&commands, i, 1)), (long long)db_i64(&commands, i, 2), SV_ARG(db_text(&commands, i, 3)),
               SV_ARG(db_text(&commands, i, 4)), SV_ARG(db_text(&commands, i, 5)), SV_ARG(db_text(&commands, i, 6)));
    for (size_t i = 0; !err && i < refusals.len; i++)
        printf("refused  %s  %.*s: %.*s  (%lld times)\n", time_text(&refusals, i, 0, at), SV_ARG(db_text(&refusals, i, 1)),
               SV_ARG(db_text(&refusals, i, 2)), (long long)db_i64(&refusals, i, 3));
    return err;
}

int ctl_supply_show(int argc, char **argv) {
    supply_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose usage point it is", &request.company, NULL},
                                  {"--usage-point", "ID", "the usage point", &request.usage_point, NULL},
                                  {0}};
    const ctl_usage usage = {"supply show", NULL, "Says what a supply shall be, was last seen as, and why.", options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!request_is_complete("supply show", &request, false)) return CTL_BAD_INPUT;
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/supply", &conn)) return CTL_NO;
    if (!point_find(conn, &request)) return CTL_BAD_INPUT;
    err_t err = show_state(conn, &request);
    if (!err) err = show_past(conn, &request);
    return err ? ctl_db_fault(conn, "reading the supply", err) : CTL_OK;
}

// ---- wishes ----

static void pause_ms(int64_t ms) {
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&left, NULL);
}

static int await_end(db *conn, const supply_request *self, uuid id) {
    int64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    while (clock_monotonic_ms() < until_ms) {
        AUTO(db_rows) row = {0};
        err_t err = db_query_one(conn, &SQL_SUPPLY_REQUEST, DB_PARAMS(DB_I32(self->company_num), DB_UUID(id)), &row);
        if (err) return ctl_db_fault(conn, "reading the request", err);
        sv state = db_text(&row, 0, 0);
        if (sv_equal(state, SV("new")) || sv_equal(state, SV("accepted"))) {
            pause_ms(POLL_MS);
            continue;
        }
        printf("%.*s  %.*s\n", SV_ARG(state), SV_ARG(db_text(&row, 0, 1)));
        return sv_equal(state, SV("done")) ? CTL_OK : CTL_NO;
    }
    puts("still under way");
    return CTL_NO;
}

static int ask(const char *words, const char *action, const char *text, int argc, char **argv) {
    supply_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose usage point it is", &request.company, NULL},
                                  {"--usage-point", "ID", "the usage point", &request.usage_point, NULL},
                                  {"--reason", "TEXT", "why; kept with the request", &request.reason, NULL},
                                  {"--as", "NAME", "who asks: lower case letters, digits, '.', '_' and '-'", &request.name, NULL},
                                  {"--until", "T", "RFC 3339 time at which it ends by itself", &request.until_text, NULL},
                                  {"--no-wait", NULL, "do not wait for the end", NULL, &request.is_quick},
                                  {0}};
    const ctl_usage usage = {words, NULL, text, options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!request_is_complete(words, &request, true)) return CTL_BAD_INPUT;
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/supply", &conn)) return CTL_NO;
    if (!point_find(conn, &request)) return CTL_BAD_INPUT;
    char who[100];
    snprintf(who, sizeof who, "cli:%s", request.name);
    uuid id = uuid_v7_now();
    penstock_clock clock = clock_system();
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) row = {0};
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_set_company(conn, request.company_num);
    if (!err)
        err = db_query_one(conn, &SQL_SUPPLY_SUBMIT,
                           DB_PARAMS(DB_I32(request.company_num), DB_UUID(id), DB_I64(request.point), DB_CSTR(action), DB_CSTR(who),
                                     DB_CSTR(request.reason), request.until ? DB_TIME(request.until) : DB_NULL, DB_TIME(clock_now(&clock))),
                           &row);
    if (!err) err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "asking for it", err);
    return request.is_quick ? CTL_OK : await_end(conn, &request, id);
}

int ctl_supply_off(int argc, char **argv) {
    return ask("supply off", "off", "Switches a supply off and holds it off until `supply on` or `supply resume`.", argc, argv);
}
int ctl_supply_on(int argc, char **argv) {
    return ask("supply on", "on", "Switches a supply on and holds it on, whatever is owed, until `supply resume`.", argc, argv);
}
int ctl_supply_force_on(int argc, char **argv) {
    return ask("supply force-on", "force_on", "Keeps a supply on against everybody until it is released or its time is over.", argc, argv);
}
int ctl_supply_release(int argc, char **argv) { return ask("supply release", "release_force_on", "Ends a force-on.", argc, argv); }
int ctl_supply_resume(int argc, char **argv) {
    return ask("supply resume", "resume_prepaid", "Gives a supply back to the prepaid rule.", argc, argv);
}
int ctl_supply_read(int argc, char **argv) { return ask("supply read", "read_state", "Reads the relay or valve now.", argc, argv); }

// ---- freezes ----

int ctl_control_freeze_list(int argc, char **argv) {
    const char *company = NULL;
    bool shows_all = false;
    const ctl_option options[] = {
        {"--company", "CODE", "of this company alone", &company, NULL}, {"--all", NULL, "released ones too", NULL, &shows_all}, {0}};
    const ctl_usage usage = {"control freeze list", NULL, "Lists companies whose switch-offs are frozen. Exit 1: there are some.", options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    AUTO_DB conn = NULL;
    AUTO(db_rows) rows = {0};
    int32_t num = 0;
    if (!ctl_db_open("penstockctl/freeze", &conn)) return CTL_NO;
    if (company && !company_find(conn, company, &num)) return CTL_BAD_INPUT;
    err_t err = db_query(conn, &SQL_FREEZE_LIST, DB_PARAMS(company ? DB_I32(num) : DB_NULL, DB_BOOL(shows_all)), &rows);
    if (err) return ctl_db_fault(conn, "reading the freezes", err);
    bool is_any = false;
    for (size_t i = 0; i < rows.len; i++) {
        char at[INSTANT_TEXT_MAX];
        sv first = db_text(&rows, i, 5), released = db_text(&rows, i, 6);
        is_any = is_any || released.len == 0;
        printf("%.*s  %lld  %s  %.*s: %.*s", SV_ARG(db_text(&rows, i, 0)), (long long)db_i64(&rows, i, 1), time_text(&rows, i, 2, at),
               SV_ARG(db_text(&rows, i, 3)), SV_ARG(db_text(&rows, i, 4)));
        if (first.len) printf("  first %.*s", SV_ARG(first));
        if (released.len) printf("  released by %.*s", SV_ARG(released));
        putchar('\n');
    }
    return is_any ? CTL_NO : CTL_OK;
}

int ctl_control_freeze_release(int argc, char **argv) {
    const char *company = NULL, *name = NULL, *which_text = NULL;
    const ctl_option options[] = {{"--company", "CODE", "whose switch-offs are frozen", &company, NULL},
                                  {"--freeze", "NUM", "as `control freeze list` tells it", &which_text, NULL},
                                  {"--as", "NAME", "who releases; another one than the first", &name, NULL},
                                  {0}};
    const ctl_usage usage = {"control freeze release", NULL, "Releases a freeze; the second person's word ends it.", options};
    int end = CTL_OK;
    long long which = 0;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!company || !name || !which_text) {
        ctl_say("control freeze release: --company, --freeze and --as are needed");
        return CTL_BAD_INPUT;
    }
    if (!ctl_option_number("--freeze", which_text, 1, INT64_MAX, &which)) return CTL_BAD_INPUT;
    AUTO_DB conn = NULL;
    AUTO(db_rows) row = {0};
    AUTO(db_tx) tx = {0};
    int32_t num = 0;
    char who[100];
    penstock_clock clock = clock_system();
    snprintf(who, sizeof who, "cli:%s", name);
    if (!ctl_db_open("penstockctl/freeze", &conn)) return CTL_NO;
    if (!company_find(conn, company, &num)) return CTL_BAD_INPUT;
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_set_company(conn, num);
    if (!err)
        err =
            db_query_one(conn, &SQL_FREEZE_RELEASE, DB_PARAMS(DB_I32(num), DB_I64(which), DB_CSTR(who), DB_TIME(clock_now(&clock))), &row);
    if (!err) err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "releasing the freeze", err);
    sv answer = db_text(&row, 0, 0);
    bool is_first = sv_equal(answer, SV("first"));
    printf("%s\n", is_first                              ? "one more person is needed"
                   : sv_equal(answer, SV("released"))    ? "released"
                   : sv_equal(answer, SV("same_person")) ? "another person is needed"
                                                         : "there is no such freeze");
    return is_first || sv_equal(answer, SV("released")) ? CTL_OK : CTL_NO;
}
