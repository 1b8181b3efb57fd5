// The rarer rows of a transaction: what was set aside, what has to be done later, where replays may start.
#include "effects_rare.h"
#include "base/check.h"
#include "billing_sql.h"
#include "effects.h"

static err_t done(db *conn, err_t err, const char *what, fault *out_fault) {
    return err ? fault_set(out_fault, err, what, "%.180s", db_error_text(conn)) : ERR_OK;
}

// One column of a set-based statement: `n` values in the transaction's memory.
#define COLUMN(type, name) type *name = ARENA_ARRAY(memory, type, n)

static err_t post_quarantine(const effects *self, db *conn, fault *out_fault) {
    size_t n = self->quarantine.len;
    if (n == 0) return ERR_OK;
    arena *memory = self->memory;
    COLUMN(int64_t, id);
    COLUMN(int32_t, company);
    COLUMN(int64_t, usage_point);
    COLUMN(int64_t, channel);
    COLUMN(int32_t, epoch);
    COLUMN(int16_t, reg);
    COLUMN(instant_ms, read_at);
    COLUMN(int64_t, value);
    COLUMN(sv, reason);
    COLUMN(sv, detail);
    COLUMN(int64_t, block_id);
    COLUMN(int16_t, record_no);
    for (size_t i = 0; i < n; i++) {
        const quarantine_row *row = &self->quarantine.items[i];
        id[i] = num_next(self->nums, self->now);
        company[i] = row->record->reading.company;
        usage_point[i] = row->usage_point;
        channel[i] = row->record->reading.channel;
        epoch[i] = row->epoch;
        reg[i] = row->record->reading.reg;
        read_at[i] = row->record->reading.at;
        value[i] = row->record->reading.value;
        reason[i] = sv_of(row->reason);
        detail[i] = sv_of(row->detail ? row->detail : "");
        block_id[i] = row->record->block_id;
        record_no[i] = row->record->record_no;
    }
    err_t err = db_exec(
        conn, &SQL_QUARANTINE_INSERT,
        DB_PARAMS(DB_I64_ARRAY(id, n), DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_I64_ARRAY(channel, n),
                  DB_I32_ARRAY(epoch, n), DB_I16_ARRAY(reg, n), DB_TIME_ARRAY(read_at, n), DB_I64_ARRAY(value, n), DB_TEXT_ARRAY(reason, n),
                  DB_TEXT_ARRAY(detail, n), DB_I64_ARRAY(block_id, n), DB_I16_ARRAY(record_no, n), DB_TIME(self->now)),
        NULL);
    if (!err)
        err = db_exec(conn, &SQL_QUARANTINE_TELL,
                      DB_PARAMS(DB_I64_ARRAY(id, n), DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_I64_ARRAY(channel, n),
                                DB_I16_ARRAY(reg, n), DB_TIME_ARRAY(read_at, n), DB_I64_ARRAY(value, n), DB_TIME(self->now),
                                DB_TEXT_ARRAY(reason, n)),
                      NULL);
    return done(conn, err, "quarantine", out_fault);
}

static err_t post_checkpoints(const effects *self, db *conn, fault *out_fault) {
    size_t n = self->checkpoints.len;
    if (n == 0) return ERR_OK;
    arena *memory = self->memory;
    COLUMN(int32_t, company);
    COLUMN(int64_t, usage_point);
    COLUMN(int64_t, account);
    COLUMN(instant_ms, window_from);
    COLUMN(sv, state);
    for (size_t i = 0; i < n; i++) {
        const checkpoint_row *row = &self->checkpoints.items[i];
        company[i] = row->company;
        usage_point[i] = row->usage_point;
        account[i] = row->account;
        window_from[i] = row->window_from;
        state[i] = row->state;
    }
    err_t err = db_exec(conn, &SQL_CHECKPOINT_PUT,
                        DB_PARAMS(DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_I64_ARRAY(account, n),
                                  DB_TIME_ARRAY(window_from, n), DB_BYTES_ARRAY(state, n), DB_TIME(self->now)),
                        NULL);
    return done(conn, err, "tier_window", out_fault);
}

static err_t post_rated(const effects *self, db *conn, fault *out_fault) {
    size_t n = self->rated.len;
    if (n == 0) return ERR_OK;
    arena *memory = self->memory;
    COLUMN(int32_t, company);
    COLUMN(int64_t, usage_point);
    COLUMN(instant_ms, from);
    COLUMN(int64_t, version);
    COLUMN(int64_t, run);
    for (size_t i = 0; i < n; i++) {
        company[i] = self->rated.items[i].company;
        usage_point[i] = self->rated.items[i].usage_point;
        from[i] = self->rated.items[i].from;
        version[i] = self->rated.items[i].version_num;
        run[i] = self->rated.items[i].run;
    }
    err_t err = db_exec(conn, &SQL_RATED_PUT,
                        DB_PARAMS(DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_TIME_ARRAY(from, n), DB_I64_ARRAY(version, n),
                                  DB_I64_ARRAY(run, n), DB_TIME(self->now)),
                        NULL);
    return done(conn, err, "rated_version", out_fault);
}

static err_t post_days(const effects *self, db *conn, fault *out_fault) {
    size_t n = self->days.len;
    if (n == 0) return ERR_OK;
    arena *memory = self->memory;
    COLUMN(int32_t, company);
    COLUMN(int64_t, usage_point);
    COLUMN(int32_t, day);
    COLUMN(int16_t, partition);
    for (size_t i = 0; i < n; i++) {
        company[i] = self->days.items[i].company;
        usage_point[i] = self->days.items[i].usage_point;
        day[i] = self->days.items[i].day;
        partition[i] = self->days.items[i].partition;
    }
    err_t err = db_exec(conn, &SQL_DAY_REQUEST_PUT,
                        DB_PARAMS(DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_DATE_ARRAY(day, n), DB_I16_ARRAY(partition, n),
                                  DB_TIME(self->now)),
                        NULL);
    return done(conn, err, "day_request", out_fault);
}

err_t replay_rows_put(db *conn, arena *memory, const replay_row *rows, size_t n, instant_ms now) {
    if (n == 0) return ERR_OK;
    COLUMN(int32_t, company);
    COLUMN(int64_t, usage_point);
    COLUMN(int16_t, partition);
    COLUMN(instant_ms, from_at);
    COLUMN(sv, reason);
    for (size_t i = 0; i < n; i++) {
        company[i] = rows[i].company;
        usage_point[i] = rows[i].usage_point;
        partition[i] = rows[i].partition;
        from_at[i] = rows[i].from_at;
        reason[i] = sv_of(rows[i].reason);
    }
    return db_exec(conn, &SQL_REPLAY_REQUEST_PUT,
                   DB_PARAMS(DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_I16_ARRAY(partition, n), DB_TIME_ARRAY(from_at, n),
                             DB_TEXT_ARRAY(reason, n), DB_TIME(now)),
                   NULL);
}

static err_t post_dead(const effects *self, db *conn, fault *out_fault) {
    size_t n = self->dead.len;
    if (n == 0) return ERR_OK;
    arena *memory = self->memory;
    COLUMN(int64_t, id);
    COLUMN(int32_t, company);
    COLUMN(int64_t, usage_point);
    COLUMN(int64_t, property);
    COLUMN(int64_t, block_id);
    COLUMN(int16_t, record_no);
    COLUMN(sv, record);
    COLUMN(sv, error);
    for (size_t i = 0; i < n; i++) {
        const dead_row *row = &self->dead.items[i];
        uint8_t *bytes = arena_alloc(self->memory, 1, READING_RECORD_LEN);
        id[i] = num_next(self->nums, self->now);
        company[i] = row->record->reading.company;
        usage_point[i] = row->usage_point;
        property[i] = row->property;
        block_id[i] = row->record->block_id;
        record_no[i] = row->record->record_no;
        record[i] = sv_slice(bytes, reading_block_pack(&row->record->reading, 1, bytes));
        error[i] = sv_of(row->error);
    }
    err_t err = db_exec(conn, &SQL_DEAD_LETTER_INSERT,
                        DB_PARAMS(DB_I64_ARRAY(id, n), DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_I64_ARRAY(block_id, n),
                                  DB_I16_ARRAY(record_no, n), DB_BYTES_ARRAY(record, n), DB_TEXT_ARRAY(error, n), DB_TIME(self->now)),
                        NULL);
    if (!err)
        err = db_exec(conn, &SQL_POINT_STOPPED_TELL,
                      DB_PARAMS(DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_I64_ARRAY(property, n), DB_I64_ARRAY(id, n),
                                DB_TEXT_ARRAY(error, n), DB_TIME(self->now)),
                      NULL);
    return done(conn, err, "dead_letter", out_fault);
}

static err_t post_windows(const effects *self, db *conn, fault *out_fault) {
    size_t n = self->windows.len;
    if (n == 0) return ERR_OK;
    arena *memory = self->memory;
    COLUMN(int32_t, company);
    COLUMN(int64_t, usage_point);
    COLUMN(int64_t, account);
    COLUMN(int64_t, purse);
    COLUMN(int64_t, version);
    COLUMN(int16_t, partition);
    COLUMN(instant_ms, from);
    COLUMN(instant_ms, to);
    COLUMN(sv, state);
    COLUMN(bool, is_closed);
    COLUMN(int64_t, average_w);
    COLUMN(int64_t, register_w);
    COLUMN(int64_t, active);
    COLUMN(int64_t, reactive);
    COLUMN(int64_t, contracted_va);
    for (size_t i = 0; i < n; i++) {
        const window_row *row = &self->windows.items[i];
        company[i] = row->company;
        usage_point[i] = row->usage_point;
        account[i] = row->account;
        purse[i] = row->purse;
        version[i] = row->version_num;
        partition[i] = row->partition;
        from[i] = row->window.from;
        to[i] = row->window.to;
        state[i] = row->state;
        is_closed[i] = row->is_closed;
        average_w[i] = row->demand.average_w;
        register_w[i] = row->demand.register_w;
        active[i] = row->demand.active;
        reactive[i] = row->demand.reactive;
        contracted_va[i] = row->contracted_va;
    }
    err_t err =
        db_exec(conn, &SQL_WINDOW_PUT,
                DB_PARAMS(DB_I32_ARRAY(company, n), DB_I64_ARRAY(usage_point, n), DB_I64_ARRAY(account, n), DB_I64_ARRAY(purse, n),
                          DB_I64_ARRAY(version, n), DB_I16_ARRAY(partition, n), DB_TIME_ARRAY(from, n), DB_TIME_ARRAY(to, n),
                          DB_BYTES_ARRAY(state, n), DB_BOOL_ARRAY(is_closed, n), DB_I64_ARRAY(average_w, n), DB_I64_ARRAY(register_w, n),
                          DB_I64_ARRAY(active, n), DB_I64_ARRAY(reactive, n), DB_I64_ARRAY(contracted_va, n), DB_TIME(self->now)),
                NULL);
    return done(conn, err, "window_close", out_fault);
}

err_t effects_post_rare(const effects *self, db *conn, fault *out_fault) {
    err_t err = post_quarantine(self, conn, out_fault);
    if (!err) err = post_dead(self, conn, out_fault);
    if (!err) err = post_checkpoints(self, conn, out_fault);
    if (!err) err = post_rated(self, conn, out_fault);
    if (!err) err = post_days(self, conn, out_fault);
    if (!err) err = post_windows(self, conn, out_fault);
    if (!err)
        err =
            done(conn, replay_rows_put(conn, self->memory, self->replays.items, self->replays.len, self->now), "replay_request", out_fault);
    return err;
}
