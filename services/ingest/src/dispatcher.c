#include "dispatcher.h"

#include <pthread.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/mem.h"
#include "contacts.h"
#include "contracts/events.h"
#include "crypto/crypto.h"
#include "ingest.h"
#include "ingest_sql.h"
#include "links/link.h"

#define LOOK_MS 200
#define CLOSE_EVERY_MS SECOND_MS
#define FORGET_EVERY_MS HOUR_MS
#define KEEP_MS (14 * DAY_MS)
#define GIVE_UP_MS (30 * MINUTE_MS)  // a valve may take its time; a link that forgot an order may not for ever
#define TAKE_MAX 64
#define RETRY_FIRST_MS SECOND_MS
#define RETRY_MAX_MS MINUTE_MS
#define PAYLOAD_MAX 600

typedef struct note {
    bool is_claim;
    line_claim claim;
    line_result result;
} note;

typedef VEC(note) note_list;

struct dispatcher {
    ingest *app;
    pthread_mutex_t lock;
    pthread_cond_t handed;
    note_list waiting;

    // The thread's own.
    db *conn;
    note_list todo;
    int64_t close_at_ms, forget_at_ms;
    metric *taken, *again, *ended[LINE_AGAIN], *claims_refused;
};

dispatcher *dispatcher_new(ingest *app) {
    dispatcher *self = mem_new(1, sizeof *self);
    self->app = app;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->handed, &attr);
    pthread_condattr_destroy(&attr);
    self->taken = metric_counter("penstock_ingest_orders_taken_total", "Commands and wanted reads handed to a link", NULL);
    self->again = metric_counter("penstock_ingest_orders_again_total", "Commands that wait for another try", NULL);
    self->claims_refused =
        metric_counter("penstock_ingest_switch_offs_refused_total", "Switch-offs that control withheld at the last moment", NULL);
    for (size_t i = 0; i < LINE_AGAIN; i++) {
        char labels[40];
        AUTO(buf) text;
        buf_init(&text, sizeof labels - 1);
        buf_addf(&text, "outcome=\"%s\"", line_outcome_text((line_outcome)i));
        sv_copy_truncated(buf_view(&text), labels, sizeof labels);
        self->ended[i] = metric_counter("penstock_ingest_orders_total", "Commands and wanted reads that ended", labels);
    }
    return self;
}

void dispatcher_free(dispatcher *self) {
    if (!self) return;
    db_close(self->conn);
    vec_done(&self->waiting);
    vec_done(&self->todo);
    pthread_cond_destroy(&self->handed);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

// ---- handing over ----

static void hand_over(dispatcher *self, const note *what) {
    pthread_mutex_lock(&self->lock);
    vec_push(&self->waiting, *what);  // bounded by the orders that were taken
    pthread_cond_signal(&self->handed);
    pthread_mutex_unlock(&self->lock);
}

void dispatcher_claim(dispatcher *self, const line_claim *claim) {
    note what = {.is_claim = true, .claim = *claim};
    crypto_wipe(what.claim.order.password, sizeof what.claim.order.password);
    hand_over(self, &what);
}

void dispatcher_result(dispatcher *self, const line_result *result) { hand_over(self, &(note){.result = *result}); }

// ---- telling ----

static void add_text_or_null(buf *out, const char *key, const char *text) {
    buf_addf(out, ",\"%s\":", key);
    if (text && text[0])
        json_text_add(out, sv_of(text));
    else
        buf_add(out, SV("null"));
}

static err_t tell_alarm(ingest *app, db *conn, const line_result *result, const char *at) {
    registry_read_lock(app->registry);
    const registry_meter *meter = registry_meter_by_num(app->registry, result->meter);
    int64_t property = meter ? meter->property : 0;
    registry_unlock(app->registry);
    AUTO(buf) payload;
    buf_init(&payload, PAYLOAD_MAX);
    buf_addf(&payload, "{\"channel\":%lld,\"meter\":%lld,\"property\":%lld,\"kind\":\"%s\",\"value\":null,\"at\":\"%s\"}",
             (long long)result->channel, (long long)result->meter, (long long)property, result->alarm, at);
    return ingest_event_write(app, conn,
                              &(ingest_event){result->company, EVENT_DEVICE_ALARM, result->channel, 0, result->meter, buf_view(&payload)});
}

static err_t tell_read(ingest *app, db *conn, const line_result *result, const char *at) {
    char command[UUID_TEXT_LEN + 1];
    uuid_format(result->id, command);
    bool is_done = result->outcome == LINE_VERIFIED;
    AUTO(buf) payload;
    buf_init(&payload, PAYLOAD_MAX);
    buf_addf(&payload, "{\"command\":\"%s\",\"meter\":%lld,\"channel\":%lld,\"%s\":", command, (long long)result->meter,
             (long long)result->channel, is_done ? "at" : "reason");
    json_text_add(&payload, sv_of(is_done ? at : result->reason));
    buf_add_byte(&payload, '}');
    event_type type = is_done ? EVENT_READ_DONE : EVENT_READ_FAILED;
    return ingest_event_write(app, conn, &(ingest_event){result->company, (int)type, result->meter, 0, result->meter, buf_view(&payload)});
}

err_t dispatcher_tell(ingest *app, db *conn, const line_result *result) {
    char command[UUID_TEXT_LEN + 1];
    char at[INSTANT_TEXT_MAX];
    uuid_format(result->id, command);
    instant_format(result->at, 0, at);
    err_t err = result->alarm ? tell_alarm(app, conn, result, at) : ERR_OK;
    if (err || result->outcome == LINE_AGAIN) return err;
    service_ring_relay(app->svc);
    if (result->operation == LINE_READ_NOW) return tell_read(app, conn, result, at);
    AUTO(buf) payload;
    buf_init(&payload, PAYLOAD_MAX);
    buf_addf(&payload, "{\"command\":\"%s\",\"meter\":%lld,\"channel\":%lld,\"outcome\":\"%s\"", command, (long long)result->meter,
             (long long)result->channel, line_outcome_text(result->outcome));
    add_text_or_null(&payload, "reason", result->reason);
    add_text_or_null(&payload, "state", result->supply);
    buf_addf(&payload, ",\"at\":\"%s\"}", at);
    return ingest_event_write(
        app, conn, &(ingest_event){result->company, EVENT_COMMAND_FINISHED, result->channel, 0, result->meter, buf_view(&payload)});
}

// ---- results ----

static int64_t retry_ms(int32_t tries) {
    int64_t ms = RETRY_FIRST_MS;
    for (int32_t i = 1; i < tries && ms < RETRY_MAX_MS; i++) ms *= 2;
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

// One that was ended elsewhere meanwhile stays as it is.
static err_t put_result(dispatcher *self, line_result *result, bool *out_ended) {
    instant_ms now = service_now(self->app->svc);
    AUTO(db_rows) row = {0};
    if (result->at == 0) result->at = now;
    if (result->outcome == LINE_AGAIN)
        return db_query(
            self->conn, &SQL_ORDER_AGAIN,
            DB_PARAMS(DB_I32(result->company), DB_UUID(result->id), DB_I64(result->epoch), DB_TIME(now + retry_ms(result->tries))), &row);
    db_param reason = result->reason[0] ? DB_CSTR(result->reason) : DB_NULL;
    err_t err = db_query(self->conn, &SQL_ORDER_FINISH,
                         DB_PARAMS(DB_I32(result->company), DB_UUID(result->id), DB_I64(result->epoch), DB_TIME(now),
                                   DB_CSTR(line_outcome_text(result->outcome)), reason, DB_CSTR(result->supply)),
                         &row);
    *out_ended = row.len > 0;
    return err;
}

static err_t do_result(dispatcher *self, line_result *result) {
    AUTO(db_tx) tx = {0};
    bool has_ended = false;
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = put_result(self, result, &has_ended);
    if (!err && (has_ended || result->outcome == LINE_AGAIN)) err = dispatcher_tell(self->app, self->conn, result);
    CRASH_POINT("ingest.before_result");
    if (!err) err = db_commit(&tx);
    CRASH_POINT("ingest.after_result");
    if (err) return err;
    if (result->outcome == LINE_AGAIN) {
        metric_add(self->again, 1);
    } else if (has_ended) {
        metric_add(self->ended[result->outcome], 1);
        service_ring_relay(self->app->svc);
        LOG_INFO("an order ended", LOG_S("operation", line_operation_text(result->operation)), LOG_I("meter", result->meter),
                 LOG_S("outcome", line_outcome_text(result->outcome)), LOG_S("reason", result->reason));
    }
    return ERR_OK;
}

// ---- the claim ----

static err_t ask_control(dispatcher *self, line_claim *claim) {
    const line_order *order = &claim->order;
    instant_ms now = service_now(self->app->svc);
    AUTO(db_rows) answer = {0};
    AUTO(db_rows) sent = {0};
    err_t err =
        db_query_one(self->conn, &SQL_ORDER_CLAIM_SWITCH_OFF, DB_PARAMS(DB_I32(order->company), DB_UUID(order->id), DB_TIME(now)), &answer);
    if (err) return err;
    claim->is_claimed = db_bool(&answer, 0, 0);
    sv_copy_truncated(db_is_null(&answer, 0, 1) ? SV("not_claimed") : db_text(&answer, 0, 1), claim->reason, sizeof claim->reason);
    if (!claim->is_claimed) return ERR_OK;
    err = db_query(self->conn, &SQL_ORDER_SENT, DB_PARAMS(DB_I32(order->company), DB_UUID(order->id), DB_I64(order->epoch), DB_TIME(now)),
                   &sent);
    if (!err && sent.len == 0) err = ERR_STALE;
    return err;
}

// Whatever goes wrong means no: nothing leaves without a claim that is known to be committed.
static void do_claim(dispatcher *self, line_claim *claim) {
    AUTO(db_tx) tx = {0};
    CRASH_POINT("ingest.before_claim");
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_set_company(self->conn, claim->order.company);
    if (!err) err = ask_control(self, claim);
    if (!err) err = db_commit(&tx);
    CRASH_POINT("ingest.after_claim");
    if (err) {
        LOG_WARN("a switch-off could not be claimed; it is not sent", LOG_S("error", err_name(err)),
                 LOG_S("why", db_error_text(self->conn)));
        claim->is_claimed = false;
        sv_copy_truncated(SV("claim_failed"), claim->reason, sizeof claim->reason);
    } else if (!claim->is_claimed) {
        metric_add(self->claims_refused, 1);
    }
    link_at(claim->link)->order_claimed(self->app, claim->link, claim);
}

static void do_notes(dispatcher *self) {
    size_t done = 0;
    for (; done < self->todo.len; done++) {
        note *what = &self->todo.items[done];
        if (what->is_claim) {
            do_claim(self, &what->claim);
            continue;
        }
        err_t err = do_result(self, &what->result);
        if (!err) continue;
        LOG_WARN("the end of an order was not written; trying again", LOG_S("error", err_name(err)),
                 LOG_S("why", db_error_text(self->conn)));
        if (err_retry_class(err) != ERR_RETRY_NO || db_is_broken(self->conn)) break;
    }
    // What is left keeps its place before what came meanwhile: a result never overtakes its claim.
    size_t left = self->todo.len - done;
    if (left) memmove(self->todo.items, self->todo.items + done, left * sizeof *self->todo.items);
    self->todo.len = left;
}

// ---- taking ----

static bool open_password(dispatcher *self, const db_rows *rows, size_t row, line_order *out) {
    if (db_is_null(rows, row, 13)) return false;
    return registry_open_password(self->app->registry, out->company, db_uuid(rows, row, 12), db_bytes(rows, row, 13), &out->level,
                                  out->password);
}

// Why it cannot be done although the gateway is here; NULL: it can.
static const char *fill_order(dispatcher *self, const db_rows *rows, size_t row, line_order *out) {
    *out = (line_order){.company = (int32_t)db_i64(rows, row, 0),
                        .id = db_uuid(rows, row, 1),
                        .num = db_i64(rows, row, 2),
                        .gateway = db_i64(rows, row, 3),
                        .meter = db_i64(rows, row, 4),
                        .channel = db_i64(rows, row, 5),
                        .epoch = db_i64(rows, row, 10),
                        .tries = (int32_t)db_i64(rows, row, 11),
                        .is_valve = sv_equal(db_text(rows, row, 14), SV("valve"))};
    fault why;
    if (!line_operation_parse(db_text(rows, row, 6), &out->operation)) return "bad_command";
    if (out->operation == LINE_SET_PARAMETERS && line_parameters_parse(db_text(rows, row, 7), &out->parameters, &why)) return "bad_command";
    if (line_operation_is_switch(out->operation) && sv_equal(db_text(rows, row, 14), SV("none"))) return "no_switch";
    if (line_operation_needs_password(out->operation) && !open_password(self, rows, row, out)) return "no_password";
    return NULL;
}

static void hand_to_link(dispatcher *self, const db_rows *rows, size_t row) {
    line_order order;
    const char *why_not = fill_order(self, rows, row, &order);
    metric_add(self->taken, 1);
    bool is_taken = false;
    for (size_t i = 0; !why_not && !is_taken && i < link_count(); i++)
        is_taken = link_at(i)->take_order && link_at(i)->take_order(self->app, i, &order);
    crypto_wipe(order.password, sizeof order.password);
    if (is_taken) return;
    bool may_repeat = order.operation != LINE_SWITCH_OFF && order.operation != LINE_READ_NOW;
    line_result result = line_result_of(&order,
                                        why_not      ? LINE_REFUSED
                                        : may_repeat ? LINE_AGAIN
                                                     : LINE_FAILED,
                                        why_not ? why_not : "gateway_offline");
    dispatcher_result(self, &result);
}

static err_t take(dispatcher *self) {
    int32_t replica = journal_replica(self->app->journal);
    if (replica < 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_ORDER_TAKE,
                         DB_PARAMS(DB_I32(replica), DB_TIME(service_now(self->app->svc)),
                                   DB_TIME(journal_replica_started_at(self->app->journal)), DB_I64(TAKE_MAX)),
                         &rows);
    if (!err && rows.len) CRASH_POINT("ingest.after_take");
    for (size_t i = 0; !err && i < rows.len; i++) hand_to_link(self, &rows, i);
    return err;
}

// ---- what nobody ends ----

static line_outcome outcome_of(sv text) {
    for (int i = 0; i < LINE_AGAIN; i++)
        if (sv_equal(sv_of(line_outcome_text((line_outcome)i)), text)) return (line_outcome)i;
    return LINE_UNKNOWN;
}

static err_t tell_closed(dispatcher *self, const db_rows *rows, size_t row, instant_ms now) {
    line_order order = {.company = (int32_t)db_i64(rows, row, 0),
                        .id = db_uuid(rows, row, 1),
                        .meter = db_i64(rows, row, 2),
                        .channel = db_i64(rows, row, 3)};
    if (!line_operation_parse(db_text(rows, row, 4), &order.operation)) return ERR_INTERNAL;
    line_result result = line_result_of(&order, outcome_of(db_text(rows, row, 5)), "");
    sv_copy_truncated(db_text(rows, row, 6), result.reason, sizeof result.reason);
    result.at = now;
    metric_add(self->ended[result.outcome], 1);
    return dispatcher_tell(self->app, self->conn, &result);
}

static err_t close_orphans(dispatcher *self) {
    instant_ms now = service_now(self->app->svc);
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) rows = {0};
    int64_t requeued = 0;
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_query(self->conn, &SQL_ORDER_CLOSE, DB_PARAMS(DB_TIME(now), DB_TIME(now - GIVE_UP_MS)), &rows);
    for (size_t i = 0; !err && i < rows.len; i++) err = tell_closed(self, &rows, i, now);
    if (!err) err = db_exec(self->conn, &SQL_ORDER_REQUEUE, DB_PARAMS(DB_TIME(now), DB_TIME(now - GIVE_UP_MS)), &requeued);
    if (!err) err = db_commit(&tx);
    if (!err && rows.len) service_ring_relay(self->app->svc);
    if (!err && requeued) metric_add(self->again, requeued);
    return err;
}

static err_t do_rounds(dispatcher *self) {
    int64_t now_ms = clock_monotonic_ms();
    err_t err = take(self);
    if (!err && now_ms >= self->close_at_ms) {
        err = close_orphans(self);
        self->close_at_ms = now_ms + CLOSE_EVERY_MS;
    }
    if (!err && now_ms >= self->forget_at_ms) {
        err = db_exec(self->conn, &SQL_ORDER_FORGET, DB_PARAMS(DB_TIME(service_now(self->app->svc) - KEEP_MS)), NULL);
        self->forget_at_ms = now_ms + FORGET_EVERY_MS;
    }
    return err;
}

// ---- the thread ----

static void wait_for_notes(dispatcher *self) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    pthread_mutex_lock(&self->lock);
    while (self->waiting.len == 0)
        if (pthread_cond_timedwait(&self->handed, &self->lock, &until) != 0) break;
    for (size_t i = 0; i < self->waiting.len; i++) vec_push(&self->todo, self->waiting.items[i]);
    vec_clear(&self->waiting);
    pthread_mutex_unlock(&self->lock);
}

void dispatcher_run(service *svc, void *context) {
    dispatcher *self = context;
    db_options options = service_db_options(svc, "dispatcher");
    options.statement_timeout_ms = 5000;
    options.lock_timeout_ms = 3000;  // a bus is held while a claim waits for its purse
    while (!service_is_stopping(svc)) {
        if (!self->conn || db_is_broken(self->conn)) {
            if (service_db_connect(svc, &options, &self->conn)) break;
        }
        wait_for_notes(self);
        do_notes(self);
        err_t err = registry_is_loaded(self->app->registry) ? do_rounds(self) : ERR_OK;
        if (err) {
            LOG_WARN("orders could not be looked after; trying again", LOG_S("error", err_name(err)),
                     LOG_S("why", db_error_text(self->conn)));
            (void)service_wait(svc, 500);
        }
    }
    wait_for_notes(self);  // the links' last words
    if (self->conn && !db_is_broken(self->conn)) do_notes(self);
}
