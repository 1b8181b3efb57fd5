// Opens the stream of server-sent events. Numbers follow the clock, so whether one is still kept can be told from itself.
#include "api_sql.h"
#include "app.h"
#include "call.h"
#include "feed.h"
#include "session.h"

#define KEPT_MS (HOUR_MS - MINUTE_MS)  // a little less than the sweeper leaves

// Header first: a browser that reconnects by itself sends it, while its address still holds the older number.
static sv last_id(const api_call *call) {
    sv text = httpd_request_header(call->request, "last-event-id");
    if (text.len == 0) (void)httpd_request_query(call->request, "last_event_id", &text);
    return text;
}

// The property that was asked for, else those of the operator's roles.
static err_t read_scope(api_call *call, feed_wish *wish, fault *out_fault) {
    sv filter = SV_NONE;
    uuid id;
    bool is_filtered = httpd_request_query(call->request, "property", &filter) && filter.len > 0;
    if (is_filtered && !uuid_parse(filter, &id)) return fault_set(out_fault, ERR_NOT_FOUND, "property", "there is no such property");
    wish->sees_all = !is_filtered && call->properties == NULL;
    if (wish->sees_all) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(call->conn, &SQL_FEED_SCOPE, DB_PARAMS(api_call_properties(call), is_filtered ? DB_UUID(id) : DB_NULL), &rows);
    if (err) return err;
    if (is_filtered && rows.len == 0) return fault_set(out_fault, ERR_NOT_FOUND, "property", "there is no such property");
    uuid *properties = ARENA_ARRAY(call->memory, uuid, rows.len + 1);
    for (size_t i = 0; i < rows.len; i++) properties[i] = db_uuid(&rows, i, 0);
    wish->properties = properties;
    wish->property_count = rows.len;
    return ERR_OK;
}

err_t get_events(api_call *call, fault *out_fault) {
    feed_wish wish = {.company = call->company, .operator_num = call->operator_num};
    AUTO(db_rows) newest_row = {0};
    err_t err = read_scope(call, &wish, out_fault);
    if (!err) err = db_query_one(call->conn, &SQL_FEED_NEWEST, DB_NO_PARAMS, &newest_row);
    if (err) return err;
    int64_t newest = db_i64(&newest_row, 0, 0);
    sv text = last_id(call);
    bool is_known = sv_to_i64(text, &wish.after) && wish.after <= newest && wish.after > call->now - KEPT_MS;
    const char *first = ":\n\n";
    if (!is_known) {
        wish.after = newest > 0 ? newest : call->now - KEPT_MS / 2;
        first = arena_printf(call->memory, "id: %lld\nevent: reset\ndata: {\"reason\":\"%s\"}\n\n", (long long)wish.after,
                             text.len == 0 ? "started" : "too_old");
    }
    if (!feed_subscribe(call->app->feed, call->response, &wish, sv_of(first))) {
        call->retry_after_s = 30;
        return api_call_refuse(call, PROBLEM_TOO_MANY, out_fault, "", "too many open streams");
    }
    call->is_answered = true;
    return ERR_OK;
}
