#include "pressure.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest_sql.h"

#define LOOK_EVERY_MS 1000
#define BEAT_LATE_MS 5000   // a beat this late may still be a long transaction; what is beyond adds to the lag
#define GONE_WARN_MS 30000  // services start in any order
#define RETRY_SPREAD_MAX_S 20
#define THIN_ROUNDS 2    // more would look like silence
#define EXCUSE_MS 90000  // those who were told to wait come back within this

struct pressure {
    service *svc;
    int64_t lag_max_ms;
    metric *workers;
    atomic_llong lag_ms;
    atomic_bool is_high;
    atomic_llong high_at_ms;  // monotonic: when it was last high; 0: never

    // The thread's own.
    int64_t seen_at_ms;  // monotonic: when a billing worker was last alive
    bool has_warned;
};

static int64_t lag_s(void *context) { return (atomic_load(&((pressure *)context)->lag_ms) + 500) / SECOND_MS; }

pressure *pressure_new(service *svc, int64_t lag_max_ms) {
    pressure *self = mem_new(1, sizeof *self);
    self->svc = svc;
    self->lag_max_ms = lag_max_ms;
    self->seen_at_ms = clock_monotonic_ms();
    self->workers = metric_gauge("penstock_ingest_billing_workers", "Billing workers alive; 0: the journal only grows", NULL);
    metric_gauge_read("penstock_ingest_billing_lag_seconds", "Age of the oldest block that billing has not claimed", NULL, lag_s, self);
    return self;
}

void pressure_free(pressure *self) { mem_free(self); }

static void settle_height(pressure *self, int64_t lag_ms) {
    bool was_high = atomic_load(&self->is_high);
    bool is_high = was_high ? lag_ms >= self->lag_max_ms / 2 : lag_ms > self->lag_max_ms;
    atomic_store(&self->lag_ms, lag_ms);
    atomic_store(&self->is_high, is_high);
    if (is_high) atomic_store(&self->high_at_ms, clock_monotonic_ms());
    if (is_high && !was_high)
        LOG_WARN("billing is behind; pushes are told to come again later, buses are asked less often", LOG_I("lag_ms", lag_ms));
    if (!is_high && was_high) LOG_INFO("billing has caught up; readings are taken again", LOG_I("lag_ms", lag_ms));
}

static void settle_workers(pressure *self, int64_t workers) {
    int64_t now_ms = clock_monotonic_ms();
    metric_set(self->workers, workers);
    if (workers > 0) {
        self->seen_at_ms = now_ms;
        if (self->has_warned) LOG_INFO("billing is back", LOG_I("workers", workers));
        self->has_warned = false;
    } else if (!self->has_warned && now_ms - self->seen_at_ms > GONE_WARN_MS) {
        LOG_WARN("no billing worker lives; readings are journaled and wait there");
        self->has_warned = true;
    }
}

static err_t look(pressure *self, db *conn) {
    AUTO(db_rows) row = {0};
    instant_ms now = service_now(self->svc);
    err_t err = db_query_one(conn, &SQL_BILLING_LAG, DB_PARAMS(DB_TIME(now - BEAT_LATE_MS)), &row);
    if (err) return err;
    settle_workers(self, db_i64(&row, 0, 0));
    settle_height(self, db_i64(&row, 0, 1));
    return ERR_OK;
}

void pressure_run(service *svc, void *context) {
    pressure *self = context;
    db_options options = service_db_options(svc, "pressure");
    db *conn = NULL;
    while (!service_is_stopping(svc)) {
        if ((!conn || db_is_broken(conn)) && service_db_connect(svc, &options, &conn)) break;
        // What cannot be seen holds nobody back: without the database the journal refuses by itself.
        if (look(self, conn)) settle_height(self, 0);
        (void)service_wait(svc, LOOK_EVERY_MS);
    }
    db_close(conn);
}

bool pressure_is_high(const pressure *self) { return atomic_load(&self->is_high); }

int64_t pressure_retry_after_s(const pressure *self) {
    int64_t spread_s = atomic_load(&self->lag_ms) / SECOND_MS;
    if (spread_s > RETRY_SPREAD_MAX_S) spread_s = RETRY_SPREAD_MAX_S;
    if (spread_s < 2) spread_s = 2;
    uint32_t random;
    random_fill(&random, sizeof random);
    return 1 + (int64_t)(random % (uint32_t)spread_s);
}

bool pressure_skips_round(const pressure *self, uint32_t round) { return pressure_is_high(self) && round % THIN_ROUNDS != 0; }

bool pressure_excuses_silence(const pressure *self) {
    int64_t high_at_ms = atomic_load(&self->high_at_ms);
    return high_at_ms > 0 && clock_monotonic_ms() - high_at_ms < EXCUSE_MS;
}
