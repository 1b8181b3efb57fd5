#include "commands.h"

#include "base/log.h"
#include "contracts/events.h"
#include "dispatcher.h"
#include "ingest.h"
#include "ingest_sql.h"
#include "json/json.h"

#define COMMAND_BYTES_MAX 8192
#define READ_AGE_MS (30 * SECOND_MS)  // older: who asked has given up

// A command as it came. `refusal`: why it cannot be done, as far as its own words and the registry tell.
typedef struct command {
    line_order order;
    sv operation;
    sv parameters;  // JSON
    int64_t version;
    instant_ms issued_at, not_after;
    const char *refusal;
} command;

static const char *refusal_of(ingest *app, const line_order *order) {
    registry_read_lock(app->registry);
    const registry_meter *meter = registry_meter_by_num(app->registry, order->meter);
    const char *reason = NULL;
    if (!meter || meter->company != order->company || !meter->gateway || meter->gateway->num != order->gateway)
        reason = "unknown_meter";
    else if (meter->gateway->kind != GATEWAY_DTU_TCP || meter->protocol != METER_DLT645)
        reason = "no_downlink";
    else if (order->operation != LINE_READ_NOW && registry_channel(meter, 1) != order->channel)
        reason = "unknown_channel";
    registry_unlock(app->registry);
    return reason;
}

// Nobody will do it: the row keeps why, the event tells.
static err_t end(ingest *app, db *conn, const command *self, line_outcome outcome, const char *reason) {
    const line_order *order = &self->order;
    instant_ms now = service_now(app->svc);
    int64_t entered = 0;
    err_t err = db_exec(conn, &SQL_ORDER_ENTER_FINISHED,
                        DB_PARAMS(DB_I32(order->company), DB_UUID(order->id), DB_I64(order->gateway), DB_I64(order->meter),
                                  DB_I64(order->channel), DB_TEXT(self->operation), DB_I64(self->version), DB_TIME(self->issued_at),
                                  DB_TIME(self->not_after), DB_TIME(now), DB_CSTR(line_outcome_text(outcome)), DB_CSTR(reason)),
                        &entered);
    if (err || entered == 0) return err;
    line_result result = line_result_of(order, outcome, reason);
    result.at = now;
    return dispatcher_tell(app, conn, &result);
}

// A switch-off and a read die at once where nobody serves the gateway; everything else waits for it to come.
static err_t enter(ingest *app, db *conn, const command *self) {
    const line_order *order = &self->order;
    if (self->refusal) return end(app, conn, self, LINE_REFUSED, self->refusal);
    if (self->not_after <= service_now(app->svc)) {
        bool is_read = order->operation == LINE_READ_NOW;
        return end(app, conn, self, is_read ? LINE_FAILED : LINE_EXPIRED, is_read ? "too_late" : "expired");
    }
    if (order->operation == LINE_SWITCH_OFF || order->operation == LINE_READ_NOW) {
        AUTO(db_rows) holder = {0};
        err_t err = db_query(conn, &SQL_ORDER_HOLDER, DB_PARAMS(DB_I32(order->company), DB_I64(order->gateway)), &holder);
        if (err) return err;
        if (holder.len == 0) return end(app, conn, self, LINE_FAILED, "gateway_offline");
    }
    return db_exec(conn, &SQL_ORDER_ENTER,
                   DB_PARAMS(DB_I32(order->company), DB_UUID(order->id), DB_I64(order->gateway), DB_I64(order->meter),
                             DB_I64(order->channel), DB_TEXT(self->operation), DB_TEXT(self->parameters), DB_I64(self->version),
                             DB_TIME(self->issued_at), DB_TIME(self->not_after), DB_TIME(service_now(app->svc))),
                   NULL);
}

static void read_place(json_reader *r, const json_node *root, const service_event *event, command *out) {
    json_node gateway = json_member(r, root, "gateway");
    json_node meter = json_member(r, root, "meter");
    json_node channel = json_member(r, root, "channel");
    out->order = (line_order){.id = event->id,
                              .company = event->company,
                              .gateway = json_read_integer(r, &gateway, 1, INT64_MAX),
                              .meter = json_read_integer(r, &meter, 1, INT64_MAX),
                              .channel = json_read_integer(r, &channel, 1, INT64_MAX)};
    out->issued_at = event->at;
    out->parameters = SV("{}");
}

err_t commands_handle_read(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)memory;
    ingest *app = service_state(svc);
    event_type type;
    if (!event_parse(event->type, &type) || type != EVENT_READ_REQUESTED)
        return fault_set(out_fault, ERR_BAD_INPUT, "type", "not a request to read");
    AUTO_JSON doc = NULL;
    err_t err = json_parse(event->payload, (json_limits){COMMAND_BYTES_MAX, 2}, &doc, out_fault);
    if (err) return err;
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    command read = {0};
    read_place(&r, &root, event, &read);
    err = json_reader_fault(&r, out_fault);
    if (err) return err;
    if (!registry_is_loaded(app->registry)) return ERR_BUSY;
    read.order.operation = LINE_READ_NOW;
    read.operation = sv_of(line_operation_text(LINE_READ_NOW));
    read.not_after = event->at + READ_AGE_MS;
    read.refusal = refusal_of(app, &read.order);
    return enter(app, conn, &read);
}

// What it asks for. Words that make no sense are refused by an answer, so that who asked learns of it.
static void read_wish(json_reader *r, const json_node *root, const service_event *event, command *out) {
    json_node operation = json_member(r, root, "operation");
    json_node parameters = json_member(r, root, "parameters");
    out->operation = json_read_text(r, &operation);
    if (json_reader_failed(r)) return;
    line_operation wanted;
    if (!line_operation_parse(out->operation, &wanted) || wanted == LINE_READ_NOW) {
        json_refuse(r, &operation, "is no command");
        return;
    }
    line_parameters ignored;
    out->order.operation = wanted;
    if (out->order.operation == LINE_SET_PARAMETERS) line_parameters_read(r, &parameters, &ignored);
    out->parameters = event->payload;  // the statement takes its member "parameters"
}

// An event that does not even say which command and device it means is a dead letter.
err_t commands_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)memory;
    ingest *app = service_state(svc);
    event_type type;
    if (!event_parse(event->type, &type) || type != EVENT_COMMAND_ISSUED)
        return fault_set(out_fault, ERR_BAD_INPUT, "type", "not a command");
    AUTO_JSON doc = NULL;
    err_t err = json_parse(event->payload, (json_limits){COMMAND_BYTES_MAX, 5}, &doc, out_fault);
    if (err) return err;
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    command told = {0};
    read_place(&r, &root, event, &told);
    json_node id = json_member(&r, &root, "command");
    json_node version = json_member(&r, &root, "version");
    json_node not_after = json_member(&r, &root, "not_after");
    sv id_text = json_read_text(&r, &id);
    told.version = json_read_integer(&r, &version, 0, INT64_MAX);
    told.not_after = json_read_instant(&r, &not_after);
    if (!json_reader_failed(&r) && !uuid_parse(id_text, &told.order.id)) json_refuse(&r, &id, "is not a UUID");
    err = json_reader_fault(&r, out_fault);
    if (err) return err;
    if (!registry_is_loaded(app->registry)) return ERR_BUSY;
    json_reader wish;
    json_reader_init(&wish);
    read_wish(&wish, &root, event, &told);
    if (json_reader_failed(&wish)) {
        LOG_WARN("a command is refused", LOG_S("place", wish.fault.place), LOG_S("why", wish.fault.reason));
        line_result result = line_result_of(&told.order, LINE_REFUSED, "bad_command");
        result.at = service_now(svc);
        return dispatcher_tell(app, conn, &result);
    }
    told.refusal = refusal_of(app, &told.order);
    return enter(app, conn, &told);
}
