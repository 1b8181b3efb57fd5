#include "control.h"

#include "base/mem.h"
#include "control_sql.h"
#include "events.h"
#include "keeper.h"

#define SCHEMA_VERSION 18

static const service_consumer CONSUMERS[] = {{"control-requests", events_request},
                                             {"balances", events_balance},
                                             {"device-events", events_device},
                                             {"command-results", events_result},
                                             {0}};

static err_t start(service *svc, fault *out_fault) {
    (void)out_fault;
    control_app *app = mem_new(1, sizeof *app);
    *app = (control_app){
        .svc = svc,
        .decided_off = metric_counter("penstock_control_decisions_total", "New versions of desired states", "state=\"off\""),
        .decided_on = metric_counter("penstock_control_decisions_total", "New versions of desired states", "state=\"on\""),
        .refused = metric_counter("penstock_control_refusals_total", "Refusals stored here; those of claims are in the table alone", NULL),
        .frozen = metric_counter("penstock_control_freezes_total", "Times the limiter froze a company's switch-offs", NULL),
        .verified = metric_counter("penstock_control_verified_total", "Desired states that were read back", NULL),
        .unknown = metric_counter("penstock_control_unknown_total", "Switch-offs whose end had to be asked for", NULL),
        .retries = metric_counter("penstock_control_switch_on_retries_total", "Switch-ons ordered again", NULL),
        .bad_requests = metric_counter("penstock_control_bad_requests_total", "Requests that name nobody or nothing", NULL),
    };
    service_set_state(svc, app);
    service_spawn(svc, "keeper", keeper_run, app);
    return ERR_OK;
}

static void stop(service *svc) { mem_free(service_state(svc)); }

const service_def CONTROL_SERVICE = {.name = "control",
                                     .summary = "decides what supplies shall be, and brings devices there",
                                     .admin_listen = "127.0.0.1:9104",
                                     .schema_version = SCHEMA_VERSION,
                                     .consumers = CONSUMERS,
                                     .has_outbox = true,
                                     .start = start,
                                     .stop = stop};
