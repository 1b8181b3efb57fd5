// penstockctl tariff assign: which tariff prices a property's usage points, or one of them, from an instant on.
#include <stdio.h>

#include "base/clock.h"
#include "ctl_sql.h"
#include "json/json_writer.h"
#include "tariff_index_store.h"

#define DETAIL_BYTES_MAX 4096

typedef struct assign_request {
    const char *company;
    const char *tariff;
    const char *property;
    const char *usage_point;
    const char *from;
    bool retroactive;
    uuid usage_point_id;
    instant_ms from_at;
} assign_request;

// A property, or a usage point of one.
typedef struct assign_target {
    int64_t property;
    int64_t usage_point;  // 0: the property's default
    sv property_code;
    sv utility;
    sv zone;
    sv currency;
    bool is_sold;
} assign_target;

typedef struct assigning {
    db *conn;
    arena *memory;
    zone_set *zones;
    price_indices indices;
    const assign_request *request;
    int32_t company;
    instant_ms now;
    tariff_known known;
    tariff_text text;  // of the newest version: all agree in utility, currency and zone
    assign_target target;
} assigning;

static int assign(const assign_request *request);

int ctl_tariff_assign(int argc, char **argv) {
    assign_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose tariff it is", &request.company, NULL},
                                  {"--tariff", "CODE", "the tariff", &request.tariff, NULL},
                                  {"--property", "CODE", "the default of this property, for the tariff's utility", &request.property, NULL},
                                  {"--usage-point", "ID", "or one usage point", &request.usage_point, NULL},
                                  {"--from", "T", "RFC 3339 time from which on it prices", &request.from, NULL},
                                  {"--retroactive", NULL, "allow a time in the past", NULL, &request.retroactive},
                                  {0}};
    const ctl_usage usage = {"tariff assign", NULL,
                             "Assigns a tariff and says what it replaces. What was charged already stays as it was charged.", options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    end = CTL_BAD_INPUT;
    if (!request.company || !request.tariff || !request.from || !request.property == !request.usage_point)
        ctl_say("tariff assign: --company, --tariff, --from and one of --property and --usage-point are needed");
    else if (!instant_parse(sv_of(request.from), &request.from_at))
        ctl_say("--from: '%s' is no RFC 3339 time with an offset", request.from);
    else if (request.usage_point && !uuid_parse(sv_of(request.usage_point), &request.usage_point_id))
        ctl_say("--usage-point: '%s' is no id", request.usage_point);
    else
        end = assign(&request);
    return end;
}

static err_t find_target(assigning *self) {
    AUTO(db_rows) row = {0};
    const assign_request *request = self->request;
    db_param what = DB_TEXT(self->known.utility);
    err_t err = request->property ? db_query_one(self->conn, &SQL_TARIFF_PROPERTY,
                                                 DB_PARAMS(DB_I32(self->company), DB_CSTR(request->property), what), &row)
                                  : db_query_one(self->conn, &SQL_TARIFF_USAGE_POINT,
                                                 DB_PARAMS(DB_I32(self->company), DB_UUID(request->usage_point_id), what), &row);
    if (err) return err;
    self->target = (assign_target){.property = db_i64(&row, 0, 0),
                                   .usage_point = db_i64(&row, 0, 1),
                                   .utility = arena_copy(self->memory, db_text(&row, 0, 2)),
                                   .property_code = arena_copy(self->memory, db_text(&row, 0, 3)),
                                   .zone = arena_copy(self->memory, db_text(&row, 0, 4)),
                                   .currency = arena_copy(self->memory, db_text(&row, 0, 5)),
                                   .is_sold = db_bool(&row, 0, 6)};
    return ERR_OK;
}

// Finds the tariff and what it is assigned to; tells what does not exist.
static int find(assigning *self) {
    const assign_request *request = self->request;
    err_t err = tariff_find(self->conn, self->company, sv_of(request->tariff), SV_NONE, self->memory, &self->known);
    if (!err) err = tariff_indices_load(self->conn, &self->indices);
    if (err) return ctl_db_fault(self->conn, "finding the tariff", err);
    if (self->known.num == 0) {
        ctl_say("--tariff: there is no tariff '%s'", request->tariff);
        return CTL_BAD_INPUT;
    }
    fault why = {0};
    if (tariff_text_read(self->known.document, TARIFF_FOR_CHARGING, self->zones, &self->indices, self->memory, &self->text, &why))
        return ctl_fault(request->tariff, &why);
    err = find_target(self);
    if (err && err != ERR_NOT_FOUND) return ctl_db_fault(self->conn, "finding what the tariff is for", err);
    if (!err) return CTL_OK;
    if (request->property)
        ctl_say("--property: there is no property '%s'", request->property);
    else
        ctl_say("--usage-point: there is no usage point '%s'", request->usage_point);
    return CTL_BAD_INPUT;
}

static bool is_refused(const assigning *self) {
    const assign_target *target = &self->target;
    const tariff_text *text = &self->text;
    const zone *in_zone = tariff_zone(tariff_document_tariff(text->document));
    if (!sv_equal(target->utility, self->known.utility))
        ctl_say("%s: the tariff is for %.*s, the usage point for %.*s", self->request->tariff, SV_ARG(self->known.utility),
                SV_ARG(target->utility));
    else if (!target->is_sold)
        ctl_say("%s: nobody sells %.*s in the property %.*s", self->request->tariff, SV_ARG(self->known.utility),
                SV_ARG(target->property_code));
    else if (!sv_equal(target->zone, text->zone))
        ctl_say("%s: the tariff's time zone is %.*s, the property's %.*s", self->request->tariff, SV_ARG(text->zone), SV_ARG(target->zone));
    else if (!sv_equal(target->currency, text->currency))
        ctl_say("%s: the tariff's currency is %.*s, the property's %.*s", self->request->tariff, SV_ARG(text->currency),
                SV_ARG(target->currency));
    else if (self->request->from_at < self->known.first_from)
        ctl_say("--from: lies before %s, where the tariff's first version takes effect",
                tariff_time(self->memory, in_zone, self->known.first_from));
    else if (self->request->from_at < self->now && !self->request->retroactive)
        ctl_say("--from: lies in the past; or give --retroactive");
    else
        return false;
    return true;
}

static err_t write_audit(const assigning *self, sv replaced) {
    AUTO(buf) detail;
    buf_init(&detail, DETAIL_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &detail);
    json_open_object(&out);
    json_put_text(&out, "tariff", sv_of(self->request->tariff));
    json_put_text(&out, "property", self->target.property_code);
    if (self->request->usage_point) json_put_text(&out, "usage_point", sv_of(self->request->usage_point));
    json_put_instant(&out, "from", self->request->from_at, 0);
    if (replaced.len) json_put_text(&out, "replaces", replaced);
    json_put_boolean(&out, "retroactive", self->request->retroactive);
    json_close_object(&out);
    if (buf_has_failed(&detail)) return ERR_TOO_LARGE;
    return db_exec(
        self->conn, &SQL_TARIFF_AUDIT,
        DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_CSTR("tariff_assign"), DB_UUID(self->known.id), DB_TEXT(buf_view(&detail))),
        NULL);
}

// Writes the assignment; *out_replaced says in words what it takes the place of.
static err_t write(const assigning *self, const char **out_replaced) {
    const assign_target *target = &self->target;
    db_param point = target->usage_point ? DB_I64(target->usage_point) : DB_NULL;
    db_param what = DB_TEXT(self->known.utility), from = DB_TIME(self->request->from_at);
    AUTO(db_rows) old = {0};
    err_t err =
        db_query(self->conn, &SQL_TARIFF_ASSIGNED_AT, DB_PARAMS(DB_I32(self->company), DB_I64(target->property), point, what, from), &old);
    if (err) return err;
    *out_replaced = "nothing";
    sv replaced = SV_NONE;
    if (old.len > 0) {
        replaced = db_text(&old, 0, 1);
        bool is_default = target->usage_point && !db_bool(&old, 0, 3);
        const zone *in_zone = tariff_zone(tariff_document_tariff(self->text.document));
        *out_replaced = arena_printf(self->memory, "%.*s%s, assigned from %s on", SV_ARG(replaced),
                                     is_default ? ", the property's default" : "", tariff_time(self->memory, in_zone, db_time(&old, 0, 2)));
    }
    err = db_exec(
        self->conn, &SQL_TARIFF_ASSIGN,
        DB_PARAMS(DB_I32(self->company), DB_I64(target->property), point, what, DB_I64(self->known.num), from, DB_TIME(self->now)), NULL);
    return err ? err : write_audit(self, replaced);
}

static void assigning_auto(assigning *self) {
    tariff_text_done(&self->text);
    price_indices_done(&self->indices);
}

static int assign(const assign_request *request) {
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/tariff", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    AUTO(assigning) self = {.conn = conn, .memory = memory, .zones = zones, .request = request};
    err_t err = db_begin(conn, &tx);
    if (err) return ctl_db_fault(conn, "assigning the tariff", err);
    int end = tariff_company(conn, request->company, true, &self.company);
    penstock_clock clock = clock_system();
    self.now = clock_now(&clock);
    if (end == CTL_OK) end = find(&self);
    if (end != CTL_OK) return end;
    if (is_refused(&self)) return CTL_NO;
    const char *replaced = NULL;
    err = write(&self, &replaced);
    if (!err) err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "assigning the tariff", err);
    printf("%s prices %s %s from %s on\nreplaces %s\n", request->tariff, request->property ? "the property" : "the usage point",
           request->property ? request->property : request->usage_point,
           tariff_time(memory, tariff_zone(tariff_document_tariff(self.text.document)), request->from_at), replaced);
    return CTL_OK;
}
