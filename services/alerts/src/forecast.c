#include "forecast.h"

#include "alerts_sql.h"
#include "base/log.h"
#include "occasion.h"
#include "words.h"

#define EVERY_MS HOUR_MS
#define FIRST_MS MINUTE_MS
#define PAGE 500
#define LOCK_SPACE 7003
#define LOCK_KEY 21

// Purses whose rule names a number of days and that will not last so long; those that last longer again are ended.
static err_t look(alerts_app *app, db *conn, arena *memory) {
    int64_t after = 0;
    for (;;) {
        AUTO(db_rows) rows = {0};
        instant_ms now = service_now(app->svc);
        err_t err = db_query(conn, &SQL_DAYS_LEFT_PAGE, DB_PARAMS(DB_I64(after), DB_TIME(now), DB_I32(PAGE)), &rows);
        for (size_t i = 0; i < rows.len && !err; i++) {
            AUTO(db_tx) tx = {0};
            fault why = {0};
            arena_reset(memory);
            after = db_i64(&rows, i, 1);
            int32_t company = (int32_t)db_i64(&rows, i, 0);
            int64_t left = db_i64(&rows, i, 6);
            bool is_short = left <= db_i64(&rows, i, 7);
            occasion low = {.kind = ALERT_DAYS_LEFT,
                            .company = company,
                            .subject = after,
                            .purse = after,
                            .at = now,
                            .around = "account",
                            .around_num = db_i64(&rows, i, 2),
                            .event = uuid_v7_now(),
                            .purpose = db_text(&rows, i, 3),
                            .amount = words_money(db_i64(&rows, i, 4), db_text(&rows, i, 5), memory),
                            .detail = sv_of(arena_printf(memory, "%lld", (long long)left)),
                            .group = SV("")};
            err = db_begin(conn, &tx);
            if (!err && is_short) err = occasion_tell(app, conn, &low, memory, &why);
            // A day more than the rule's is calm: no message each evening for one each morning.
            if (!err && left > db_i64(&rows, i, 7) + 1) err = occasion_end(conn, company, ALERT_DAYS_LEFT, after, now);
            if (!err) err = db_commit(&tx);
        }
        if (err || rows.len < PAGE) return err;
    }
}

void forecast_run(service *svc, void *context) {
    db_options options = service_db_options(svc, "forecast");
    AUTO_DB conn = NULL;
    arena *memory = arena_new(1u << 20);
    int32_t pause = FIRST_MS;
    while (!service_wait(svc, pause)) {
        bool is_mine = false;
        if ((!conn || db_is_broken(conn)) && service_db_connect(svc, &options, &conn)) break;
        err_t err = db_try_lock(conn, LOCK_SPACE, LOCK_KEY, &is_mine);
        if (!err && is_mine) err = look(context, conn, memory);
        if (!err && is_mine) err = db_unlock(conn, LOCK_SPACE, LOCK_KEY);
        if (err) LOG_WARN("the forecast was cut short", LOG_S("error", err_name(err)), LOG_S("why", db_error_text(conn)));
        pause = err ? FIRST_MS : EVERY_MS;
    }
    arena_free(memory);
}
