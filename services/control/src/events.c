// Events say where to look; what is decided comes from the database as it is now. So one that comes late, twice, or in
// the wrong order decides nothing that is not true.
#include "events.h"

#include "consider.h"
#include "contracts/events.h"
#include "control_sql.h"
#include "json/json.h"
#include "requests.h"
#include "results.h"

#define EVENT_BYTES_MAX 8192
#define EVENT_DEPTH_MAX 3
#define WELL_BELOW_LEVEL 2  // better than the second alarm: whatever was warned of before is over

typedef struct payload {
    json_doc *doc;
    json_reader reader;
    json_node root;
} payload;

static err_t payload_open(payload *self, const service_event *event, fault *out_fault) {
    *self = (payload){0};
    json_reader_init(&self->reader);
    err_t err = json_parse(event->payload, (json_limits){EVENT_BYTES_MAX, EVENT_DEPTH_MAX}, &self->doc, out_fault);
    if (!err) self->root = json_root(self->doc);
    return err;
}

static void payload_auto(payload *self) { json_doc_free(self->doc); }

static int64_t num_of(payload *self, const char *key) {
    json_node node = json_member(&self->reader, &self->root, key);
    return json_read_integer(&self->reader, &node, 0, INT64_MAX);
}

static sv text_of(payload *self, const char *key) {
    json_node node = json_member(&self->reader, &self->root, key);
    return json_read_text_bounded(&self->reader, &node, 500);
}

static sv optional_text(payload *self, const char *key) {
    json_node node = json_optional(&self->reader, &self->root, key);
    return json_is_present(&node) ? json_read_text(&self->reader, &node) : SV_NONE;
}

static instant_ms time_of(payload *self, const char *key) {
    json_node node = json_member(&self->reader, &self->root, key);
    return json_read_instant(&self->reader, &node);
}

static instant_ms optional_time(payload *self, const char *key) {
    json_node node = json_optional(&self->reader, &self->root, key);
    return json_is_present(&node) ? json_read_instant(&self->reader, &node) : 0;
}

static err_t database_fault(db *conn, err_t err, fault *out_fault) {
    return err ? fault_set(out_fault, err, "database", "%.180s", db_error_text(conn)) : ERR_OK;
}

// ---- wishes ----

err_t events_request(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)memory;
    control_app *app = service_state(svc);
    event_type type;
    if (!event_parse(event->type, &type) || type != EVENT_SWITCH_REQUESTED)
        return fault_set(out_fault, ERR_BAD_INPUT, "type", "not a request to control");
    AUTO(payload) in;
    err_t err = payload_open(&in, event, out_fault);
    if (err) return err;
    uuid id = {0};
    if (!uuid_parse(text_of(&in, "request"), &id)) json_refuse(&in.reader, &in.root, "request is no uuid");
    int64_t point = num_of(&in, "usage_point");
    sv action = text_of(&in, "action"), by = text_of(&in, "requested_by"), reason = text_of(&in, "reason");
    sv approved_by = optional_text(&in, "approved_by");
    instant_ms until = optional_time(&in, "until");
    err = json_reader_fault(&in.reader, out_fault);
    if (err) return err;
    AUTO(db_rows) row = {0};
    err = db_set_company(conn, event->company);
    if (!err)
        err = db_query_one(conn, &SQL_REQUEST_SUBMIT,
                           DB_PARAMS(DB_I32(event->company), DB_UUID(id), DB_I64(point), DB_TEXT(action), DB_TEXT(by), DB_TEXT(reason),
                                     until ? DB_TIME(until) : DB_NULL, DB_TIME(service_now(svc))),
                           &row);
    if (!err && approved_by.ptr)
        err = db_exec(conn, &SQL_REQUEST_APPROVE, DB_PARAMS(DB_I32(event->company), DB_UUID(id), DB_TEXT(approved_by)), NULL);
    bool found = false;
    if (!err) err = requests_run_one(app, conn, &id, &found);
    if (err && err_retry_class(err) == ERR_RETRY_NO) metric_add(app->bad_requests, 1);
    return database_fault(conn, err, out_fault);
}

// ---- balances ----

static err_t look_at_purse(control_app *app, db *conn, const service_event *event, int64_t account, int64_t purse) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_POINTS_OF_PURSE,
                         DB_PARAMS(DB_I32(event->company), DB_I64(account), DB_I64(purse), DB_TIME(service_now(app->svc))), &rows);
    for (size_t i = 0; !err && i < rows.len; i++) err = consider_point(app, conn, event->company, db_i64(&rows, i, 0));
    return err;
}

err_t events_balance(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)memory;
    event_type type;
    if (!event_parse(event->type, &type)) return fault_set(out_fault, ERR_BAD_INPUT, "type", "not an event of balances");
    if (type != EVENT_LEVEL_CHANGED && type != EVENT_BALANCE_CHANGED) return ERR_OK;
    AUTO(payload) in;
    err_t err = payload_open(&in, event, out_fault);
    if (err) return err;
    int64_t purse = num_of(&in, "purse"), account = num_of(&in, "account"), level = num_of(&in, "level");
    err = json_reader_fault(&in.reader, out_fault);
    if (err) return err;
    err = db_set_company(conn, event->company);
    if (!err && level < WELL_BELOW_LEVEL)
        err = db_exec(conn, &SQL_PURSE_WELL, DB_PARAMS(DB_I32(event->company), DB_I64(purse), DB_TIME(event->at)), NULL);
    if (!err) err = look_at_purse(service_state(svc), conn, event, account, purse);
    return database_fault(conn, err, out_fault);
}

// ---- devices ----

static err_t point_of(db *conn, int32_t company, int64_t channel, instant_ms at, int64_t *out_point) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_POINT_OF_CHANNEL, DB_PARAMS(DB_I32(company), DB_I64(channel), DB_TIME(at)), &row);
    if (!err) *out_point = db_i64(&row, 0, 0);
    return err;
}

// The keeper looks at the points: there may be hundreds behind a gateway.
static err_t take_reconnect(db *conn, const service_event *event, payload *in, instant_ms now, fault *out_fault) {
    json_node gateway = json_member(&in->reader, &in->root, "gateway");
    json_node meter = json_optional(&in->reader, &in->root, "meter");
    bool is_meter = json_is_present(&meter);
    int64_t gateway_num = json_read_integer(&in->reader, &gateway, 1, INT64_MAX);
    int64_t meter_num = is_meter ? json_read_integer(&in->reader, &meter, 1, INT64_MAX) : 0;
    err_t err = json_reader_fault(&in->reader, out_fault);
    if (err) return err;
    const db_param which[] = {DB_I32(event->company), is_meter ? DB_NULL : DB_I64(gateway_num), is_meter ? DB_I64(meter_num) : DB_NULL,
                              DB_TIME(now)};
    const db_params params = {which, ARRAY_LEN(which)};
    err = db_exec(conn, &SQL_POINTS_RECONNECTED, params, NULL);
    if (!err) err = db_exec(conn, &SQL_PARAMETERS_RECONNECTED, params, NULL);
    return database_fault(conn, err, out_fault);
}

static err_t take_observed(control_app *app, db *conn, const service_event *event, payload *in, fault *out_fault) {
    int64_t channel = num_of(in, "channel"), point = 0;
    switching_state state = switching_state_of(text_of(in, "state"));
    instant_ms at = time_of(in, "at");
    err_t err = json_reader_fault(&in->reader, out_fault);
    if (!err) err = database_fault(conn, point_of(conn, event->company, channel, service_now(app->svc), &point), out_fault);
    if (err || point == 0 || state == SWITCHING_STATE_UNKNOWN) return err;
    // From the future: it would outlive every later look.
    if (at > service_now(app->svc) + SWITCHING_FUTURE_MS) return fault_set(out_fault, ERR_BAD_INPUT, "/at", "lies in the future");
    subject it;
    err = subject_load(&it, app, conn, event->company, point);
    if (!err) err = results_look(&it, state, at);
    if (!err) err = consider_point(app, conn, event->company, point);
    return database_fault(conn, err, out_fault);
}

static err_t take_alarm(control_app *app, db *conn, const service_event *event, payload *in, fault *out_fault) {
    int64_t channel = num_of(in, "channel"), meter = num_of(in, "meter"), point = 0;
    sv kind = text_of(in, "kind");
    json_node value = json_optional(&in->reader, &in->root, "value");
    bool has_value = json_is_present(&value);
    int64_t number = has_value ? json_read_integer(&in->reader, &value, INT64_MIN, INT64_MAX) : 0;
    instant_ms at = time_of(in, "at"), now = service_now(app->svc);
    err_t err = json_reader_fault(&in->reader, out_fault);
    if (err) return err;
    err = point_of(conn, event->company, channel, now, &point);
    if (!err)
        err = db_exec(conn, &SQL_ALARM_INSERT,
                      DB_PARAMS(DB_I32(event->company), DB_UUID(event->id), point ? DB_I64(point) : DB_NULL, DB_I64(channel), DB_I64(meter),
                                DB_TEXT(kind), has_value ? DB_I64(number) : DB_NULL, DB_TIME(at)),
                      NULL);
    if (!err && point && sv_equal(kind, SV("parameter_mismatch")))
        err = db_exec(conn, &SQL_PARAMETER_MISMATCH, DB_PARAMS(DB_I32(event->company), DB_I64(point), DB_TIME(now + HOUR_MS)), NULL);
    return database_fault(conn, err, out_fault);
}

err_t events_device(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)memory;
    control_app *app = service_state(svc);
    event_type type;
    if (!event_parse(event->type, &type)) return fault_set(out_fault, ERR_BAD_INPUT, "type", "not an event of devices");
    bool is_reconnect = type == EVENT_GATEWAY_BACK || type == EVENT_METER_BACK;
    if (!is_reconnect && type != EVENT_SUPPLY_OBSERVED && type != EVENT_DEVICE_ALARM) return ERR_OK;
    AUTO(payload) in;
    err_t err = payload_open(&in, event, out_fault);
    if (err) return err;
    err = database_fault(conn, db_set_company(conn, event->company), out_fault);
    if (err) return err;
    if (is_reconnect) return take_reconnect(conn, event, &in, service_now(svc), out_fault);
    return type == EVENT_SUPPLY_OBSERVED ? take_observed(app, conn, event, &in, out_fault) : take_alarm(app, conn, event, &in, out_fault);
}

// ---- results ----

err_t events_result(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)memory;
    event_type type;
    if (!event_parse(event->type, &type)) return fault_set(out_fault, ERR_BAD_INPUT, "type", "not a result");
    if (type != EVENT_COMMAND_FINISHED) return ERR_OK;
    AUTO(payload) in;
    err_t err = payload_open(&in, event, out_fault);
    if (err) return err;
    result what = {.company = event->company};
    if (!uuid_parse(text_of(&in, "command"), &what.command)) json_refuse(&in.reader, &in.root, "command is no uuid");
    sv outcome = text_of(&in, "outcome");
    if (!result_outcome_parse(outcome, &what.outcome)) json_refuse(&in.reader, &in.root, "unknown outcome %.*s", SV_ARG(outcome));
    sv reason = optional_text(&in, "reason");
    sv_copy_truncated(reason, what.reason, sizeof what.reason);
    what.seen = switching_state_of(optional_text(&in, "state"));
    what.at = time_of(&in, "at");
    err = json_reader_fault(&in.reader, out_fault);
    if (!err) err = database_fault(conn, db_set_company(conn, event->company), out_fault);
    if (err) return err;
    err = results_take(service_state(svc), conn, &what);
    if (err == ERR_NOT_FOUND) return fault_set(out_fault, ERR_NOT_FOUND, "command", "no such command was issued");
    return database_fault(conn, err, out_fault);
}
