#include "alerts_sql.h"
#include "app.h"
#include "base/check.h"
#include "base/log.h"
#include "courier.h"
#include "forecast.h"
#include "handlers.h"
#include "receipts.h"

#define SCHEMA_VERSION 18
#define STOP_MS 5000
#define COURIERS 2

static const setting SETTINGS[] = {{.name = "PENSTOCK_ALERTS_LISTEN",
                                    .kind = SETTING_ADDRESS,
                                    .fallback = "127.0.0.1:8083",
                                    .help = "Where providers push receipts, as host:port."},
                                   {.name = "PENSTOCK_MASTER_KEY_FILE",
                                    .kind = SETTING_PATH,
                                    .fallback = "",
                                    .help = "Keys that open the configuration of channels; without it nothing is sent."},
                                   {.name = "PENSTOCK_ALERTS_WEBHOOK_ALLOW_PRIVATE",
                                    .kind = SETTING_BOOL,
                                    .fallback = "false",
                                    .help = "Whether webhooks may lead to private and loopback addresses, and be plain."},
                                   {0}};

static const service_consumer CONSUMERS[] = {{"balances", balances_handle},
                                             {"payments", payments_handle},
                                             {"control-events", control_events_handle},
                                             {"device-events", device_events_handle},
                                             {"message-requests", message_requests_handle},
                                             {0}};

static bool is_listening(service *svc) {
    const alerts_app *app = service_state(svc);
    return app && app->http;
}

static const service_check CHECKS[] = {{"listener", is_listening}, {0}};

static err_t start(service *svc, fault *out_fault) {
    const settings *set = service_settings(svc);
    alerts_app *app = mem_new(1, sizeof *app);
    app->svc = svc;
    service_set_state(svc, app);
    app->may_reach_private = settings_bool(set, "PENSTOCK_ALERTS_WEBHOOK_ALLOW_PRIVATE");
    app->zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    const char *keys = settings_text(set, "PENSTOCK_MASTER_KEY_FILE");
    err_t err = keys[0] ? crypto_keyring_load(keys, &app->keys, out_fault) : ERR_OK;
    if (err) return err;
    static const char *const LABELS[] = {
#define RESULT(name, text, meaning) "result=\"" text "\"",
#include "channels/results.def"
#undef RESULT
    };
    for (size_t i = 0; i < ARRAY_LEN(LABELS); i++)
        app->sent[i] = metric_counter("penstock_alerts_messages_total", "Messages handed to a channel, by what it made of them", LABELS[i]);
    app->suppressed =
        metric_counter("penstock_alerts_suppressed_total", "Messages that were not sent, for a reason stored with them", NULL);
    err = receipts_start(app, sv_of(settings_text(set, "PENSTOCK_ALERTS_LISTEN")), out_fault);
    if (err) return err;
    for (int i = 0; i < COURIERS; i++) service_spawn(svc, "courier", courier_run, app);
    service_spawn(svc, "forecast", forecast_run, app);
    return ERR_OK;
}

static void drain(service *svc) {
    alerts_app *app = service_state(svc);
    if (app->http) httpd_drain(app->http);
}

static void stop(service *svc) {
    alerts_app *app = service_state(svc);
    if (app->http && !httpd_stop(app->http, STOP_MS)) LOG_WARN("receipts were cut off at the end");
    crypto_keyring_free(app->keys);
    zone_set_free(app->zones);
    mem_free(app);
}

const service_def ALERTS_SERVICE = {.name = "alerts",
                                    .summary = "tells customers and operators what happened",
                                    .admin_listen = "127.0.0.1:9105",
                                    .settings = SETTINGS,
                                    .schema_version = SCHEMA_VERSION,
                                    .consumers = CONSUMERS,
                                    .has_outbox = true,
                                    .checks = CHECKS,
                                    .start = start,
                                    .drain = drain,
                                    .stop = stop};
