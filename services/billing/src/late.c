#include "late.h"

#include "billing_sql.h"
#include "metering/plausible.h"

typedef struct neighbour {
    bool is_there;
    reading_point point;
    int32_t epoch;
} neighbour;

typedef struct judged {
    bool is_repeated;
    bool contradicts;
    neighbour before, after;
} judged;

typedef struct late_columns {
    size_t n;
    int32_t *ordinal;
    int64_t *channel;
    instant_ms *at;
    int16_t *reg;
} late_columns;

static late_columns columns_of(const late_polls *late, arena *memory) {
    size_t n = late->len;
    late_columns out = {n, ARENA_ARRAY(memory, int32_t, n), ARENA_ARRAY(memory, int64_t, n), ARENA_ARRAY(memory, instant_ms, n),
                        ARENA_ARRAY(memory, int16_t, n)};
    for (size_t i = 0; i < n; i++) {
        out.ordinal[i] = (int32_t)i;
        out.channel[i] = late->items[i].poll->charging.channel;
        out.at[i] = late->items[i].poll->charging.at;
        out.reg[i] = late->items[i].poll->total_register;
    }
    return out;
}

static void compare_stored(const meter_poll *self, int64_t reg, int64_t value, judged *out) {
    for (size_t k = 0; k < self->record_count; k++) {
        if (self->records[k].reading.reg != reg) continue;
        bool is_equal = self->records[k].reading.value == value;
        out->is_repeated = out->is_repeated || is_equal;
        out->contradicts = out->contradicts || !is_equal;
    }
}

static err_t find_same(const late_polls *late, const late_columns *c, db *conn, judged *out) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_LATE_SAME,
                         DB_PARAMS(DB_I32_ARRAY(c->ordinal, c->n), DB_I64_ARRAY(c->channel, c->n), DB_TIME_ARRAY(c->at, c->n)), &rows);
    for (size_t r = 0; !err && r < rows.len; r++) {
        size_t i = (size_t)db_i64(&rows, r, 0);
        compare_stored(late->items[i].poll, db_i64(&rows, r, 1), db_i64(&rows, r, 2), &out[i]);
    }
    return err;
}

static neighbour neighbour_of(const db_rows *rows, size_t row, int column) {
    if (db_is_null(rows, row, column)) return (neighbour){0};
    return (neighbour){true, {db_time(rows, row, column), db_i64(rows, row, column + 1)}, (int32_t)db_i64(rows, row, column + 2)};
}

static err_t find_neighbours(const late_columns *c, db *conn, judged *out) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(
        conn, &SQL_LATE_NEIGHBOURS,
        DB_PARAMS(DB_I32_ARRAY(c->ordinal, c->n), DB_I64_ARRAY(c->channel, c->n), DB_TIME_ARRAY(c->at, c->n), DB_I16_ARRAY(c->reg, c->n)),
        &rows);
    for (size_t r = 0; !err && r < rows.len; r++) {
        size_t i = (size_t)db_i64(&rows, r, 0);
        out[i].before = neighbour_of(&rows, r, 1);
        out[i].after = neighbour_of(&rows, r, 4);
    }
    return err;
}

// NULL when the reading fits, else the reason. *out_epoch: the epoch it belongs to.
static const char *refusal_of(const late_poll *late, const judged *found, instant_ms now, int32_t *out_epoch) {
    const charging_poll *poll = &late->poll->charging;
    *out_epoch = late->epoch;
    if (found->contradicts) return verdict_text(VERDICT_CONFLICT).ptr;
    if (poll->at < now - LATE_MAX_MS) return "too_late";
    const charging_installation *inst = charging_installation_at(late->setup, poll->channel, poll->at);
    if (!inst) return charging_answer_text(CHARGING_NOT_INSTALLED);
    neighbour before = found->before;
    if (!before.is_there)
        before = (neighbour){true, {inst->from, inst->opening_value}, found->after.is_there ? found->after.epoch : late->epoch};
    const reading_point next = {poll->at, poll->value};
    bool crosses_rollover = found->after.is_there && found->after.epoch != before.epoch;
    *out_epoch = before.epoch;
    reading_verdict verdict =
        reading_judge_between(&inst->limits, &before.point, found->after.is_there && !crosses_rollover ? &found->after.point : NULL, next);
    if (crosses_rollover && !verdict_is_accepted(verdict)) {
        // The counter may have passed its end before this reading already: then it belongs to the later epoch.
        *out_epoch = found->after.epoch;
        int64_t usage = 0;
        verdict = reading_judge(&inst->limits, &next, found->after.point, &usage);
    }
    return verdict_is_accepted(verdict) ? NULL : verdict_text(verdict).ptr;
}

static bool is_same_poll(const late_poll *a, const late_poll *b) {
    return a->poll->charging.channel == b->poll->charging.channel && a->poll->charging.at == b->poll->charging.at;
}

static void set_aside(const late_poll *late, const char *reason, effects *out) {
    for (size_t k = 0; k < late->poll->record_count; k++)
        vec_push(&out->quarantine, ((quarantine_row){&late->poll->records[k], late->setup->usage_point, late->epoch, reason, "late"}));
}

static void store(const late_poll *late, int32_t epoch, effects *out) {
    const meter_poll *poll = late->poll;
    for (size_t k = 0; k < poll->record_count; k++) vec_push(&out->readings, ((reading_row){&poll->records[k], epoch}));
    vec_push(&out->replays,
             ((replay_row){late->setup->company, late->setup->usage_point, poll->partition, poll->charging.at, "late reading"}));
    vec_push(&out->days, ((day_row){late->setup->company, late->setup->usage_point,
                                    (int32_t)zone_local_day(late->setup->zone, poll->charging.at), poll->partition}));
}

err_t late_judge(const late_polls *late, db *conn, effects *out_effects, late_counts *out_counts, fault *out_fault) {
    if (late->len == 0) return ERR_OK;
    judged *found = ARENA_ARRAY(out_effects->memory, judged, late->len);
    late_columns columns = columns_of(late, out_effects->memory);
    err_t err = find_same(late, &columns, conn, found);
    if (!err) err = find_neighbours(&columns, conn, found);
    if (err) return fault_set(out_fault, err, "late", "%.180s", db_error_text(conn));
    for (size_t i = 0; i < late->len; i++) {
        const late_poll *one = &late->items[i];
        // Polls of a point come ordered by time: a repetition within the batch stands next to the first.
        bool repeats_previous = i > 0 && is_same_poll(&late->items[i - 1], one);
        if (repeats_previous && late->items[i - 1].poll->charging.value == one->poll->charging.value) found[i].is_repeated = true;
        if (repeats_previous && late->items[i - 1].poll->charging.value != one->poll->charging.value) found[i].contradicts = true;
        if (found[i].is_repeated && !found[i].contradicts) {
            out_counts->repeated++;
            continue;
        }
        int32_t epoch = 0;
        const char *refusal = refusal_of(one, &found[i], out_effects->now, &epoch);
        if (refusal) {
            set_aside(one, refusal, out_effects);
            out_counts->refused++;
        } else {
            store(one, epoch, out_effects);
            out_counts->stored++;
        }
    }
    return ERR_OK;
}
