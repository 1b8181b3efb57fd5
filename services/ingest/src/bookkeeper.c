#include "bookkeeper.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "contacts.h"
#include "ingest.h"
#include "ingest_sql.h"
#include "links/link.h"

#define TASKS_MAX 20000
#define WAKE_MS 250
#define WRITE_EVERY_MS 1000
#define WATCH_EVERY_MS 5000
#define PARTITIONS_EVERY_MS HOUR_MS
#define PARTITIONS_AHEAD_DAYS 14

typedef enum task_kind { TASK_CLAIM, TASK_SEEN, TASK_CLOSED, TASK_EVENT } task_kind;

typedef struct task {
    task_kind kind;
    session_claim session;
    char text[64];  // kind of an event
    char detail[200];
    instant_ms at;
    const registry_gateway *gateway;
    const registry_meter *meter;
} task;

typedef VEC(task) task_list;

struct bookkeeper {
    ingest *app;
    pthread_mutex_t lock;
    pthread_cond_t handed;
    task_list waiting;
    metric *dropped;

    // The thread's own.
    db *conn;
    task_list todo;
    int64_t write_at_ms, watch_at_ms, partitions_at_ms;
    bool has_loaded;
};

bookkeeper *bookkeeper_new(ingest *app) {
    bookkeeper *self = mem_new(1, sizeof *self);
    self->app = app;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->handed, &attr);
    pthread_condattr_destroy(&attr);
    self->dropped = metric_counter("penstock_ingest_notes_dropped_total", "Events and results not written because too many waited", NULL);
    return self;
}

void bookkeeper_free(bookkeeper *self) {
    if (!self) return;
    db_close(self->conn);
    vec_done(&self->waiting);
    vec_done(&self->todo);
    pthread_cond_destroy(&self->handed);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

// ---- handing over ----

static bool hand_over(bookkeeper *self, const task *what) {
    pthread_mutex_lock(&self->lock);
    bool has_room = self->waiting.len < TASKS_MAX;
    if (has_room) vec_push(&self->waiting, *what);
    pthread_cond_signal(&self->handed);
    pthread_mutex_unlock(&self->lock);
    if (!has_room) metric_add(self->dropped, 1);
    return has_room;
}

bool bookkeeper_claim(bookkeeper *self, const session_claim *claim) {
    return hand_over(self, &(task){.kind = TASK_CLAIM, .session = *claim});
}

void bookkeeper_session_seen(bookkeeper *self, const session_claim *session) {
    (void)hand_over(self, &(task){.kind = TASK_SEEN, .session = *session});
}

void bookkeeper_session_closed(bookkeeper *self, const session_claim *session) {
    (void)hand_over(self, &(task){.kind = TASK_CLOSED, .session = *session});
}

void bookkeeper_event(bookkeeper *self, const device_event *event) {
    task what = {.kind = TASK_EVENT, .gateway = event->gateway, .meter = event->meter, .at = service_now(self->app->svc)};
    sv_copy_truncated(sv_of(event->kind), what.text, sizeof what.text);
    sv_copy_truncated(sv_of(event->detail), what.detail, sizeof what.detail);
    (void)hand_over(self, &what);
}

// ---- tasks ----

static void tell_links(bookkeeper *self, const session_claim *claim) {
    for (size_t i = 0; i < link_count(); i++)
        if (link_at(i)->claimed) link_at(i)->claimed(self->app, i, claim);
}

static err_t do_claim(bookkeeper *self, session_claim *claim) {
    AUTO(db_rows) row = {0};
    const registry_gateway *gateway = claim->gateway;
    instant_ms now = service_now(self->app->svc);
    int32_t replica = journal_replica(self->app->journal);
    registry_read_lock(self->app->registry);
    int64_t heartbeat_ms = gateway->heartbeat_s * SECOND_MS;
    registry_unlock(self->app->registry);
    claim->is_granted = false;
    err_t err = replica < 0 ? ERR_UNAVAILABLE : ERR_OK;
    if (!err)
        err = db_query(self->conn, &SQL_SESSION_CLAIM,
                       DB_PARAMS(DB_I32(gateway->company), DB_I64(gateway->num), DB_I32(replica), DB_TIME(now), DB_TIME(now - heartbeat_ms),
                                 DB_CSTR(claim->remote)),
                       &row);
    if (!err && row.len) {
        claim->is_granted = true;
        claim->epoch = db_i64(&row, 0, 0);
    }
    tell_links(self, claim);
    return err;
}

static err_t do_seen(bookkeeper *self, session_claim *session) {
    AUTO(db_rows) row = {0};
    err_t err = db_query(self->conn, &SQL_SESSION_SEEN,
                         DB_PARAMS(DB_I32(session->gateway->company), DB_I64(session->gateway->num), DB_I64(session->epoch),
                                   DB_TIME(service_now(self->app->svc))),
                         &row);
    if (err || row.len) return err;
    session->is_granted = false;
    tell_links(self, session);
    return ERR_OK;
}

static err_t do_closed(bookkeeper *self, const session_claim *session) {
    return db_exec(self->conn, &SQL_SESSION_CLOSE,
                   DB_PARAMS(DB_I32(session->gateway->company), DB_I64(session->gateway->num), DB_I64(session->epoch),
                             DB_TIME(service_now(self->app->svc))),
                   NULL);
}

static err_t do_event(bookkeeper *self, const task *what) {
    db_param meter = what->meter ? DB_I64(what->meter->num) : DB_NULL;
    return db_exec(self->conn, &SQL_DEVICE_EVENT_INSERT,
                   DB_PARAMS(DB_I32(what->gateway->company), DB_UUID(uuid_v7_now()), DB_TIME(what->at), DB_CSTR(what->text),
                             DB_I64(what->gateway->num), meter, DB_CSTR(what->detail)),
                   NULL);
}

static err_t do_task(bookkeeper *self, task *what) {
    switch (what->kind) {
        case TASK_CLAIM: return do_claim(self, &what->session);
        case TASK_SEEN: return do_seen(self, &what->session);
        case TASK_CLOSED: return do_closed(self, &what->session);
        case TASK_EVENT: return do_event(self, what);
    }
    return ERR_INTERNAL;
}

static void wait_for_tasks(bookkeeper *self) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAKE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    pthread_mutex_lock(&self->lock);
    while (self->waiting.len == 0)
        if (pthread_cond_timedwait(&self->handed, &self->lock, &until) != 0) break;
    task_list empty = self->todo;
    self->todo = self->waiting;
    self->waiting = empty;
    vec_clear(&self->waiting);
    pthread_mutex_unlock(&self->lock);
}

// A task that fails is not repeated: a claim is refused (the gateway comes again), the rest is only worth a line.
static void do_tasks(bookkeeper *self) {
    for (size_t i = 0; i < self->todo.len; i++) {
        err_t err = do_task(self, &self->todo.items[i]);
        if (err)
            LOG_WARN("a note of ingest was not written", LOG_I("kind", self->todo.items[i].kind), LOG_S("error", err_name(err)),
                     LOG_S("why", db_error_text(self->conn)));
    }
    vec_clear(&self->todo);
}

// ---- the thread ----

static err_t ensure_partitions(bookkeeper *self) {
    AUTO(db_rows) row = {0};
    int32_t today = (int32_t)(service_now(self->app->svc) / DAY_MS);
    return db_query_one(self->conn, &SQL_PARTITIONS_ENSURE, DB_PARAMS(DB_DATE(today - 1), DB_DATE(today + PARTITIONS_AHEAD_DAYS)), &row);
}

static err_t do_rounds(bookkeeper *self) {
    int64_t now_ms = clock_monotonic_ms();
    err_t err = ERR_OK;
    if (!self->has_loaded && registry_is_loaded(self->app->registry)) {
        err = contacts_load(self->app, self->conn);
        self->has_loaded = !err;
    }
    if (!err && now_ms >= self->partitions_at_ms) {
        err = ensure_partitions(self);
        self->partitions_at_ms = now_ms + PARTITIONS_EVERY_MS;
    }
    if (!err && now_ms >= self->write_at_ms) {
        err = contacts_write(self->app, self->conn);
        self->write_at_ms = now_ms + WRITE_EVERY_MS;
    }
    if (!err && self->has_loaded && now_ms >= self->watch_at_ms) {
        err = contacts_watch(self->app, self->conn);
        self->watch_at_ms = now_ms + WATCH_EVERY_MS;
    }
    return err;
}

// The last words of the process: what was heard, and that nobody serves its links any more.
static void finish(bookkeeper *self) {
    if (!self->conn || db_is_broken(self->conn)) return;
    do_tasks(self);
    err_t err = contacts_write(self->app, self->conn);
    int32_t replica = journal_replica(self->app->journal);
    if (!err && replica >= 0)
        err = db_exec(
            self->conn, &SQL_SESSION_CLOSE_ALL,
            DB_PARAMS(DB_I32(replica), DB_TIME(journal_replica_started_at(self->app->journal)), DB_TIME(service_now(self->app->svc))),
            NULL);
    if (err) LOG_WARN("the last notes of ingest were not written", LOG_S("why", db_error_text(self->conn)));
}

void bookkeeper_run(service *svc, void *context) {
    bookkeeper *self = context;
    db_options options = service_db_options(svc, "bookkeeper");
    while (!service_is_stopping(svc)) {
        if (!self->conn || db_is_broken(self->conn)) {
            if (service_db_connect(svc, &options, &self->conn)) break;
        }
        wait_for_tasks(self);
        do_tasks(self);
        err_t err = do_rounds(self);
        if (err) {
            LOG_WARN("contacts were not written; trying again", LOG_S("error", err_name(err)), LOG_S("why", db_error_text(self->conn)));
            (void)service_wait(svc, 500);
        }
    }
    wait_for_tasks(self);
    finish(self);
}
