#include "rerate.h"

#include "base/mem.h"
#include "billing_sql.h"
#include "history.h"

static err_t database_fault(const rerate *self, err_t err, const char *what, fault *out_fault) {
    return fault_set(out_fault, err, what, "%.180s", db_error_text(self->by->conn));
}

// The newest checkpoint whose last reading lies before the instant; without one, the beginning.
static err_t find_start(rerate *self, fault *out_fault) {
    charging_point_init(&self->point);
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->by->conn, &SQL_REPLAY_CHECKPOINTS, DB_PARAMS(DB_I64(self->entry->num)), &rows);
    if (err) return database_fault(self, err, "tier_window", out_fault);
    for (size_t i = 0; i < rows.len; i++) {
        charging_point candidate;
        if (charging_point_unpack(db_bytes(&rows, i, 1), &candidate, out_fault)) return ERR_INTERNAL;
        if (candidate.channel == 0 || candidate.last_at >= self->from_at) continue;
        self->point = candidate;
        break;
    }
    return ERR_OK;
}

err_t rerate_begin(rerate *self, fault *out_fault) {
    err_t err = charging_point_unpack(sv_slice(self->entry->state, self->entry->state_len), &self->stored, out_fault);
    if (!err) err = find_start(self, out_fault);
    if (err) return err;
    return history_load(self->by, self->setup, self->point.channel ? self->point.last_at : 0, &self->polls, &self->count, out_fault);
}

static sv pack(const rerate *self, const charging_point *point) {
    uint8_t bytes[CHARGING_POINT_BYTES_MAX];
    return arena_copy(self->by->memory, sv_slice(bytes, charging_point_pack(point, bytes)));
}

static void take_outcome(rerate *self) {
    for (size_t i = 0; i < self->outcome.pieces.len; i++) self->take(self->context, &self->outcome.pieces.items[i]);
    effects_take_windows(self->out, self->setup, &self->outcome);
    if (!self->outcome.asks_checkpoint) return;
    vec_push(&self->out->checkpoints, ((checkpoint_row){self->entry->company, self->entry->num, self->point.account,
                                                        self->outcome.checkpoint_from, pack(self, &self->outcome.before)}));
}

// Readings that were not charged when they came (a small step back, a duplicate) are not charged now either, by the same
// rules.
err_t rerate_walk(rerate *self, fault *out_fault) {
    for (; self->known < self->count && self->polls[self->known].charging.at <= self->stored.last_at; self->known++) {
        const meter_poll *poll = &self->polls[self->known];
        if (!poll->has_total) continue;
        self->outcome.pieces.len = 0;
        if (charging_apply(self->setup, self->by->rating, &self->point, &poll->charging, &self->outcome) == CHARGING_CHARGED)
            take_outcome(self);
    }
    if (self->stored.channel == 0 || self->point.last_at == self->stored.last_at) return ERR_OK;
    return fault_set(out_fault, ERR_INTERNAL, "reading", "the stored readings do not lead to where the point stands");
}

static void put_point(rerate *self) {
    point_row row = {.entry = self->entry,
                     .point = self->point,
                     .state = pack(self, &self->point),
                     .partition = (int16_t)self->setup->partition,
                     .day_start = self->entry->day_start,
                     .day_quantity = self->entry->day_quantity,
                     .day_amount = self->entry->day_amount,
                     .rated_version = self->entry->rated_version};
    vec_push(&self->out->points, row);
    effects_touch(self->out, self->entry->company, self->setup->property);
}

// The state goes to the cache first, because charging starts from there; a failed transaction clears the cache.
static void charge_waiting(rerate *self) {
    meter_poll *polls = self->polls + self->known;
    size_t count = self->count - self->known;
    point_entry_keep(self->entry, pack(self, &self->point));
    for (size_t i = 0; i < count; i++) polls[i].point = self->entry;
    charger by;
    late_polls late = {0};
    charge_counts counts = {0};
    charger_init(&by, self->by->setups, self->by->rating, self->by->memory);
    self->out->points.len = 0;
    charge_point(&by, polls, count, false, NULL, self->out, &late, &counts);
    charger_done(&by);
    vec_done(&late);
    if (self->out->points.len == 0) put_point(self);
}

void rerate_end(rerate *self) {
    put_point(self);
    if (self->known < self->count) charge_waiting(self);
}

void rerate_done(rerate *self) { charging_outcome_done(&self->outcome); }

err_t rerate_correction(const rerate *self, int64_t account, instant_ms at, charge_row *out_row, bool *out_found, fault *out_fault) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->by->conn, &SQL_REPLAY_BASE, DB_PARAMS(DB_I64(self->entry->num), DB_I64(account), DB_TIME(at)), &rows);
    if (err) return database_fault(self, err, "charge", out_fault);
    *out_found = rows.len == 1;
    if (!*out_found) return ERR_OK;
    *out_row = (charge_row){.id = num_next(self->out->nums, self->out->now),
                            .usage_point = self->entry->num,
                            .kind = CHARGE_CORRECTION,
                            .corrects = db_i64(&rows, 0, 0),
                            .setup = self->setup,
                            .piece = {.from_at = db_time(&rows, 0, 1),
                                      .to_at = db_time(&rows, 0, 2),
                                      .from_value = db_i64(&rows, 0, 3),
                                      .to_value = db_i64(&rows, 0, 4),
                                      .channel = db_i64(&rows, 0, 5),
                                      .epoch = (int32_t)db_i64(&rows, 0, 6),
                                      .version_num = db_i64(&rows, 0, 7),
                                      .account = account}};
    return ERR_OK;
}
