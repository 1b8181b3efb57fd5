#include "receipts.h"

#include <stdio.h>

#include "alerts_sql.h"
#include "base/log.h"
#include "courier.h"
#include "token_store.h"

#define BODY_MAX (256u * 1024u)
#define WORKERS 4

typedef struct receipt_worker {
    alerts_app *app;
    db *conn;
} receipt_worker;

typedef struct receiver {
    int32_t company;
    const channel *channel;
    channel_account *account;
    token_owner tokens;
    channel_store store;
} receiver;

static void *worker_new(void *user) {
    receipt_worker *self = mem_new(1, sizeof *self);
    self->app = user;
    return self;
}

static void worker_free(void *context) {
    receipt_worker *self = context;
    db_close(self->conn);
    mem_free(self);
}

static err_t connect_once(receipt_worker *self) {
    fault why = {0};
    if (self->conn && !db_is_broken(self->conn)) return ERR_OK;
    if (self->conn) return db_reset(self->conn, &why) ? ERR_UNAVAILABLE : ERR_OK;
    db_options options = service_db_options(self->app->svc, "receipts");
    return db_open(&options, &self->conn, &why) ? ERR_UNAVAILABLE : ERR_OK;
}

// ERR_NOT_FOUND: nobody's path.
static err_t find_receiver(receipt_worker *self, sv path, arena *memory, receiver *out) {
    AUTO(db_rows) row = {0};
    AUTO(buf) config = {0};
    fault why = {0};
    *out = (receiver){0};
    err_t err = db_query(self->conn, &SQL_RECEIPT_ACCOUNT, DB_PARAMS(DB_TEXT(path)), &row);
    if (err) return err;
    if (row.len == 0) return ERR_NOT_FOUND;
    char id[UUID_TEXT_LEN + 1];
    uuid_format(db_uuid(&row, 0, 5), id);
    sv place = sv_of(arena_printf(memory, "channel_account/%s/config", id));
    out->company = (int32_t)db_i64(&row, 0, 0);
    out->channel = channel_find(db_text(&row, 0, 2), db_text(&row, 0, 3));
    buf_init(&config, 65536);
    if (!out->channel || !out->channel->read_push || !self->app->keys) return ERR_NOT_FOUND;
    err = crypto_open(self->app->keys, out->company, place, db_bytes(&row, 0, 4), &config);
    if (err) return ERR_UNAVAILABLE;
    token_owner_init(&out->tokens, self->app->svc, self->conn, self->app->keys, out->company, out->channel->kind);
    out->store = token_store(&out->tokens);
    return out->channel->open(buf_view(&config), &out->store, &out->account, &why) ? ERR_UNAVAILABLE : ERR_OK;
}

// An end once told stays, but for a late "delivered", which beats what was only feared.
static err_t apply(receipt_worker *self, const receiver *by, const channel_receipt *receipt, arena *memory) {
    AUTO(db_rows) found = {0};
    fault why = {0};
    instant_ms now = service_now(self->app->svc);
    err_t err = db_query(
        self->conn, &SQL_RECEIPT_MESSAGE,
        DB_PARAMS(DB_I32(by->company), DB_CSTR(by->channel->kind), DB_TEXT(receipt->provider_id), DB_TEXT(receipt->address)), &found);
    if (err) return err;
    if (found.len == 0)
        return db_exec(self->conn, &SQL_RECEIPT_KEEP,
                       DB_PARAMS(DB_I32(by->company), DB_CSTR(by->channel->kind), DB_TEXT(receipt->provider_id), DB_TEXT(receipt->address),
                                 DB_BOOL(receipt->is_delivered), DB_TEXT(receipt->reason), DB_TIME(receipt->at), DB_TIME(now)),
                       NULL);
    message_end end = {.company = by->company,
                       .num = db_i64(&found, 0, 0),
                       .state = receipt->is_delivered ? "delivered" : "failed",
                       .reason = receipt->reason,
                       .next_at = INSTANT_MAX,
                       .tries_next = !receipt->is_delivered};
    bool has_failed = sv_equal(db_text(&found, 0, 1), SV("failed"));
    if (has_failed && !receipt->is_delivered) return ERR_OK;
    err = courier_end(self->app, self->conn, &end, memory, &why);
    if (!err && receipt->is_recipient_bad)
        err = db_exec(self->conn, &SQL_CONTACT_IS_BAD,
                      DB_PARAMS(DB_I32(by->company), DB_CSTR(by->channel->kind), DB_TEXT(receipt->address), DB_TIME(now)), NULL);
    return err;
}

static err_t apply_all(receipt_worker *self, const receiver *by, const channel_receipt *receipts, size_t count, arena *memory) {
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    for (size_t i = 0; i < count && !err; i++) err = apply(self, by, &receipts[i], memory);
    if (!err) err = db_commit(&tx);
    if (!err) service_ring_relay(self->app->svc);
    return err;
}

static void take_push(httpd_request *request, httpd_response *response, void *context) {
    receipt_worker *self = context;
    arena *memory = httpd_request_arena(request);
    receiver by;
    channel_receipt *receipts = NULL;
    channel_push_answer answer = {.status = 200, .content_type = SV("application/json"), .body = SV("{}")};
    size_t count = 0;
    fault why = {0};
    err_t err = connect_once(self);
    if (!err) err = find_receiver(self, httpd_request_param(request, "path"), memory, &by);
    if (err) {
        httpd_response_error(response, err, NULL);
        return;
    }
    channel_push push = {.method = httpd_request_method_name(request),
                         .query = httpd_request_query_text(request),
                         .body = httpd_request_body(request),
                         .signature_header = httpd_request_header(request, "x-signature"),
                         .received_at = service_now(self->app->svc)};
    err = by.channel->read_push(by.account, &push, memory, &receipts, &count, &answer, &why);
    if (!err) err = apply_all(self, &by, receipts, count, memory);
    by.channel->close(by.account);
    if (err) {
        LOG_WARN("a push of receipts was refused", LOG_I("company", by.company), LOG_S("channel", by.channel->kind),
                 LOG_S("error", err_name(err)), LOG_S("reason", why.reason));
        httpd_response_error(response, err, &why);
        return;
    }
    httpd_response_status(response, answer.status);
    httpd_response_content_type(response, arena_printf(memory, "%.*s", SV_ARG(answer.content_type)));
    buf_add(httpd_response_body(response), answer.body);
}

static const httpd_route ROUTES[] = {{HTTPD_GET, "/receipts/{path}", take_push, 0}, {HTTPD_POST, "/receipts/{path}", take_push, 0}};

err_t receipts_start(alerts_app *app, sv listen, fault *out_fault) {
    httpd_options options = httpd_options_default();
    options.listen = listen;
    options.reuse_port = settings_bool(service_settings(app->svc), "PENSTOCK_REUSE_PORT");
    options.routes = ROUTES;
    options.route_count = ARRAY_LEN(ROUTES);
    options.body_max = BODY_MAX;
    options.workers = WORKERS;
    options.queue_max = 256;
    options.worker_new = worker_new;
    options.worker_free = worker_free;
    options.user = app;
    return httpd_start(&options, &app->http, out_fault);
}
