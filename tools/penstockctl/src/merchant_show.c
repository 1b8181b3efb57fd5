// penstockctl merchant list, show: what is configured; never a key.
#include <stdio.h>

#include "ctl_sql.h"
#include "database.h"
#include "merchant.h"

static void print_line(const db_rows *rows, size_t i) {
    char id[UUID_TEXT_LEN + 1];
    uuid_format(db_uuid(rows, i, 1), id);
    printf("%s  %-16.*s %-8.*s %-8.*s %-8.*s %.*s%s%.*s  %.*s\n", id, SV_ARG(db_text(rows, i, 0)), SV_ARG(db_text(rows, i, 3)),
           SV_ARG(db_text(rows, i, 4)), SV_ARG(db_text(rows, i, 5)), SV_ARG(db_text(rows, i, 6)), db_text(rows, i, 7).len ? "/" : "",
           SV_ARG(db_text(rows, i, 7)), SV_ARG(db_text(rows, i, 2)));
}

int ctl_merchant_list(int argc, char **argv) {
    const char *company = NULL;
    const ctl_option options[] = {{"--company", "CODE", "only this company's", &company, NULL}, {0}};
    const ctl_usage usage = {"merchant list", NULL, "Lists merchants: id, company, channel, mode, state, numbers, legal entity.", options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    AUTO_DB conn = NULL;
    AUTO(db_rows) rows = {0};
    if (!ctl_db_open("penstockctl/merchant", &conn)) return CTL_NO;
    err_t err = db_query(conn, &SQL_MERCHANT_LIST, DB_PARAMS(company ? DB_CSTR(company) : DB_NULL, DB_NULL), &rows);
    if (err) return ctl_db_fault(conn, "listing merchants", err);
    for (size_t i = 0; i < rows.len; i++) print_line(&rows, i);
    return CTL_OK;
}

static void print_time(const db_rows *rows, size_t row, int column, const char *none) {
    char text[INSTANT_TEXT_MAX];
    if (!db_is_null(rows, row, column)) instant_format(db_time(rows, row, column), 0, text);
    printf("  %-24s", db_is_null(rows, row, column) ? none : text);
}

static void print_keys(const db_rows *rows) {
    for (size_t i = 0; i < rows->len; i++) {
        char name[80];
        snprintf(name, sizeof name, "%.*s/%lld", SV_ARG(db_text(rows, i, 0)), (long long)db_i64(rows, i, 1));
        printf("key            %-24s", name);
        print_time(rows, i, 3, "from the beginning");
        print_time(rows, i, 4, "without end");
        printf("  %.*s\n", SV_ARG(db_text(rows, i, 2)));
    }
}

int ctl_merchant_show(int argc, char **argv) {
    const ctl_usage usage = {"merchant show", "ID", "Shows a merchant's settings and the versions, serials and validity of its keys.",
                             NULL};
    int end = CTL_OK;
    uuid id;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (argc != 1 || !uuid_parse(sv_of(argv[0]), &id)) {
        ctl_say("merchant show: one id of a merchant is needed");
        return CTL_BAD_INPUT;
    }
    AUTO_DB conn = NULL;
    AUTO(db_rows) rows = {0};
    AUTO(db_rows) keys = {0};
    if (!ctl_db_open("penstockctl/merchant", &conn)) return CTL_NO;
    err_t err = db_query(conn, &SQL_MERCHANT_LIST, DB_PARAMS(DB_NULL, DB_UUID(id)), &rows);
    if (!err && rows.len == 0) {
        ctl_say("merchant show: there is none such");
        return CTL_NO;
    }
    if (!err) err = db_query(conn, &SQL_MERCHANT_KEYS, DB_PARAMS(DB_I64(db_i64(&rows, 0, 14)), DB_I64(db_i64(&rows, 0, 13))), &keys);
    if (err) return ctl_db_fault(conn, "showing the merchant", err);
    static const char *const NAMES[] = {"company",  NULL,           "legal entity", "channel", "mode",     "state",
                                        "merchant", "sub-merchant", "app",          "sub-app", "base URL", "standby URL"};
    print_line(&rows, 0);
    for (int column = 0; column < 12; column++)
        if (NAMES[column] && db_text(&rows, 0, column).len) printf("%-14s %.*s\n", NAMES[column], SV_ARG(db_text(&rows, 0, column)));
    printf("%-14s %lld min\n", "orders live", (long long)db_i64(&rows, 0, 12) / 60);
    print_keys(&keys);
    return CTL_OK;
}
