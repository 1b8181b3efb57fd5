// What must hold before a service may work. A refusal names its reason; a part that is merely away is waited for.
#include "service_internal.h"
#include "service_sql.h"

static err_t check_role(db *conn, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_SERVICE_ROLE_POWERS, DB_NO_PARAMS, &row);
    if (err) return fault_set(out_fault, err, "database", "the role cannot be examined: %.150s", db_error_text(conn));
    if (db_bool(&row, 0, 0))
        return fault_set(out_fault, ERR_FORBIDDEN, "PENSTOCK_DATABASE", "the role is a superuser: it would bypass row security");
    if (db_bool(&row, 0, 1)) return fault_set(out_fault, ERR_FORBIDDEN, "PENSTOCK_DATABASE", "the role may bypass row security");
    if (db_bool(&row, 0, 2))
        return fault_set(out_fault, ERR_FORBIDDEN, "PENSTOCK_DATABASE", "the role owns tables: it could bypass row security");
    return ERR_OK;
}

static err_t check_schema(const service *self, db *conn, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_SERVICE_SCHEMA_VERSION, DB_NO_PARAMS, &row);
    if (err && (err_retry_class(err) == ERR_RETRY_LATER)) return fault_set(out_fault, err, "database", "%.150s", db_error_text(conn));
    int64_t version = err ? 0 : db_i64(&row, 0, 0);
    if (version >= self->def->schema_version) return ERR_OK;
    return fault_set(out_fault, ERR_INTERNAL, "database", "the schema is at version %lld and must be at least %d: run penstockctl migrate",
                     (long long)version, self->def->schema_version);
}

err_t service_check_database(service *self, db *conn, fault *out_fault) {
    err_t err = check_role(conn, out_fault);
    return err ? err : check_schema(self, conn, out_fault);
}

err_t service_check_redis(service *self, fault *out_fault) {
    bus *redis = service_bus_new(self);
    err_t err = bus_check(redis, out_fault);
    bus_free(redis);
    return err;
}
