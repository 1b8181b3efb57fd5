// penstockctl ledger verify: recomputes the ledger from readings, tariffs and postings, in one snapshot, and proves it.
#include <stdio.h>

#include "base/clock.h"
#include "command.h"
#include "ctl_sql.h"
#include "money/decimal.h"
#include "verify.h"

typedef struct set_check {
    const char *name;
    const db_statement *statement;
    bool has_time;  // takes the time of asking as $2
} set_check;

static const set_check SETS[] = {
    {"balances are the sums of their transfers", &SQL_VERIFY_BALANCES, false},
    {"levels are those of the balances", &SQL_VERIFY_LEVELS, false},
    {"transfers keep company and currency", &SQL_VERIFY_PURSE_SIDES, false},
    {"each charge has its transfer", &SQL_VERIFY_CHARGE_TRANSFERS, false},
    {"charges and transfers exist once", &SQL_VERIFY_UNIQUE_IDS, false},
    {"postings and their transfers agree", &SQL_VERIFY_POSTINGS, false},
    {"each paid order has one credit", &SQL_VERIFY_PAID_ORDERS, false},
    {"clearing is what payments, refunds and suspense come to", &SQL_VERIFY_CLEARING, false},
    {"closes of tier windows are posted once", &SQL_VERIFY_CLOSES, false},
    {"corrections name their base", &SQL_VERIFY_CORRECTIONS, false},
    {"readings are stored once", &SQL_VERIFY_READINGS, false},
    {"claimed blocks exist once", &SQL_VERIFY_BLOCKS, true},
    {"no row fell through the partitions", &SQL_VERIFY_DEFAULTS, false},
};

static int ledger_verify(const char *company);

int ctl_ledger_verify(int argc, char **argv) {
    const char *company = NULL;
    const ctl_option options[] = {{"--company", "CODE", "only this company", &company, NULL}, {0}};
    const ctl_usage usage = {"ledger verify", NULL,
                             "Recomputes the ledger in one snapshot: balances from transfers, charges from stored readings and tariffs,\n"
                             "postings from what they name. Prints what was checked; exit 1 when anything differs, and says what.\n"
                             "Usage points that stand still or wait for a replay are counted and left out.",
                             options};
    int end = CTL_OK;
    return ctl_options_read(&usage, &argc, argv, &end) ? ledger_verify(company) : end;
}

static err_t set_run(db *conn, const set_check *set, int32_t company, instant_ms now, verify_check *out) {
    *out = (verify_check){.name = set->name};
    db_param whose = company ? DB_I32(company) : DB_NULL;
    AUTO(db_rows) row = {0};
    err_t err = set->has_time ? db_query_one(conn, set->statement, DB_PARAMS(whose, DB_TIME(now)), &row)
                              : db_query_one(conn, set->statement, DB_PARAMS(whose), &row);
    if (err) return err;
    out->checked = db_i64(&row, 0, 0);
    out->differences = db_i64(&row, 0, 1);
    if (out->differences) sv_copy_truncated(db_text(&row, 0, 2), out->examples[out->example_count++], sizeof out->examples[0]);
    return ERR_OK;
}

// In micro-units: what replaced meters had left is what the books moved.
static err_t credit_run(db *conn, int32_t company, verify_check *out, money_micro *out_carried, money_micro *out_booked) {
    *out = (verify_check){.name = "credit of replaced meters is booked"};
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_VERIFY_METER_CREDIT, DB_PARAMS(company ? DB_I32(company) : DB_NULL), &row);
    if (err) return err;
    out->checked = db_i64(&row, 0, 0);
    out->differences = db_i64(&row, 0, 1);
    if (out->differences) sv_copy_truncated(db_text(&row, 0, 2), out->examples[out->example_count++], sizeof out->examples[0]);
    *out_carried = db_i64(&row, 0, 3);
    *out_booked = db_i64(&row, 0, 4);
    return ERR_OK;
}

static void check_print(const verify_check *self, int64_t *differences) {
    printf("%-44s %12lld  %s", self->name, (long long)self->checked, self->differences ? "" : "ok\n");
    if (self->differences) printf("%lld differ\n", (long long)self->differences);
    for (size_t i = 0; i < self->example_count; i++) printf("    %s\n", self->examples[i]);
    if (self->differences > (int64_t)self->example_count)
        printf("    and %lld more\n", (long long)(self->differences - (int64_t)self->example_count));
    *differences += self->differences;
}

static int company_find(db *conn, const char *code, int32_t *out_company) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_VERIFY_COMPANY, DB_PARAMS(DB_CSTR(code)), &row);
    if (err == ERR_NOT_FOUND) {
        ctl_say("--company: there is no company '%s'", code);
        return CTL_BAD_INPUT;
    }
    if (err) return ctl_db_fault(conn, "finding the company", err);
    *out_company = (int32_t)db_i64(&row, 0, 0);
    return CTL_OK;
}

static int ledger_verify(const char *code) {
    db_options how;
    if (!ctl_db_options("penstockctl/verify", &how)) return CTL_BAD_INPUT;
    how.statement_timeout_ms = 0;
    how.idle_in_transaction_timeout_ms = 0;
    AUTO_DB conn = NULL;
    if (!ctl_db_open_with(&how, &conn)) return CTL_NO;
    int32_t company = 0;
    int end = code ? company_find(conn, code, &company) : CTL_OK;
    if (end != CTL_OK) return end;
    penstock_clock clock = clock_system();
    instant_ms now = clock_now(&clock);
    AUTO(db_tx) tx = {0};
    err_t err = db_begin_repeatable(conn, &tx);
    int64_t differences = 0;
    for (size_t i = 0; i < ARRAY_LEN(SETS) && !err; i++) {
        verify_check check;
        err = set_run(conn, &SETS[i], company, now, &check);
        if (!err) check_print(&check, &differences);
    }
    verify_check records;
    if (!err) err = verify_records_run(conn, company, now, &records);
    if (!err) check_print(&records, &differences);
    verify_points points;
    if (!err) err = verify_points_run(conn, company, now, &points);
    verify_check credit;
    money_micro carried = 0, booked = 0;
    if (!err) err = credit_run(conn, company, &credit, &carried, &booked);
    if (err) return ctl_db_fault(conn, "verifying the ledger", err);
    check_print(&points.tiling, &differences);
    check_print(&points.position, &differences);
    check_print(&points.copies, &differences);
    check_print(&points.rating, &differences);
    check_print(&points.closes, &differences);
    check_print(&points.conservation, &differences);
    fwrite(points.conservation_lines.ptr, 1, points.conservation_lines.len, stdout);
    buf_done(&points.conservation_lines);
    check_print(&credit, &differences);
    char carried_text[DECIMAL_TEXT_MAX], booked_text[DECIMAL_TEXT_MAX];
    decimal_format(carried, MONEY_SCALE, 2, carried_text);
    decimal_format(booked, MONEY_SCALE, 2, booked_text);
    printf("    all: credit carried over %s = booked %s\n", carried_text, booked_text);
    printf("%-44s %12lld\n", "readings charged again", (long long)points.readings);
    printf("%-44s %12lld\n", "usage points left out: they wait", (long long)points.waiting);
    printf("%s\n", differences ? "the ledger DIFFERS" : "the ledger is proven");
    return differences ? CTL_NO : CTL_OK;
}
