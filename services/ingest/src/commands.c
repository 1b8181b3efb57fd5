#include "commands.h"

#include "contacts.h"
#include "contracts/events.h"
#include "ingest.h"
#include "ingest_sql.h"
#include "json/json.h"
#include "links/link.h"

#define COMMAND_BYTES_MAX 4096
#define COMMAND_AGE_MS (30 * SECOND_MS)  // older: who asked has given up

static err_t answer_failed(ingest *app, db *conn, const read_request *request, const char *reason, arena *memory) {
    char command[UUID_TEXT_LEN + 1];
    uuid_format(request->command, command);
    const char *payload = arena_printf(memory, "{\"command\":\"%s\",\"meter\":%lld,\"channel\":%lld,\"reason\":\"%s\"}", command,
                                       (long long)request->meter, (long long)request->channel, reason);
    service_ring_relay(app->svc);
    return ingest_event_write(app, conn,
                              &(ingest_event){request->company, EVENT_READ_FAILED, request->meter, 0, request->meter, sv_of(payload)});
}

static err_t parse_request(const service_event *event, read_request *out, fault *out_fault) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(event->payload, (json_limits){COMMAND_BYTES_MAX, 2}, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_node gateway = json_member(&reader, &root, "gateway");
    json_node meter = json_member(&reader, &root, "meter");
    json_node channel = json_member(&reader, &root, "channel");
    *out = (read_request){.command = event->id,
                          .company = event->company,
                          .gateway = json_read_integer(&reader, &gateway, 1, INT64_MAX),
                          .meter = json_read_integer(&reader, &meter, 1, INT64_MAX),
                          .channel = json_read_integer(&reader, &channel, 1, INT64_MAX),
                          .asked_at = event->at};
    return json_reader_fault(&reader, out_fault);
}

// Why the registry says it cannot be done; NULL: it can.
static const char *refusal_of(ingest *app, const read_request *request) {
    registry_read_lock(app->registry);
    const registry_meter *meter = registry_meter_by_num(app->registry, request->meter);
    const char *reason = NULL;
    if (!meter || meter->company != request->company || !meter->gateway || meter->gateway->num != request->gateway)
        reason = "unknown_meter";
    else if (meter->gateway->kind != GATEWAY_DTU_TCP)
        reason = "no_downlink";
    registry_unlock(app->registry);
    return reason;
}

// Each replica sees the command; the one that serves the gateway takes it. One that does not leaves it to the holder and
// looks again, until there is no holder or the command is too old.
err_t commands_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    ingest *app = service_state(svc);
    read_request request;
    event_type type;
    if (!event_parse(event->type, &type) || type != EVENT_READ_REQUESTED)
        return fault_set(out_fault, ERR_BAD_INPUT, "type", "not a command for ingest");
    err_t err = parse_request(event, &request, out_fault);
    if (err) return err;
    if (!registry_is_loaded(app->registry)) return ERR_BUSY;
    const char *reason = refusal_of(app, &request);
    if (reason) return answer_failed(app, conn, &request, reason, memory);
    instant_ms now = service_now(svc);
    if (now - event->at > COMMAND_AGE_MS) return answer_failed(app, conn, &request, "too_late", memory);
    for (size_t i = 0; i < link_count(); i++)
        if (link_at(i)->read_now && link_at(i)->read_now(app, i, &request)) return ERR_OK;
    AUTO(db_rows) holder = {0};
    err = db_query(conn, &SQL_SESSION_HOLDER, DB_PARAMS(DB_I32(request.company), DB_I64(request.gateway), DB_TIME(now - HOUR_MS)), &holder);
    if (err) return err;
    if (holder.len == 0 || (int32_t)db_i64(&holder, 0, 0) == journal_replica(app->journal))
        return answer_failed(app, conn, &request, "gateway_offline", memory);
    return fault_set(out_fault, ERR_BUSY, "gateway", "another replica serves it");
}
