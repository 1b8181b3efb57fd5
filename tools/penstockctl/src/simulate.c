// penstockctl simulate: what the accounts of a property would have paid under another tariff.
#include <stdio.h>

#include "base/clock.h"
#include "command.h"
#include "ctl_sql.h"
#include "database.h"
#include "documents/tariff_document.h"
#include "file.h"
#include "simulation/simulation.h"

#define OUT_MAX (256UL << 20)
#define MEMORY_MAX (4UL << 20)

typedef void answer_writer(const simulated *answer, buf *out);

typedef struct simulate_request {
    const char *tariff_file, *property, *company, *from_text, *to_text, *format;
    instant_ms from, to;
    answer_writer *write;
} simulate_request;

static int simulate(const simulate_request *request);

static bool instant_read(const char *option, const char *text, instant_ms *out_at) {
    if (instant_parse(sv_of(text), out_at)) return true;
    ctl_say("%s: '%s' is no RFC 3339 time", option, text);
    return false;
}

static bool request_check(simulate_request *request) {
    static const struct {
        const char *name;
        answer_writer *write;
    } FORMATS[] = {{"table", simulation_write_table}, {"csv", simulation_write_csv}, {"json", simulation_write_json}};
    if (!request->tariff_file || !request->property || !request->from_text || !request->to_text) {
        ctl_say("simulate: --tariff, --property, --from and --to are needed");
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++)
        if (sv_equal(sv_of(request->format), sv_of(FORMATS[i].name))) request->write = FORMATS[i].write;
    if (!request->write) {
        ctl_say("--format: '%s' is none of table, csv and json", request->format);
        return false;
    }
    if (!instant_read("--from", request->from_text, &request->from) || !instant_read("--to", request->to_text, &request->to)) return false;
    if (request->from < request->to) return true;
    ctl_say("--to: must lie behind --from");
    return false;
}

int ctl_simulate(int argc, char **argv) {
    simulate_request request = {.format = "table"};
    const ctl_option options[] = {{"--tariff", "T.json", "the tariff document to try", &request.tariff_file, NULL},
                                  {"--property", "P", "id or code of the property", &request.property, NULL},
                                  {"--company", "CODE", "whose property, where several have the code", &request.company, NULL},
                                  {"--from", "T", "RFC 3339 time; from it on the tariff is tried", &request.from_text, NULL},
                                  {"--to", "T", "RFC 3339 time, not included", &request.to_text, NULL},
                                  {"--format", "FORMAT", "table (default), csv or json", &request.format, NULL},
                                  {0}};
    const ctl_usage usage = {"simulate", NULL,
                             "Charges the stored usage of a property's points again, as it is and under another tariff, and says what\n"
                             "each account pays now and would pay then. The tariff is tried from --from on, whatever its effective_from;\n"
                             "tier positions continue. Writes nothing. Exit 2: a file or the command line breaks a rule.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    return request_check(&request) ? simulate(&request) : CTL_BAD_INPUT;
}

static int company_find(db *conn, const char *code, int32_t *out_company) {
    if (!code) return CTL_OK;
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

static int answer_print(const simulate_request *request, const simulated *answer) {
    AUTO(buf) out;
    buf_init(&out, OUT_MAX);
    request->write(answer, &out);
    if (buf_has_failed(&out)) {
        ctl_say("simulate: the answer is too long");
        return CTL_NO;
    }
    if (fwrite(out.ptr, 1, out.len, stdout) == out.len) return CTL_OK;
    ctl_say("simulate: the answer could not be written");
    return CTL_NO;
}

static int simulate(const simulate_request *request) {
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    sv document;
    if (!ctl_file_read(request->tariff_file, TARIFF_DOCUMENT_BYTES_MAX, memory, &document)) return CTL_BAD_INPUT;
    db_options how;
    if (!ctl_db_options("penstockctl/simulate", &how)) return CTL_NO;
    how.statement_timeout_ms = 0;
    how.idle_in_transaction_timeout_ms = 0;
    AUTO_DB conn = NULL;
    if (!ctl_db_open_with(&how, &conn)) return CTL_NO;
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_SIMULATION what = simulation_new(zones);
    AUTO(db_tx) tx = {0};
    fault why = {0};
    err_t err = db_begin_repeatable(conn, &tx);
    if (err) return ctl_db_fault(conn, "reading the property", err);
    int32_t company = 0;
    int end = company_find(conn, request->company, &company);
    if (end != CTL_OK) return end;
    err = simulation_find(what, conn, company, sv_of(request->property), &why);
    if (err == ERR_NOT_FOUND || err == ERR_CONFLICT) {
        ctl_say("--property: %s", why.reason[0] ? why.reason : err_text(err));
        return CTL_BAD_INPUT;
    }
    if (err) return why.err ? ctl_fault("--property", &why) : ctl_db_fault(conn, "reading the property", err);
    err = simulation_try(what, conn, document, &why);
    if (err) return why.err ? ctl_fault(request->tariff_file, &why) : ctl_db_fault(conn, "reading the calendar", err);
    penstock_clock clock = clock_system();
    err = simulation_run(what, conn, request->from, request->to, clock_now(&clock), &why);
    if (err) return why.err ? ctl_fault("simulate", &why) : ctl_db_fault(conn, "simulating", err);
    return answer_print(request, simulation_answer(what));
}
