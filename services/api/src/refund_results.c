#include "refund_results.h"

#include "api_sql.h"
#include "contracts/events.h"
#include "json/json.h"

// Only an end counts: what is still under way at the channel leaves the movement requested.
static const char *end_of(sv state) {
    if (sv_equal(state, SV("settled"))) return "done";
    return sv_equal(state, SV("failed")) || sv_equal(state, SV("refused")) ? "failed" : NULL;
}

err_t refund_results_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)svc;
    (void)memory;
    event_type type;
    if (!event_parse(event->type, &type) || type != EVENT_REFUND_CHANGED) return ERR_OK;
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(event->payload, (json_limits){4096, 4}, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_node refund = json_member(&reader, &root, "refund");
    json_node state = json_member(&reader, &root, "state");
    uuid id;
    bool is_id = uuid_parse(json_read_text(&reader, &refund), &id);
    const char *end = end_of(json_read_text(&reader, &state));
    err = json_reader_fault(&reader, out_fault);
    if (err) return err;
    if (!is_id) return fault_set(out_fault, ERR_BAD_INPUT, "/refund", "it is no id");
    if (end == NULL) return ERR_OK;
    return db_exec(conn, &SQL_SALE_CHANNEL_END, DB_PARAMS(DB_I32(event->company), DB_UUID(id), DB_CSTR(end), DB_TIME(event->at)), NULL);
}
