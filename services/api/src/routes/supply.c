// A supply as control knows it, and operators' wishes about it. The api hands a wish to a door of control and shows what
// became of it; whether it is carried out is decided there.
#include "api_sql.h"
#include "idempotency.h"
#include "json/json.h"
#include "session.h"
#include "write.h"

#define BODY_LIMITS ((json_limits){16384, 3})
#define REASON_MAX 200

static void put_text_or_null(json_writer *out, const char *key, const db_rows *rows, size_t row, int column) {
    if (db_is_null(rows, row, column))
        json_put_null(out, key);
    else
        json_put_text(out, key, db_text(rows, row, column));
}

static void put_raw_or_null(json_writer *out, const char *key, const db_rows *rows, size_t row, int column) {
    if (db_is_null(rows, row, column)) {
        json_put_null(out, key);
        return;
    }
    json_key(out, key);
    json_add_raw(out, db_text(rows, row, column));
}

static err_t write_commands(api_call *call, const zone *where, int64_t point, db_param request) {
    AUTO(db_rows) rows = {0};
    json_writer *out = &call->out;
    err_t err = db_query(call->conn, &SQL_SUPPLY_COMMANDS, DB_PARAMS(DB_I64(point), request), &rows);
    if (err) return err;
    json_key(out, "commands");
    json_open_array(out);
    for (size_t i = 0; i < rows.len; i++) {
        json_open_object(out);
        put_uuid(out, "id", &rows, i, 0);
        json_put_text(out, "operation", db_text(&rows, i, 1));
        json_put_text(out, "state", db_text(&rows, i, 2));
        put_text_or_null(out, "reason", &rows, i, 3);
        put_text_or_null(out, "observed", &rows, i, 4);
        put_text_or_null(out, "cause", &rows, i, 5);
        json_put_integer(out, "version", db_i64(&rows, i, 6));
        put_text_or_null(out, "requested_by", &rows, i, 7);
        put_local_instant(out, "issued_at", where, db_time(&rows, i, 8));
        put_local_instant_or_null(out, "sent_at", where, &rows, i, 9);
        put_local_instant_or_null(out, "finished_at", where, &rows, i, 10);
        json_close_object(out);
    }
    json_close_array(out);
    return ERR_OK;
}

static err_t write_refusals(api_call *call, const zone *where, int64_t point) {
    AUTO(db_rows) rows = {0};
    json_writer *out = &call->out;
    err_t err = db_query(call->conn, &SQL_SUPPLY_REFUSALS, DB_PARAMS(DB_I64(point)), &rows);
    if (err) return err;
    json_key(out, "refusals");
    json_open_array(out);
    for (size_t i = 0; i < rows.len; i++) {
        json_open_object(out);
        json_put_text(out, "action", db_text(&rows, i, 0));
        json_put_text(out, "reason", db_text(&rows, i, 1));
        put_text_or_null(out, "cause", &rows, i, 2);
        put_text_or_null(out, "requested_by", &rows, i, 3);
        put_local_instant(out, "refused_at", where, db_time(&rows, i, 4));
        put_local_instant(out, "last_at", where, db_time(&rows, i, 5));
        json_put_integer(out, "times", db_i64(&rows, i, 6));
        json_close_object(out);
    }
    json_close_array(out);
    return ERR_OK;
}

static err_t write_parameters(api_call *call, const zone *where, int64_t point) {
    AUTO(db_rows) row = {0};
    json_writer *out = &call->out;
    err_t err = db_query(call->conn, &SQL_SUPPLY_PARAMETERS, DB_PARAMS(DB_I64(point)), &row);
    if (err) return err;
    if (row.len == 0) {
        json_put_null(out, "parameters");
        return ERR_OK;
    }
    json_key(out, "parameters");
    json_open_object(out);
    json_put_text(out, "state", db_text(&row, 0, 0));
    put_text_or_null(out, "reason", &row, 0, 1);
    json_put_integer(out, "version", db_i64(&row, 0, 2));
    put_raw_or_null(out, "wanted", &row, 0, 3);
    put_local_instant(out, "wanted_at", where, db_time(&row, 0, 4));
    put_raw_or_null(out, "confirmed", &row, 0, 5);
    put_local_instant_or_null(out, "confirmed_at", where, &row, 0, 6);
    json_close_object(out);
    return ERR_OK;
}

// null where control has not looked at the point yet.
static void write_desired(json_writer *out, const zone *where, const db_rows *row) {
    if (db_is_null(row, 0, 3)) {
        json_put_null(out, "desired");
        return;
    }
    json_key(out, "desired");
    json_open_object(out);
    json_put_text(out, "state", db_text(row, 0, 3));
    json_put_integer(out, "version", db_i64(row, 0, 4));
    json_put_text(out, "reason", db_text(row, 0, 5));
    put_text_or_null(out, "cause", row, 0, 6);
    put_local_instant(out, "set_at", where, db_time(row, 0, 7));
    put_text_or_null(out, "hold", row, 0, 8);
    put_text_or_null(out, "hold_by", row, 0, 9);
    put_local_instant_or_null(out, "hold_until", where, row, 0, 10);
    put_local_instant_or_null(out, "verified_at", where, row, 0, 13);
    put_text_or_null(out, "waits_for", row, 0, 14);
    put_local_instant_or_null(out, "waits_since", where, row, 0, 15);
    json_close_object(out);
}

static void write_force_on(json_writer *out, const zone *where, const db_rows *row) {
    if (db_is_null(row, 0, 16)) {
        json_put_null(out, "force_on");
        return;
    }
    json_key(out, "force_on");
    json_open_object(out);
    put_local_instant(out, "from", where, db_time(row, 0, 16));
    put_local_instant_or_null(out, "until", where, row, 0, 17);
    json_put_text(out, "reason", db_text(row, 0, 18));
    json_put_text(out, "by", db_text(row, 0, 19));
    json_close_object(out);
}

static void write_policy(json_writer *out, const zone *where, const db_rows *row) {
    json_key(out, "policy");
    json_open_object(out);
    json_put_boolean(out, "is_set", db_bool(row, 0, 20));
    json_put_boolean(out, "prepaid_rule", db_bool(row, 0, 21));
    put_raw_or_null(out, "cut_windows", row, 0, 22);
    json_put_boolean(out, "warning_required", db_bool(row, 0, 23));
    json_put_integer(out, "two_persons_from", db_i64(row, 0, 24));
    json_put_boolean(out, "is_in_window", db_bool(row, 0, 25));
    put_local_instant_or_null(out, "next_window_at", where, row, 0, 26);
    json_close_object(out);
}

static err_t find_supply(api_call *call, db_rows *out_row, const zone **out_zone, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    if (!err)
        err = db_query_one(call->conn, &SQL_SUPPLY_SHOW, DB_PARAMS(DB_UUID(id), api_call_properties(call), DB_TIME(call->now)), out_row);
    return err ? err : zone_set_find(call->zones, db_text(out_row, 0, 2), out_zone, out_fault);
}

err_t get_supply(api_call *call, fault *out_fault) {
    AUTO(db_rows) row = {0};
    const zone *where = NULL;
    err_t err = find_supply(call, &row, &where, out_fault);
    if (err) return err;
    json_writer *out = &call->out;
    int64_t point = db_i64(&row, 0, 0);
    json_open_object(out);
    put_uuid(out, "usage_point", &row, 0, 1);
    write_desired(out, where, &row);
    json_put_text(out, "observed", db_text(&row, 0, 11));
    put_local_instant_or_null(out, "observed_at", where, &row, 0, 12);
    write_force_on(out, where, &row);
    write_policy(out, where, &row);
    err = write_parameters(call, where, point);
    if (!err) err = write_commands(call, where, point, DB_NULL);
    if (!err) err = write_refusals(call, where, point);
    json_close_object(out);
    return err;
}

typedef struct wish {
    sv action, reason;
    bool has_until;
    instant_ms until;
} wish;

static bool is_one_of(sv text, const char *const *list) {
    for (; *list; list++)
        if (sv_equal(text, sv_of(*list))) return true;
    return false;
}

static err_t read_wish(api_call *call, wish *out, fault *out_fault) {
    static const char *const KEYS[] = {"action", "reason", "until", NULL};
    static const char *const ACTIONS[] = {"off", "on", "force_on", "release_force_on", "resume_prepaid", "read_state", NULL};
    static const char *const WITH_END[] = {"off", "on", "force_on", NULL};
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    *out = (wish){0};
    err_t err = json_parse(httpd_request_body(call->request), BODY_LIMITS, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    json_node action = json_member(&reader, &root, "action");
    out->action = arena_copy(call->memory, json_read_text_bounded(&reader, &action, 32));
    if (!json_reader_failed(&reader) && !is_one_of(out->action, ACTIONS)) json_refuse(&reader, &action, "there is no such action");
    json_node reason = json_member(&reader, &root, "reason");
    out->reason = arena_copy(call->memory, json_read_text_bounded(&reader, &reason, REASON_MAX));
    json_node until = json_optional(&reader, &root, "until");
    if (json_is_present(&until)) {
        out->has_until = true;
        out->until = json_read_instant(&reader, &until);
        if (!json_reader_failed(&reader) && !is_one_of(out->action, WITH_END)) json_refuse(&reader, &until, "this action has no end");
        if (!json_reader_failed(&reader) && out->until <= call->now) json_refuse(&reader, &until, "it lies in the past");
    }
    return json_reader_fault(&reader, out_fault);
}

static err_t write_request(api_call *call, uuid id, fault *out_fault) {
    AUTO(db_rows) row = {0};
    const zone *where = NULL;
    err_t err = db_query_one(call->conn, &SQL_SUPPLY_REQUEST_SHOW, DB_PARAMS(DB_UUID(id), api_call_properties(call)), &row);
    if (!err) err = zone_set_find(call->zones, db_text(&row, 0, 2), &where, out_fault);
    if (err) return err;
    json_writer *out = &call->out;
    json_open_object(out);
    put_uuid(out, "id", &row, 0, 0);
    put_uuid(out, "usage_point", &row, 0, 1);
    json_put_text(out, "action", db_text(&row, 0, 3));
    json_put_text(out, "state", db_text(&row, 0, 4));
    put_text_or_null(out, "outcome", &row, 0, 5);
    json_put_text(out, "reason", db_text(&row, 0, 6));
    json_put_text(out, "requested_by", db_text(&row, 0, 7));
    put_local_instant_or_null(out, "until", where, &row, 0, 8);
    put_local_instant(out, "requested_at", where, db_time(&row, 0, 9));
    put_local_instant_or_null(out, "finished_at", where, &row, 0, 10);
    err = write_commands(call, where, db_i64(&row, 0, 11), DB_UUID(id));
    json_close_object(out);
    return err;
}

// What takes power or a protection away may want two persons even for one point; those ask for it as a batch.
static err_t check_persons(api_call *call, const wish *what, const db_rows *supply, fault *out_fault) {
    static const char *const GRAVE[] = {"off", "release_force_on", "resume_prepaid", NULL};
    if (!is_one_of(what->action, GRAVE) || db_i64(supply, 0, 24) > 1) return ERR_OK;
    return api_call_refuse(call, PROBLEM_OTHER_PERSON, out_fault, "/action", "the policy of this place wants two persons for it");
}

err_t request_supply(api_call *call, fault *out_fault) {
    wish what;
    idempotency_earlier earlier;
    AUTO(db_rows) supply = {0};
    AUTO(db_rows) submitted = {0};
    const zone *where = NULL;
    err_t err = find_supply(call, &supply, &where, out_fault);
    if (!err) err = read_wish(call, &what, out_fault);
    if (!err) err = idempotency_begin(call, &earlier, out_fault);
    if (err || earlier.is_there) return err;
    err = check_persons(call, &what, &supply, out_fault);
    if (err) return err;
    uuid id = uuid_v7_now();
    const char *who = arena_printf(call->memory, "operator:%lld", (long long)call->operator_num);
    err = db_query_one(call->conn, &SQL_SUPPLY_SUBMIT,
                       DB_PARAMS(DB_UUID(id), DB_I64(db_i64(&supply, 0, 0)), DB_TEXT(what.action), DB_CSTR(who), DB_TEXT(what.reason),
                                 what.has_until ? DB_TIME(what.until) : DB_NULL, DB_TIME(call->now)),
                       &submitted);
    if (!err)
        err = db_exec(call->conn, &SQL_AUDIT_ADD,
                      DB_PARAMS(DB_TIME(call->now), DB_TEXT(call->session->login), DB_CSTR("supply_requested"), DB_CSTR("usage_point"),
                                DB_UUID(db_uuid(&supply, 0, 1)), DB_TEXT(httpd_request_body(call->request))),
                      NULL);
    if (!err) err = write_request(call, id, out_fault);
    return err ? err : idempotency_end(call, 202);
}

err_t get_supply_request(api_call *call, fault *out_fault) {
    uuid id;
    err_t err = api_call_id(call, "id", &id, out_fault);
    return err ? err : write_request(call, id, out_fault);
}
