// Closes of tier windows: what charging again gives is what was posted.
#include "ctl_sql.h"
#include "verify.h"

static closed_window *window_of(closed_windows *self, int64_t account, instant_ms from) {
    for (size_t i = 0; i < self->len; i++)
        if (self->items[i].account == account && self->items[i].from == from) return &self->items[i];
    vec_push(self, ((closed_window){.account = account, .from = from}));
    return &self->items[self->len - 1];
}

void closed_windows_take(closed_windows *self, const charging_setup *setup, const charging_outcome *outcome) {
    for (size_t i = 0; i < outcome->windows.len; i++) {
        const charging_window *window = &outcome->windows.items[i];
        if (!window->is_closed) continue;
        closed_window *closed = window_of(self, window->account, window->state.window.from);
        const charging_version *version = NULL;
        for (size_t v = 0; v < setup->version_count; v++)
            if (setup->versions[v].num == window->version_num) version = &setup->versions[v];
        demand_source source;
        rating_closing closing = charging_closing_of(window, &source);
        closed->answer = version ? rating_close(version->tariff, &window->state, &closing, &closed->amount) : RATING_STATE_MISMATCH;
    }
}

err_t closed_windows_verify(db *conn, int64_t usage_point, const closed_windows *closed, verify_check *out) {
    AUTO(db_rows) rows = {0};
    if (closed->len == 0) return ERR_OK;
    err_t err = db_query(conn, &SQL_VERIFY_POINT_WINDOWS, DB_PARAMS(DB_I64(usage_point)), &rows);
    for (size_t i = 0; i < closed->len && !err; i++) {
        const closed_window *window = &closed->items[i];
        size_t row = 0;
        while (row < rows.len && (db_i64(&rows, row, 0) != window->account || db_time(&rows, row, 1) != window->from)) row++;
        out->checked++;
        if (window->answer != RATING_OK)
            verify_differ(out, "the window from %lld of usage point %lld cannot be closed: %s", (long long)window->from,
                          (long long)usage_point, rating_answer_text(window->answer));
        else if (row == rows.len || (db_is_null(&rows, row, 2) && !db_bool(&rows, row, 3)))
            verify_differ(out, "the window from %lld of usage point %lld ended and was not closed", (long long)window->from,
                          (long long)usage_point);
        else if (!db_bool(&rows, row, 3) && db_i64(&rows, row, 4) != window->amount)
            verify_differ(out, "closing the window from %lld of usage point %lld comes to %lld, posted are %lld", (long long)window->from,
                          (long long)usage_point, (long long)window->amount, (long long)db_i64(&rows, row, 4));
    }
    return err;
}
