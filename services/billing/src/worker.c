// The loop of one billing thread: live blocks first; when there is little to do, the side lanes get their turn.
#include "worker.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing_sql.h"

#define TRANSACTION_MEMORY_MAX (1u << 30)
#define RATING_CACHE_ENTRIES 4096
#define BEAT_EVERY_MS 1000
#define CONFIG_EVERY_MS 1000
#define FLOOR_EVERY_MS 5000
#define LANE_EVERY_MS 500
#define CLOSE_EVERY_MS 1000
#define PURSE_EVERY_MS 60000
#define SILENT_EVERY_MS 600000
#define DEEP_EVERY_MS 60000
#define POLL_MS 1000
#define ENOUGH_READINGS 2000

static db_options options_of(service *svc) {
    db_options options = service_db_options(svc, "billing");
    options.idle_in_transaction_timeout_ms = 5000;
    options.idle_session_timeout_ms = 15000;
    options.lock_timeout_ms = 10000;
    options.statement_timeout_ms = 60000;
    // Batches of unknown size by primary key: the plan is always the index walk in ascending num, which a bitmap is not.
    options.session_options =
        "-c jit=off -c plan_cache_mode=force_generic_plan -c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off "
        "-c enable_bitmapscan=off";
    return options;
}

static void init(worker *self, billing_app *app) {
    *self = (worker){.app = app, .svc = app->svc};
    self->ears = service_bus_new(app->svc);
    self->voice = service_bus_new(app->svc);
    self->setups = setups_new(app->zones);
    self->points = points_new(self->setups);
    self->rating = rating_cache_new(RATING_CACHE_ENTRIES);
    self->memory = arena_new(TRANSACTION_MEMORY_MAX);
}

static void done(worker *self) {
    share_leave(self);
    db_close(self->conn);
    points_free(self->points);
    setups_free(self->setups);
    rating_cache_free(self->rating);
    arena_free(self->memory);
    bus_free(self->ears);
    bus_free(self->voice);
    vec_done(&self->companies);
}

static bool is_due(int64_t *at_ms, int64_t every_ms) {
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < *at_ms) return false;
    *at_ms = now_ms + every_ms;
    return true;
}

// Duties that keep the right to bill and what is known up to date; between live transactions.
static err_t keep_up(worker *self, fault *out_fault) {
    err_t err = ERR_OK;
    if (is_due(&self->beat_at_ms, BEAT_EVERY_MS)) err = share_rebalance(self, out_fault);
    if (!err && is_due(&self->config_at_ms, CONFIG_EVERY_MS)) err = config_watch(self, out_fault);
    if (!err && is_due(&self->floor_at_ms, FLOOR_EVERY_MS)) {
        err = share_raise_floors(self);
        if (err) fault_set(out_fault, err, "floor", "%.180s", db_error_text(self->conn));
    }
    if (is_due(&self->deep_look_at_ms, DEEP_EVERY_MS)) self->looks_deep = true;
    if (!err && is_due(&self->purse_at_ms, PURSE_EVERY_MS)) err = config_sync_purses(self, NULL, 0, out_fault);
    return err;
}

// One piece of work of a side lane; *out_did: another piece may wait.
static err_t side_lanes(worker *self, bool *out_did, fault *out_fault) {
    bool did_replay = false, did_day = false, did_close = false, did_recharge = false;
    err_t err = ERR_OK;
    if (is_due(&self->forget_at_ms, SILENT_EVERY_MS)) err = self->owned_count ? day_ask_silent(self) : ERR_OK;
    if (err) return fault_set(out_fault, err, "day", "%.180s", db_error_text(self->conn));
    if (is_due(&self->replay_at_ms, LANE_EVERY_MS)) err = replay_run(self, &did_replay, out_fault);
    if (did_replay) self->replay_at_ms = 0;  // there may be more
    if (!err && is_due(&self->recharge_at_ms, LANE_EVERY_MS)) err = recharge_run(self, &did_recharge, out_fault);
    if (did_recharge) self->recharge_at_ms = 0;
    if (!err && is_due(&self->close_at_ms, CLOSE_EVERY_MS)) err = window_close_run(self, &did_close, out_fault);
    if (did_close) self->close_at_ms = 0;
    if (!err && is_due(&self->day_at_ms, LANE_EVERY_MS)) err = day_run(self, &did_day, out_fault);
    if (did_day) self->day_at_ms = 0;
    *out_did = did_replay || did_day || did_close || did_recharge;
    return err;
}

static void wait_for_doorbell(worker *self, int32_t wait_ms) {
    if (self->owned_count == 0) {
        (void)service_wait(self->svc, wait_ms);
        return;
    }
    arena_reset(self->memory);
    bus_messages rung = {0};
    if (bus_read(self->ears, self->cursors, self->owned_count, 1000, wait_ms, self->memory, &rung))
        (void)service_wait(self->svc, wait_ms < 200 ? wait_ms : 200);  // Redis is away: look more often than a bell would ring
}

static err_t step(worker *self, fault *out_fault) {
    int64_t began_ms = clock_monotonic_ms();
    err_t err = keep_up(self, out_fault);
    size_t readings = 0;
    if (!err) err = batch_run(self, &readings, out_fault);
    if (err || readings >= ENOUGH_READINGS) return err;
    bool did_work = false;
    err = side_lanes(self, &did_work, out_fault);
    if (err || did_work) return err;
    int64_t left_ms = readings > 0 ? self->app->batch_ms - (clock_monotonic_ms() - began_ms) : POLL_MS;
    if (readings > 0 && left_ms > 0) (void)service_wait(self->svc, (int32_t)left_ms);  // gather
    if (readings == 0) wait_for_doorbell(self, LANE_EVERY_MS);
    return ERR_OK;
}

// Works until the connection or the service ends.
static void work(worker *self) {
    while (!service_is_stopping(self->svc) && !db_is_broken(self->conn)) {
        fault why = {0};
        err_t err = step(self, &why);
        if (!err) continue;
        LOG_WARN("billing will try again", LOG_I("worker", self->num), LOG_S("error", err_name(err)), LOG_S("place", why.place),
                 LOG_S("why", why.reason));
        // Nobody can tell what happened: the rows can. Losing the connection loses every right and every cached state.
        if (err == ERR_UNCERTAIN) db_break(self->conn);
        points_clear(self->points);
        config_doubt(self);
        if (!db_is_broken(self->conn)) (void)service_wait(self->svc, 200);
    }
}

void worker_run(service *svc, void *context) {
    billing_app *app = context;
    db_options options = options_of(svc);
    worker self;
    init(&self, app);
    while (!service_is_stopping(svc)) {
        if (service_db_connect(svc, &options, &self.conn)) break;
        fault why = {0};
        err_t err = share_enter(&self, &why);
        if (err) {
            LOG_WARN("no place among the workers yet", LOG_S("error", err_name(err)), LOG_S("why", why.reason));
            db_break(self.conn);
            (void)service_wait(svc, 500);
            continue;
        }
        self.beat_at_ms = 0;
        atomic_fetch_add(&app->connected, 1);
        work(&self);
        atomic_fetch_sub(&app->connected, 1);
    }
    done(&self);
    mem_free(self.cursors);
}
