// Recharges: usage that was charged under one version is rated again under another, because an operator confirmed it or a
// price index became final. A lane of its own, one usage point per transaction, idempotent by (run, usage point). What is
// posted are corrections by holding and local month, each naming the first charge it corrects; the versions of the run
// are written down as decided in the same transaction.
#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "charging/difference.h"
#include "rerate.h"

#define ITEMS_PER_TURN 16
#define EXPECTED_MAX 64  // accounts of one usage point in one run

typedef struct item {
    int32_t company;
    int64_t run, usage_point;
    bool is_index;
    instant_ms from_at;
    bool has_expected;
    size_t expected_count;
    int64_t accounts[EXPECTED_MAX];
    money_micro expected[EXPECTED_MAX];
} item;

typedef struct recharge {
    rerate rated;
    const item *asked;
    charging_differences sums;
    money_micro posted;
    const char *refused;  // NULL: posted
} recharge;

// What priced the point when, to be compared with what is going to.
typedef struct old_versions {
    size_t count;
    charging_version *list;
} old_versions;

static void decide(recharge *self, int64_t version_num, instant_ms from) {
    const rerate *rated = &self->rated;
    vec_push(&rated->out->rated, ((rated_row){rated->entry->company, rated->entry->num, from, version_num, self->asked->run}));
    rated->entry->rated_version = version_num;
}

// From the change on up to where the point stands.
static void write_versions(recharge *self) {
    const charging_setup *setup = self->rated.setup;
    instant_ms from = self->rated.from_at;
    const charging_version *first = charging_version_at(setup, from);
    decide(self, first ? first->num : 0, from);
    for (size_t i = 0; i < setup->version_count; i++)
        if (setup->versions[i].from > from && setup->versions[i].from < self->rated.stored.last_at)
            decide(self, setup->versions[i].num, setup->versions[i].from);
}

static void take_piece(void *context, const charging_piece *piece) { charging_differences_rate(&((recharge *)context)->sums, piece); }

static err_t take_charges(recharge *self, fault *out_fault) {
    instant_ms since = INSTANT_MAX;
    for (size_t i = 0; i < self->sums.list.len; i++)
        if (self->sums.list.items[i].holding.from < since) since = self->sums.list.items[i].holding.from;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->rated.by->conn, &SQL_RECHARGE_CHARGED, DB_PARAMS(DB_I64(self->rated.entry->num), DB_TIME(since)), &rows);
    if (err) return fault_set(out_fault, err, "charge", "%.180s", db_error_text(self->rated.by->conn));
    for (size_t i = 0; i < rows.len; i++)
        charging_differences_charge(&self->sums, db_i64(&rows, i, 0), db_time(&rows, i, 1), db_time(&rows, i, 2), db_i64(&rows, i, 3),
                                    db_i64(&rows, i, 4));
    return ERR_OK;
}

static money_micro difference_of(const recharge *self, int64_t account) {
    money_micro sum = 0;
    for (size_t i = 0; i < self->sums.list.len; i++)
        if (self->sums.list.items[i].holding.account == account) sum += self->sums.list.items[i].amount - self->sums.list.items[i].charged;
    return sum;
}

// What was confirmed and nothing else: each named account by its amount, everybody else by none.
static bool is_expected(const recharge *self) {
    const item *asked = self->asked;
    if (!asked->has_expected) return true;
    for (size_t i = 0; i < asked->expected_count; i++)
        if (difference_of(self, asked->accounts[i]) != asked->expected[i]) return false;
    for (size_t i = 0; i < self->sums.list.len; i++) {
        int64_t account = self->sums.list.items[i].holding.account;
        bool is_named = false;
        for (size_t k = 0; k < asked->expected_count; k++) is_named |= asked->accounts[k] == account;
        if (!is_named && difference_of(self, account) != 0) return false;
    }
    return true;
}

static err_t correct(recharge *self, const charging_difference *each, fault *out_fault) {
    if (each->amount == each->charged && each->quantity == each->charged_quantity) return ERR_OK;
    charge_row row;
    bool found = false;
    err_t err = rerate_correction(&self->rated, each->holding.account, each->from_at + 1, &row, &found, out_fault);
    if (err) return err;
    if (!found)
        return fault_set(out_fault, ERR_INTERNAL, "charge", "there is no charge to correct for account %lld",
                         (long long)each->holding.account);
    row.cause = CAUSE_RECHARGE;
    row.cause_num = self->asked->run;
    row.piece = (charging_piece){.channel = each->channel,
                                 .epoch = each->epoch,
                                 .from_at = each->from_at,
                                 .to_at = each->to_at,
                                 .from_value = each->from_value,
                                 .to_value = each->to_value,
                                 .quantity = each->quantity - each->charged_quantity,
                                 .amount = each->amount - each->charged,
                                 .version_num = each->version_num,
                                 .account = each->holding.account,
                                 .purse = each->holding.purse};
    self->posted += row.piece.amount;
    effects *out = self->rated.out;
    vec_push(&out->charges, row);
    vec_push(&out->days,
             ((day_row){self->asked->company, self->asked->usage_point, (int32_t)zone_local_day(self->rated.setup->zone, each->to_at - 1),
                        (int16_t)self->rated.setup->partition}));
    return ERR_OK;
}

static err_t rate_anew(recharge *self, fault *out_fault) {
    err_t err = rerate_begin(&self->rated, out_fault);
    if (err) return err;
    charging_differences_begin(&self->sums, self->rated.setup, &self->rated.point);
    err = rerate_walk(&self->rated, out_fault);
    if (!err) err = take_charges(self, out_fault);
    if (err) return err;
    if (!is_expected(self)) {
        self->refused = "the differences are no longer those that were confirmed";
        return ERR_OK;
    }
    for (size_t i = 0; !err && i < self->sums.list.len; i++) err = correct(self, &self->sums.list.items[i], out_fault);
    if (err) return err;
    write_versions(self);
    rerate_end(&self->rated);
    return ERR_OK;
}

// The setup as decided is in the cache; after it the one the run wants. False: the point cannot be charged.
static err_t load(worker *self, const item *asked, old_versions *out_old, fault *out_fault) {
    setups_key key = {asked->company, asked->usage_point};
    err_t err = config_follow(self, &asked->company, 1);
    if (err) return fault_set(out_fault, err, "config", "%.180s", db_error_text(self->conn));
    err = points_load_nums(self->points, self->conn, &key, 1, out_fault);
    if (err) return err;
    const charging_setup *setup = setups_find(self->setups, asked->usage_point);
    if (setup) {
        out_old->list = ARENA_ARRAY(self->memory, charging_version, setup->version_count + 1);
        for (size_t i = 0; i < setup->version_count; i++) out_old->list[out_old->count++] = setup->versions[i];
        setups_knowledge how = {.known_at = INSTANT_MAX,
                                .recharged_from = asked->is_index ? INSTANT_MAX : asked->from_at,
                                .takes_final_indices = asked->is_index,
                                .decided_until = INSTANT_MAX};
        err = setups_load_as(self->setups, self->conn, &key, 1, &how);
        if (err) return fault_set(out_fault, err, "setup", "%.180s", db_error_text(self->conn));
    }
    if (setups_find(self->setups, asked->usage_point)) return ERR_OK;
    const char *why = setups_fault(self->setups, asked->usage_point);
    return fault_set(out_fault, ERR_NOT_FOUND, "setup", "%.180s", why ? why : "there is no such usage point");
}

static err_t run_item(worker *self, const item *asked, effects *out, recharge *work, fault *out_fault) {
    old_versions old = {0};
    err_t err = load(self, asked, &old, out_fault);
    if (err) return err;
    *work = (recharge){.asked = asked,
                       .rated = {.by = self,
                                 .setup = setups_find(self->setups, asked->usage_point),
                                 .entry = points_find(self->points, asked->usage_point),
                                 .out = out,
                                 .take = take_piece,
                                 .context = work}};
    work->rated.from_at = charging_versions_differ_from(old.list, old.count, work->rated.setup->versions, work->rated.setup->version_count);
    charging_point stored;
    err = charging_point_unpack(sv_slice(work->rated.entry->state, work->rated.entry->state_len), &stored, out_fault);
    if (err) return err;
    bool changes = stored.channel != 0 && work->rated.from_at < stored.last_at;
    if (changes) return rate_anew(work, out_fault);
    for (size_t i = 0; i < asked->expected_count; i++)
        if (asked->expected[i] != 0) work->refused = "the differences are no longer those that were confirmed";
    return ERR_OK;
}

static void work_done(recharge *work) {
    rerate_done(&work->rated);
    charging_differences_done(&work->sums);
}

// The cached setup is the one of the run: as decided from now on, or not at all.
static err_t settle(worker *self, const item *asked) {
    setups_key key = {asked->company, asked->usage_point};
    return points_reload(self->points, self->conn, &key, 1);
}

static err_t in_transaction(worker *self, const item *asked, fault *out_fault) {
    AUTO(effects) out = {0};
    arena_reset(self->memory);
    effects_init(&out, self->memory, &self->nums, service_now(self->svc));
    recharge work = {0};
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(self->conn, &tx);
    if (err) return fault_set(out_fault, err, "begin", "%.180s", db_error_text(self->conn));
    err = run_item(self, asked, &out, &work, out_fault);
    if (!err && !work.refused) err = effects_post(&out, self->conn, out_fault);
    int64_t found = 0;
    if (!err)
        err = db_exec(self->conn, &SQL_RECHARGE_DONE,
                      DB_PARAMS(DB_I32(asked->company), DB_I64(asked->run), DB_I64(asked->usage_point), DB_TIME(out.now),
                                work.refused ? DB_CSTR(work.refused) : DB_NULL, DB_I64(work.refused ? 0 : work.posted)),
                      &found);
    if (!err && found != 1) err = fault_set(out_fault, ERR_INTERNAL, "recharge_item", "it was done already");
    CRASH_POINT("billing.recharge.before_commit");
    if (!err) err = db_commit(&tx);
    CRASH_POINT("billing.recharge.after_commit");
    work_done(&work);
    if (err) return err;
    if (!work.refused) effects_keep(&out);
    err = settle(self, asked);
    if (err) return fault_set(out_fault, err, "setup", "%.180s", db_error_text(self->conn));
    service_ring_relay(self->svc);
    board_ring(self, out.properties.items, out.properties.len);
    return ERR_OK;
}

static err_t attempt(worker *self, const item *asked, fault *out_fault) {
    err_t err = in_transaction(self, asked, out_fault);
    if (!err) {
        metric_add(self->app->metrics.recharges, 1);
        return ERR_OK;
    }
    points_clear(self->points);
    config_doubt(self);
    if (db_is_broken(self->conn) || err_retry_class(err) != ERR_RETRY_NO) return err;
    LOG_ERROR("a usage point could not be recharged", LOG_I("company", asked->company), LOG_I("run", asked->run),
              LOG_I("usage_point", asked->usage_point), LOG_S("place", out_fault->place), LOG_S("why", out_fault->reason));
    return db_exec(self->conn, &SQL_RECHARGE_FAILED,
                   DB_PARAMS(DB_I32(asked->company), DB_I64(asked->run), DB_I64(asked->usage_point), DB_CSTR(out_fault->reason),
                             DB_TIME(service_now(self->svc))),
                   NULL);
}

// The points of a run in one partition. Whoever writes the partition looks for them itself: what it charged before it saw
// the run is stored, what it charges from now on knows the final values.
static err_t share_expand(worker *self, fault *out_fault, bool *out_did) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_RECHARGE_SHARE_NEXT, DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count)), &rows);
    if (err || rows.len == 0) return err;
    *out_did = true;
    int32_t company = (int32_t)db_i64(&rows, 0, 0);
    db_params share = DB_PARAMS(DB_I32(company), DB_I64(db_i64(&rows, 0, 1)), DB_I16(db_i64(&rows, 0, 2)));
    AUTO(db_tx) tx = {0};
    err = db_begin(self->conn, &tx);
    if (!err) err = config_follow(self, &company, 1);
    if (!err) err = db_exec(self->conn, &SQL_RECHARGE_SHARE_EXPAND, share, NULL);
    if (!err) err = db_exec(self->conn, &SQL_RECHARGE_SHARE_DONE, share, NULL);
    CRASH_POINT("billing.recharge.before_expand");
    if (!err) err = db_commit(&tx);
    return err ? fault_set(out_fault, err, "recharge_share", "%.180s", db_error_text(self->conn)) : ERR_OK;
}

static void take_item(const db_rows *rows, size_t row, item *out) {
    *out = (item){.company = (int32_t)db_i64(rows, row, 0),
                  .run = db_i64(rows, row, 1),
                  .usage_point = db_i64(rows, row, 2),
                  .is_index = sv_equal(db_text(rows, row, 3), SV("index")),
                  .from_at = db_time(rows, row, 4),
                  .has_expected = !db_is_null(rows, row, 5)};
    if (!out->has_expected) return;
    out->expected_count = db_i64_items(rows, row, 5, out->accounts, EXPECTED_MAX);
    (void)db_i64_items(rows, row, 6, out->expected, EXPECTED_MAX);
    if (out->expected_count > EXPECTED_MAX) out->expected_count = 0;  // then nothing is expected, and something comes
}

err_t recharge_run(worker *self, bool *out_did, fault *out_fault) {
    *out_did = false;
    if (self->owned_count == 0) return ERR_OK;
    err_t err = share_expand(self, out_fault, out_did);
    AUTO(db_rows) rows = {0};
    if (!err)
        err = db_query(self->conn, &SQL_RECHARGE_NEXT,
                       DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), DB_TIME(service_now(self->svc)), DB_I64(ITEMS_PER_TURN)),
                       &rows);
    if (err) return fault_set(out_fault, err, "recharge", "%.180s", db_error_text(self->conn));
    for (size_t i = 0; !err && i < rows.len; i++) {
        item asked;
        take_item(&rows, i, &asked);
        err = attempt(self, &asked, out_fault);
        *out_did = true;
    }
    return err;
}
