// What is charged when a tier window closes: minimum, demand and power-factor lines, once for each window, in a lane of
// their own. A window whose end changes afterwards (a late reading) is worked out again and the difference posted as a
// correction of the first charge.
#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "effects.h"
#include "worker.h"

#define WINDOWS_PER_TURN 200
#define OLD_MS (35 * DAY_MS)  // what ended longer ago was brought in as history: news, not an alarm

typedef struct due_window {
    const charging_setup *setup;
    int32_t company;
    int64_t usage_point;
    charging_window window;
    instant_ms from, to;
    bool has_state;
    money_micro posted;
    int64_t charge;
    // Of the answer:
    const char *failed;  // NULL: done
    money_micro amount;
} due_window;

static void take_row(const db_rows *rows, size_t row, due_window *out) {
    *out = (due_window){.company = (int32_t)db_i64(rows, row, 0),
                        .usage_point = db_i64(rows, row, 1),
                        .from = db_time(rows, row, 3),
                        .to = db_time(rows, row, 4),
                        .posted = db_i64(rows, row, 13),
                        .charge = db_is_null(rows, row, 14) ? 0 : db_i64(rows, row, 14),
                        .window = {.account = db_i64(rows, row, 2),
                                   .purse = db_i64(rows, row, 5),
                                   .version_num = db_i64(rows, row, 6),
                                   .contracted_va = db_i64(rows, row, 12),
                                   .demand = {.average_w = db_i64(rows, row, 8),
                                              .register_w = db_i64(rows, row, 9),
                                              .active = db_i64(rows, row, 10),
                                              .reactive = db_i64(rows, row, 11)}}};
    fault why = {0};
    out->has_state = !db_is_null(rows, row, 7);
    if (out->has_state && rating_state_unpack(db_bytes(rows, row, 7), &out->window.state, &why)) out->failed = "its state cannot be read";
}

static const tariff *version_of(const charging_setup *setup, int64_t num) {
    for (size_t i = 0; i < setup->version_count; i++)
        if (setup->versions[i].num == num && setup->versions[i].tariff) return setup->versions[i].tariff;
    return NULL;
}

// No reading came since: the window ends as the point stands in it. False: its account does not hold the point any more,
// and has no closing lines.
static bool take_open_state(const worker *self, due_window *due) {
    const point_entry *entry = points_find(self->points, due->usage_point);
    charging_point point;
    if (!entry || charging_point_unpack(sv_slice(entry->state, entry->state_len), &point, NULL)) return false;
    if (point.account != due->window.account || point.rating.window.from != due->from) return false;
    due->window.state = point.rating;
    due->window.version_num = (int64_t)point.rating.version;
    due->window.demand = point.demand;
    const charging_holder *holder = charging_holder_at(due->setup, due->to - 1);
    due->window.contracted_va = holder && holder->account == point.account ? holder->contracted_va : 0;
    return true;
}

static void work_out(const worker *self, due_window *due) {
    due->amount = due->posted;
    if (due->failed) return;
    if (!due->setup) {
        due->failed = "the usage point has no usable setup";
        return;
    }
    if (!due->has_state && !take_open_state(self, due)) return;
    const tariff *by = version_of(due->setup, due->window.version_num);
    if (!by) {
        due->failed = "the tariff version it was rated by does not apply here any more";
        return;
    }
    demand_source source;
    rating_closing closing = charging_closing_of(&due->window, &source);
    rating_answer answer = rating_close(by, &due->window.state, &closing, &due->amount);
    if (answer != RATING_OK) due->failed = rating_answer_text(answer);
}

static void charge(due_window *due, effects *out) {
    if (due->amount == due->posted) return;
    int64_t id = num_next(out->nums, out->now);
    charge_row row = {.id = id,
                      .usage_point = due->usage_point,
                      .kind = due->charge ? CHARGE_CORRECTION : CHARGE_CLOSE,
                      .cause = CAUSE_CLOSE,
                      .cause_num = due->from,
                      .corrects = due->charge,
                      .is_history = due->to < out->now - OLD_MS,
                      .setup = due->setup,
                      .piece = {.from_at = due->from,
                                .to_at = due->to,
                                .amount = due->amount - due->posted,
                                .version_num = due->window.version_num,
                                .account = due->window.account,
                                .purse = due->window.purse}};
    vec_push(&out->charges, row);
    if (!due->charge) due->charge = id;
    effects_touch(out, due->company, due->setup->property);
    vec_push(&out->days, ((day_row){due->company, due->usage_point, (int32_t)zone_local_day(due->setup->zone, due->to - 1),
                                    (int16_t)due->setup->partition}));
}

static err_t mark_done(worker *self, const due_window *all, size_t count, instant_ms now) {
    arena *memory = self->memory;
    int64_t *usage_point = ARENA_ARRAY(memory, int64_t, count), *account = ARENA_ARRAY(memory, int64_t, count);
    int64_t *posted = ARENA_ARRAY(memory, int64_t, count), *charged = ARENA_ARRAY(memory, int64_t, count);
    instant_ms *from = ARENA_ARRAY(memory, instant_ms, count);
    size_t n = 0;
    err_t err = ERR_OK;
    for (size_t i = 0; i < count && !err; i++) {
        const due_window *due = &all[i];
        if (due->failed) {
            err = db_exec(
                self->conn, &SQL_WINDOW_FAILED,
                DB_PARAMS(DB_I64(due->usage_point), DB_I64(due->window.account), DB_TIME(due->from), DB_CSTR(due->failed), DB_TIME(now)),
                NULL);
            LOG_ERROR("a tier window could not be closed", LOG_I("company", due->company), LOG_I("usage_point", due->usage_point),
                      LOG_S("why", due->failed));
            continue;
        }
        usage_point[n] = due->usage_point;
        account[n] = due->window.account;
        from[n] = due->from;
        posted[n] = due->amount;
        charged[n++] = due->charge;
    }
    if (err || n == 0) return err;
    return db_exec(self->conn, &SQL_WINDOW_DONE,
                   DB_PARAMS(DB_I64_ARRAY(usage_point, n), DB_I64_ARRAY(account, n), DB_TIME_ARRAY(from, n), DB_I64_ARRAY(posted, n),
                             DB_I64_ARRAY(charged, n), DB_TIME(now)),
                   NULL);
}

static err_t load(worker *self, const due_window *all, size_t count, fault *out_fault) {
    setups_key *keys = ARENA_ARRAY(self->memory, setups_key, count);
    int32_t *companies = ARENA_ARRAY(self->memory, int32_t, count);
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        keys[i] = (setups_key){all[i].company, all[i].usage_point};
        size_t at = 0;
        while (at < named && companies[at] != all[i].company) at++;
        if (at == named) companies[named++] = all[i].company;
    }
    err_t err = config_follow(self, companies, named);
    if (err) return fault_set(out_fault, err, "config", "%.180s", db_error_text(self->conn));
    return points_load_nums(self->points, self->conn, keys, count, out_fault);
}

// One transaction: up to `limit` windows. *out_first is the one whose turn came first.
typedef struct turn {
    worker *by;
    int64_t limit;
    size_t count;
    due_window first;
} turn;

// The rows are read in the transaction that answers them; nobody else writes those of our partitions.
static err_t close_windows(turn *self, effects *out, fault *out_fault) {
    worker *by = self->by;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(by->conn, &SQL_WINDOW_DUE,
                         DB_PARAMS(DB_I16_ARRAY(by->owned, by->owned_count), DB_TIME(out->now), DB_TIME(out->now - by->app->close_grace_ms),
                                   DB_I64(self->limit)),
                         &rows);
    if (err) return fault_set(out_fault, err, "window_close", "%.180s", db_error_text(by->conn));
    self->count = rows.len;
    if (rows.len == 0) return ERR_OK;
    due_window *all = ARENA_ARRAY(by->memory, due_window, rows.len);
    for (size_t i = 0; i < rows.len; i++) take_row(&rows, i, &all[i]);
    self->first = all[0];
    err = load(by, all, rows.len, out_fault);
    if (err) return err;
    for (size_t i = 0; i < rows.len; i++) {
        all[i].setup = setups_find(by->setups, all[i].usage_point);
        work_out(by, &all[i]);
        if (!all[i].failed) charge(&all[i], out);
    }
    err = effects_post(out, by->conn, out_fault);
    if (err) return err;
    err = mark_done(by, all, rows.len, out->now);
    return err ? fault_set(out_fault, err, "window_close", "%.180s", db_error_text(by->conn)) : ERR_OK;
}

static err_t take_turn(turn *self, fault *out_fault) {
    worker *by = self->by;
    arena_reset(by->memory);
    AUTO(effects) out = {0};
    effects_init(&out, by->memory, &by->nums, service_now(by->svc));
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(by->conn, &tx);
    if (err) return fault_set(out_fault, err, "begin", "%.180s", db_error_text(by->conn));
    err = close_windows(self, &out, out_fault);
    if (err || self->count == 0) return err;
    CRASH_POINT("billing.close.before_commit");
    err = db_commit(&tx);
    if (err) return fault_set(out_fault, err, "commit", "%.180s", db_error_text(by->conn));
    CRASH_POINT("billing.close.after_commit");
    metric_add(by->app->metrics.closes, (int64_t)self->count);
    effects_keep(&out);
    service_ring_relay(by->svc);
    board_ring(by, out.properties.items, out.properties.len);
    return ERR_OK;
}

static bool is_about_data(const worker *self, err_t err) {
    return err != ERR_OK && !db_is_broken(self->conn) && err_retry_class(err) == ERR_RETRY_NO;
}

// A window that cannot be posted must not hold up the others: it is tried alone and, if it is the one, waits.
static err_t blame_first(worker *self, fault *out_fault) {
    points_clear(self->points);
    config_doubt(self);
    turn alone = {.by = self, .limit = 1};
    err_t err = take_turn(&alone, out_fault);
    if (!is_about_data(self, err)) return err;
    points_clear(self->points);
    config_doubt(self);
    LOG_ERROR("the close of a tier window could not be posted", LOG_I("company", alone.first.company),
              LOG_I("usage_point", alone.first.usage_point), LOG_S("place", out_fault->place), LOG_S("why", out_fault->reason));
    return db_exec(self->conn, &SQL_WINDOW_FAILED,
                   DB_PARAMS(DB_I64(alone.first.usage_point), DB_I64(alone.first.window.account), DB_TIME(alone.first.from),
                             DB_CSTR(out_fault->reason), DB_TIME(service_now(self->svc))),
                   NULL);
}

err_t window_close_run(worker *self, bool *out_did, fault *out_fault) {
    *out_did = false;
    if (self->owned_count == 0) return ERR_OK;
    turn usual = {.by = self, .limit = WINDOWS_PER_TURN};
    err_t err = take_turn(&usual, out_fault);
    *out_did = err != ERR_OK || usual.count == WINDOWS_PER_TURN;
    return is_about_data(self, err) ? blame_first(self, out_fault) : err;
}
