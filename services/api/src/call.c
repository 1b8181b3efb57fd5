// The frame around every handler with a session: who asks, the transaction, what they may, and the answer. What failed
// without an effect (a lost connection, a serialization) is tried once more.
#include "call.h"

#include "answer.h"
#include "api_sql.h"
#include "base/check.h"
#include "base/log.h"
#include "routes.h"
#include "session.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200

static err_t run(api_call *call, api_worker *worker, const api_route *route, fault *out_fault);
static err_t open_call(api_call *call, const api_route *route, db_tx *tx, fault *out_fault);
static void answer(api_call *call, err_t err, const fault *why);

err_t api_worker_connect(api_worker *self) {
    if (self->conn != NULL && !db_is_broken(self->conn)) return ERR_OK;
    fault why = {0};
    err_t err;
    if (self->conn == NULL) {
        db_options options = service_db_options(self->app->svc, "http");
        err = db_open(&options, &self->conn, &why);
    } else {
        err = db_reset(self->conn, &why);
    }
    if (err) LOG_WARN("no database connection; answering 503", LOG_S("reason", why.reason));
    return err ? ERR_UNAVAILABLE : ERR_OK;
}

void api_serve(const api_route *route, httpd_request *request, httpd_response *response, api_worker *worker) {
    bool is_edit = httpd_request_method(request) != HTTPD_GET && httpd_request_method(request) != HTTPD_HEAD;
    if (is_edit && !check_origin(request, response)) return;
    api_call call = {0};
    fault why = {0};
    err_t err = ERR_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        call = (api_call){.app = worker->app,
                          .request = request,
                          .response = response,
                          .zones = worker->app->zones,
                          .memory = httpd_request_arena(request),
                          .now = service_now(worker->app->svc)};
        why = (fault){0};
        json_writer_init(&call.out, httpd_response_body(response));
        err = run(&call, worker, route, &why);
        bool may_repeat = err == ERR_SERIALIZATION || (err == ERR_UNAVAILABLE && worker->conn != NULL && db_is_broken(worker->conn));
        if (!may_repeat || call.is_answered) break;
        if (attempt == 0) httpd_response_reset(response);
    }
    answer(&call, err, &why);
}

static err_t run(api_call *call, api_worker *worker, const api_route *route, fault *out_fault) {
    sv token = SV_NONE;
    uint8_t digest[32];
    if (!httpd_request_cookie(call->request, SESSION_COOKIE, &token) || !session_token_read(token, &call->company, digest))
        return ERR_UNAUTHENTIC;
    err_t err = api_worker_connect(worker);
    if (err) return err;
    call->conn = worker->conn;
    AUTO(db_tx) tx = {0};
    err = route->is_write ? db_begin(call->conn, &tx) : db_begin_repeatable(call->conn, &tx);
    if (!err) err = db_set_company(call->conn, call->company);
    if (!err) err = session_find(call->conn, call->company, digest, call->now, call->memory, &call->session);
    if (!err) err = open_call(call, route, &tx, out_fault);
    if (err == ERR_INTERNAL && out_fault->reason[0] == '\0')
        (void)fault_set(out_fault, err, db_constraint(call->conn), "%s", db_error_text(call->conn));
    return err;
}

static err_t open_call(api_call *call, const api_route *route, db_tx *tx, fault *out_fault) {
    call->operator_num = call->session->operator_num;
    LOG_SCOPE(scope, LOG_I("company", call->company), LOG_I("operator", call->operator_num));
    (void)scope;  // it acts by ending
    if (!session_scope(call->session, route->permission, call->memory, &call->properties, &call->property_count))
        return fault_set(out_fault, ERR_FORBIDDEN, "", "your roles do not include this");
    err_t err = route->handler(call, out_fault);
    if (err) return err;
    if (!route->is_write) {
        db_rollback(tx);
        return ERR_OK;
    }
    err = db_commit(tx);
    if (!err && call->rings_relay) service_ring_relay(call->app->svc);
    return err;
}

static void answer(api_call *call, err_t err, const fault *why) {
    httpd_response *response = call->response;
    if (err) {
        answer_problem(response, call->has_problem ? call->problem : problem_of(err), why);
        if (call->has_problem && call->retry_after_s > 0) httpd_response_retry_after(response, call->retry_after_s);
        return;
    }
    if (call->is_answered) return;
    if (buf_has_failed(httpd_response_body(response))) {
        answer_problem(response, PROBLEM_INTERNAL, why);
        return;
    }
    if (httpd_response_status_of(response) == 0) httpd_response_json(response, 200);
    httpd_response_header(response, "Cache-Control", SV("no-store"));
}

err_t api_call_refuse(api_call *self, problem with, fault *out_fault, const char *place, const char *reason) {
    self->has_problem = true;
    self->problem = with;
    return fault_set(out_fault, ERR_CONFLICT, place, "%s", reason);
}

err_t api_call_id(const api_call *self, const char *name, uuid *out_id, fault *out_fault) {
    if (uuid_parse(httpd_request_param(self->request, name), out_id)) return ERR_OK;
    return fault_set(out_fault, ERR_NOT_FOUND, "", "there is no such id");
}

err_t api_call_limit(const api_call *self, int64_t *out_limit, fault *out_fault) {
    sv text = SV_NONE;
    int64_t limit = LIMIT_DEFAULT;
    bool is_given = httpd_request_query(self->request, "limit", &text);
    if (is_given && (!sv_to_i64(text, &limit) || limit < 1 || limit > LIMIT_MAX))
        return fault_set(out_fault, ERR_BAD_INPUT, "limit", "the limit is a number from 1 to %d", LIMIT_MAX);
    *out_limit = limit;
    return ERR_OK;
}

sv api_call_next_cursor(const api_call *self, const char *list, int64_t owner, sv rest) {
    return sv_of(arena_printf(self->memory, "%s %d %lld %.*s", list, (int)self->company, (long long)owner, SV_ARG(rest)));
}

err_t api_call_cursor(const api_call *self, const char *list, int64_t owner, bool *out_is_given, sv *out_rest, fault *out_fault) {
    sv cursor = SV_NONE;
    *out_is_given = httpd_request_query(self->request, "cursor", &cursor);
    *out_rest = SV("");
    if (!*out_is_given) return ERR_OK;
    sv mark = api_call_next_cursor(self, list, owner, SV(""));
    if (!sv_starts_with(cursor, mark)) return fault_set(out_fault, ERR_BAD_INPUT, "cursor", "is none of this list");
    *out_rest = sv_slice(cursor.ptr + mark.len, cursor.len - mark.len);
    return ERR_OK;
}

db_param api_call_properties(const api_call *self) {
    return self->properties != NULL ? DB_I64_ARRAY(self->properties, self->property_count) : DB_NULL;
}
