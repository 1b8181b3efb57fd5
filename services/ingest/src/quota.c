#include "quota.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "ingest_sql.h"
#include "table.h"

#define BURST_S 10
#define SHARE_EVERY_MS 2000
#define HEARD_MS 10000  // a replica that told nothing for so long has nothing to tell
#define FORGET_MS MINUTE_MS
#define TOLD_PART 10  // of the quota, from which on demand is told; also the least that a replica keeps
#define RETRY_MAX_S 60
#define RETRY_SPREAD_S 5

typedef struct bucket {
    int32_t company;
    int64_t limit_per_s;  // 0: not known yet, everything passes
    int64_t share_per_s;
    int64_t tokens_milli;  // thousandths of a reading; below zero after a batch larger than the bucket
    int64_t filled_ms;     // monotonic
    int64_t offered;       // since the last telling
    int64_t demand_per_s;  // smoothed
    int64_t others_per_s;
    metric *refused;  // from the first time on
} bucket;

struct quota {
    service *svc;
    uuid replica;
    pthread_mutex_t lock;
    table buckets;
    VEC(bucket *) list;

    // The thread's own.
    int64_t told_ms;
    VEC(int32_t) companies;
    VEC(int32_t) rates;
};

quota *quota_new(service *svc) {
    quota *self = mem_new(1, sizeof *self);
    self->svc = svc;
    self->replica = uuid_v7_now();
    self->told_ms = clock_monotonic_ms();
    pthread_mutex_init(&self->lock, NULL);
    return self;
}

void quota_free(quota *self) {
    if (!self) return;
    for (size_t i = 0; i < self->list.len; i++) mem_free(self->list.items[i]);
    vec_done(&self->list);
    vec_done(&self->companies);
    vec_done(&self->rates);
    table_done(&self->buckets);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

// ---- buckets; under the lock ----

static uint64_t hash_company(int32_t company) { return table_hash(&company, sizeof company, 5); }
static bool is_of(const void *item, const void *key) { return ((const bucket *)item)->company == *(const int32_t *)key; }

static bucket *bucket_of(quota *self, int32_t company) {
    bucket *found = table_find(&self->buckets, hash_company(company), is_of, &company);
    if (found) return found;
    found = mem_new(1, sizeof *found);
    found->company = company;
    table_add(&self->buckets, hash_company(company), found);
    vec_push(&self->list, found);
    return found;
}

static int64_t capacity_milli(const bucket *self) { return self->share_per_s * BURST_S * 1000; }

static void fill(bucket *self) {
    int64_t now_ms = clock_monotonic_ms();
    int64_t since_ms = now_ms - self->filled_ms;
    self->filled_ms = now_ms;
    if (since_ms > BURST_S * 2 * SECOND_MS) since_ms = BURST_S * 2 * SECOND_MS;  // full, also from the deepest debt
    self->tokens_milli += since_ms * self->share_per_s;
    if (self->tokens_milli > capacity_milli(self)) self->tokens_milli = capacity_milli(self);
}

static void spend(bucket *self, int64_t readings) {
    self->tokens_milli -= readings * 1000;
    if (self->tokens_milli < -capacity_milli(self)) self->tokens_milli = -capacity_milli(self);
}

static void set_share(bucket *self, int64_t limit_per_s) {
    bool is_new = self->limit_per_s == 0;
    fill(self);
    self->limit_per_s = limit_per_s;
    self->share_per_s = quota_share(limit_per_s, self->demand_per_s, self->others_per_s);
    if (is_new) self->tokens_milli = capacity_milli(self);
    if (self->tokens_milli > capacity_milli(self)) self->tokens_milli = capacity_milli(self);
}

int64_t quota_share(int64_t limit, int64_t own, int64_t others) {
    if (own > INT32_MAX) own = INT32_MAX;  // as told to others; a limit has 31 bits as well
    int64_t share = own + others <= limit ? limit - others : limit * own / (own + others);
    int64_t least = limit / TOLD_PART > 0 ? limit / TOLD_PART : 1;
    return share > least ? share : least;
}

static void count_refused(bucket *self, int64_t readings) {
    if (!self->refused) {
        char labels[40];
        snprintf(labels, sizeof labels, "company=\"%d\"", self->company);
        self->refused =
            metric_counter("penstock_ingest_quota_refused_total", "Readings over a company's quota, told to come later", labels);
        LOG_WARN("a company hands in more readings than its quota; the excess is told to come later", LOG_I("company", self->company),
                 LOG_I("quota_per_s", self->limit_per_s));
    }
    metric_add(self->refused, readings);
}

static int64_t retry_s(const bucket *self, int64_t missing_milli) {
    uint32_t random;
    random_fill(&random, sizeof random);
    int64_t wait_s = missing_milli / (self->share_per_s * 1000) + 1;
    return (wait_s < RETRY_MAX_S ? wait_s : RETRY_MAX_S) + (int64_t)(random % RETRY_SPREAD_S);
}

// ---- any thread ----

bool quota_take(quota *self, int32_t company, int64_t readings, int64_t *out_retry_s) {
    pthread_mutex_lock(&self->lock);
    bucket *of = bucket_of(self, company);
    of->offered += readings;
    bool is_taken = true;
    if (of->limit_per_s > 0) {
        fill(of);
        int64_t needed = readings * 1000 < capacity_milli(of) ? readings * 1000 : capacity_milli(of);
        is_taken = of->tokens_milli >= needed;
        if (is_taken) {
            spend(of, readings);
        } else {
            *out_retry_s = retry_s(of, needed - of->tokens_milli);
            count_refused(of, readings);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return is_taken;
}

void quota_spend(quota *self, int32_t company, int64_t readings) {
    pthread_mutex_lock(&self->lock);
    bucket *of = bucket_of(self, company);
    of->offered += readings;
    if (of->limit_per_s > 0) {
        fill(of);
        spend(of, readings);
    }
    pthread_mutex_unlock(&self->lock);
}

bool quota_skips_round(quota *self, int32_t company, uint32_t round) {
    if (round % 2 == 0) return false;
    pthread_mutex_lock(&self->lock);
    bucket *of = bucket_of(self, company);
    if (of->limit_per_s > 0) fill(of);
    bool is_empty = of->limit_per_s > 0 && of->tokens_milli <= 0;
    pthread_mutex_unlock(&self->lock);
    return is_empty;
}

// ---- the thread ----

static void measure(quota *self) {
    int64_t now_ms = clock_monotonic_ms();
    int64_t since_ms = now_ms - self->told_ms > 0 ? now_ms - self->told_ms : 1;
    self->told_ms = now_ms;
    vec_clear(&self->companies);
    vec_clear(&self->rates);
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->list.len; i++) {
        bucket *of = self->list.items[i];
        of->demand_per_s = (of->demand_per_s + of->offered * SECOND_MS / since_ms) / 2;
        of->offered = 0;
        of->others_per_s = 0;
        if (of->limit_per_s == 0 || of->demand_per_s < (of->limit_per_s + TOLD_PART - 1) / TOLD_PART) continue;
        vec_push(&self->companies, of->company);
        vec_push(&self->rates, of->demand_per_s < INT32_MAX ? (int32_t)of->demand_per_s : INT32_MAX);
    }
    pthread_mutex_unlock(&self->lock);
}

static void take_answers(quota *self, const db_rows *limits, const db_rows *others) {
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < others->len; i++) bucket_of(self, (int32_t)db_i64(others, i, 0))->others_per_s = db_i64(others, i, 1);
    for (size_t i = 0; i < limits->len; i++) set_share(bucket_of(self, (int32_t)db_i64(limits, i, 0)), db_i64(limits, i, 1));
    pthread_mutex_unlock(&self->lock);
}

static err_t share(quota *self, db *conn) {
    instant_ms now = service_now(self->svc);
    AUTO(db_rows) limits = {0};
    AUTO(db_rows) others = {0};
    err_t err = ERR_OK;
    measure(self);
    if (self->companies.len > 0)
        err = db_exec(conn, &SQL_QUOTA_REPORT,
                      DB_PARAMS(DB_UUID(self->replica), DB_TIME(now), DB_I32_ARRAY(self->companies.items, self->companies.len),
                                DB_I32_ARRAY(self->rates.items, self->rates.len)),
                      NULL);
    if (!err) err = db_query(conn, &SQL_QUOTA_OTHERS, DB_PARAMS(DB_UUID(self->replica), DB_TIME(now - HEARD_MS)), &others);
    if (!err) err = db_query(conn, &SQL_QUOTA_LIMITS, DB_NO_PARAMS, &limits);
    if (!err) err = db_exec(conn, &SQL_QUOTA_FORGET, DB_PARAMS(DB_TIME(now - FORGET_MS)), NULL);
    if (!err) take_answers(self, &limits, &others);
    return err;
}

void quota_run(service *svc, void *context) {
    quota *self = context;
    db_options options = service_db_options(svc, "quota");
    AUTO_DB conn = NULL;
    do {
        if ((!conn || db_is_broken(conn)) && service_db_connect(svc, &options, &conn)) break;
        if (share(self, conn))
            LOG_WARN("quotas cannot be shared; each replica goes on with the part it has", LOG_S("why", db_error_text(conn)));
    } while (!service_wait(svc, SHARE_EVERY_MS));
}
