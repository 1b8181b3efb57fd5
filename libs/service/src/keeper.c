// Looks every few seconds whether the database answers and whether Redis still keeps what it is given.
#include "base/log.h"
#include "service_internal.h"
#include "service_sql.h"

#define LOOK_EVERY_MS 5000

static bool does_answer(service *svc, db **in_out_conn) {
    db_options options = service_db_options(svc, "keeper");
    options.statement_timeout_ms = 2000;
    if (!*in_out_conn) return db_open(&options, in_out_conn, NULL) == ERR_OK;
    if (db_is_broken(*in_out_conn) && db_reset(*in_out_conn, NULL)) return false;
    AUTO(db_rows) row = {0};
    return db_query_one(*in_out_conn, &SQL_SERVICE_PING, DB_NO_PARAMS, &row) == ERR_OK;
}

static void look_at_redis(service *svc, bus *redis) {
    fault why = {0};
    err_t err = bus_check(redis, &why);
    bool is_ok = err == ERR_OK || err == ERR_UNAVAILABLE;
    if (!is_ok && atomic_load(&svc->redis_ok))
        LOG_ERROR("redis may lose streams; not ready until it is set right", LOG_S("why", why.reason));
    atomic_store(&svc->redis_ok, is_ok);
}

void service_keeper_run(service *svc, void *context) {
    (void)context;
    AUTO_DB conn = NULL;
    bus *redis = service_bus_new(svc);
    do {
        bool is_ok = does_answer(svc, &conn);
        if (is_ok != atomic_load(&svc->database_ok)) {
            if (is_ok)
                LOG_INFO("the database answers");
            else
                LOG_ERROR("the database does not answer; not ready", LOG_S("why", conn ? db_error_text(conn) : "no connection"));
        }
        atomic_store(&svc->database_ok, is_ok);
        look_at_redis(svc, redis);
    } while (!service_wait(svc, LOOK_EVERY_MS));
    bus_free(redis);
}
