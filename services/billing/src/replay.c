// Rates the stored readings of one usage point anew, from the newest checkpoint before the instant in question, and
// posts what the readings say minus what was charged: one correction per holding. Then the readings a stopped point
// has stored meanwhile are charged like live ones. One point, one transaction; whoever holds the partition does it.
#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "effects.h"
#include "history.h"

typedef struct request {
    int32_t company;
    int64_t usage_point;
    instant_ms from_at;
    int64_t attempts;
} request;

// What one holder is owed for the time it holds the point, as far as the replay can tell.
typedef struct holding {
    const charging_holder *holder;
    int64_t amount, quantity;
} holding;

typedef struct replay {
    worker *by;
    const request *asked;
    const charging_setup *setup;
    point_entry *entry;
    charging_point stored;  // as the row stands
    charging_point point;   // as the readings say
    VEC(holding) holdings;
    charging_outcome outcome;
    effects *out;
} replay;

static err_t database_fault(const replay *self, err_t err, const char *what, fault *out_fault) {
    return fault_set(out_fault, err, what, "%.180s", db_error_text(self->by->conn));
}

static holding *holding_of(replay *self, instant_ms at) {
    const charging_holder *holder = charging_holder_at(self->setup, at);
    if (!holder) return NULL;
    for (size_t i = 0; i < self->holdings.len; i++)
        if (self->holdings.items[i].holder == holder) return &self->holdings.items[i];
    vec_push(&self->holdings, ((holding){.holder = holder}));
    return &self->holdings.items[self->holdings.len - 1];
}

// The newest checkpoint whose last reading lies before the instant; without one, the beginning.
static err_t find_start(replay *self, fault *out_fault) {
    charging_point_init(&self->point);
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->by->conn, &SQL_REPLAY_CHECKPOINTS, DB_PARAMS(DB_I64(self->asked->usage_point)), &rows);
    if (err) return database_fault(self, err, "tier_window", out_fault);
    for (size_t i = 0; i < rows.len; i++) {
        charging_point candidate;
        err = charging_point_unpack(db_bytes(&rows, i, 1), &candidate, out_fault);
        if (err) return ERR_INTERNAL;
        if (candidate.channel == 0 || candidate.last_at >= self->asked->from_at) continue;
        self->point = candidate;
        break;
    }
    if (self->point.account == 0) return ERR_OK;
    holding *first = holding_of(self, self->point.last_at - 1);
    if (first && first->holder->account == self->point.account) {
        first->amount = self->point.charged_total;
        first->quantity = self->point.quantity_total;
    }
    return ERR_OK;
}

static sv pack(const replay *self, const charging_point *point) {
    uint8_t bytes[CHARGING_POINT_BYTES_MAX];
    return arena_copy(self->by->memory, sv_slice(bytes, charging_point_pack(point, bytes)));
}

static void take_outcome(replay *self) {
    for (size_t i = 0; i < self->outcome.pieces.len; i++) {
        const charging_piece *piece = &self->outcome.pieces.items[i];
        holding *owner = piece->account ? holding_of(self, piece->from_at) : NULL;
        if (!owner) continue;
        owner->amount += piece->amount;
        owner->quantity += piece->quantity;
    }
    effects_take_windows(self->out, self->setup, &self->outcome);
    if (!self->outcome.asks_checkpoint) return;
    vec_push(&self->out->checkpoints, ((checkpoint_row){self->asked->company, self->asked->usage_point, self->point.account,
                                                        self->outcome.checkpoint_from, pack(self, &self->outcome.before)}));
}

// The way the point has gone already: up to the last reading of its row. Readings that were not charged when they came
// (a small step back, a duplicate) are not charged now either, by the same rules.
static size_t walk_known(replay *self, const meter_poll *polls, size_t count) {
    size_t at = 0;
    for (; at < count && polls[at].charging.at <= self->stored.last_at; at++) {
        if (!polls[at].has_total) continue;
        self->outcome.pieces.len = 0;
        if (charging_apply(self->setup, self->by->rating, &self->point, &polls[at].charging, &self->outcome) == CHARGING_CHARGED)
            take_outcome(self);
    }
    return at;
}

static err_t load_base(replay *self, const holding *owner, charge_row *out_row, bool *out_found, fault *out_fault) {
    AUTO(db_rows) rows = {0};
    instant_ms at = self->asked->from_at > owner->holder->from ? self->asked->from_at : owner->holder->from + 1;
    err_t err = db_query(self->by->conn, &SQL_REPLAY_BASE,
                         DB_PARAMS(DB_I64(self->asked->usage_point), DB_I64(owner->holder->account), DB_TIME(at)), &rows);
    if (err) return database_fault(self, err, "charge", out_fault);
    *out_found = rows.len == 1;
    if (!*out_found) return ERR_OK;
    *out_row = (charge_row){.id = num_next(self->out->nums, self->out->now),
                            .usage_point = self->asked->usage_point,
                            .kind = CHARGE_CORRECTION,
                            .cause = CAUSE_REPLAY,
                            .cause_num = db_i64(&rows, 0, 0),
                            .corrects = db_i64(&rows, 0, 0),
                            .is_history = false,
                            .setup = self->setup,
                            .piece = {.from_at = db_time(&rows, 0, 1),
                                      .to_at = db_time(&rows, 0, 2),
                                      .from_value = db_i64(&rows, 0, 3),
                                      .to_value = db_i64(&rows, 0, 4),
                                      .channel = db_i64(&rows, 0, 5),
                                      .epoch = (int32_t)db_i64(&rows, 0, 6),
                                      .version_num = db_i64(&rows, 0, 7),
                                      .account = owner->holder->account,
                                      .purse = owner->holder->purse}};
    return ERR_OK;
}

static err_t correct(replay *self, const holding *owner, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(self->by->conn, &SQL_REPLAY_CHARGED,
                             DB_PARAMS(DB_I64(self->asked->usage_point), DB_I64(owner->holder->account), DB_TIME(owner->holder->from),
                                       DB_TIME(owner->holder->to)),
                             &row);
    if (err) return database_fault(self, err, "charge", out_fault);
    int64_t amount = owner->amount - db_i64(&row, 0, 0), quantity = owner->quantity - db_i64(&row, 0, 1);
    if (amount == 0 && quantity == 0) return ERR_OK;
    charge_row correction;
    bool found = false;
    err = load_base(self, owner, &correction, &found, out_fault);
    if (err) return err;
    if (!found)
        return fault_set(out_fault, ERR_INTERNAL, "charge", "there is no charge to correct for account %lld",
                         (long long)owner->holder->account);
    correction.piece.amount = amount;
    correction.piece.quantity = quantity;
    vec_push(&self->out->charges, correction);
    return ERR_OK;
}

static void put_point(replay *self) {
    point_row row = {.entry = self->entry,
                     .point = self->point,
                     .state = pack(self, &self->point),
                     .partition = (int16_t)self->setup->partition,
                     .day_start = self->entry->day_start,
                     .day_quantity = self->entry->day_quantity,
                     .day_amount = self->entry->day_amount,
                     .rated_version = self->entry->rated_version};
    vec_push(&self->out->points, row);
    effects_touch(self->out, self->asked->company, self->setup->property);
}

// What came in while the point was stopped, charged as if it came now. The replayed state goes to the cache first,
// because charging starts from there; a failed transaction clears the cache.
static void charge_waiting(replay *self, meter_poll *polls, size_t count) {
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

static err_t rate_anew(replay *self, fault *out_fault) {
    err_t err = find_start(self, out_fault);
    if (err) return err;
    meter_poll *polls = NULL;
    size_t count = 0;
    err = history_load(self->by, self->setup, self->point.channel ? self->point.last_at : 0, &polls, &count, out_fault);
    if (err) return err;
    size_t known = walk_known(self, polls, count);
    if (self->stored.channel != 0 && self->point.last_at != self->stored.last_at)
        return fault_set(out_fault, ERR_INTERNAL, "reading", "the stored readings do not lead to where the point stands");
    for (size_t i = 0; !err && i < self->holdings.len; i++) err = correct(self, &self->holdings.items[i], out_fault);
    if (err) return err;
    put_point(self);
    if (known < count) charge_waiting(self, polls + known, count - known);
    return ERR_OK;
}

static err_t in_transaction(worker *self, const request *asked, fault *out_fault) {
    AUTO(effects) out = {0};
    effects_init(&out, self->memory, &self->nums, service_now(self->svc));
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    setups_key key = {asked->company, asked->usage_point};
    if (!err) err = config_follow(self, &asked->company, 1);
    if (!err) err = points_load_nums(self->points, self->conn, &key, 1, out.now, out_fault);
    if (err) return fault_set(out_fault, err, "replay", "%.180s", db_error_text(self->conn));
    replay work = {.by = self,
                   .asked = asked,
                   .setup = setups_find(self->setups, asked->usage_point),
                   .entry = points_find(self->points, asked->usage_point),
                   .out = &out};
    if (!work.setup) {
        const char *why = setups_fault(self->setups, asked->usage_point);
        return fault_set(out_fault, ERR_NOT_FOUND, "setup", "%.180s", why ? why : "there is no such usage point");
    }
    err = charging_point_unpack(sv_slice(work.entry->state, work.entry->state_len), &work.stored, out_fault);
    if (!err) err = rate_anew(&work, out_fault);
    if (!err) err = effects_post(&out, self->conn, out_fault);
    if (!err) err = db_exec(self->conn, &SQL_REPLAY_DONE, DB_PARAMS(DB_I64(asked->usage_point)), NULL);
    CRASH_POINT("billing.replay.before_commit");
    if (!err) err = db_commit(&tx);
    CRASH_POINT("billing.replay.after_commit");
    charging_outcome_done(&work.outcome);
    vec_done(&work.holdings);
    if (err) return err;
    effects_keep(&out);
    service_ring_relay(self->svc);
    board_ring(self, out.properties.items, out.properties.len);
    return ERR_OK;
}

err_t replay_run(worker *self, bool *out_did, fault *out_fault) {
    *out_did = false;
    if (self->owned_count == 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_REPLAY_NEXT,
                         DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), DB_TIME(service_now(self->svc))), &rows);
    if (err) return fault_set(out_fault, err, "replay", "%.180s", db_error_text(self->conn));
    if (rows.len == 0) return ERR_OK;
    request asked = {(int32_t)db_i64(&rows, 0, 0), db_i64(&rows, 0, 1), db_time(&rows, 0, 2), db_i64(&rows, 0, 4)};
    *out_did = true;
    arena_reset(self->memory);
    err = in_transaction(self, &asked, out_fault);
    if (!err) {
        metric_add(self->app->metrics.replays, 1);
        return ERR_OK;
    }
    points_clear(self->points);
    config_doubt(self);
    if (db_is_broken(self->conn) || err_retry_class(err) != ERR_RETRY_NO) return err;
    LOG_ERROR("a usage point could not be replayed", LOG_I("company", asked.company), LOG_I("usage_point", asked.usage_point),
              LOG_S("place", out_fault->place), LOG_S("why", out_fault->reason));
    return db_exec(self->conn, &SQL_REPLAY_FAILED,
                   DB_PARAMS(DB_I64(asked.usage_point), DB_CSTR(out_fault->reason), DB_TIME(service_now(self->svc))), NULL);
}
