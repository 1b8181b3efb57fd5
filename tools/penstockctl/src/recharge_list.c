// penstockctl recharge list: runs, and how far billing has come with them.
#include <stdio.h>

#include "command.h"
#include "ctl_sql.h"
#include "money/decimal.h"
#include "money/money.h"
#include "tariff_store.h"

#define RUNS_MAX 100

static void print_run(const db_rows *rows, size_t row) {
    char id[UUID_TEXT_LEN + 1], requested[INSTANT_TEXT_MAX], posted[DECIMAL_TEXT_MAX];
    uuid_format(db_uuid(rows, row, 0), id);
    instant_format(db_time(rows, row, 4), 0, requested);
    decimal_format(db_i64(rows, row, 8), MONEY_SCALE, 2, posted);
    printf("%s  %s  %-8.*s  %.*s  waiting %lld  done %lld  refused %lld  posted %s", id, requested, SV_ARG(db_text(rows, row, 1)),
           SV_ARG(db_text(rows, row, 3)), (long long)(db_i64(rows, row, 5) + db_i64(rows, row, 10)), (long long)db_i64(rows, row, 6),
           (long long)db_i64(rows, row, 7), posted);
    if (!db_is_null(rows, row, 9)) printf("  %.*s", SV_ARG(db_text(rows, row, 9)));
    putchar('\n');
}

int ctl_recharge_list(int argc, char **argv) {
    const char *company_code = NULL;
    const ctl_option options[] = {{"--company", "CODE", "whose recharges", &company_code, NULL}, {0}};
    const ctl_usage usage = {"recharge list", NULL,
                             "Lists the last 100 recharges, the newest first: usage points that wait, were done and were refused, the sum\n"
                             "that was posted, and a reason where one was refused or failed. Times are UTC.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!company_code) {
        ctl_say("recharge list: --company is needed");
        return CTL_BAD_INPUT;
    }
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/recharge", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) rows = {0};
    int32_t company = 0;
    err_t err = db_begin_repeatable(conn, &tx);
    if (err) return ctl_db_fault(conn, "listing recharges", err);
    end = tariff_company(conn, company_code, false, &company);
    if (end != CTL_OK) return end;
    err = db_query(conn, &SQL_RECHARGE_LIST, DB_PARAMS(DB_I32(company), DB_I64(RUNS_MAX)), &rows);
    if (err) return ctl_db_fault(conn, "listing recharges", err);
    for (size_t i = 0; i < rows.len; i++) print_run(&rows, i);
    return CTL_OK;
}
