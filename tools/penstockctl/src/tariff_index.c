// penstockctl tariff index: the value of a price index for a month, published once for everybody.
#include <stdio.h>

#include "base/clock.h"
#include "ctl_sql.h"
#include "money/decimal.h"
#include "money/money.h"
#include "tariff_index_store.h"

#define MONTHS_A_YEAR 12
#define REASON_MAX 120

typedef struct index_request {
    const char *index, *month_text, *value_text;
    bool is_provisional;
    int32_t month, first_day;
    int64_t value_micro;
} index_request;

static int publish(const index_request *request);

static bool parse_month(const char *text, index_request *out) {
    int64_t day = 0;
    char date[16];
    int len = snprintf(date, sizeof date, "%.7s-01", text);
    if (len != 10 || !local_date_parse(sv_of(date), &day) || sv_of(text).len != 7) return false;
    int32_t year, month, day_of_month;
    civil_from_days(day, &year, &month, &day_of_month);
    out->month = year * MONTHS_A_YEAR + month - 1;
    out->first_day = (int32_t)day;
    return true;
}

int ctl_tariff_index_publish(int argc, char **argv) {
    index_request request = {0};
    const ctl_option options[] = {{"--index", "NAME", "the index, as tariff documents name it", &request.index, NULL},
                                  {"--month", "YYYY-MM", "the month it is the value of", &request.month_text, NULL},
                                  {"--value", "DECIMAL", "the value, at most 6 decimals", &request.value_text, NULL},
                                  {"--provisional", NULL, "a final value will follow", NULL, &request.is_provisional},
                                  {0}};
    const ctl_usage usage = {"tariff index publish", NULL,
                             "Publishes the value of a price index for a month, for all companies, and makes the versions of all tariffs\n"
                             "whose documents name it, from the month's first local instant on, in one transaction. A final value after a\n"
                             "provisional one replaces the versions made of it; billing then posts the differences for what was charged.\n"
                             "A published value never changes.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    end = CTL_BAD_INPUT;
    decimal_answer value = request.value_text ? decimal_parse(sv_of(request.value_text), MONEY_SCALE, &request.value_micro) : DECIMAL_OK;
    size_t name_len = request.index ? sv_of(request.index).len : 0;
    if (!request.index || !request.month_text || !request.value_text)
        ctl_say("tariff index publish: --index, --month and --value are needed");
    else if (name_len == 0 || name_len > PRICE_INDEX_NAME_MAX)
        ctl_say("--index: a name has 1 to %d bytes", PRICE_INDEX_NAME_MAX);
    else if (!parse_month(request.month_text, &request))
        ctl_say("--month: '%s' is no month (YYYY-MM)", request.month_text);
    else if (value != DECIMAL_OK)
        ctl_say("--value: '%s': %s", request.value_text, decimal_answer_text(value));
    else
        end = publish(&request);
    return end;
}

typedef struct index_publishing {
    const index_request *request;
    arena *memory;
    index_making making;
    index_tariff *tariffs;
    size_t tariff_count;
} index_publishing;

static err_t load_tariffs(index_publishing *self) {
    db *conn = self->making.conn;
    AUTO(db_rows) locked = {0};
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_TARIFF_INDEX_LOCK, DB_NO_PARAMS, &locked);
    if (!err) err = db_query(conn, &SQL_TARIFF_INDEX_TARIFFS, DB_PARAMS(DB_CSTR(self->request->index)), &rows);
    if (err || rows.len == 0) return err;
    self->tariffs = ARENA_ARRAY(self->memory, index_tariff, rows.len);
    for (size_t i = 0; i < rows.len; i++) {
        self->tariffs[i] = (index_tariff){(int32_t)db_i64(&rows, i, 0), arena_copy(self->memory, db_text(&rows, i, 1)), db_i64(&rows, i, 2),
                                          db_uuid(&rows, i, 3), arena_copy(self->memory, db_text(&rows, i, 4))};
    }
    self->tariff_count = rows.len;
    return ERR_OK;
}

// Each document of a tariff that is in force in the month.
static err_t make_versions(index_publishing *self, const index_tariff *owner, fault *out_fault) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->making.conn, &SQL_TARIFF_INDEX_DOCUMENTS, DB_PARAMS(DB_I32(owner->company), DB_I64(owner->num)), &rows);
    if (err) return fault_set(out_fault, err, "tariff_version", "%.180s", db_error_text(self->making.conn));
    for (size_t i = 0; i < rows.len && !err; i++) {
        index_document document = {db_text(&rows, i, 0), db_bytes(&rows, i, 1), db_time(&rows, i, 2),
                                   i + 1 < rows.len ? db_time(&rows, i + 1, 2) : INSTANT_MAX};
        err = index_version_make(&self->making, owner, &document, self->request->month, out_fault);
    }
    return err;
}

static const index_tariff *tariff_of(const index_publishing *self, int32_t company, int64_t num) {
    for (size_t i = 0; i < self->tariff_count; i++)
        if (self->tariffs[i].company == company && self->tariffs[i].num == num) return &self->tariffs[i];
    return NULL;
}

static err_t put_run(index_publishing *self, const index_tariff *of) {
    char reason[REASON_MAX];
    snprintf(reason, sizeof reason, "%s %s", self->request->index, self->request->month_text);
    printf("%.*s: what was charged with the provisional value will be trued up\n", SV_ARG(of->company_code));
    return db_exec(self->making.conn, &SQL_TARIFF_INDEX_RUN_PUT,
                   DB_PARAMS(DB_I32(of->company), DB_UUID(uuid_v7_now()), DB_CSTR(reason), DB_TIME(self->making.now)), NULL);
}

static err_t replace_versions(index_publishing *self, fault *out_fault) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->making.conn, &SQL_TARIFF_INDEX_PROVISIONAL,
                         DB_PARAMS(DB_CSTR(self->request->index), DB_DATE(self->request->first_day)), &rows);
    int32_t company = 0;
    for (size_t i = 0; i < rows.len && !err; i++) {
        const index_tariff *owner = tariff_of(self, (int32_t)db_i64(&rows, i, 0), db_i64(&rows, i, 1));
        if (!owner) return fault_set(out_fault, ERR_INTERNAL, "tariff", "a version was made of an index its tariff does not name");
        index_document document = {db_text(&rows, i, 4), db_bytes(&rows, i, 5), db_time(&rows, i, 3), INSTANT_MAX};
        err = index_version_replace(&self->making, owner, &document, db_i64(&rows, i, 2), out_fault);
        if (!err && owner->company != company) err = put_run(self, owner);
        company = owner->company;
    }
    return err && !out_fault->err ? fault_set(out_fault, err, "tariff_version", "%.180s", db_error_text(self->making.conn)) : err;
}

// False: told why the value may not be published.
static bool may_publish(const index_request *request, const db_rows *published) {
    char text[DECIMAL_TEXT_MAX];
    for (size_t i = 0; i < published->len; i++) {
        bool is_provisional = db_bool(published, i, 0);
        if (is_provisional && !request->is_provisional) continue;
        decimal_format(db_i64(published, i, 1), MONEY_SCALE, 0, text);
        ctl_say("%s %s: the %s value is published already: %s", request->index, request->month_text,
                is_provisional ? "provisional" : "final", text);
        return false;
    }
    return true;
}

static err_t write(index_publishing *self, price_indices *indices, fault *out_fault) {
    const index_request *request = self->request;
    db *conn = self->making.conn;
    err_t err = db_exec(conn, &SQL_TARIFF_INDEX_PUT,
                        DB_PARAMS(DB_CSTR(request->index), DB_DATE(request->first_day), DB_BOOL(request->is_provisional),
                                  DB_I64(request->value_micro), DB_TIME(self->making.now)),
                        NULL);
    if (!err) err = load_tariffs(self);
    if (!err) err = tariff_indices_load(conn, indices);
    if (err) return fault_set(out_fault, err, "database", "%.180s", db_error_text(conn));
    self->making.indices = indices;
    if (!request->is_provisional) err = replace_versions(self, out_fault);
    for (size_t i = 0; i < self->tariff_count && !err; i++) err = make_versions(self, &self->tariffs[i], out_fault);
    return err;
}

static int publish(const index_request *request) {
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/tariff", &conn)) return CTL_NO;
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO(price_indices) indices = {0};
    penstock_clock clock = clock_system();
    index_publishing self = {.request = request, .memory = memory, .making = {.conn = conn, .zones = zones, .now = clock_now(&clock)}};
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) published = {0};
    err_t err = db_begin(conn, &tx);
    if (!err)
        err = db_query(conn, &SQL_TARIFF_INDEX_PUBLISHED, DB_PARAMS(DB_CSTR(request->index), DB_DATE(request->first_day)), &published);
    if (err) return ctl_db_fault(conn, "publishing the index", err);
    if (!may_publish(request, &published)) return CTL_NO;
    fault why = {0};
    err = write(&self, &indices, &why);
    if (err) {
        ctl_fault("publishing the index", &why);
        return CTL_NO;
    }
    err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "publishing the index", err);
    printf("%s %s %s: %lld versions\n", request->index, request->month_text, request->is_provisional ? "provisional" : "final",
           (long long)self.making.made);
    return CTL_OK;
}

// ---- list ----

static void print_value(const db_rows *rows, size_t row) {
    char value[DECIMAL_TEXT_MAX], at[INSTANT_TEXT_MAX], month[PRICE_INDEX_MONTH_TEXT_MAX];
    int32_t year, month_of_year, day;
    civil_from_days(db_date(rows, row, 1), &year, &month_of_year, &day);
    price_index_month_format(year * MONTHS_A_YEAR + month_of_year - 1, month);
    decimal_format(db_i64(rows, row, 2), MONEY_SCALE, 0, value);
    instant_format(db_time(rows, row, 4), 0, at);
    printf("%-24.*s  %s  %-12s  %-11s  published %s  versions %lld\n", SV_ARG(db_text(rows, row, 0)), month, value,
           db_bool(rows, row, 3) ? "provisional" : "final", at, (long long)db_i64(rows, row, 5));
}

int ctl_tariff_index_list(int argc, char **argv) {
    const char *index = NULL;
    const ctl_option options[] = {{"--index", "NAME", "only this one", &index, NULL}, {0}};
    const ctl_usage usage = {
        "tariff index list", NULL,
        "Lists the published values by index and month, and how many tariff versions were made of each. Times are UTC.", options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/tariff", &conn)) return CTL_NO;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_TARIFF_INDEX_LIST, DB_PARAMS(index ? DB_CSTR(index) : DB_NULL), &rows);
    if (err) return ctl_db_fault(conn, "listing price indices", err);
    for (size_t i = 0; i < rows.len; i++) print_value(&rows, i);
    return CTL_OK;
}
