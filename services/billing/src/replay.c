// Rates the stored readings of one usage point anew after a late reading, under the versions that were decided for it, and
// posts what the readings say minus what was charged: one correction per holding. Then the readings a stopped point has
// stored meanwhile are charged like live ones.
#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "billing_sql.h"
#include "rerate.h"

typedef struct request {
    int32_t company;
    int64_t usage_point;
    instant_ms from_at;
} request;

// What one account is owed for the time it holds the point without a break.
typedef struct holding_sum {
    charging_holding holding;
    int64_t amount, quantity;
} holding_sum;

typedef struct replay {
    rerate rated;
    VEC(holding_sum) sums;
} replay;

static holding_sum *sum_of(replay *self, instant_ms at) {
    charging_holding holding = charging_holding_at(self->rated.setup, at);
    if (!holding.account) return NULL;
    for (size_t i = 0; i < self->sums.len; i++)
        if (self->sums.items[i].holding.from == holding.from) return &self->sums.items[i];
    vec_push(&self->sums, ((holding_sum){.holding = holding}));
    return &self->sums.items[self->sums.len - 1];
}

static void take_piece(void *context, const charging_piece *piece) {
    holding_sum *owner = piece->account ? sum_of(context, piece->from_at) : NULL;
    if (!owner) return;
    owner->amount += piece->amount;
    owner->quantity += piece->quantity;
}

// What the holder at the checkpoint came to until there.
static void begin_sums(replay *self) {
    const charging_point *from = &self->rated.point;
    holding_sum *first = from->account ? sum_of(self, from->last_at - 1) : NULL;
    if (!first || first->holding.account != from->account) return;
    first->amount = from->charged_total;
    first->quantity = from->quantity_total;
}

static err_t correct(replay *self, const holding_sum *owner, fault *out_fault) {
    const charging_holding *held = &owner->holding;
    AUTO(db_rows) row = {0};
    err_t err =
        db_query_one(self->rated.by->conn, &SQL_REPLAY_CHARGED,
                     DB_PARAMS(DB_I64(self->rated.entry->num), DB_I64(held->account), DB_TIME(held->from), DB_TIME(held->to)), &row);
    if (err) return fault_set(out_fault, err, "charge", "%.180s", db_error_text(self->rated.by->conn));
    int64_t amount = owner->amount - db_i64(&row, 0, 0), quantity = owner->quantity - db_i64(&row, 0, 1);
    if (amount == 0 && quantity == 0) return ERR_OK;
    charge_row correction;
    bool found = false;
    instant_ms at = self->rated.from_at > held->from ? self->rated.from_at : held->from + 1;
    err = rerate_correction(&self->rated, held->account, at, &correction, &found, out_fault);
    if (err) return err;
    if (!found)
        return fault_set(out_fault, ERR_INTERNAL, "charge", "there is no charge to correct for account %lld", (long long)held->account);
    correction.cause = CAUSE_REPLAY;
    correction.cause_num = correction.corrects;
    correction.piece.purse = held->purse;
    correction.piece.amount = amount;
    correction.piece.quantity = quantity;
    vec_push(&self->rated.out->charges, correction);
    return ERR_OK;
}

static err_t rate_anew(replay *self, fault *out_fault) {
    err_t err = rerate_begin(&self->rated, out_fault);
    if (err) return err;
    begin_sums(self);
    err = rerate_walk(&self->rated, out_fault);
    for (size_t i = 0; !err && i < self->sums.len; i++) err = correct(self, &self->sums.items[i], out_fault);
    if (!err) rerate_end(&self->rated);
    return err;
}

static err_t in_transaction(worker *self, const request *asked, fault *out_fault) {
    AUTO(effects) out = {0};
    effects_init(&out, self->memory, &self->nums, service_now(self->svc));
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    setups_key key = {asked->company, asked->usage_point};
    if (!err) err = config_follow(self, &asked->company, 1);
    if (!err) err = points_load_nums(self->points, self->conn, &key, 1, out_fault);
    if (err) return fault_set(out_fault, err, "replay", "%.180s", db_error_text(self->conn));
    replay work = {.rated = {.by = self,
                             .setup = setups_find(self->setups, asked->usage_point),
                             .entry = points_find(self->points, asked->usage_point),
                             .from_at = asked->from_at,
                             .out = &out,
                             .take = take_piece,
                             .context = &work}};
    if (!work.rated.setup) {
        const char *why = setups_fault(self->setups, asked->usage_point);
        return fault_set(out_fault, ERR_NOT_FOUND, "setup", "%.180s", why ? why : "there is no such usage point");
    }
    err = rate_anew(&work, out_fault);
    if (!err) err = effects_post(&out, self->conn, out_fault);
    if (!err) err = db_exec(self->conn, &SQL_REPLAY_DONE, DB_PARAMS(DB_I64(asked->usage_point)), NULL);
    CRASH_POINT("billing.replay.before_commit");
    if (!err) err = db_commit(&tx);
    CRASH_POINT("billing.replay.after_commit");
    rerate_done(&work.rated);
    vec_done(&work.sums);
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
    request asked = {(int32_t)db_i64(&rows, 0, 0), db_i64(&rows, 0, 1), db_time(&rows, 0, 2)};
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
