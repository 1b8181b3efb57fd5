#include "ingest.h"

#include "base/mem.h"
#include "commands.h"
#include "contracts/streams.h"
#include "links/link.h"

#define SCHEMA_VERSION 22

static const setting SETTINGS[] = {{.name = "PENSTOCK_INGEST_HTTP_LISTEN",
                                    .kind = SETTING_ADDRESS,
                                    .fallback = "127.0.0.1:8081",
                                    .help = "Where gateways push readings, as host:port."},
                                   {.name = "PENSTOCK_INGEST_TCP_LISTEN",
                                    .kind = SETTING_ADDRESS,
                                    .fallback = "127.0.0.1:8645",
                                    .help = "Where transparent gateways connect, as host:port."},
                                   {.name = "PENSTOCK_MASTER_KEY_FILE",
                                    .kind = SETTING_PATH,
                                    .fallback = "",
                                    .help = "Keys that open the secrets of gateways; without it none can push."},
                                   {.name = "PENSTOCK_INGEST_WORKERS",
                                    .kind = SETTING_INT,
                                    .fallback = "32",
                                    .min = 1,
                                    .max = 512,
                                    .help = "Pushes handled at a time; each waits up to 20 ms and a commit."},
                                   {.name = "PENSTOCK_INGEST_REQUESTS_WAITING",
                                    .kind = SETTING_INT,
                                    .fallback = "256",
                                    .min = 1,
                                    .max = 100000,
                                    .help = "Complete pushes that may wait for a worker; above, 503."},
                                   {.name = "PENSTOCK_INGEST_RECORDS_WAITING",
                                    .kind = SETTING_INT,
                                    .fallback = "100000",
                                    .min = 5000,
                                    .max = 10000000,
                                    .help = "Readings that may wait for the journal; above, 503."},
                                   {.name = "PENSTOCK_INGEST_SILENCE_SLACK_S",
                                    .kind = SETTING_INT,
                                    .fallback = "90",
                                    .min = 1,
                                    .max = 86400,
                                    .help = "Seconds beyond two intervals until a silent meter is lost."},
                                   {.name = "PENSTOCK_INGEST_DRAIN_S",
                                    .kind = SETTING_INT,
                                    .fallback = "30",
                                    .min = 0,
                                    .max = 600,
                                    .help = "Seconds over which links are closed when the service is asked to stop."},
                                   {.name = "PENSTOCK_INGEST_RELAY_WAIT_S",
                                    .kind = SETTING_INT,
                                    .fallback = "10",
                                    .min = 1,
                                    .max = 600,
                                    .help = "Seconds until a relay that took a command must show it."},
                                   {.name = "PENSTOCK_INGEST_VALVE_WAIT_S",
                                    .kind = SETTING_INT,
                                    .fallback = "180",
                                    .min = 1,
                                    .max = 1200,
                                    .help = "Seconds a valve may be on its way before it is stuck."},
                                   {.name = "PENSTOCK_INGEST_LAG_MAX_MS",
                                    .kind = SETTING_INT,
                                    .fallback = "5000",
                                    .min = 1000,
                                    .max = 3600000,
                                    .help = "How far billing may be behind; above, pushes get 503 until it is below half."},
                                   {.name = "PENSTOCK_INGEST_LINKS_MAX",
                                    .kind = SETTING_INT,
                                    .fallback = "10000",
                                    .min = 1,
                                    .max = 1000000,
                                    .help = "Open connections of each listener."},
                                   {0}};

static const service_consumer CONSUMERS[] = {{"commands", commands_handle}, {"read-requests", commands_handle_read}, {0}};

static bool has_configuration(service *svc) {
    ingest *app = service_state(svc);
    return app && registry_is_loaded(app->registry);
}

static bool has_journal(service *svc) {
    ingest *app = service_state(svc);
    return app && journal_is_up(app->journal);
}

static const service_check CHECKS[] = {{"configuration", has_configuration}, {"journal", has_journal}, {0}};

static int64_t meters_known(void *context) { return (int64_t)registry_meter_count(((ingest *)context)->registry); }

static err_t start(service *svc, fault *out_fault) {
    const settings *set = service_settings(svc);
    ingest *app = mem_new(1, sizeof *app);
    app->svc = svc;
    service_set_state(svc, app);
    app->registry = registry_new(svc, settings_text(set, "PENSTOCK_MASTER_KEY_FILE"), out_fault);
    if (!app->registry) return ERR_BAD_INPUT;
    app->bell = bell_new(svc);
    app->presence = presence_new();
    app->pressure = pressure_new(svc, settings_int(set, "PENSTOCK_INGEST_LAG_MAX_MS"));
    app->quota = quota_new(svc);
    app->credit = credit_new(svc, app->registry);
    app->journal = journal_new(svc, &(journal_options){.queue_records_max = (size_t)settings_int(set, "PENSTOCK_INGEST_RECORDS_WAITING"),
                                                       .queue_entries_max = 20000});
    app->bookkeeper = bookkeeper_new(app);
    app->dispatcher = dispatcher_new(app);
    metric_gauge_read("penstock_ingest_meters", "Meters that may report", NULL, meters_known, app);
    service_spawn(svc, "registry", registry_run, app->registry);
    service_spawn(svc, "bell", bell_run, app->bell);
    service_spawn(svc, "journal", journal_run, app->journal);
    service_spawn(svc, "pressure", pressure_run, app->pressure);
    service_spawn(svc, "quota", quota_run, app->quota);
    service_spawn(svc, "credit", credit_run, app->credit);
    service_spawn(svc, "bookkeeper", bookkeeper_run, app->bookkeeper);
    service_spawn(svc, "dispatcher", dispatcher_run, app->dispatcher);
    for (size_t i = 0; i < link_count(); i++) {
        err_t err = link_at(i)->start(app, i, out_fault);
        if (err) return err;
    }
    return ERR_OK;
}

static void drain(service *svc) {
    ingest *app = service_state(svc);
    for (size_t i = 0; i < link_count(); i++) link_at(i)->drain(app, i);
}

static bool is_drained(service *svc) {
    ingest *app = service_state(svc);
    for (size_t i = 0; i < link_count(); i++)
        if (link_at(i)->is_drained && !link_at(i)->is_drained(app, i)) return false;
    return true;
}

static void stop(service *svc) {
    ingest *app = service_state(svc);
    for (size_t i = 0; i < link_count(); i++) link_at(i)->stop(app, i);
    dispatcher_free(app->dispatcher);
    bookkeeper_free(app->bookkeeper);
    journal_free(app->journal);
    credit_free(app->credit);
    quota_free(app->quota);
    pressure_free(app->pressure);
    presence_free(app->presence);
    bell_free(app->bell);
    registry_free(app->registry);
    mem_free(app);
}

const service_def INGEST_SERVICE = {.name = "ingest",
                                    .summary = "takes readings over HTTP and from transparent links, and journals them",
                                    .admin_listen = "127.0.0.1:9101",
                                    .settings = SETTINGS,
                                    .schema_version = SCHEMA_VERSION,
                                    .consumers = CONSUMERS,
                                    .has_outbox = true,
                                    .checks = CHECKS,
                                    .start = start,
                                    .drain = drain,
                                    .is_drained = is_drained,
                                    .stop = stop};
