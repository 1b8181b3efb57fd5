// COPY for the rows that only ever grow, one set-based statement for each projection, purses and points in ascending
// num. A statement that finds fewer rows than it was given fails the transaction.
#include "effects.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "billing_sql.h"
#include "db/copy.h"
#include "effects_rare.h"

void effects_init(effects *self, arena *borrowed_memory, num_series *nums, instant_ms now) {
    *self = (effects){.memory = borrowed_memory, .nums = nums, .now = now};
}

void effects_done(effects *self) {
    vec_done(&self->readings);
    vec_done(&self->charges);
    vec_done(&self->points);
    vec_done(&self->quarantine);
    vec_done(&self->checkpoints);
    vec_done(&self->rated);
    vec_done(&self->days);
    vec_done(&self->replays);
    vec_done(&self->dead);
    vec_done(&self->windows);
    vec_done(&self->properties);
}

void effects_auto(effects *self) { effects_done(self); }

effects_mark effects_mark_of(const effects *self) {
    return (effects_mark){self->readings.len,    self->charges.len, self->points.len,    self->quarantine.len,
                          self->checkpoints.len, self->rated.len,   self->days.len,      self->replays.len,
                          self->dead.len,        self->windows.len, self->properties.len};
}

void effects_reset(effects *self, effects_mark to) {
    self->readings.len = to.readings;
    self->charges.len = to.charges;
    self->points.len = to.points;
    self->quarantine.len = to.quarantine;
    self->checkpoints.len = to.checkpoints;
    self->rated.len = to.rated;
    self->days.len = to.days;
    self->replays.len = to.replays;
    self->dead.len = to.dead;
    self->windows.len = to.windows;
    self->properties.len = to.properties;
}

static window_row *window_find(effects *self, int64_t usage_point, const charging_window *window) {
    for (size_t i = self->windows.len; i > 0 && self->windows.items[i - 1].usage_point == usage_point; i--) {
        window_row *row = &self->windows.items[i - 1];
        if (row->account == window->account && row->window.from == window->state.window.from) return row;
    }
    vec_push(&self->windows, (window_row){0});
    return &self->windows.items[self->windows.len - 1];
}

void effects_take_windows(effects *self, const charging_setup *setup, const charging_outcome *outcome) {
    for (size_t i = 0; i < outcome->windows.len; i++) {
        const charging_window *window = &outcome->windows.items[i];
        window_row *row = window_find(self, setup->usage_point, window);
        sv state = SV_NONE;
        if (window->is_closed) {
            uint8_t bytes[RATING_STATE_BYTES_MAX];
            state = arena_copy(self->memory, sv_slice(bytes, rating_state_pack(&window->state, bytes)));
        }
        *row = (window_row){.company = setup->company,
                            .usage_point = setup->usage_point,
                            .account = window->account,
                            .purse = window->purse,
                            .version_num = window->version_num,
                            .partition = (int16_t)setup->partition,
                            .window = window->state.window,
                            .is_closed = window->is_closed,
                            .state = state,
                            .contracted_va = window->contracted_va,
                            .demand = window->demand};
    }
}

void effects_touch(effects *self, int32_t company, int64_t property) {
    for (size_t i = self->properties.len; i > 0; i--)
        if (self->properties.items[i - 1].property == property && self->properties.items[i - 1].company == company) return;
    vec_push(&self->properties, ((touched_property){company, property}));
}

static err_t database_fault(db *conn, err_t err, const char *what, fault *out_fault) {
    return fault_set(out_fault, err, what, "%.180s", db_error_text(conn));
}

// ---- rows that only grow ----

// The leaf of the booked day, as its name ends: YYYYMMDD in UTC.
static int64_t leaf_of(instant_ms booked_at) {
    int32_t year, month, day;
    civil_from_days(booked_at / DAY_MS, &year, &month, &day);
    return year * 10000LL + month * 100 + day;
}

static err_t copy_readings(const effects *self, db *conn) {
    if (self->readings.len == 0) return ERR_OK;
    AUTO(db_copy) copy = {0};
    err_t err = db_copy_open(conn, &SQL_COPY_READING, leaf_of(self->now), &copy);
    if (err) return err;
    for (size_t i = 0; i < self->readings.len; i++) {
        const stored_record *stored = self->readings.items[i].record;
        db_copy_row(&copy, 11);
        db_copy_i32(&copy, stored->reading.company);
        db_copy_i64(&copy, stored->reading.channel);
        db_copy_i32(&copy, self->readings.items[i].epoch);
        db_copy_i16(&copy, stored->reading.reg);
        db_copy_i16(&copy, stored->reading.quality);
        db_copy_i16(&copy, (int16_t)stored->reading.flags);
        db_copy_time(&copy, stored->reading.at);
        db_copy_i64(&copy, stored->reading.value);
        db_copy_i64(&copy, stored->block_id);
        db_copy_i16(&copy, stored->record_no);
        db_copy_time(&copy, self->now);
    }
    return db_copy_close(&copy, NULL);
}

static void copy_charge(const effects *self, const charge_row *row, db_copy *copy) {
    const charging_piece *piece = &row->piece;
    db_copy_row(copy, 20);
    db_copy_i64(copy, row->id);
    db_copy_i32(copy, row->setup->company);
    db_copy_i64(copy, row->usage_point);
    db_copy_i64(copy, piece->account);
    db_copy_i64(copy, piece->purse);
    db_copy_i64(copy, piece->channel);
    db_copy_i32(copy, piece->epoch);
    db_copy_i16(copy, (int16_t)row->kind);
    db_copy_i16(copy, (int16_t)row->cause);
    db_copy_i16(copy, row->cause_record);
    db_copy_i64(copy, row->cause_num);
    db_copy_time(copy, piece->from_at);
    db_copy_time(copy, piece->to_at);
    db_copy_i64(copy, piece->from_value);
    db_copy_i64(copy, piece->to_value);
    db_copy_i64(copy, piece->quantity);
    db_copy_i64(copy, piece->amount);
    db_copy_i64(copy, piece->version_num);
    if (row->corrects)
        db_copy_i64(copy, row->corrects);
    else
        db_copy_null(copy);
    db_copy_time(copy, self->now);
}

static err_t copy_charges(const effects *self, db *conn) {
    if (self->charges.len == 0) return ERR_OK;
    AUTO(db_copy) copy = {0};
    err_t err = db_copy_open(conn, &SQL_COPY_CHARGE, leaf_of(self->now), &copy);
    if (err) return err;
    for (size_t i = 0; i < self->charges.len; i++) copy_charge(self, &self->charges.items[i], &copy);
    return db_copy_close(&copy, NULL);
}

// False when nothing moves: no amount, or nobody holds the point.
static bool transfer_of(const effects *self, const charge_row *row, ledger_transfer *out) {
    if (!row->piece.account || !ledger_charge(out, row->piece.amount, row->piece.purse, row->setup->legal_entity, row->setup->item))
        return false;
    out->id = row->id;
    out->company = row->setup->company;
    out->kind = row->kind == CHARGE_CORRECTION ? TRANSFER_CORRECTION : TRANSFER_CHARGE;
    out->currency = row->setup->currency;
    out->source_num = row->cause_num;
    out->corrects = row->corrects;
    out->booked_at = self->now;
    out->effective_at = row->piece.to_at;
    return true;
}

static void copy_transfer(const ledger_transfer *transfer, db_copy *copy) {
    db_copy_row(copy, 15);
    db_copy_i64(copy, transfer->id);
    db_copy_i32(copy, transfer->company);
    db_copy_i16(copy, (int16_t)transfer->kind);
    db_copy_i16(copy, (int16_t)transfer->debit.class);
    db_copy_i16(copy, (int16_t)transfer->debit.item);
    db_copy_i16(copy, (int16_t)transfer->credit.class);
    db_copy_i16(copy, (int16_t)transfer->credit.item);
    db_copy_i64(copy, transfer->debit.num);
    db_copy_i64(copy, transfer->credit.num);
    db_copy_i64(copy, transfer->amount);
    db_copy_i64(copy, transfer->source_num);
    db_copy_time(copy, transfer->booked_at);
    db_copy_time(copy, transfer->effective_at);
    db_copy_text(copy, sv_of(currency_code(transfer->currency)));
    if (transfer->corrects)
        db_copy_i64(copy, transfer->corrects);
    else
        db_copy_null(copy);
}

static err_t copy_transfers(const effects *self, db *conn, fault *out_fault) {
    if (self->charges.len == 0) return ERR_OK;
    AUTO(db_copy) copy = {0};
    err_t err = db_copy_open(conn, &SQL_COPY_TRANSFER, leaf_of(self->now), &copy);
    for (size_t i = 0; !err && i < self->charges.len; i++) {
        ledger_transfer transfer;
        if (!transfer_of(self, &self->charges.items[i], &transfer)) continue;
        if (ledger_transfer_check(&transfer, out_fault)) return ERR_INTERNAL;
        copy_transfer(&transfer, &copy);
    }
    return err ? err : db_copy_close(&copy, NULL);
}

// ---- projections ----

typedef struct purse_delta {
    int64_t purse;
    int64_t amount;
    bool is_history;
} purse_delta;

static int compare_purses(const void *left, const void *right) {
    const purse_delta *a = left, *b = right;
    return a->purse < b->purse ? -1 : a->purse > b->purse;
}

// One sum per purse, in ascending num. ERR_OVERFLOW: the sum cannot be represented.
static err_t sum_purses(const effects *self, purse_delta *deltas, size_t *out_count) {
    size_t count = 0;
    for (size_t i = 0; i < self->charges.len; i++) {
        const charge_row *row = &self->charges.items[i];
        if (row->piece.account && row->piece.amount != 0)
            deltas[count++] = (purse_delta){row->piece.purse, -row->piece.amount, row->is_history};
    }
    qsort(deltas, count, sizeof *deltas, compare_purses);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && deltas[kept - 1].purse == deltas[i].purse) {
            if (__builtin_add_overflow(deltas[kept - 1].amount, deltas[i].amount, &deltas[kept - 1].amount)) return ERR_OVERFLOW;
            deltas[kept - 1].is_history = deltas[kept - 1].is_history && deltas[i].is_history;
        } else {
            deltas[kept++] = deltas[i];
        }
    }
    *out_count = kept;
    return ERR_OK;
}

// The events of the purses whose level changed, which the rows name in ascending num.
static err_t tell_levels(const effects *self, db *conn, const db_rows *rows, const purse_delta *deltas) {
    int64_t *nums = ARENA_ARRAY(self->memory, int64_t, rows->len);
    bool *history = ARENA_ARRAY(self->memory, bool, rows->len);
    const purse_delta *delta = deltas;
    for (size_t i = 0; i < rows->len; i++) {
        nums[i] = db_i64(rows, i, 1);
        while (delta->purse != nums[i]) delta++;
        history[i] = delta->is_history;
    }
    return db_exec(conn, &SQL_PURSE_TELL, DB_PARAMS(DB_I64_ARRAY(nums, rows->len), DB_BOOL_ARRAY(history, rows->len), DB_TIME(self->now)),
                   NULL);
}

static err_t post_purses(const effects *self, db *conn, fault *out_fault) {
    purse_delta *deltas = ARENA_ARRAY(self->memory, purse_delta, self->charges.len + 1);
    size_t count = 0;
    if (sum_purses(self, deltas, &count)) return fault_set(out_fault, ERR_OVERFLOW, "purse", "the sum of charges cannot be represented");
    if (count == 0) return ERR_OK;
    int64_t *nums = ARENA_ARRAY(self->memory, int64_t, count), *amounts = ARENA_ARRAY(self->memory, int64_t, count);
    bool raises = false;
    for (size_t i = 0; i < count; i++) {
        nums[i] = deltas[i].purse;
        amounts[i] = deltas[i].amount;
        raises = raises || amounts[i] > 0;
    }
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_PURSE_POST,
                         DB_PARAMS(DB_I64_ARRAY(nums, count), DB_I64_ARRAY(amounts, count), DB_TIME(self->now), DB_BOOL(raises)), &rows);
    if (err) return database_fault(conn, err, "purse", out_fault);
    int64_t found = db_i64(&rows, 0, 0);
    if (found != (int64_t)count)
        return fault_set(out_fault, ERR_INTERNAL, "purse", "%lld of %zu purses were found", (long long)found, count);
    if (db_is_null(&rows, 0, 1)) return ERR_OK;
    err = tell_levels(self, conn, &rows, deltas);
    return err ? database_fault(conn, err, "purse", out_fault) : ERR_OK;
}

// Columns of points, filled for one of the three statements.
typedef struct point_columns {
    size_t len;
    int64_t *num, *channel, *account, *purse, *last_value, *day_quantity, *day_amount;
    int32_t *company, *epoch;
    int16_t *partition;
    instant_ms *last_at, *day_start, *stopped_since, *estimated_since;
    bool *is_going;     // stopped_since is NULL
    bool *is_measured;  // estimated_since is NULL
    sv *state;
} point_columns;

static void columns_init(point_columns *self, arena *memory, size_t n) {
    *self = (point_columns){.num = ARENA_ARRAY(memory, int64_t, n),
                            .channel = ARENA_ARRAY(memory, int64_t, n),
                            .account = ARENA_ARRAY(memory, int64_t, n),
                            .purse = ARENA_ARRAY(memory, int64_t, n),
                            .last_value = ARENA_ARRAY(memory, int64_t, n),
                            .day_quantity = ARENA_ARRAY(memory, int64_t, n),
                            .day_amount = ARENA_ARRAY(memory, int64_t, n),
                            .company = ARENA_ARRAY(memory, int32_t, n),
                            .epoch = ARENA_ARRAY(memory, int32_t, n),
                            .partition = ARENA_ARRAY(memory, int16_t, n),
                            .last_at = ARENA_ARRAY(memory, instant_ms, n),
                            .day_start = ARENA_ARRAY(memory, instant_ms, n),
                            .stopped_since = ARENA_ARRAY(memory, instant_ms, n),
                            .estimated_since = ARENA_ARRAY(memory, instant_ms, n),
                            .is_going = ARENA_ARRAY(memory, bool, n),
                            .is_measured = ARENA_ARRAY(memory, bool, n),
                            .state = ARENA_ARRAY(memory, sv, n)};
}

// An instant before the year 1 is what an untouched point carries; the column takes the epoch of time instead.
static instant_ms shown(instant_ms at) { return at < 0 ? 0 : at; }

static void columns_add(point_columns *self, const point_row *row) {
    size_t at = self->len++;
    self->num[at] = row->entry->num;
    self->company[at] = row->entry->company;
    self->partition[at] = row->partition;
    self->channel[at] = row->point.channel;
    self->account[at] = row->point.account;
    self->purse[at] = row->point.purse;
    self->epoch[at] = row->point.epoch;
    self->last_at[at] = shown(row->point.last_at);
    self->last_value[at] = row->point.last_value;
    self->day_start[at] = shown(row->day_start);
    self->day_quantity[at] = row->day_quantity;
    self->day_amount[at] = row->day_amount;
    self->stopped_since[at] = row->stopped_since;
    self->is_going[at] = row->stopped_since == 0;
    self->estimated_since[at] = row->point.estimated_since;
    self->is_measured[at] = row->point.estimated_since == 0;
    self->state[at] = row->state;
}

static bool has_changed(const point_row *row) {
    const point_entry *entry = row->entry;
    return entry->channel != row->point.channel || entry->account != row->point.account || entry->purse != row->point.purse ||
           entry->epoch != row->point.epoch || entry->estimated_since != row->point.estimated_since ||
           entry->is_stopped != (row->stopped_since != 0);
}

static int compare_points(const void *left, const void *right) {
    const point_row *a = left, *b = right;
    return a->entry->num < b->entry->num ? -1 : a->entry->num > b->entry->num;
}

#define I64S(column) DB_I64_ARRAY(c->column, c->len)
#define TIMES(column) DB_TIME_ARRAY(c->column, c->len)

static err_t insert_points(db *conn, arena *memory, const point_columns *c, int64_t *out_found) {
    (void)memory;
    return db_exec(
        conn, &SQL_POINT_INSERT,
        DB_PARAMS(I64S(num), DB_I32_ARRAY(c->company, c->len), DB_I16_ARRAY(c->partition, c->len), I64S(channel), I64S(account),
                  I64S(purse), DB_I32_ARRAY(c->epoch, c->len), TIMES(last_at), I64S(last_value), TIMES(day_start), I64S(day_quantity),
                  I64S(day_amount), DB_BYTES_ARRAY(c->state, c->len), db_param_with_nulls(TIMES(stopped_since), c->is_going),
                  db_param_with_nulls(TIMES(estimated_since), c->is_measured)),
        out_found);
}

// The states one after another, and where each begins as SQL counts, from 1; the last entry is where all end.
static sv join_states(const point_columns *self, arena *memory, int32_t *out_begins) {
    size_t bytes = 0;
    for (size_t i = 0; i < self->len; i++) bytes += self->state[i].len;
    CHECK(bytes < INT32_MAX);
    char *all = ARENA_ARRAY(memory, char, bytes + 1);
    size_t at = 0;
    for (size_t i = 0; i < self->len; i++) {
        out_begins[i] = (int32_t)at + 1;
        if (self->state[i].len) memcpy(all + at, self->state[i].ptr, self->state[i].len);
        at += self->state[i].len;
    }
    out_begins[self->len] = (int32_t)at + 1;
    return sv_slice(all, at);
}

static err_t move_points(db *conn, arena *memory, const point_columns *c, int64_t *out_found) {
    int32_t *begins = ARENA_ARRAY(memory, int32_t, c->len + 1);
    sv states = join_states(c, memory, begins);
    return db_exec(conn, &SQL_POINT_MOVE,
                   DB_PARAMS(I64S(num), TIMES(last_at), I64S(last_value), TIMES(day_start), I64S(day_quantity), I64S(day_amount),
                             DB_BYTES(states), DB_I32_ARRAY(begins, c->len + 1)),
                   out_found);
}

static err_t change_points(db *conn, arena *memory, const point_columns *c, int64_t *out_found) {
    int32_t *begins = ARENA_ARRAY(memory, int32_t, c->len + 1);
    sv states = join_states(c, memory, begins);
    return db_exec(conn, &SQL_POINT_CHANGE,
                   DB_PARAMS(I64S(num), I64S(channel), I64S(account), I64S(purse), DB_I32_ARRAY(c->epoch, c->len), TIMES(last_at),
                             I64S(last_value), TIMES(day_start), I64S(day_quantity), I64S(day_amount), DB_BYTES(states),
                             DB_I32_ARRAY(begins, c->len + 1), TIMES(stopped_since), TIMES(estimated_since)),
                   out_found);
}

static err_t post_points(effects *self, db *conn, fault *out_fault) {
    static err_t (*const WRITE[])(db *, arena *, const point_columns *, int64_t *) = {insert_points, move_points, change_points};
    if (self->points.len > 1) qsort(self->points.items, self->points.len, sizeof *self->points.items, compare_points);
    point_columns columns[ARRAY_LEN(WRITE)];
    for (size_t i = 0; i < ARRAY_LEN(WRITE); i++) columns_init(&columns[i], self->memory, self->points.len + 1);
    for (size_t i = 0; i < self->points.len; i++) {
        const point_row *row = &self->points.items[i];
        columns_add(&columns[!row->entry->is_stored ? 0 : has_changed(row) ? 2 : 1], row);
    }
    for (size_t i = 0; i < ARRAY_LEN(WRITE); i++) {
        if (columns[i].len == 0) continue;
        int64_t found = 0;
        err_t err = WRITE[i](conn, self->memory, &columns[i], &found);
        if (err) return database_fault(conn, err, "point", out_fault);
        if (found != (int64_t)columns[i].len)
            return fault_set(out_fault, ERR_INTERNAL, "point", "%lld of %zu points were found", (long long)found, columns[i].len);
    }
    return ERR_OK;
}

void effects_keep(effects *self) {
    for (size_t i = 0; i < self->points.len; i++) {
        const point_row *row = &self->points.items[i];
        point_entry *entry = row->entry;
        entry->is_stored = true;
        entry->is_stopped = row->stopped_since != 0;
        entry->channel = row->point.channel;
        entry->account = row->point.account;
        entry->purse = row->point.purse;
        entry->epoch = row->point.epoch;
        entry->estimated_since = row->point.estimated_since;
        entry->rated_version = row->rated_version;
        entry->day_start = row->day_start;
        entry->day_quantity = row->day_quantity;
        entry->day_amount = row->day_amount;
        point_entry_keep(entry, row->state);
    }
}

err_t effects_post(effects *self, db *conn, fault *out_fault) {
    CRASH_POINT("billing.before_copy");
    err_t err = copy_readings(self, conn);
    if (!err) err = copy_charges(self, conn);
    if (!err) err = copy_transfers(self, conn, out_fault);
    if (err) return database_fault(conn, err, "copy", out_fault);
    CRASH_POINT("billing.before_update");
    err = post_points(self, conn, out_fault);
    if (!err) err = effects_post_rare(self, conn, out_fault);
    // Purses last: they are the rows others wait for.
    return err ? err : post_purses(self, conn, out_fault);
}
