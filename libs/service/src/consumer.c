// Consumes one stream of events. The stream only says which outbox rows to look at; every sweep looks at all rows of
// the last days which the inbox lacks. Each event is one transaction: inbox row and effects together.
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "contracts/streams.h"
#include "service_internal.h"
#include "service_sql.h"

#define SWEEP_EVERY_MS (30 * SECOND_MS)
#define SWEEP_POLL_MS SECOND_MS        // while Redis is away
#define SWEEP_AGE_MS (10 * SECOND_MS)  // younger rows are the doorbell's
#define SWEEP_BACK_MS (14 * DAY_MS)    // as long as outbox rows are kept
#define INBOX_KEEP_MS (16 * DAY_MS)    // longer, so that no sweep meets an event whose inbox row is gone
#define FORGET_EVERY_MS HOUR_MS
#define BATCH 200
#define RETRY_MS 500
#define EVENT_MEMORY_MAX (16u << 20)

typedef struct producer {
    const char *name;
    const db_statement *fetch, *sweep;
} producer;

static const producer PRODUCERS[] = {{"ingest", &SQL_SERVICE_FETCH_INGEST, &SQL_SERVICE_SWEEP_INGEST},
                                     {"billing", &SQL_SERVICE_FETCH_BILLING, &SQL_SERVICE_SWEEP_BILLING},
                                     {"payments", &SQL_SERVICE_FETCH_PAYMENTS, &SQL_SERVICE_SWEEP_PAYMENTS},
                                     {"control", &SQL_SERVICE_FETCH_CONTROL, &SQL_SERVICE_SWEEP_CONTROL},
                                     {"alerts", &SQL_SERVICE_FETCH_ALERTS, &SQL_SERVICE_SWEEP_ALERTS},
                                     {"api", &SQL_SERVICE_FETCH_API, &SQL_SERVICE_SWEEP_API}};

typedef struct consumer {
    service *svc;
    const service_consumer *spec;
    const producer *producer;
    db *conn;
    bus *redis;
    arena *memory;
    bus_cursor cursor;
    int64_t sweep_at_ms, forget_at_ms;
    metric *handled, *dead;
} consumer;

static const producer *producer_of(const char *stream) {
    const char *name = stream_producer(sv_of(stream));
    for (size_t i = 0; i < ARRAY_LEN(PRODUCERS); i++)
        if (name && strcmp(PRODUCERS[i].name, name) == 0) return &PRODUCERS[i];
    return NULL;
}

// ERR_OK: done or done before.
static err_t handle_once(consumer *self, const service_event *event, fault *out_fault) {
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    if (err) return fault_set(out_fault, err, "database", "%.150s", db_error_text(self->conn));
    int64_t is_new = 0;
    err = db_exec(self->conn, &SQL_SERVICE_INBOX_ENTER, DB_PARAMS(DB_UUID(event->id), DB_TIME(service_now(self->svc))), &is_new);
    if (!err && is_new == 0) return ERR_OK;
    if (!err) {
        fault_set(out_fault, ERR_OK, "event", "%s", "");
        err = self->spec->handle(self->svc, self->conn, event, self->memory, out_fault);
    }
    CRASH_POINT("consumer.before_commit");
    if (!err) err = db_commit(&tx);
    // What the handler wrote to the outbox can be seen only now; a ring of its own may have come too early.
    if (!err && self->svc->def->has_outbox) service_ring_relay(self->svc);
    CRASH_POINT("consumer.after_commit");
    return err;
}

static err_t bury(consumer *self, const service_event *event, err_t why_err, const fault *why) {
    char id[UUID_TEXT_LEN + 1];
    uuid_format(event->id, id);
    LOG_ERROR("an event had no effect; its inbox row says why", LOG_S("stream", self->spec->stream), LOG_S("event", id),
              LOG_S("error", err_name(why_err)), LOG_S("why", why->reason));
    metric_add(self->dead, 1);
    AUTO(buf) reason = {.max = 600};
    buf_addf(&reason, "%s: %s %s", err_name(why_err), why->place, why->reason);
    return db_exec(self->conn, &SQL_SERVICE_INBOX_REFUSE,
                   DB_PARAMS(DB_UUID(event->id), DB_TIME(service_now(self->svc)), DB_TEXT(buf_view(&reason))), NULL);
}

// Runs until the event is done, buried, the connection is lost or the service stops.
static err_t handle_event(consumer *self, const service_event *event) {
    for (;;) {
        fault why = {0};
        err_t err = handle_once(self, event, &why);
        if (!err) {
            metric_add(self->handled, 1);
            return ERR_OK;
        }
        if (db_is_broken(self->conn)) return ERR_UNAVAILABLE;  // the inbox will tell whether it happened
        if (err_retry_class(err) == ERR_RETRY_NO) return bury(self, event, err, &why);
        LOG_WARN("an event will be tried again", LOG_S("stream", self->spec->stream), LOG_S("error", err_name(err)),
                 LOG_S("why", why.reason));
        if (service_wait(self->svc, RETRY_MS)) return ERR_UNAVAILABLE;
    }
}

static err_t handle_rows(consumer *self, const db_rows *rows) {
    err_t err = ERR_OK;
    for (size_t i = 0; !err && i < rows->len && !service_is_stopping(self->svc); i++) {
        arena_reset(self->memory);
        service_event event = {.id = db_uuid(rows, i, 0),
                               .stream = self->spec->stream,
                               .type = db_text(rows, i, 1),
                               .company = (int32_t)db_i64(rows, i, 2),
                               .subject = db_i64(rows, i, 3),
                               .version = db_i64(rows, i, 4),
                               .at = db_time(rows, i, 5),
                               .payload = db_text(rows, i, 6)};
        LOG_SCOPE(scope, LOG_I("company", event.company));
        (void)scope;  // lives for its cleanup
        err = handle_event(self, &event);
    }
    return err;
}

static err_t sweep(consumer *self, int64_t min_age_ms) {
    instant_ms now = service_now(self->svc);
    size_t len = BATCH;
    while (len == BATCH && !service_is_stopping(self->svc)) {
        AUTO(db_rows) rows = {0};
        err_t err =
            db_query(self->conn, self->producer->sweep,
                     DB_PARAMS(DB_CSTR(self->spec->stream), DB_TIME(now - SWEEP_BACK_MS), DB_TIME(now - min_age_ms), DB_I64(BATCH)), &rows);
        if (!err) err = handle_rows(self, &rows);
        if (err) return err;
        len = rows.len;
    }
    return ERR_OK;
}

static err_t handle_rung(consumer *self, const bus_messages *messages) {
    uuid ids[BATCH];
    size_t len = 0;
    for (size_t i = 0; i < messages->len && len < BATCH; i++)
        if (uuid_parse(messages->items[i].payload, &ids[len])) len++;  // anything else is not from a relay
    if (len == 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, self->producer->fetch, DB_PARAMS(DB_UUID_ARRAY(ids, len), DB_CSTR(self->spec->stream)), &rows);
    return err ? err : handle_rows(self, &rows);
}

static err_t sweep_if_due(consumer *self, bool redis_is_away) {
    int64_t now_ms = clock_monotonic_ms();
    err_t err = ERR_OK;
    if (redis_is_away || now_ms >= self->sweep_at_ms) {
        err = sweep(self, redis_is_away ? 0 : SWEEP_AGE_MS);
        self->sweep_at_ms = clock_monotonic_ms() + SWEEP_EVERY_MS;
    }
    if (!err && now_ms >= self->forget_at_ms) {
        err = db_exec(self->conn, &SQL_SERVICE_INBOX_FORGET, DB_PARAMS(DB_TIME(service_now(self->svc) - INBOX_KEEP_MS)), NULL);
        self->forget_at_ms = now_ms + FORGET_EVERY_MS;
    }
    return err;
}

static err_t step(consumer *self) {
    arena_reset(self->memory);
    bus_messages messages = {0};
    bool is_away = bus_read(self->redis, &self->cursor, 1, BATCH, SWEEP_POLL_MS, self->memory, &messages) != ERR_OK;
    if (is_away && service_wait(self->svc, SWEEP_POLL_MS)) return ERR_OK;
    err_t err = is_away ? ERR_OK : handle_rung(self, &messages);
    return err ? err : sweep_if_due(self, is_away);
}

void service_consumer_run(service *svc, void *context) {
    const service_consumer *spec = context;
    consumer self = {.svc = svc, .spec = spec, .producer = producer_of(spec->stream), .redis = service_bus_new(svc)};
    CHECK(self.producer);
    self.memory = arena_new(EVENT_MEMORY_MAX);
    bus_cursor_init(&self.cursor, spec->stream);
    char labels[100];
    snprintf(labels, sizeof labels, "stream=\"%s\"", spec->stream);
    self.handled = metric_counter("penstock_events_handled_total", "Events whose effect is committed", labels);
    self.dead = metric_counter("penstock_events_dead_total", "Events that had no effect; their inbox rows say why", labels);
    db_options options = service_worker_options(svc, "consumer");
    AUTO_DB conn = NULL;
    while (!service_is_stopping(svc)) {
        if (!conn || db_is_broken(conn)) {
            if (service_db_connect(svc, &options, &conn)) break;
            self.conn = conn;
            self.sweep_at_ms = 0;  // something may have been missed meanwhile
        }
        if (step(&self)) (void)service_wait(svc, RETRY_MS);
    }
    arena_free(self.memory);
    bus_free(self.redis);
}
