// Settings, start and stop of the service.
#include "app.h"
#include "base/check.h"
#include "base/log.h"
#include "feed.h"
#include "read_results.h"
#include "refund_results.h"
#include "routes.h"

#define SCHEMA_VERSION 9
#define ARENA_MAX (64u << 20)  // of one request: an explanation reads a month of polls
#define STOP_MS 10000

static const setting SETTINGS[] = {
    {.name = "PENSTOCK_API_LISTEN", .kind = SETTING_ADDRESS, .fallback = "127.0.0.1:8080", .help = "Where browsers connect, as ip:port."},
    {.name = "PENSTOCK_API_WORKERS",
     .kind = SETTING_INT,
     .fallback = "8",
     .min = 1,
     .max = 256,
     .help = "Requests handled at a time; each worker holds a database connection."},
    {.name = "PENSTOCK_API_REQUESTS_WAITING",
     .kind = SETTING_INT,
     .fallback = "256",
     .min = 1,
     .max = 100000,
     .help = "Complete requests that may wait for a worker; above, 503."},
    {.name = "PENSTOCK_API_PASSWORD_HASHES",
     .kind = SETTING_INT,
     .fallback = "2",
     .min = 1,
     .max = 64,
     .help = "Passwords checked at a time; each takes 64 MiB."},
    {.name = "PENSTOCK_API_BEHIND_PROXY",
     .kind = SETTING_BOOL,
     .fallback = "0",
     .help = "Take the client's address and scheme from X-Forwarded-For and -Proto."},
    {.name = "PENSTOCK_WEB_DIR",
     .kind = SETTING_TEXT,
     .fallback = "",
     .help = "Folder of the built dashboard; empty: no files are served."},
    {0}};

static const service_consumer CONSUMERS[] = {{"command-results", read_results_handle}, {"payments", refund_results_handle}, {0}};

static bool is_listening(service *svc) {
    const api_app *app = service_state(svc);
    return app != NULL && app->http != NULL;
}

static const service_check CHECKS[] = {{"listener", is_listening}, {0}};

static void *worker_new(void *user) {
    api_worker *self = mem_new(1, sizeof *self);
    self->app = user;
    return self;
}

static void worker_free(void *context) {
    api_worker *self = context;
    db_close(self->conn);
    mem_free(self);
}

static void observe(void *user, const httpd_observation *seen) {
    api_app *app = user;
    metric_add(app->answers[seen->status / 100], 1);
    metric_observe_us(app->duration, seen->duration_ms * 1000);
}

static void make_metrics(api_app *app) {
    static const char *const CLASSES[] = {"code=\"other\"", "code=\"1xx\"", "code=\"2xx\"", "code=\"3xx\"", "code=\"4xx\"", "code=\"5xx\""};
    for (size_t i = 0; i < ARRAY_LEN(CLASSES); i++)
        app->answers[i] = metric_counter("penstock_http_answers_total", "Answers to HTTP requests", CLASSES[i]);
    app->duration = metric_histogram("penstock_http_request_seconds", "From the first byte of a request to its answer", NULL);
    metric_gauge_read("penstock_api_streams", "Open event streams", NULL, feed_subscribers, app->feed);
}

static httpd_options listener_options(service *svc, api_app *app) {
    const settings *set = service_settings(svc);
    httpd_options options = httpd_options_default();
    options.listen = sv_of(settings_text(set, "PENSTOCK_API_LISTEN"));
    options.reuse_port = settings_bool(set, "PENSTOCK_REUSE_PORT");
    options.routes = API_ROUTES;
    options.route_count = API_ROUTE_COUNT;
    options.body_max = 64 * 1024;
    options.workers = (size_t)settings_int(set, "PENSTOCK_API_WORKERS");
    options.queue_max = (size_t)settings_int(set, "PENSTOCK_API_REQUESTS_WAITING");
    options.arena_max = ARENA_MAX;
    options.trust_forwarded_for = app->is_behind_proxy;
    options.worker_new = worker_new;
    options.worker_free = worker_free;
    options.observe = observe;
    options.user = app;
    options.static_root = sv_of(settings_text(set, "PENSTOCK_WEB_DIR"));
    return options;
}

static err_t start(service *svc, fault *out_fault) {
    const settings *set = service_settings(svc);
    api_app *app = mem_new(1, sizeof *app);
    app->svc = svc;
    service_set_state(svc, app);
    app->is_behind_proxy = settings_bool(set, "PENSTOCK_API_BEHIND_PROXY");
    app->zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    app->feed = feed_new(app);
    app->guesses = guesses_new();
    CHECK(pthread_mutex_init(&app->hash_lock, NULL) == 0 && pthread_cond_init(&app->hash_ended, NULL) == 0);
    app->hashes_free = settings_int(set, "PENSTOCK_API_PASSWORD_HASHES");
    make_metrics(app);
    httpd_options options = listener_options(svc, app);
    err_t err = httpd_start(&options, &app->http, out_fault);
    if (err) return err;
    service_spawn(svc, "feeder", feed_run_feeder, app->feed);
    service_spawn(svc, "follower", feed_run_follower, app->feed);
    service_spawn(svc, "sweeper", feed_run_sweeper, app->feed);
    LOG_INFO("listening", LOG_SV("address", options.listen));
    return ERR_OK;
}

static void drain(service *svc) {
    api_app *app = service_state(svc);
    if (app->http != NULL) httpd_drain(app->http);
}

static void stop(service *svc) {
    api_app *app = service_state(svc);
    if (app == NULL) return;
    if (app->http != NULL && !httpd_stop(app->http, STOP_MS)) LOG_WARN("requests were cut off at the end");
    feed_free(app->feed);
    guesses_free(app->guesses);
    zone_set_free(app->zones);
    pthread_cond_destroy(&app->hash_ended);
    pthread_mutex_destroy(&app->hash_lock);
    mem_free(app);
}

const service_def API_SERVICE = {.name = "api",
                                 .summary = "serves the dashboard, its REST API and its events",
                                 .worker_role = "penstock_api_worker",
                                 .admin_listen = "127.0.0.1:9107",
                                 .settings = SETTINGS,
                                 .schema_version = SCHEMA_VERSION,
                                 .consumers = CONSUMERS,
                                 .has_outbox = true,
                                 .checks = CHECKS,
                                 .start = start,
                                 .drain = drain,
                                 .stop = stop};
