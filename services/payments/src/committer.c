#include "committer.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "payments_sql.h"

#define MEMORY_MAX (16u << 20)
#define RETRIES_MAX 8
#define LOOK_EVERY_MS 500

typedef struct waiter {
    apply_entry *entry;
    struct waiter *next;
    pthread_cond_t answered;
    bool is_answered;
    err_t result;
} waiter;

struct committer {
    service *svc;
    size_t waiting_max;
    pthread_mutex_t lock;
    pthread_cond_t submitted;
    waiter *first, **last_next;
    size_t waiting;
    int threads_up;
    metric *batches, *entries, *doubts, *errors, *seconds;
};

typedef struct group {
    waiter *waiters[APPLY_ENTRIES_MAX];
    apply_entry *entries[APPLY_ENTRIES_MAX];
    size_t len;
} group;

committer *committer_new(service *svc, size_t waiting_max) {
    committer *self = mem_new(1, sizeof *self);
    self->svc = svc;
    self->waiting_max = waiting_max;
    self->last_next = &self->first;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->submitted, &attr);
    pthread_condattr_destroy(&attr);
    self->batches = metric_counter("penstock_payments_commits_total", "Transactions of notifications", NULL);
    self->entries = metric_counter("penstock_payments_committed_total", "Notifications that are committed", NULL);
    self->doubts = metric_counter("penstock_payments_commit_doubts_total", "Commits whose answer was lost", NULL);
    self->errors = metric_counter("penstock_payments_unapplied_total", "Notifications stored that could not be applied", NULL);
    self->seconds =
        metric_histogram("penstock_payments_commit_seconds", "From the start of a transaction of notifications to its commit", NULL);
    return self;
}

void committer_free(committer *self) {
    if (!self) return;
    pthread_cond_destroy(&self->submitted);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

err_t committer_apply(committer *self, apply_entry *entry) {
    waiter wait = {.entry = entry, .answered = PTHREAD_COND_INITIALIZER, .result = ERR_UNAVAILABLE};
    pthread_mutex_lock(&self->lock);
    err_t err = self->threads_up == 0 ? ERR_UNAVAILABLE : self->waiting >= self->waiting_max ? ERR_BUSY : ERR_OK;
    if (!err) {
        *self->last_next = &wait;
        self->last_next = &wait.next;
        self->waiting++;
        pthread_cond_signal(&self->submitted);
        while (!wait.is_answered) pthread_cond_wait(&wait.answered, &self->lock);
        err = wait.result;
    }
    pthread_mutex_unlock(&self->lock);
    pthread_cond_destroy(&wait.answered);
    return err;
}

// ---- taking ----

static bool same_text(sv a, sv b) { return a.len > 0 && sv_equal(a, b); }

// Two that speak of the same thing go one after the other, in different transactions.
static bool collides(const apply_entry *a, const apply_entry *b) {
    if (a->notice && b->notice && a->merchant == b->merchant && sv_equal(a->notice->event_id, b->notice->event_id)) return true;
    if (!a->fact || !b->fact) return false;
    fact_money x = fact_money_of(a->fact), y = fact_money_of(b->fact);
    return same_text(a->fact->order_number, b->fact->order_number) || same_text(a->fact->refund_number, b->fact->refund_number) ||
           same_text(x.channel_id, y.channel_id);
}

static bool fits(const group *taken, const apply_entry *entry) {
    if (taken->len == 0) return true;
    if (taken->len == APPLY_ENTRIES_MAX || taken->entries[0]->company != entry->company) return false;
    for (size_t i = 0; i < taken->len; i++)
        if (collides(taken->entries[i], entry)) return false;
    return true;
}

// Under the lock. What does not fit stays in its order.
static void take(committer *self, group *out) {
    out->len = 0;
    waiter **at = &self->first;
    while (*at && out->len < APPLY_ENTRIES_MAX) {
        waiter *item = *at;
        if (!fits(out, item->entry)) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        out->waiters[out->len] = item;
        out->entries[out->len++] = item->entry;
        self->waiting--;
    }
    for (self->last_next = &self->first; *self->last_next;) self->last_next = &(*self->last_next)->next;
}

static void answer(committer *self, waiter *const *waiters, size_t count, err_t result) {
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < count; i++) {
        waiters[i]->is_answered = true;
        waiters[i]->result = result;
        pthread_cond_signal(&waiters[i]->answered);
    }
    pthread_mutex_unlock(&self->lock);
}

// ---- the transaction ----

static err_t attempt(committer *self, db *conn, apply_entry *const *entries, size_t count, arena *memory) {
    AUTO(db_tx) tx = {0};
    arena_reset(memory);
    err_t err = db_begin(conn, &tx);
    if (!err) err = apply_facts(conn, entries, count, service_now(self->svc), memory);
    if (err) return err;
    CRASH_POINT("payments.before_commit");
    err = db_commit(&tx);
    CRASH_POINT("payments.after_commit");
    return err;
}

static err_t attempt_often(committer *self, db *conn, apply_entry *const *entries, size_t count, arena *memory) {
    err_t err = attempt(self, conn, entries, count, memory);
    for (int i = 0; i < RETRIES_MAX && err == ERR_SERIALIZATION; i++) err = attempt(self, conn, entries, count, memory);
    return err;
}

// A conflict is another replica that applied the same money first: seen the second time. What then still fails for a reason
// of its own is stored without effect.
static err_t apply_alone(committer *self, db *conn, apply_entry *entry, arena *memory) {
    err_t err = attempt_often(self, conn, &entry, 1, memory);
    if (err == ERR_CONFLICT) err = attempt_often(self, conn, &entry, 1, memory);
    if (!err || err_retry_class(err) != ERR_RETRY_NO || !entry->notice) return err;
    LOG_ERROR("a notification could not be applied; it is stored, and its order is queried", LOG_I("company", entry->company),
              LOG_SV("event", entry->notice->event_id), LOG_S("error", err_name(err)), LOG_S("why", db_error_text(conn)));
    metric_add(self->errors, 1);
    apply_entry bare = *entry;
    provider_fact question = {0};
    if (entry->fact) {  // it names its order, and has the order queried
        question = (provider_fact){.state = PROVIDER_STATE_OTHER, .order_number = entry->fact->order_number, .is_of_merchant = true};
        bare.fact = &question;
    }
    apply_entry *only = &bare;
    bare.is_error = true;
    err = attempt_often(self, conn, &only, 1, memory);
    entry->outcome = OUTCOME_ERROR;
    return err;
}

static void apply_group(committer *self, db *conn, group *taken, arena *memory) {
    int64_t began = clock_monotonic_ns();
    err_t err =
        taken->len > 1 ? attempt_often(self, conn, taken->entries, taken->len, memory) : apply_alone(self, conn, taken->entries[0], memory);
    if (taken->len > 1 && err && !db_is_broken(conn) && err != ERR_UNCERTAIN) {
        for (size_t i = 0; i < taken->len; i++) {
            err_t one = db_is_broken(conn) ? ERR_UNAVAILABLE : apply_alone(self, conn, taken->entries[i], memory);
            answer(self, &taken->waiters[i], 1, one);
        }
        return;
    }
    metric_observe_us(self->seconds, (clock_monotonic_ns() - began) / 1000);
    metric_add(self->batches, 1);
    if (err == ERR_UNCERTAIN) metric_add(self->doubts, 1);
    if (!err) metric_add(self->entries, (int64_t)taken->len);
    if (err)
        LOG_WARN("notifications were not committed; the channel repeats them", LOG_S("error", err_name(err)),
                 LOG_S("why", db_error_text(conn)));
    answer(self, taken->waiters, taken->len, err);
    if (!err) service_ring_relay(self->svc);
}

// ---- the threads ----

static struct timespec monotonic_in(int64_t ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
    return at;
}

static void count_thread(committer *self, int change) {
    pthread_mutex_lock(&self->lock);
    self->threads_up += change;
    pthread_mutex_unlock(&self->lock);
}

// Nobody waits for a thread that is not there.
static void refuse_all(committer *self) {
    group taken;
    do {
        pthread_mutex_lock(&self->lock);
        if (self->threads_up == 0)
            take(self, &taken);
        else
            taken.len = 0;
        pthread_mutex_unlock(&self->lock);
        answer(self, taken.waiters, taken.len, ERR_UNAVAILABLE);
    } while (taken.len > 0);
}

static void work(committer *self, db *conn, arena *memory) {
    group taken;
    while (!db_is_broken(conn)) {
        pthread_mutex_lock(&self->lock);
        struct timespec until = monotonic_in(LOOK_EVERY_MS);
        while (!self->first && !service_is_stopping(self->svc))
            if (pthread_cond_timedwait(&self->submitted, &self->lock, &until) != 0) break;
        take(self, &taken);
        pthread_mutex_unlock(&self->lock);
        if (taken.len > 0)
            apply_group(self, conn, &taken, memory);
        else if (service_is_stopping(self->svc))
            return;
    }
}

void committer_run(service *svc, void *context) {
    committer *self = context;
    db_options options = service_db_options(svc, "committer");
    options.session_options = APPLY_SESSION_OPTIONS;
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    AUTO_DB conn = NULL;
    while (!service_is_stopping(svc)) {
        if (service_db_connect(svc, &options, &conn)) break;
        count_thread(self, 1);
        work(self, conn, memory);
        count_thread(self, -1);
        refuse_all(self);
    }
}
