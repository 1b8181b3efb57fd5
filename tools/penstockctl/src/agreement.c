// penstockctl agreement heads, agreement capacity: terms of a contract that tariffs ask for, from an instant to come. What
// was charged already was charged with the terms that held; therefore nothing is changed for the past.
#include <stdio.h>

#include "base/clock.h"
#include "ctl_sql.h"
#include "json/json_writer.h"
#include "money/decimal.h"
#include "tariff_store.h"

#define DETAIL_BYTES_MAX 1024
#define CAPACITY_SCALE 3

typedef struct term_request {
    const char *company, *property, *number, *usage_point, *from_text, *value_text;
    uuid usage_point_id;
    instant_ms from;
    long long heads;
    int64_t capacity_va;
} term_request;

typedef struct term_change {
    db *conn;
    arena *memory;
    zone_set *zones;
    const term_request *request;
    int32_t company;
    instant_ms now;
} term_change;

typedef int change_run(term_change *self);
static int change(const term_request *request, change_run *run);
static int heads_run(term_change *self);
static int capacity_run(term_change *self);

static bool from_read(term_request *self) {
    if (instant_parse(sv_of(self->from_text), &self->from)) return true;
    ctl_say("--from: '%s' is no RFC 3339 time with an offset", self->from_text);
    return false;
}

int ctl_agreement_heads(int argc, char **argv) {
    term_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose agreement it is", &request.company, NULL},
                                  {"--property", "CODE", "the property", &request.property, NULL},
                                  {"--number", "N", "the agreement's number", &request.number, NULL},
                                  {"--heads", "N", "how many persons, 1 to 1000", &request.value_text, NULL},
                                  {"--from", "T", "RFC 3339 time to come", &request.from_text, NULL},
                                  {0}};
    const ctl_usage usage = {"agreement heads", NULL,
                             "Says how many persons an agreement counts from an instant on. Tier edges per head take the number of a\n"
                             "window's first instant: the change takes effect with the next window.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!request.company || !request.property || !request.number || !request.value_text || !request.from_text) {
        ctl_say("agreement heads: --company, --property, --number, --heads and --from are needed");
        return CTL_BAD_INPUT;
    }
    bool is_read = ctl_option_number("--heads", request.value_text, 1, 1000, &request.heads) && from_read(&request);
    return is_read ? change(&request, heads_run) : CTL_BAD_INPUT;
}

int ctl_agreement_capacity(int argc, char **argv) {
    term_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose usage point it is", &request.company, NULL},
                                  {"--usage-point", "ID", "the usage point", &request.usage_point, NULL},
                                  {"--kva", "V", "contracted capacity in kVA", &request.value_text, NULL},
                                  {"--from", "T", "RFC 3339 time to come", &request.from_text, NULL},
                                  {0}};
    const ctl_usage usage = {"agreement capacity", NULL,
                             "Says which capacity is contracted for a usage point from an instant on, with the account that holds it\n"
                             "then. A window is settled with the capacity that holds at its end.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    end = CTL_BAD_INPUT;
    if (!request.company || !request.usage_point || !request.value_text || !request.from_text)
        ctl_say("agreement capacity: --company, --usage-point, --kva and --from are needed");
    else if (!uuid_parse(sv_of(request.usage_point), &request.usage_point_id))
        ctl_say("--usage-point: '%s' is no id", request.usage_point);
    else if (decimal_parse(sv_of(request.value_text), CAPACITY_SCALE, &request.capacity_va) != DECIMAL_OK || request.capacity_va <= 0)
        ctl_say("--kva: '%s' is no capacity", request.value_text);
    else if (from_read(&request))
        end = change(&request, capacity_run);
    return end;
}

static err_t write_audit(const term_change *self, const char *action, const char *subject_kind, uuid subject, const char *what) {
    AUTO(buf) detail;
    buf_init(&detail, DETAIL_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &detail);
    json_open_object(&out);
    json_put_text(&out, what, sv_of(self->request->value_text));
    json_put_instant(&out, "from", self->request->from, 0);
    json_close_object(&out);
    if (buf_has_failed(&detail)) return ERR_TOO_LARGE;
    return db_exec(self->conn, &SQL_AGREEMENT_AUDIT,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_CSTR(action), DB_CSTR(subject_kind), DB_UUID(subject),
                             DB_TEXT(buf_view(&detail))),
                   NULL);
}

static const char *local_from(const term_change *self, sv zone_name) {
    const zone *local = NULL;
    fault why = {0};
    if (zone_set_find(self->zones, zone_name, &local, &why)) return self->request->from_text;
    return tariff_time(self->memory, local, self->request->from);
}

static int heads_run(term_change *self) {
    const term_request *request = self->request;
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(self->conn, &SQL_AGREEMENT_FIND,
                             DB_PARAMS(DB_I32(self->company), DB_CSTR(request->property), DB_CSTR(request->number)), &row);
    if (err == ERR_NOT_FOUND) {
        ctl_say("--number: there is no agreement '%s' in the property '%s'", request->number, request->property);
        return CTL_BAD_INPUT;
    }
    if (!err)
        err = db_exec(self->conn, &SQL_AGREEMENT_HEADS_PUT,
                      DB_PARAMS(DB_I32(self->company), DB_I64(db_i64(&row, 0, 0)), DB_TIME(request->from), DB_I16((int16_t)request->heads)),
                      NULL);
    if (!err) err = write_audit(self, "agreement_heads", "agreement", db_uuid(&row, 0, 1), "heads");
    if (err) return ctl_db_fault(self->conn, "changing the heads", err);
    printf("agreement %s counts %lld heads from %s on\n", request->number, request->heads, local_from(self, db_text(&row, 0, 3)));
    return CTL_OK;
}

// A change inside a holding ends its row and goes on in another with the same account.
static int capacity_run(term_change *self) {
    const term_request *request = self->request;
    AUTO(db_rows) row = {0};
    db_param company = DB_I32(self->company), from = DB_TIME(request->from), capacity = DB_I64(request->capacity_va);
    err_t err = db_query_one(self->conn, &SQL_HOLDING_FIND, DB_PARAMS(company, DB_UUID(request->usage_point_id), from), &row);
    if (err == ERR_NOT_FOUND) {
        ctl_say("--usage-point: nobody holds '%s' at that time", request->usage_point);
        return CTL_BAD_INPUT;
    }
    if (err) return ctl_db_fault(self->conn, "finding the holder", err);
    db_param num = DB_I64(db_i64(&row, 0, 0));
    if (db_time(&row, 0, 4) == request->from) {
        err = db_exec(self->conn, &SQL_HOLDING_CAPACITY, DB_PARAMS(company, num, capacity), NULL);
    } else {
        db_param to = db_is_null(&row, 0, 5) ? DB_NULL : DB_TIME(db_time(&row, 0, 5));
        err = db_exec(self->conn, &SQL_HOLDING_END, DB_PARAMS(company, num, from), NULL);
        if (!err)
            err = db_exec(
                self->conn, &SQL_HOLDING_GO_ON,
                DB_PARAMS(company, DB_I64(db_i64(&row, 0, 1)), DB_I64(db_i64(&row, 0, 2)), DB_I64(db_i64(&row, 0, 3)), from, to, capacity),
                NULL);
    }
    if (!err) err = write_audit(self, "contracted_capacity", "usage_point", request->usage_point_id, "kva");
    if (err) return ctl_db_fault(self->conn, "changing the capacity", err);
    printf("%s kVA are contracted from %s on\n", request->value_text, local_from(self, db_text(&row, 0, 7)));
    return CTL_OK;
}

static int change(const term_request *request, change_run *run) {
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/agreement", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    penstock_clock clock = clock_system();
    term_change self = {.conn = conn, .memory = memory, .zones = zones, .request = request, .now = clock_now(&clock)};
    if (request->from <= self.now) {
        ctl_say("--from: must lie in the future: what was charged keeps the terms it was charged with");
        return CTL_NO;
    }
    err_t err = db_begin(conn, &tx);
    if (err) return ctl_db_fault(conn, "changing the terms", err);
    int end = tariff_company(conn, request->company, true, &self.company);
    if (end == CTL_OK) end = run(&self);
    if (end != CTL_OK) return end;
    err = db_commit(&tx);
    return err ? ctl_db_fault(conn, "changing the terms", err) : CTL_OK;
}
