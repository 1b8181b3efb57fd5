// Start and stop of the billing service, its settings and metrics, and the keeping of partitions in time.
#include "billing.h"

#include "base/log.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "worker.h"

#define PARTITIONS_AHEAD_DAYS 14
#define READINGS_KEEP_DAYS 35
#define BLOCKS_KEEP_DAYS 3
#define HOUSEKEEPING_EVERY_MS ((int32_t)(10 * MINUTE_MS))
#define RETRY_MS 5000

static const setting SETTINGS[] = {
    {.name = "PENSTOCK_PARTITIONS",
     .kind = SETTING_INT,
     .fallback = "64",
     .min = 1,
     .max = PARTITIONS_MAX,
     .help = "Number of partitions; the same for every service, for ever."},
    {.name = "PENSTOCK_BILLING_WORKERS",
     .kind = SETTING_INT,
     .fallback = "1",
     .min = 1,
     .max = WORKERS_MAX,
     .help = "Billing threads, each with a connection of its own."},
    {.name = "PENSTOCK_BILLING_BATCH_READINGS",
     .kind = SETTING_INT,
     .fallback = "10000",
     .min = 240,
     .max = 50000,
     .help = "Readings in one transaction at most."},
    {.name = "PENSTOCK_BILLING_BATCH_MS",
     .kind = SETTING_INT,
     .fallback = "50",
     .min = 0,
     .max = 1000,
     .help = "How long to gather readings while few come."},
    {.name = "PENSTOCK_BILLING_CACHE_POINTS",
     .kind = SETTING_INT,
     .fallback = "200000",
     .min = 1000,
     .max = 20000000,
     .help = "Usage points a thread remembers before it forgets all and begins anew."},
    {.name = "PENSTOCK_BILLING_CLOSE_GRACE_MIN",
     .kind = SETTING_INT,
     .fallback = "2880",
     .min = 0,
     .max = 44640,
     .help = "Minutes after the end of a tier window, and after its first reading came, until it is closed without a further one."},
    {.name = NULL},
};

static void register_metrics(billing_metrics *m) {
    *m = (billing_metrics){
        .blocks = metric_counter("penstock_billing_blocks_total", "Blocks of the journal claimed", NULL),
        .readings = metric_counter("penstock_billing_readings_total", "Readings in claimed blocks", NULL),
        .charged = metric_counter("penstock_billing_polls_total", "Polls by what became of them", "outcome=\"charged\""),
        .ignored = metric_counter("penstock_billing_polls_total", "Polls by what became of them", "outcome=\"ignored\""),
        .stored = metric_counter("penstock_billing_polls_total", "Polls by what became of them", "outcome=\"stored\""),
        .late = metric_counter("penstock_billing_polls_total", "Polls by what became of them", "outcome=\"late\""),
        .quarantined = metric_counter("penstock_billing_polls_total", "Polls by what became of them", "outcome=\"quarantined\""),
        .dead = metric_counter("penstock_billing_dead_letters_total", "Usage points that were stopped", NULL),
        .transactions = metric_counter("penstock_billing_transactions_total", "Transactions committed", NULL),
        .retries = metric_counter("penstock_billing_retries_total", "Transactions tried again", NULL),
        .replays = metric_counter("penstock_billing_replays_total", "Usage points rated anew", NULL),
        .closes = metric_counter("penstock_billing_windows_closed_total", "Closing amounts of tier windows worked out", NULL),
        .recharges = metric_counter("penstock_billing_recharges_total", "Usage points recharged", NULL),
        .days = metric_counter("penstock_billing_days_total", "Local days packed", NULL),
        .transaction_seconds = metric_histogram("penstock_billing_transaction_seconds", "From begin to commit", NULL),
        .visible_seconds = metric_histogram("penstock_billing_visible_seconds", "From journaled to balance visible, per block", NULL),
    };
}

static int64_t read_atomic(void *context) { return atomic_load((atomic_llong *)context); }

// ---- partitions in time ----

static err_t ensure_ahead(db *conn, instant_ms now) {
    int32_t today = (int32_t)(now / DAY_MS);
    AUTO(db_rows) row = {0};
    return db_query_one(conn, &SQL_PARTITIONS_ENSURE, DB_PARAMS(DB_DATE(today - 1), DB_DATE(today + PARTITIONS_AHEAD_DAYS)), &row);
}

// Readings go when every day that could hold them is packed.
static err_t drop_expired(db *conn, instant_ms now) {
    AUTO(db_rows) oldest = {0};
    err_t err = db_query_one(conn, &SQL_OLDEST_DAY_REQUEST, DB_NO_PARAMS, &oldest);
    if (err) return err;
    bool all_packed = db_is_null(&oldest, 0, 0) || db_time(&oldest, 0, 0) > now - 7 * DAY_MS;
    int32_t today = (int32_t)(now / DAY_MS);
    AUTO(db_rows) row = {0};
    return db_query_one(conn, &SQL_LEAVES_DROP,
                        DB_PARAMS(DB_DATE(all_packed ? today - READINGS_KEEP_DAYS : today - 3650), DB_DATE(today - BLOCKS_KEEP_DAYS)),
                        &row);
}

static void keep_house(service *svc, void *context) {
    (void)context;
    db_options options = service_db_options(svc, "housekeeping");
    AUTO_DB conn = NULL;
    while (!service_is_stopping(svc)) {
        if ((!conn || db_is_broken(conn)) && service_db_connect(svc, &options, &conn)) return;
        instant_ms now = service_now(svc);
        err_t err = ensure_ahead(conn, now);
        if (!err) err = drop_expired(conn, now);
        if (err) LOG_WARN("partitions could not be kept; trying again", LOG_S("error", err_name(err)), LOG_S("why", db_error_text(conn)));
        (void)service_wait(svc, err ? RETRY_MS : HOUSEKEEPING_EVERY_MS);
    }
}

// ---- life ----

// The first leaves must be there before the first transaction.
static err_t ensure_first(service *svc, fault *out_fault) {
    db_options options = service_db_options(svc, "start");
    AUTO_DB conn = NULL;
    err_t err = service_db_connect(svc, &options, &conn);
    if (!err) err = ensure_ahead(conn, service_now(svc));
    return err ? fault_set(out_fault, err, "partitions", "%.180s", conn ? db_error_text(conn) : "no connection") : ERR_OK;
}

static err_t start(service *svc, fault *out_fault) {
    const settings *all = service_settings(svc);
    err_t err = ensure_first(svc, out_fault);
    if (err) return err;
    billing_app *app = mem_new(1, sizeof *app);
    app->svc = svc;
    app->zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    app->partitions = (int32_t)settings_int(all, "PENSTOCK_PARTITIONS");
    app->batch_readings = (int32_t)settings_int(all, "PENSTOCK_BILLING_BATCH_READINGS");
    app->batch_ms = (int32_t)settings_int(all, "PENSTOCK_BILLING_BATCH_MS");
    app->cache_points = (size_t)settings_int(all, "PENSTOCK_BILLING_CACHE_POINTS");
    app->close_grace_ms = settings_int(all, "PENSTOCK_BILLING_CLOSE_GRACE_MIN") * MINUTE_MS;
    app->workers = (size_t)settings_int(all, "PENSTOCK_BILLING_WORKERS");
    service_set_state(svc, app);
    register_metrics(&app->metrics);
    metric_gauge_read("penstock_billing_partitions", "Partitions this process holds", NULL, read_atomic, &app->owned);
    metric_gauge_read("penstock_billing_lag_milliseconds", "Age of the oldest unclaimed block when last looked", NULL, read_atomic,
                      &app->lag_ms);
    for (size_t i = 0; i < app->workers; i++) service_spawn(svc, "billing", worker_run, app);
    service_spawn(svc, "housekeeping", keep_house, NULL);
    return ERR_OK;
}

static void stop(service *svc) {
    billing_app *app = service_state(svc);
    zone_set_free(app->zones);
    mem_free(app);
}

static bool has_workers(service *svc) {
    billing_app *app = service_state(svc);
    return atomic_load(&app->connected) > 0;
}

static const service_check CHECKS[] = {{"workers", has_workers}, {NULL, NULL}};

const service_def BILLING_SERVICE = {.name = "billing",
                                     .summary = "turns journaled readings into charges, transfers and balances",
                                     .admin_listen = "127.0.0.1:9102",
                                     .settings = SETTINGS,
                                     .schema_version = 15,
                                     .has_outbox = true,
                                     .checks = CHECKS,
                                     .start = start,
                                     .stop = stop};
