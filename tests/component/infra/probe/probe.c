// The smallest service: relays billing's outbox, or consumes it into the api's feed. PROBE says which.
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "probe_sql.h"
#include "service/service.h"

static err_t start(service *svc, fault *out_fault) {
    (void)svc;
    (void)out_fault;
    return ERR_OK;
}

static err_t record(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    (void)memory;
    if (sv_equal(event->type, SV("indigestible"))) return fault_set(out_fault, ERR_BAD_INPUT, "/type", "nobody understands this");
    return db_exec(conn, &SQL_PROBE_RECORD,
                   DB_PARAMS(DB_I32(event->company), DB_TEXT(event->type), DB_TEXT(event->payload), DB_TIME(service_now(svc))), NULL);
}

int main(int argc, char **argv) {
    static const service_consumer CONSUMERS[] = {{"balances", record}, {NULL, NULL}};
    static const setting SETTINGS[] = {
        {.name = "PENSTOCK_PROBE_SECRET", .kind = SETTING_TEXT, .fallback = "", .is_secret = true, .help = "Something not to be shown."},
        {.name = NULL}};
    static const service_def RELAY = {.name = "billing",
                                      .summary = "probe",
                                      .admin_listen = "127.0.0.1:0",
                                      .settings = SETTINGS,
                                      .schema_version = 1,
                                      .has_outbox = true,
                                      .start = start};
    static const service_def CONSUMER = {.name = "api",
                                         .summary = "probe",
                                         .worker_role = "penstock_api_worker",
                                         .admin_listen = "127.0.0.1:0",
                                         .settings = SETTINGS,
                                         .schema_version = 1,
                                         .consumers = CONSUMERS,
                                         .start = start};
    static const service_def FUTURE = {
        .name = "billing", .summary = "probe", .admin_listen = "127.0.0.1:0", .schema_version = 9999, .start = start};
    const char *which = getenv("PROBE");
    if (which && strcmp(which, "relay") == 0) return service_main(&RELAY, argc, argv);
    if (which && strcmp(which, "future") == 0) return service_main(&FUTURE, argc, argv);
    return service_main(&CONSUMER, argc, argv);
}
