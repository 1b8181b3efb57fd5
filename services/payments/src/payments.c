#include "payments.h"

#include "base/mem.h"
#include "refunds.h"

#define SCHEMA_VERSION 16

static const setting SETTINGS[] = {{.name = "PENSTOCK_PAYMENTS_LISTEN",
                                    .kind = SETTING_ADDRESS,
                                    .fallback = "127.0.0.1:8082",
                                    .help = "Where payment channels send notifications, as host:port."},
                                   {.name = "PENSTOCK_PAYMENTS_NOTIFY_URL",
                                    .kind = SETTING_TEXT,
                                    .fallback = "http://127.0.0.1:8082",
                                    .min = 8,
                                    .max = 180,
                                    .help = "How channels reach that address from outside: scheme, host and port."},
                                   {.name = "PENSTOCK_MASTER_KEY_FILE",
                                    .kind = SETTING_PATH,
                                    .fallback = "",
                                    .help = "Keys that open the keys of merchants; without it no merchant can be used."},
                                   {.name = "PENSTOCK_PAYMENTS_WORKERS",
                                    .kind = SETTING_INT,
                                    .fallback = "32",
                                    .min = 1,
                                    .max = 512,
                                    .help = "Notifications handled at a time; each waits for a commit."},
                                   {.name = "PENSTOCK_PAYMENTS_REQUESTS_WAITING",
                                    .kind = SETTING_INT,
                                    .fallback = "1024",
                                    .min = 1,
                                    .max = 100000,
                                    .help = "Complete notifications that may wait for a worker; above, 503."},
                                   {.name = "PENSTOCK_PAYMENTS_COMMITTERS",
                                    .kind = SETTING_INT,
                                    .fallback = "2",
                                    .min = 1,
                                    .max = 16,
                                    .help = "Threads that commit notifications, each with a connection of its own."},
                                   {.name = "PENSTOCK_PAYMENTS_CALLERS",
                                    .kind = SETTING_INT,
                                    .fallback = "4",
                                    .min = 1,
                                    .max = 32,
                                    .help = "Threads that ask channels, each with a connection of its own."},
                                   {.name = "PENSTOCK_PAYMENTS_QUERY_AFTER_MS",
                                    .kind = SETTING_INT,
                                    .fallback = "10000",
                                    .min = 50,
                                    .max = 600000,
                                    .help = "First pause before an order is queried; later ones are up to 360 times as long."},
                                   {.name = "PENSTOCK_PAYMENTS_LEASE_MS",
                                    .kind = SETTING_INT,
                                    .fallback = "60000",
                                    .min = 1000,
                                    .max = 600000,
                                    .help = "How long an order stays with the process that asks about it; longer than three calls take."},
                                   {0}};

static const service_consumer CONSUMERS[] = {{"refund-requests", refunds_handle}, {0}};

static bool has_merchants(service *svc) {
    payments *app = service_state(svc);
    return app && merchants_are_loaded(app->merchants);
}

static const service_check CHECKS[] = {{"merchants", has_merchants}, {0}};

static err_t start(service *svc, fault *out_fault) {
    const settings *set = service_settings(svc);
    payments *app = mem_new(1, sizeof *app);
    app->svc = svc;
    service_set_state(svc, app);
    app->merchants =
        merchants_new(svc, settings_text(set, "PENSTOCK_MASTER_KEY_FILE"), settings_text(set, "PENSTOCK_PAYMENTS_NOTIFY_URL"), out_fault);
    if (!app->merchants) return ERR_BAD_INPUT;
    app->committer = committer_new(svc, (size_t)settings_int(set, "PENSTOCK_PAYMENTS_REQUESTS_WAITING"));
    app->callers = callers_new(svc, app->merchants);
    service_spawn(svc, "merchants", merchants_run, app->merchants);
    service_spawn(svc, "listener", callers_listen, app->callers);
    for (int64_t i = settings_int(set, "PENSTOCK_PAYMENTS_COMMITTERS"); i > 0; i--)
        service_spawn(svc, "committer", committer_run, app->committer);
    for (int64_t i = settings_int(set, "PENSTOCK_PAYMENTS_CALLERS"); i > 0; i--) service_spawn(svc, "caller", callers_run, app->callers);
    return notify_start(svc, app->merchants, app->committer, &app->notify, out_fault);
}

static void drain(service *svc) { notify_drain(((payments *)service_state(svc))->notify); }

static void stop(service *svc) {
    payments *app = service_state(svc);
    notify_free(app->notify);
    callers_free(app->callers);
    committer_free(app->committer);
    merchants_free(app->merchants);
    mem_free(app);
}

const service_def PAYMENTS_SERVICE = {.name = "payments",
                                      .summary = "orders, notifications and refunds of payment channels",
                                      .admin_listen = "127.0.0.1:9103",
                                      .settings = SETTINGS,
                                      .schema_version = SCHEMA_VERSION,
                                      .consumers = CONSUMERS,
                                      .has_outbox = true,
                                      .checks = CHECKS,
                                      .start = start,
                                      .drain = drain,
                                      .stop = stop};
