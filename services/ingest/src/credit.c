#include "credit.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/mem.h"
#include "ingest_sql.h"

#define LOOK_EVERY_MS 60000
#define FIRST_LOOK_MS 2000  // the registry has loaded by then, or the next look finds it
#define PAGE 5000

// A meter's rank holds for the round it was found in, so that nobody has to be told that he is far again.
struct credit {
    service *svc;
    registry *registry;
    atomic_uint round;  // the last complete one
};

static int64_t meters_near(void *context);

credit *credit_new(service *svc, registry *of) {
    credit *self = mem_new(1, sizeof *self);
    self->svc = svc;
    self->registry = of;
    metric_gauge_read("penstock_ingest_meters_near_end", "Meters whose customer's credit is near its end or behind it", NULL, meters_near,
                      self);
    return self;
}

void credit_free(credit *self) { mem_free(self); }

static int rank_of(int64_t level) { return level == 2 ? 3 : level == 1 ? 2 : level == 3 ? 1 : 0; }

static void take(credit *self, const db_rows *rows, uint32_t round) {
    registry_read_lock(self->registry);
    for (size_t i = 0; i < rows->len; i++) {
        registry_meter *meter = db_is_null(rows, i, 1) ? NULL : registry_meter_by_num(self->registry, db_i64(rows, i, 1));
        if (!meter) continue;
        uint32_t known = atomic_load(&meter->credit);
        uint32_t mark = round << 2 | (uint32_t)rank_of(db_i64(rows, i, 2));
        if (known >> 2 != mark >> 2 || (known & 3) < (mark & 3)) atomic_store(&meter->credit, mark);
    }
    registry_unlock(self->registry);
}

static err_t look(credit *self, db *conn) {
    uint32_t round = (atomic_load(&self->round) + 1) & 0x3FFFFFFF;
    int64_t last = 0;
    for (bool has_more = true; has_more;) {
        AUTO(db_rows) rows = {0};
        err_t err = db_query(conn, &SQL_CREDIT_NEAR_END, DB_PARAMS(DB_I64(last), DB_I64(PAGE), DB_TIME(service_now(self->svc))), &rows);
        if (err) return err;
        has_more = rows.len > 0;
        if (has_more) last = db_i64(&rows, rows.len - 1, 0);
        take(self, &rows, round);
        if (service_is_stopping(self->svc)) return ERR_OK;
    }
    atomic_store(&self->round, round);
    return ERR_OK;
}

void credit_run(service *svc, void *context) {
    credit *self = context;
    db_options options = service_db_options(svc, "credit");
    AUTO_DB conn = NULL;
    int32_t wait_ms = FIRST_LOOK_MS;
    while (!service_wait(svc, wait_ms)) {
        wait_ms = LOOK_EVERY_MS;
        if ((!conn || db_is_broken(conn)) && service_db_connect(svc, &options, &conn)) break;
        if (!registry_is_loaded(self->registry))
            wait_ms = FIRST_LOOK_MS;
        else if (look(self, conn))
            LOG_WARN("cannot see whose credit is near its end; the order of polls stays as it was", LOG_S("why", db_error_text(conn)));
    }
}

int credit_rank(const credit *self, const registry_meter *meter) {
    uint32_t mark = atomic_load(&meter->credit);
    return mark >> 2 != 0 && mark >> 2 == atomic_load(&self->round) ? (int)(mark & 3) : 0;
}

typedef struct counting {
    const credit *self;
    int64_t count;
} counting;

static void skip_gateway(void *context, registry_gateway *gateway) { (void)context, (void)gateway; }

static void count_meter(void *context, registry_meter *meter) {
    counting *at = context;
    at->count += credit_rank(at->self, meter) > 0;
}

static int64_t meters_near(void *context) {
    credit *self = context;
    counting at = {.self = self};
    registry_each(self->registry, &at, skip_gateway, count_meter);
    return at.count;
}
