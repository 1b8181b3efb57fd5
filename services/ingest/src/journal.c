#include "journal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "bell.h"
#include "ingest.h"
#include "ingest_sql.h"
#include "journal_flush.h"

#define GATHER_RECORDS 4096  // enough for a full flush: do not wait for the 20 ms
#define BEAT_MS 2000
#define REPLICA_SPACE 7001
#define REPLICAS_END 512
#define FATE_DEADLINE_MS 5000
#define HOST_MAX 200

struct journal {
    service *svc;
    journal_options options;
    pthread_mutex_t lock;
    pthread_cond_t submitted;
    journal_entry *first, **last_next;
    size_t entries, records;  // waiting and in flight
    size_t waiting_records;
    bool is_up;  // has a connection and a number
    atomic_int replica;
    _Atomic instant_ms replica_started_at;

    // The thread's own.
    db *conn;
    num_series nums;
    journal_flush flush;
    journal_batch batch;
    instant_ms flush_at;
    int64_t beat_at_ms;
    metric *journaled, *blocks, *flushes, *flush_seconds, *commit_doubts, *queued;
};

journal *journal_new(service *svc, const journal_options *options) {
    journal *self = mem_new(1, sizeof *self);
    self->svc = svc;
    self->options = *options;
    self->last_next = &self->first;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->submitted, &attr);
    pthread_condattr_destroy(&attr);
    atomic_store(&self->replica, -1);
    self->flush.nums = &self->nums;
    self->journaled = metric_counter("penstock_ingest_readings_journaled_total", "Readings that are in the journal", NULL);
    self->blocks = metric_counter("penstock_ingest_blocks_total", "Blocks that are in the journal", NULL);
    self->flushes = metric_counter("penstock_ingest_flushes_total", "Transactions of the journal", NULL);
    self->flush_seconds = metric_histogram("penstock_ingest_flush_seconds", "From the start of a flush to its commit", NULL);
    self->commit_doubts = metric_counter("penstock_ingest_commit_doubts_total", "Commits whose answer was lost", NULL);
    self->queued = metric_gauge("penstock_ingest_queued_records", "Readings that wait for the journal", NULL);
    return self;
}

void journal_free(journal *self) {
    if (!self) return;
    db_close(self->conn);
    journal_flush_done(&self->flush);
    vec_done(&self->batch);
    pthread_cond_destroy(&self->submitted);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

int32_t journal_replica(const journal *self) { return atomic_load(&self->replica); }
instant_ms journal_replica_started_at(const journal *self) { return atomic_load(&self->replica_started_at); }

bool journal_is_up(const journal *self) { return journal_replica(self) >= 0; }

// ---- submitting ----

err_t journal_submit(journal *self, journal_entry *entry) {
    pthread_mutex_lock(&self->lock);
    err_t err = ERR_OK;
    bool is_full = self->entries >= self->options.queue_entries_max ||
                   (self->records > 0 && self->records + entry->record_count > self->options.queue_records_max);
    if (!self->is_up)
        err = ERR_UNAVAILABLE;
    else if (is_full)
        err = ERR_BUSY;
    if (!err) {
        entry->next = NULL;
        *self->last_next = entry;
        self->last_next = &entry->next;
        self->entries++;
        self->records += entry->record_count;
        self->waiting_records += entry->record_count;
        metric_set(self->queued, (int64_t)self->records);
        pthread_cond_signal(&self->submitted);
    }
    pthread_mutex_unlock(&self->lock);
    return err;
}

typedef struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_answered;
    err_t result;
} waiter;

static void answer_waiter(journal_entry *entry, err_t result) {
    waiter *self = entry->owner;
    pthread_mutex_lock(&self->lock);
    self->is_answered = true;
    self->result = result;
    pthread_cond_signal(&self->answered);
    pthread_mutex_unlock(&self->lock);
}

err_t journal_submit_and_wait(journal *self, journal_entry *entry) {
    waiter wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};
    entry->done = answer_waiter;
    entry->owner = &wait;
    err_t err = journal_submit(self, entry);
    if (err) return err;
    pthread_mutex_lock(&wait.lock);
    while (!wait.is_answered) pthread_cond_wait(&wait.answered, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    pthread_mutex_destroy(&wait.lock);
    pthread_cond_destroy(&wait.answered);
    return wait.result;
}

// ---- the thread ----

static struct timespec monotonic_in(int64_t ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
    return at;
}

static void take_batch(journal *self) {
    vec_clear(&self->batch);
    size_t records = 0;
    while (self->first && records < self->options.queue_records_max) {
        journal_entry *entry = self->first;
        self->first = entry->next;
        records += entry->record_count;
        vec_push(&self->batch, entry);
    }
    if (!self->first) self->last_next = &self->first;
    self->waiting_records -= records;
}

// Waits for the first entry, at most until the next beat, then for others that want to come along.
static void gather(journal *self) {
    pthread_mutex_lock(&self->lock);
    struct timespec until = monotonic_in(BEAT_MS / 4);
    while (!self->first)
        if (pthread_cond_timedwait(&self->submitted, &self->lock, &until) != 0) break;
    until = monotonic_in(JOURNAL_GATHER_MS);
    while (self->first && self->waiting_records < GATHER_RECORDS)
        if (pthread_cond_timedwait(&self->submitted, &self->lock, &until) != 0) break;
    take_batch(self);
    pthread_mutex_unlock(&self->lock);
}

static void answer(journal *self, journal_entry *entry) {
    pthread_mutex_lock(&self->lock);
    self->entries--;
    self->records -= entry->record_count;
    metric_set(self->queued, (int64_t)self->records);
    pthread_mutex_unlock(&self->lock);
    entry->done(entry, entry->result);  // may free it
}

static void answer_batch(journal *self) {
    for (size_t i = 0; i < self->batch.len; i++) answer(self, self->batch.items[i]);
    vec_clear(&self->batch);
}

// Without a connection nothing can be accepted: what waits is told so at once.
static void go_down(journal *self) {
    pthread_mutex_lock(&self->lock);
    self->is_up = false;
    take_batch(self);
    pthread_mutex_unlock(&self->lock);
    atomic_store(&self->replica, -1);
    for (size_t i = 0; i < self->batch.len; i++) self->batch.items[i]->result = ERR_UNAVAILABLE;
    answer_batch(self);
}

static err_t take_number(journal *self, bool *out_taken) {
    uint32_t start = 0;
    random_fill(&start, sizeof start);
    *out_taken = false;
    for (int32_t i = 0; i < REPLICAS_END && !*out_taken; i++) {
        int32_t num = (int32_t)((start + (uint32_t)i) % REPLICAS_END);
        err_t err = db_try_lock(self->conn, REPLICA_SPACE, num, out_taken);
        if (err) return err;
        if (*out_taken) {
            self->nums = (num_series){.replica = (uint16_t)num};
            atomic_store(&self->replica_started_at, service_now(self->svc));
            atomic_store(&self->replica, num);
        }
    }
    return ERR_OK;
}

static err_t beat(journal *self) {
    char host[HOST_MAX] = "";
    (void)gethostname(host, sizeof host - 1);
    self->beat_at_ms = clock_monotonic_ms() + BEAT_MS;
    return db_exec(
        self->conn, &SQL_REPLICA_BEAT,
        DB_PARAMS(DB_I32(journal_replica(self)), DB_CSTR(host), DB_TIME(journal_replica_started_at(self)), DB_TIME(service_now(self->svc))),
        NULL);
}

static bool come_up(journal *self) {
    db_options options = service_db_options(self->svc, "journal");
    options.statement_timeout_ms = 10000;
    if (service_db_connect(self->svc, &options, &self->conn)) return false;
    bool taken = false;
    err_t err = take_number(self, &taken);
    if (!err && !taken) LOG_ERROR("all 512 numbers of ingest replicas are in use");
    if (!err && taken) err = beat(self);
    if (err || !taken) {
        db_break(self->conn);
        atomic_store(&self->replica, -1);
        (void)service_wait(self->svc, 1000);
        return true;
    }
    pthread_mutex_lock(&self->lock);
    self->is_up = true;
    pthread_mutex_unlock(&self->lock);
    LOG_INFO("the journal is open", LOG_I("replica", journal_replica(self)));
    return true;
}

// One look: first whether the transaction has ended, then, with a newer snapshot, whether its first block is there. An
// id alone proves nothing: after a crash the server may give it to another transaction.
static err_t look_for_fate(journal *self, int64_t xid, bool *out_ended, bool *out_there) {
    AUTO(db_rows) state = {0};
    AUTO(db_rows) block = {0};
    err_t err = db_query_one(self->conn, &SQL_TRANSACTION_FATE, DB_PARAMS(DB_I64(xid)), &state);
    bool is_unknown = err == ERR_BAD_INPUT;  // an id the restarted server has not given yet: nothing of it was kept
    if (err && !is_unknown) return err;
    *out_ended = is_unknown || !sv_equal(db_text(&state, 0, 0), SV("in progress"));
    err =
        db_query_one(self->conn, &SQL_BLOCK_EXISTS,
                     DB_PARAMS(DB_I16(self->flush.partitions.items[0]), DB_I64(self->flush.ids.items[0]), DB_TIME(self->flush_at)), &block);
    if (!err) *out_there = db_bool(&block, 0, 0);
    return err;
}

// Whether a transaction was committed whose answer was lost.
static err_t find_fate(journal *self, int64_t xid) {
    metric_add(self->commit_doubts, 1);
    int64_t deadline_ms = clock_monotonic_ms() + FATE_DEADLINE_MS;
    while (clock_monotonic_ms() < deadline_ms) {
        bool has_ended = false;
        bool is_there = false;
        err_t err = db_is_broken(self->conn) ? db_reset(self->conn, NULL) : ERR_OK;
        if (!err) err = look_for_fate(self, xid, &has_ended, &is_there);
        if (!err && is_there) return ERR_OK;
        if (!err && has_ended) return ERR_UNAVAILABLE;
        usleep(100000);
    }
    return ERR_UNCERTAIN;
}

static void resolve_doubt(journal *self, int64_t xid) {
    err_t fate = xid ? find_fate(self, xid) : ERR_UNCERTAIN;
    LOG_WARN("the answer to a commit was lost; asked for its fate", LOG_S("fate", fate ? err_name(fate) : "committed"));
    for (size_t i = 0; i < self->batch.len; i++)
        if (self->batch.items[i]->result == ERR_UNCERTAIN) self->batch.items[i]->result = fate;
    if (!db_is_broken(self->conn)) db_break(self->conn);  // it does not hold the number
}

static void run_flush(journal *self) {
    int64_t started_us = clock_monotonic_ns() / 1000;
    int64_t xid = 0;
    self->flush_at = service_now(self->svc);
    journal_flush_run(&self->flush, self->conn, self->flush_at, &self->batch, &xid);
    bool is_in_doubt = false;
    bool is_committed = false;
    for (size_t i = 0; i < self->batch.len; i++) is_in_doubt |= self->batch.items[i]->result == ERR_UNCERTAIN;
    if (is_in_doubt) resolve_doubt(self, xid);
    for (size_t i = 0; i < self->batch.len; i++) is_committed |= self->batch.items[i]->result == ERR_OK;
    metric_observe_us(self->flush_seconds, clock_monotonic_ns() / 1000 - started_us);
    metric_add(self->flushes, 1);
    if (is_committed) {
        metric_add(self->journaled, (int64_t)self->flush.records.len);
        metric_add(self->blocks, (int64_t)self->flush.blocks.len);
    }
    answer_batch(self);
    CRASH_POINT("ingest.before_ring");
    ingest *app = service_state(self->svc);
    if (is_committed) bell_ring(app->bell, self->flush.partitions.items, self->flush.ids.items, self->flush.blocks.len);
}

static bool has_work(journal *self) {
    pthread_mutex_lock(&self->lock);
    bool has = self->entries > 0;
    pthread_mutex_unlock(&self->lock);
    return has;
}

void journal_run(service *svc, void *context) {
    journal *self = context;
    while (!service_is_stopping(svc) || has_work(self)) {
        if (!self->conn || db_is_broken(self->conn)) {
            go_down(self);
            if (!come_up(self)) break;
            continue;
        }
        gather(self);
        if (self->batch.len) run_flush(self);
        if (!db_is_broken(self->conn) && clock_monotonic_ms() >= self->beat_at_ms && beat(self))
            LOG_WARN("the replica could not beat", LOG_S("why", db_error_text(self->conn)));
    }
    go_down(self);
}
