// Announces committed outbox rows on their streams. It reads what is unpublished (never "id > cursor", which would skip
// late commits), announces, then marks. Dying in between announces twice, which consumers absorb. One relay per
// service works at a time, by an advisory lock; losing that race only means waiting.
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "service_internal.h"
#include "service_sql.h"

#define LOCK_SPACE 7003
#define BATCH 500
#define LOOK_EVERY_MS 1000
#define FROZEN_AFTER_MS 15000  // the server ends the session of a relay that stopped looking: its lock passes on
#define KEEP_MS (14 * DAY_MS)
#define FORGET_EVERY_MS HOUR_MS
#define TRIM_EVERY_MS MINUTE_MS
#define STREAMS_MAX 16

typedef struct relay {
    service *svc;
    db *conn;
    bus *redis;
    bool has_lock;
    int64_t forget_at_ms, trim_at_ms;
    char streams[STREAMS_MAX][BUS_STREAM_MAX];  // seen so far, for trimming
    size_t stream_count;
    metric *published, *refused;
} relay;

static int32_t lock_key(const char *schema) {
    uint32_t hash = 2166136261u;
    for (; *schema; schema++) hash = (hash ^ (uint8_t)*schema) * 16777619u;
    return (int32_t)(hash & 0x7FFFFFFF);
}

static void remember_stream(relay *self, const char *stream) {
    for (size_t i = 0; i < self->stream_count; i++)
        if (sv_equal(sv_of(self->streams[i]), sv_of(stream))) return;
    if (self->stream_count < STREAMS_MAX) sv_copy_truncated(sv_of(stream), self->streams[self->stream_count++], BUS_STREAM_MAX);
}

static err_t announce(relay *self, const db_rows *rows, uuid *out_ids) {
    char streams[BATCH][BUS_STREAM_MAX];
    char texts[BATCH][UUID_TEXT_LEN + 1];
    bus_entry entries[BATCH];
    for (size_t i = 0; i < rows->len; i++) {
        out_ids[i] = db_uuid(rows, i, 0);
        sv_copy_truncated(db_text(rows, i, 1), streams[i], sizeof streams[i]);
        uuid_format(out_ids[i], texts[i]);
        entries[i] = (bus_entry){.stream = streams[i], .payload = sv_slice(texts[i], UUID_TEXT_LEN)};
        remember_stream(self, streams[i]);
    }
    return bus_publish(self->redis, entries, rows->len);
}

// Publishes one batch; *out_more: there may be another.
static err_t publish_batch(relay *self, bool *out_more) {
    *out_more = false;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_SERVICE_OUTBOX_PENDING, DB_PARAMS(DB_I64(BATCH)), &rows);
    if (err || rows.len == 0) return err;
    uuid ids[BATCH];
    CRASH_POINT("relay.before_announce");
    if (announce(self, &rows, ids)) {
        metric_add(self->refused, 1);
        return ERR_OK;  // consumers sweep; the rows stay unpublished and are tried again
    }
    CRASH_POINT("relay.before_mark");
    err = db_exec(self->conn, &SQL_SERVICE_OUTBOX_MARK, DB_PARAMS(DB_TIME(service_now(self->svc)), DB_UUID_ARRAY(ids, rows.len)), NULL);
    if (!err) metric_add(self->published, (int64_t)rows.len);
    *out_more = !err && rows.len == BATCH;
    return err;
}

static err_t tidy_up(relay *self) {
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms >= self->trim_at_ms) {
        const char *names[STREAMS_MAX];
        for (size_t i = 0; i < self->stream_count; i++) names[i] = self->streams[i];
        if (self->stream_count > 0) (void)!bus_trim(self->redis, names, self->stream_count);
        self->trim_at_ms = now_ms + TRIM_EVERY_MS;
    }
    if (now_ms < self->forget_at_ms) return ERR_OK;
    self->forget_at_ms = now_ms + FORGET_EVERY_MS;
    return db_exec(self->conn, &SQL_SERVICE_OUTBOX_FORGET, DB_PARAMS(DB_TIME(service_now(self->svc) - KEEP_MS)), NULL);
}

static err_t work(relay *self) {
    err_t err = ERR_OK;
    if (!self->has_lock) err = db_try_lock(self->conn, LOCK_SPACE, lock_key(self->svc->schema), &self->has_lock);
    bool has_more = self->has_lock;
    while (!err && has_more && !service_is_stopping(self->svc)) err = publish_batch(self, &has_more);
    if (!err && self->has_lock) err = tidy_up(self);
    return err;
}

static void wait_for_ring(service *svc) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += LOOK_EVERY_MS / 1000;
    pthread_mutex_lock(&svc->lock);
    while (!svc->relay_has_work && !svc->is_stopping)
        if (pthread_cond_timedwait(&svc->relay_rung, &svc->lock, &at) != 0) break;
    svc->relay_has_work = false;
    pthread_mutex_unlock(&svc->lock);
}

void service_relay_run(service *svc, void *context) {
    (void)context;
    relay self = {.svc = svc, .redis = service_bus_new(svc)};
    self.published = metric_counter("penstock_outbox_published_total", "Outbox events announced on their streams", NULL);
    self.refused = metric_counter("penstock_outbox_announce_failures_total", "Batches Redis did not take; consumers sweep", NULL);
    db_options options = service_worker_options(svc, "relay");
    options.idle_session_timeout_ms = FROZEN_AFTER_MS;
    AUTO_DB conn = NULL;
    while (!service_is_stopping(svc)) {
        if (!conn || db_is_broken(conn)) {
            self.has_lock = false;
            if (service_db_connect(svc, &options, &conn)) break;
            self.conn = conn;
        }
        err_t err = work(&self);
        if (err && !db_is_broken(conn))
            LOG_WARN("the relay will try again", LOG_S("error", err_name(err)), LOG_S("why", db_error_text(conn)));
        if (err) (void)service_wait(svc, LOOK_EVERY_MS);
        wait_for_ring(svc);
    }
    bus_free(self.redis);
}
