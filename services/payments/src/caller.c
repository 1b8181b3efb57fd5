#include "caller.h"

#include <pthread.h>
#include <stdio.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "payments_sql.h"
#include "refunds.h"

#define POLL_MS 200
#define GAUGES_EVERY_MS 5000
#define OVERDUE_MS (5 * MINUTE_MS)
#define MEMORY_MAX (PROVIDER_MEMORY_MAX + (8u << 20))
#define RETRY_MS 500

typedef struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    uint64_t count;
} bell;

static bell *bell_new(void) {
    bell *self = mem_new(1, sizeof *self);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->rung, &attr);
    pthread_condattr_destroy(&attr);
    return self;
}

static void ring(bell *self) {
    pthread_mutex_lock(&self->lock);
    self->count++;
    pthread_cond_broadcast(&self->rung);
    pthread_mutex_unlock(&self->lock);
}

// Until it was rung since *in_out_heard, or the time is over.
static void listen_for(bell *self, uint64_t *in_out_heard, int64_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += timeout_ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&self->lock);
    while (self->count == *in_out_heard)
        if (pthread_cond_timedwait(&self->rung, &self->lock, &until) != 0) break;
    *in_out_heard = self->count;
    pthread_mutex_unlock(&self->lock);
}

callers *callers_new(service *svc, merchants *known) {
    callers *self = mem_new(1, sizeof *self);
    char labels[80];
    self->svc = svc;
    self->merchants = known;
    self->first_ms = settings_int(service_settings(svc), "PENSTOCK_PAYMENTS_QUERY_AFTER_MS");
    self->lease_ms = settings_int(service_settings(svc), "PENSTOCK_PAYMENTS_LEASE_MS");
    self->bell = bell_new();
    for (size_t i = 0; i < PROVIDER_RESULT_COUNT; i++) {
        snprintf(labels, sizeof labels, "result=\"%s\"", provider_result_text((provider_result)i));
        self->metrics.calls[i] = metric_counter("penstock_payments_calls_total", "Calls to channels by their result", labels);
    }
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        snprintf(labels, sizeof labels, "outcome=\"%s\"", outcome_text((fact_outcome)i));
        self->metrics.outcomes[i] = metric_counter("penstock_payments_answers_total", "Answers of channels by what became of them", labels);
    }
    self->metrics.call_seconds = metric_histogram("penstock_payments_call_seconds", "How long channels take to answer", NULL);
    self->metrics.first_answer_seconds =
        metric_histogram("penstock_payments_handle_seconds", "From an order's making to the handle a customer can pay with", NULL);
    return self;
}

void callers_free(callers *self) {
    if (!self) return;
    pthread_cond_destroy(&self->bell->rung);
    pthread_mutex_destroy(&self->bell->lock);
    mem_free(self->bell);
    mem_free(self);
}

// ---- shared by the steps ----

provider_call caller_call(const caller *self, const merchant *with) {
    return (provider_call){.merchant = with->opened, .http = self->http, .clock = service_clock(self->all->svc), .memory = self->memory};
}

void caller_begin(call_record *self, const char *action) { *self = (call_record){.action = action, .began_ns = clock_monotonic_ns()}; }

void caller_end(const caller *self, call_record *record, provider_answer answer) {
    record->answer = answer;
    record->ended_ns = clock_monotonic_ns();
    metric_add(self->all->metrics.calls[answer.result], 1);
    metric_observe_us(self->all->metrics.call_seconds, (record->ended_ns - record->began_ns) / 1000);
    if (answer.result == PROVIDER_MISCONFIGURED)
        LOG_ERROR("a channel does not accept how a merchant is set up", LOG_S("action", record->action), LOG_SV("code", answer.code),
                  LOG_SV("why", answer.message));
}

static sv bounded(sv text, size_t max) {
    if (!text.ptr || !sv_is_utf8(text)) return SV("");
    while (text.len > max || (text.len > 0 && !sv_is_utf8(text))) text.len--;
    return text;
}

err_t caller_store_attempt(const caller *self, const pay_order *order, int64_t refund, const call_record *record) {
    return db_exec(self->conn, &SQL_ATTEMPT_ADD,
                   DB_PARAMS(DB_I32(order->company), DB_I64(order->num), refund ? DB_I64(refund) : DB_NULL, DB_CSTR(record->action),
                             DB_TIME(service_now(self->all->svc)), DB_I64((record->ended_ns - record->began_ns) / 1000000),
                             DB_CSTR(provider_result_text(record->answer.result)), DB_I64(record->answer.http_status),
                             DB_TEXT(bounded(record->answer.code, 100)), DB_TEXT(bounded(record->answer.message, 400)),
                             DB_TEXT(bounded(record->answer.request_id, 128))),
                   NULL);
}

int64_t caller_pause_ms(const callers *self, int32_t step) {
    static const int64_t TIMES[] = {1, 3, 6, 18, 30, 60, 180, 360};
    size_t at = step < 0 ? 0 : (size_t)step;
    return self->first_ms * TIMES[at < ARRAY_LEN(TIMES) ? at : ARRAY_LEN(TIMES) - 1];
}

apply_entry caller_entry(const merchant *with, const provider_fact *fact) {
    return (apply_entry){
        .company = with->company, .merchant = with->num, .legal_entity = with->legal_entity, .channel = sv_of(with->channel), .fact = fact};
}

void caller_tell_outcome(const caller *self, const apply_entry *entry) {
    metric_add(self->all->metrics.outcomes[entry->outcome], 1);
    if (outcome_alarms(entry->outcome))
        LOG_ERROR("an answer of a channel needs a person", LOG_I("company", entry->company), LOG_I("merchant", entry->merchant),
                  LOG_S("outcome", outcome_text(entry->outcome)), LOG_SV("order", entry->fact->order_number));
}

// ---- claiming ----

static err_t claim_order(caller *self, const db_statement *statement, bool *out_done) {
    AUTO(db_rows) rows = {0};
    instant_ms now = service_now(self->all->svc);
    err_t err = db_query(self->conn, statement, DB_PARAMS(DB_TIME(now), DB_TIME(now + self->all->lease_ms)), &rows);
    if (err || rows.len == 0) return err;
    pay_order order;
    pay_order_read(&rows, 0, self->memory, &order);
    *out_done = true;
    CRASH_POINT("payments.claimed");
    return caller_order_step(self, &order);
}

static err_t claim_refund(caller *self, bool *out_done) {
    AUTO(db_rows) rows = {0};
    AUTO(db_rows) of = {0};
    instant_ms now = service_now(self->all->svc);
    err_t err = db_query(self->conn, &SQL_REFUND_CLAIM, DB_PARAMS(DB_TIME(now), DB_TIME(now + self->all->lease_ms)), &rows);
    if (err || rows.len == 0) return err;
    pay_refund refund;
    pay_order order;
    pay_refund_read(&rows, 0, self->memory, &refund);
    err = db_query_one(self->conn, &SQL_ORDER_OF_REFUND, DB_PARAMS(DB_I64(db_i64(&rows, 0, 13)), DB_I64(refund.order)), &of);
    if (err) return err;
    pay_order_read(&of, 0, self->memory, &order);
    *out_done = true;
    return caller_refund_step(self, &order, &refund);
}

// New orders first: a customer stands before the code.
static err_t step(caller *self, bool *out_done) {
    *out_done = false;
    arena_reset(self->memory);
    err_t err = claim_order(self, &SQL_ORDER_CLAIM_NEW, out_done);
    if (!err && !*out_done) err = claim_refund(self, out_done);
    if (!err && !*out_done) err = claim_order(self, &SQL_ORDER_CLAIM, out_done);
    if (!err && !*out_done) err = suspense_carry_out(self->all->svc, self->conn, self->memory, out_done);
    if (!err && *out_done) service_ring_relay(self->all->svc);
    return err;
}

static err_t open_web(httpc **out_http, fault *out_fault) {
    httpc_options options = httpc_options_default();
    options.allow_plain = true;  // providers let only loopback addresses pass without TLS
    return httpc_new(&options, out_http, out_fault);
}

void callers_run(service *svc, void *context) {
    caller self = {.all = context};
    fault why = {0};
    db_options options = service_db_options(svc, "caller");
    options.session_options = APPLY_SESSION_OPTIONS;
    AUTO_HTTPC http = NULL;
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    AUTO_DB conn = NULL;
    uint64_t heard = 0;
    if (open_web(&http, &why)) {
        service_fail(svc, "no HTTP client");
        return;
    }
    self.http = http;
    self.memory = memory;
    while (!service_is_stopping(svc)) {
        if (!conn || db_is_broken(conn)) {
            if (service_db_connect(svc, &options, &conn)) break;
            self.conn = conn;
        }
        bool has_done = false;
        err_t err = merchants_are_loaded(self.all->merchants) ? step(&self, &has_done) : ERR_OK;
        if (err) {
            LOG_WARN("what a channel said was not stored; it is asked again when its lease ends", LOG_S("error", err_name(err)),
                     LOG_S("why", db_error_text(conn)));
            (void)service_wait(svc, RETRY_MS);
        } else if (!has_done) {
            listen_for(self.all->bell, &heard, POLL_MS);
        }
    }
}

// ---- listening ----

static void read_gauges(db *conn, instant_ms now, metric *const gauges[3]) {
    AUTO(db_rows) overdue = {0};
    AUTO(db_rows) open = {0};
    err_t err = db_query_one(conn, &SQL_OVERDUE_COUNT, DB_PARAMS(DB_TIME(now - OVERDUE_MS)), &overdue);
    if (!err) err = db_query_one(conn, &SQL_OPEN_COUNTS, DB_NO_PARAMS, &open);
    if (err) return;
    metric_set(gauges[0], db_i64(&overdue, 0, 0));
    metric_set(gauges[1], db_i64(&open, 0, 0));
    metric_set(gauges[2], db_i64(&open, 0, 1));
}

void callers_listen(service *svc, void *context) {
    callers *self = context;
    metric *const gauges[3] = {
        metric_gauge("penstock_payments_overdue", "Orders and refunds that should have been asked about five minutes ago", NULL),
        metric_gauge("penstock_payments_unknown_orders", "Orders of which the channel's word is missing", NULL),
        metric_gauge("penstock_payments_open_suspense", "Suspended money that waits for a person", NULL)};
    db_options options = service_db_options(svc, "listener");
    AUTO_DB conn = NULL;
    int64_t gauges_at_ms = 0;
    while (!service_is_stopping(svc)) {
        db_notice notice;
        bool is_rung = false;
        if (!conn || db_is_broken(conn)) {
            if (service_db_connect(svc, &options, &conn)) break;
            if (db_listen(conn, "payment_order")) db_break(conn);
        }
        if (!db_wait_notice(conn, POLL_MS, &notice, &is_rung) && is_rung) ring(self->bell);
        if (clock_monotonic_ms() < gauges_at_ms) continue;
        gauges_at_ms = clock_monotonic_ms() + GAUGES_EVERY_MS;
        if (!db_is_broken(conn)) read_gauges(conn, service_now(svc), gauges);
    }
    ring(self->bell);
}
