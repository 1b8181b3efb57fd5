// penstockctl tariff list: published versions and assignments, and which are in force now.
#include <stdio.h>

#include "base/clock.h"
#include "ctl_sql.h"
#include "tariff_store.h"

static int list(const char *company, const char *property);

int ctl_tariff_list(int argc, char **argv) {
    const char *company = NULL, *property = NULL;
    const ctl_option options[] = {{"--company", "CODE", "whose tariffs", &company, NULL},
                                  {"--property", "CODE", "only what is assigned in this property", &property, NULL},
                                  {0}};
    const ctl_usage usage = {"tariff list", NULL, "Lists versions, then assignments; \"now\" marks those in force. Times are UTC.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (company) return list(company, property);
    ctl_say("tariff list: --company is needed");
    return CTL_BAD_INPUT;
}

static void print_time(const db_rows *rows, size_t row, int column) {
    char text[INSTANT_TEXT_MAX];
    instant_format(db_time(rows, row, column), 0, text);
    printf("  %-24s", text);
}

static void print_versions(const db_rows *rows) {
    for (size_t i = 0; i < rows->len; i++) {
        if (i == 0 || !sv_equal(db_text(rows, i, 0), db_text(rows, i - 1, 0)))
            printf("%.*s  %.*s  %.*s\n", SV_ARG(db_text(rows, i, 0)), SV_ARG(db_text(rows, i, 2)), SV_ARG(db_text(rows, i, 1)));
        printf("  version %-4lld", (long long)db_i64(rows, i, 3));
        print_time(rows, i, 4);
        printf("  published");
        print_time(rows, i, 5);
        printf("%s\n", db_bool(rows, i, 6) ? "  now" : "");
    }
}

static void print_assignments(const db_rows *rows) {
    for (size_t i = 0; i < rows->len; i++) {
        char point[UUID_TEXT_LEN + 1] = "default";
        if (!db_is_null(rows, i, 1)) uuid_format(db_uuid(rows, i, 1), point);
        printf("%.*s  %s  %.*s  %.*s", SV_ARG(db_text(rows, i, 0)), point, SV_ARG(db_text(rows, i, 3)), SV_ARG(db_text(rows, i, 4)));
        print_time(rows, i, 5);
        printf("%s\n", db_bool(rows, i, 6) ? "  now" : "");
    }
}

static int list(const char *company_code, const char *property_code) {
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/tariff", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    err_t err = db_begin_repeatable(conn, &tx);
    if (err) return ctl_db_fault(conn, "listing tariffs", err);
    int32_t company = 0;
    int end = tariff_company(conn, company_code, false, &company);
    if (end != CTL_OK) return end;
    AUTO(db_rows) property = {0};
    AUTO(db_rows) versions = {0};
    AUTO(db_rows) assignments = {0};
    if (property_code) {
        err = db_query_one(conn, &SQL_TARIFF_PROPERTY, DB_PARAMS(DB_I32(company), DB_CSTR(property_code), DB_NULL), &property);
        if (err == ERR_NOT_FOUND) {
            ctl_say("--property: there is no property '%s'", property_code);
            return CTL_BAD_INPUT;
        }
    }
    db_param where = property_code && !err ? DB_I64(db_i64(&property, 0, 0)) : DB_NULL;
    penstock_clock clock = clock_system();
    db_param now = DB_TIME(clock_now(&clock));
    if (!err) err = db_query(conn, &SQL_TARIFF_LIST_VERSIONS, DB_PARAMS(DB_I32(company), where, now), &versions);
    if (!err) err = db_query(conn, &SQL_TARIFF_LIST_ASSIGNMENTS, DB_PARAMS(DB_I32(company), where, now), &assignments);
    if (err) return ctl_db_fault(conn, "listing tariffs", err);
    print_versions(&versions);
    if (assignments.len > 0) putchar('\n');
    print_assignments(&assignments);
    return CTL_OK;
}
