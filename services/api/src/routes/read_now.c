// "Read this meter now", and what became of it.
#include "api_sql.h"
#include "contracts/events.h"
#include "idempotency.h"
#include "json/json.h"
#include "read_results.h"
#include "session.h"
#include "write.h"

#define REQUESTS_PER_MINUTE 120
#define EXPIRY_MS (5 * MINUTE_MS)  // ingest answers each command long before

typedef struct channel_row {
    int64_t usage_point, channel, meter, gateway;
    bool can_be_asked;
} channel_row;

static err_t find_channel(api_call *call, channel_row *out, fault *out_fault) {
    uuid id;
    AUTO(db_rows) rows = {0};
    *out = (channel_row){0};
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err) err = db_query_one(call->conn, &SQL_READ_NOW_CHANNEL, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &rows);
    if (err) return err;
    *out = (channel_row){.usage_point = db_i64(&rows, 0, 0),
                         .channel = db_i64(&rows, 0, 2),
                         .meter = db_i64(&rows, 0, 3),
                         .gateway = db_i64(&rows, 0, 4),
                         .can_be_asked = sv_equal(db_text(&rows, 0, 5), SV("dtu_tcp"))};
    return ERR_OK;
}

static err_t check_reach(api_call *call, const channel_row *where, fault *out_fault) {
    if (where->gateway == 0) return fault_set(out_fault, ERR_CONFLICT, "", "no meter measures this usage point now");
    if (where->can_be_asked) return ERR_OK;
    return api_call_refuse(call, PROBLEM_NO_DOWNLINK, out_fault, "", "the gateway only pushes and cannot be asked");
}

// Bus time is scarce: a company may not fill it with requests.
static err_t check_rate(api_call *call, fault *out_fault) {
    AUTO(db_rows) lately = {0};
    err_t err = db_query_one(call->conn, &SQL_READ_REQUESTS_LATELY, DB_PARAMS(DB_TIME(call->now - MINUTE_MS)), &lately);
    if (err || db_i64(&lately, 0, 0) < REQUESTS_PER_MINUTE) return err;
    call->retry_after_s = 60;
    return api_call_refuse(call, PROBLEM_TOO_MANY, out_fault, "", "the company has asked for many readings in the last minute");
}

static err_t write_request(api_call *call, const channel_row *where, uuid id) {
    const char *payload =
        arena_printf(call->memory, "{\"gateway\":%lld,\"meter\":%lld,\"channel\":%lld,\"requested_by\":\"operator:%lld\"}",
                     (long long)where->gateway, (long long)where->meter, (long long)where->channel, (long long)call->operator_num);
    err_t err = db_exec(
        call->conn, &SQL_READ_REQUEST_ADD,
        DB_PARAMS(DB_UUID(id), DB_I64(where->usage_point), DB_I64(where->channel), DB_I64(call->operator_num), DB_TIME(call->now)), NULL);
    if (!err)
        err = db_exec(call->conn, &SQL_OUTBOX_ADD,
                      DB_PARAMS(DB_UUID(id), DB_CSTR(stream_name(STREAM_READ_REQUESTS)), DB_CSTR(event_text(EVENT_READ_REQUESTED)),
                                DB_I64(where->channel), DB_I64(call->now), DB_CSTR(payload), DB_TIME(call->now)),
                      NULL);
    return err;
}

static err_t write_state(api_call *call, uuid id, fault *out_fault);

// The id stands in the stored answer; it names the address of the request's progress.
static void add_location(api_call *call, sv body) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    if (json_parse(body, JSON_LIMITS_DOCUMENT, &doc, NULL) != ERR_OK) return;
    json_node root = json_root(doc);
    json_node id = json_member(&reader, &root, "id");
    sv text = json_read_text(&reader, &id);
    if (!json_reader_failed(&reader))
        httpd_response_header(call->response, "Location", sv_of(arena_printf(call->memory, "/api/v1/read-requests/%.*s", SV_ARG(text))));
}

err_t read_now(api_call *call, fault *out_fault) {
    channel_row where;
    idempotency_earlier earlier;
    err_t err = find_channel(call, &where, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err) return err;
    if (earlier.is_there) {
        add_location(call, earlier.body);
        return ERR_OK;
    }
    uuid id = uuid_v7_now();
    err = check_reach(call, &where, out_fault);
    if (!err) err = check_rate(call, out_fault);
    if (!err) err = write_request(call, &where, id);
    if (!err) err = write_state(call, id, out_fault);
    if (!err) err = idempotency_end(call, 202);
    if (err) return err;
    add_location(call, buf_view(httpd_response_body(call->response)));
    call->rings_relay = true;
    return ERR_OK;
}

err_t get_read_request(api_call *call, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    return err ? err : write_state(call, id, out_fault);
}

static err_t write_state(api_call *call, uuid id, fault *out_fault) {
    AUTO(db_rows) row = {0};
    const zone *where = NULL;
    err_t err = db_query_one(call->conn, &SQL_READ_REQUEST_BY_ID, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &row);
    if (!err) err = zone_set_find(call->zones, db_text(&row, 0, 6), &where, out_fault);
    if (err) return err;
    sv state = db_text(&row, 0, 0);
    bool is_expired = sv_equal(state, SV("queued")) && call->now - db_time(&row, 0, 1) > EXPIRY_MS;
    bool is_done = sv_equal(state, SV("done"));
    char id_text[UUID_TEXT_LEN + 1];
    uuid_format(id, id_text);
    json_writer *out = &call->out;
    json_open_object(out);
    json_put_text(out, "id", sv_of(id_text));
    put_uuid(out, "usage_point", &row, 0, 4);
    json_put_text(out, "state", is_expired ? SV("failed") : state);
    put_local_instant(out, "requested_at", where, db_time(&row, 0, 1));
    if (is_expired)
        put_local_instant(out, "finished_at", where, db_time(&row, 0, 1) + EXPIRY_MS);
    else
        put_local_instant_or_null(out, "finished_at", where, &row, 0, 2);
    if (is_done)
        put_reading_or_null(out, "reading", where, db_text(&row, 0, 5), &row, 0, 7, 8);
    else
        json_put_null(out, "reading");
    if (is_expired)
        json_put_text(out, "reason", SV("expired"));
    else if (db_is_null(&row, 0, 3))
        json_put_null(out, "reason");
    else
        json_put_text(out, "reason", db_text(&row, 0, 3));
    json_close_object(out);
    return ERR_OK;
}

// Ingest's reasons in the contract's words.
static sv reason_of(sv ingest_reason) {
    static const char *const SAME[] = {"gateway_offline", "meter_silent", "bad_answer", "no_downlink"};
    for (size_t i = 0; i < ARRAY_LEN(SAME); i++)
        if (sv_equal(ingest_reason, sv_of(SAME[i]))) return sv_of(SAME[i]);
    if (sv_equal(ingest_reason, SV("too_late"))) return SV("expired");
    return sv_equal(ingest_reason, SV("unknown_meter")) ? SV("gateway_offline") : SV("meter_silent");
}

err_t read_results_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)svc;
    (void)memory;
    event_type type;
    bool is_ours = event_parse(event->type, &type) && (type == EVENT_READ_DONE || type == EVENT_READ_FAILED);
    if (!is_ours) return ERR_OK;  // of another command
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(event->payload, (json_limits){4096, 4}, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_node command = json_member(&reader, &root, "command");
    json_node reason = json_optional(&reader, &root, "reason");
    uuid id;
    bool is_id = uuid_parse(json_read_text(&reader, &command), &id);
    sv why = type == EVENT_READ_FAILED ? json_read_text(&reader, &reason) : SV_NONE;
    err = json_reader_fault(&reader, out_fault);
    if (err) return err;
    if (!is_id) return fault_set(out_fault, ERR_BAD_INPUT, "/command", "it is no id");
    bool is_done = type == EVENT_READ_DONE;
    return db_exec(conn, &SQL_READ_REQUEST_FINISH,
                   DB_PARAMS(DB_I32(event->company), DB_UUID(id), DB_CSTR(is_done ? "done" : "failed"), DB_TIME(event->at),
                             is_done ? DB_NULL : DB_TEXT(reason_of(why))),
                   NULL);
}
