// The live lane: blocks of the journal become readings, charges and balances, in one transaction that claims them.
// A transaction that fails because of its data is tried again in halves, down to one block and then to one usage point,
// which alone is stopped.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "billing_sql.h"
#include "effects.h"
#include "gaps.h"
#include "late.h"
#include "polls.h"
#include "worker.h"

#define BLOCKS_MAX 500
#define TRANSACTION_MEMORY_MAX (512u << 20)
#define RECENT_MS (2 * DAY_MS)
#define SERIALIZATION_TRIES 5

// Why a usage point is not charged in this transaction: found by bisecting.
typedef struct culprit {
    int64_t usage_point;
    const char *reason;
} culprit;

typedef struct culprits {
    VEC(culprit) list;
} culprits;

typedef struct attempt {
    worker *by;
    const block *blocks;
    size_t block_count;
    const culprits *stopped;
    int64_t only_from, only_to;  // usage points considered when probing
    bool is_probe;               // rolls back in any case
    charge_counts counts;
    size_t readings;
    gap_list gaps;  // described in this transaction
} attempt;

// ---- one transaction ----

static err_t claim(const attempt *self, db *conn, instant_ms now) {
    arena *memory = self->by->memory;
    int16_t *partition = ARENA_ARRAY(memory, int16_t, self->block_count);
    int64_t *id = ARENA_ARRAY(memory, int64_t, self->block_count), *xid = ARENA_ARRAY(memory, int64_t, self->block_count);
    for (size_t i = 0; i < self->block_count; i++) {
        partition[i] = self->blocks[i].partition;
        id[i] = self->blocks[i].id;
        xid[i] = self->blocks[i].xid;
    }
    return db_exec(conn, &SQL_JOURNAL_CLAIM,
                   DB_PARAMS(DB_I16_ARRAY(partition, self->block_count), DB_I64_ARRAY(id, self->block_count),
                             DB_I64_ARRAY(xid, self->block_count), DB_TIME(now)),
                   NULL);
}

static int compare_keys(const void *left, const void *right) {
    const setups_key *a = left, *b = right;
    return a->num < b->num ? -1 : a->num > b->num;
}

static int compare_i32(const void *left, const void *right) {
    const int32_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

// Distinct channels and companies of the polls, in the transaction's memory.
static void list_keys(const poll_list *all, arena *memory, setups_key **out_channels, size_t *out_channel_count, int32_t **out_companies,
                      size_t *out_company_count) {
    setups_key *channels = ARENA_ARRAY(memory, setups_key, all->len + 1);
    int32_t *companies = ARENA_ARRAY(memory, int32_t, all->len + 1);
    for (size_t i = 0; i < all->len; i++) {
        channels[i] = (setups_key){all->items[i].company, all->items[i].charging.channel};
        companies[i] = all->items[i].company;
    }
    qsort(channels, all->len, sizeof *channels, compare_keys);
    qsort(companies, all->len, sizeof *companies, compare_i32);
    size_t kept = 0, named = 0;
    for (size_t i = 0; i < all->len; i++) {
        if (kept == 0 || channels[kept - 1].num != channels[i].num) channels[kept++] = channels[i];
        if (named == 0 || companies[named - 1] != companies[i]) companies[named++] = companies[i];
    }
    *out_channels = channels;
    *out_channel_count = kept;
    *out_companies = companies;
    *out_company_count = named;
}

static err_t learn(attempt *self, db *conn, poll_list *all, fault *out_fault) {
    worker *by = self->by;
    setups_key *channels = NULL;
    int32_t *companies = NULL;
    size_t channel_count = 0, company_count = 0;
    list_keys(all, by->memory, &channels, &channel_count, &companies, &company_count);
    err_t err = config_follow(by, companies, company_count);
    if (err) return fault_set(out_fault, err, "config", "%.180s", db_error_text(conn));
    err = points_load(by->points, conn, channels, channel_count, out_fault);
    for (size_t i = 0; !err && i < all->len; i++)
        all->items[i].point = points_of_channel(by->points, all->items[i].charging.channel, all->items[i].charging.at);
    return err;
}

static const char *reason_to_stop(const attempt *self, int64_t usage_point) {
    for (size_t i = 0; i < self->stopped->list.len; i++)
        if (self->stopped->list.items[i].usage_point == usage_point) return self->stopped->list.items[i].reason;
    return NULL;
}

static void charge_each(attempt *self, charger *by, poll_list *all, effects *out, late_polls *late) {
    for (size_t from = 0; from < all->len;) {
        point_entry *point = all->items[from].point;
        size_t to = from + 1;
        while (to < all->len && all->items[to].point == point) to++;
        int64_t num = point ? point->num : 0;
        bool is_wanted = !self->is_probe || (num >= self->only_from && num <= self->only_to);
        if (is_wanted && point) charge_point(by, &all->items[from], to - from, true, reason_to_stop(self, num), out, late, &self->counts);
        if (is_wanted && !point) charge_unknown(&all->items[from], to - from, out, &self->counts);
        from = to;
    }
}

#define GAP_ROUNDS 16  // a point may have several gaps in one batch; each round describes one of each point

// Points that met a gap are charged again once it is described.
static err_t charge_gaps(attempt *self, charger *by, db *conn, effects *out, late_polls *late, fault *out_fault) {
    for (int round = 1; by->gaps.len > 0; round++) {
        err_t err = gaps_describe(self->by, conn, by->gaps.items, by->gaps.len, out->now, &self->gaps, out_fault);
        if (err) return err;
        size_t count = by->gaps.len;
        by->finds_gaps = round < GAP_ROUNDS;
        for (size_t i = 0; i < count; i++) {
            charger_gap again = by->gaps.items[i];
            charge_point(by, again.polls, again.count, true, reason_to_stop(self, again.usage_point), out, late, &self->counts);
        }
        by->gaps.len -= count;
        memmove(by->gaps.items, by->gaps.items + count, by->gaps.len * sizeof *by->gaps.items);
    }
    return ERR_OK;
}

static err_t charge_all(attempt *self, poll_list *all, db *conn, effects *out, late_polls *late, fault *out_fault) {
    charger by;
    charger_init(&by, self->by->setups, self->by->rating, self->by->memory);
    by.finds_gaps = true;
    charge_each(self, &by, all, out, late);
    err_t err = charge_gaps(self, &by, conn, out, late, out_fault);
    charger_done(&by);
    for (size_t i = 0; i < all->invalid_count; i++)
        vec_push(&out->quarantine, ((quarantine_row){all->invalid[i], 0, 0, "invalid", "no such register, quality, time or company"}));
    self->counts.quarantined += (int64_t)all->invalid_count;
    return err;
}

static err_t do_all(attempt *self, db *conn, poll_list *all, effects *out, fault *out_fault) {
    err_t err = claim(self, conn, out->now);
    if (err) return fault_set(out_fault, err, "claim", "%.180s", db_error_text(conn));
    CRASH_POINT("billing.after_claim");
    err = learn(self, conn, all, out_fault);
    if (err) return err;
    polls_sort(all);
    late_polls late = {0};
    late_counts late_result = {0};
    err = charge_all(self, all, conn, out, &late, out_fault);
    if (!err) err = late_judge(&late, conn, out, &late_result, out_fault);
    vec_done(&late);
    self->counts.quarantined += late_result.refused;
    return err ? err : effects_post(out, conn, out_fault);
}

static void count(attempt *self, const effects *out, int64_t began_ns) {
    const billing_metrics *m = &self->by->app->metrics;
    metric_add(m->transactions, 1);
    metric_add(m->blocks, (int64_t)self->block_count);
    metric_add(m->readings, (int64_t)self->readings);
    metric_add(m->charged, self->counts.charged);
    metric_add(m->ignored, self->counts.ignored);
    metric_add(m->stored, self->counts.stored);
    metric_add(m->late, self->counts.late);
    metric_add(m->quarantined, self->counts.quarantined);
    metric_add(m->dead, (int64_t)out->dead.len);
    metric_observe_us(m->transaction_seconds, (clock_monotonic_ns() - began_ns) / 1000);
    instant_ms now = service_now(self->by->svc);
    for (size_t i = 0; i < self->block_count; i++) metric_observe_us(m->visible_seconds, (now - self->blocks[i].received_at) * 1000);
}

static err_t post(attempt *self, fault *out_fault) {
    worker *by = self->by;
    int64_t began_ns = clock_monotonic_ns();
    self->counts = (charge_counts){0};
    poll_list all = {0};
    err_t err = polls_read(self->blocks, self->block_count, by->memory, &all, out_fault);
    if (err) return err;
    self->readings = all.record_count;
    AUTO(effects) out = {0};
    effects_init(&out, by->memory, &by->nums, service_now(by->svc));
    AUTO(db_tx) tx = {0};
    err = db_begin(by->conn, &tx);
    if (err) return fault_set(out_fault, err, "begin", "%.180s", db_error_text(by->conn));
    err = do_all(self, by->conn, &all, &out, out_fault);
    if (err || self->is_probe) config_doubt(by);
    if (err || self->is_probe) return err;
    CRASH_POINT("billing.before_commit");
    err = db_commit(&tx);
    if (err) config_doubt(by);
    if (err) return fault_set(out_fault, err, "commit", "%.180s", db_error_text(by->conn));
    CRASH_POINT("billing.after_commit");
    effects_keep(&out);
    count(self, &out, began_ns);
    service_ring_relay(by->svc);
    CRASH_POINT("billing.before_ring");
    board_ring(by, out.properties.items, out.properties.len);
    return ERR_OK;
}

// ERR_OK: committed (or, as a probe, it would have been).
static err_t transact(attempt *self, fault *out_fault) {
    err_t err = post(self, out_fault);
    // What was not committed is not known either.
    for (size_t i = 0; (err || self->is_probe) && i < self->gaps.len; i++)
        setups_drop_gap(self->by->setups, self->gaps.items[i].usage_point, self->gaps.items[i].from, self->gaps.items[i].to);
    vec_done(&self->gaps);
    return err;
}

// ---- when the data does not let itself be posted ----

static bool is_about_data(const worker *self, err_t err) {
    return err != ERR_OK && !db_is_broken(self->conn) && err_retry_class(err) == ERR_RETRY_NO;
}

static err_t try_once(attempt *self, fault *out_fault) {
    err_t err = ERR_OK;
    for (int i = 0; i < SERIALIZATION_TRIES; i++) {
        arena_reset(self->by->memory);
        *out_fault = (fault){0};
        err = transact(self, out_fault);
        if (err != ERR_SERIALIZATION) break;
        metric_add(self->by->app->metrics.retries, 1);
    }
    return err;
}

static int compare_nums(const void *left, const void *right) {
    const int64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

// The usage points of one block, ascending; 0 stands for channels that measure nothing.
static err_t list_points(const attempt *self, int64_t *out_nums, size_t *out_count, fault *out_fault) {
    poll_list all = {0};
    arena_reset(self->by->memory);
    err_t err = polls_read(self->blocks, self->block_count, self->by->memory, &all, out_fault);
    if (err) return err;
    for (size_t i = 0; i < all.len; i++) {
        const point_entry *point = points_of_channel(self->by->points, all.items[i].charging.channel, all.items[i].charging.at);
        out_nums[i] = point ? point->num : 0;
    }
    qsort(out_nums, all.len, sizeof *out_nums, compare_nums);
    size_t kept = 0;
    for (size_t i = 0; i < all.len; i++)
        if (kept == 0 || out_nums[kept - 1] != out_nums[i]) out_nums[kept++] = out_nums[i];
    *out_count = kept;
    return ERR_OK;
}

// Probes halves of the usage points until each that cannot be posted stands alone. Reasons live in `memory`.
static err_t find_culprits(const attempt *self, const int64_t *nums, size_t count, arena *memory, culprits *out, fault *out_fault) {
    static const culprits NOBODY = {0};
    attempt probe = *self;
    probe.is_probe = true;
    probe.stopped = &NOBODY;
    probe.only_from = nums[0];
    probe.only_to = nums[count - 1];
    err_t err = try_once(&probe, out_fault);
    if (!is_about_data(self->by, err)) return err;
    if (count == 1) {
        culprit found = {nums[0], arena_printf(memory, "%s: %s %s", err_name(err), out_fault->place, out_fault->reason)};
        vec_push(&out->list, found);
        return ERR_OK;
    }
    err = find_culprits(self, nums, count / 2, memory, out, out_fault);
    return err ? err : find_culprits(self, nums + count / 2, count - count / 2, memory, out, out_fault);
}

static err_t stop_culprits(attempt *self, fault *out_fault) {
    int64_t nums[READING_BLOCK_MAX];
    size_t len = 0;
    AUTO_ARENA memory = arena_new(1u << 20);
    culprits found = {0};
    attempt cured = *self;
    err_t err = list_points(self, nums, &len, out_fault);
    if (!err && len > 0) err = find_culprits(self, nums, len, memory, &found, out_fault);
    cured.stopped = &found;
    if (!err) err = try_once(&cured, out_fault);
    for (size_t i = 0; !err && i < found.list.len; i++)
        LOG_ERROR("a usage point cannot be charged and is stopped", LOG_I("usage_point", found.list.items[i].usage_point),
                  LOG_S("why", found.list.items[i].reason));
    vec_done(&found.list);
    return err;
}

static err_t run_blocks(worker *self, const block *blocks, size_t count, size_t *out_readings, fault *out_fault) {
    static const culprits NOBODY = {0};
    attempt whole = {.by = self, .blocks = blocks, .block_count = count, .stopped = &NOBODY};
    err_t err = try_once(&whole, out_fault);
    if (!err) *out_readings += whole.readings;
    if (!is_about_data(self, err)) return err;
    LOG_WARN("a transaction failed because of its data; trying it in parts", LOG_I("blocks", count), LOG_S("error", err_name(err)),
             LOG_S("place", out_fault->place), LOG_S("why", out_fault->reason));
    metric_add(self->app->metrics.retries, 1);
    if (count == 1) {
        err = stop_culprits(&whole, out_fault);
        if (!err) *out_readings += whole.readings + 1;
        return err;
    }
    err = run_blocks(self, blocks, count / 2, out_readings, out_fault);
    return err ? err : run_blocks(self, blocks + count / 2, count - count / 2, out_readings, out_fault);
}

// ---- taking blocks ----

// As many blocks as one transaction is likely to take, and a fair part of them from each busy partition.
static size_t blocks_wanted(const worker *self) {
    size_t wanted = (size_t)self->app->batch_readings / (self->block_readings ? self->block_readings : READING_BLOCK_MAX) + 4;
    return wanted < BLOCKS_MAX ? wanted : BLOCKS_MAX;
}

// One look at the journal: where it began, how far it may have been cut off.
typedef struct look {
    db_rows rows;
    size_t each, all;  // bounds
    int64_t xmin;      // of a snapshot before it
} look;

static err_t read_xmin(db *conn, int64_t *out_xmin) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_JOURNAL_XMIN, DB_NO_PARAMS, &row);
    if (!err) *out_xmin = db_i64(&row, 0, 0);
    return err;
}

// A deep look begins at the stored floors and takes blocks of any age: what a wrong clock stamped is found so.
static err_t select_blocks(worker *self, look *out) {
    instant_ms now = service_now(self->svc);
    instant_ms from = self->looks_deep ? now - 4000 * DAY_MS : now - RECENT_MS;
    instant_ms to = self->looks_deep ? now + 4000 * DAY_MS : now + DAY_MS;
    out->all = blocks_wanted(self);
    out->each = out->all / (self->busy_partitions ? self->busy_partitions : 1) + 1;
    err_t err = read_xmin(self->conn, &out->xmin);
    const int64_t *floors = self->looks_deep ? self->floors : self->scan_from;
    if (err) return err;
    return db_query(self->conn, &SQL_JOURNAL_UNCLAIMED,
                    DB_PARAMS(DB_I16_ARRAY(self->owned, self->owned_count), DB_I64_ARRAY(floors, self->owned_count),
                              DB_I64((int64_t)out->each), DB_I64((int64_t)out->all), DB_TIME(from), DB_TIME(to)),
                    &out->rows);
}

static void look_auto(look *self) { db_rows_done(&self->rows); }

static size_t index_of(const worker *self, int16_t partition) {
    size_t low = 0, high = self->owned_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (self->owned[middle] < partition)
            low = middle + 1;
        else
            high = middle;
    }
    CHECK(low < self->owned_count && self->owned[low] == partition);
    return low;
}

// After the taken blocks are claimed: each partition is read on from where something may be left. That is the first
// block that was seen and not taken; where the look was cut off, its last block; else all that had ended before it.
static void move_on(worker *self, const look *at, size_t taken) {
    int64_t next[PARTITIONS_MAX];
    size_t found[PARTITIONS_MAX] = {0};
    size_t len = at->rows.len;
    bool is_cut = len >= at->all;
    int64_t last_xid = len ? db_i64(&at->rows, len - 1, 2) : at->xmin;
    for (size_t i = 0; i < self->owned_count; i++) next[i] = is_cut && last_xid < at->xmin ? last_xid : at->xmin;
    for (size_t row = 0; row < len; row++) {
        size_t i = index_of(self, (int16_t)db_i64(&at->rows, row, 0));
        int64_t xid = db_i64(&at->rows, row, 2);
        bool limits = row >= taken || ++found[i] >= at->each;
        if (limits && xid < next[i]) next[i] = xid;
    }
    for (size_t i = 0; i < self->owned_count; i++)
        if (next[i] > self->scan_from[i]) self->scan_from[i] = next[i];
}

static size_t take_blocks(const worker *self, const db_rows *rows, block *out) {
    size_t count = 0;
    size_t readings = 0;
    while (count < rows->len && count < BLOCKS_MAX) {
        sv records = db_bytes(rows, count, 4);
        readings += records.len / READING_RECORD_LEN;
        if (count > 0 && readings > (size_t)self->app->batch_readings) break;
        out[count] = (block){.partition = (int16_t)db_i64(rows, count, 0),
                             .id = db_i64(rows, count, 1),
                             .xid = db_i64(rows, count, 2),
                             .received_at = db_time(rows, count, 3),
                             .records = records};
        count++;
    }
    return count;
}

static int compare_i16(const void *left, const void *right) {
    const int16_t *a = left, *b = right;
    return *a - *b;
}

// What the last look found shapes the next one.
static void learn_shape(worker *self, const block *blocks, size_t count) {
    int16_t seen[BLOCKS_MAX];
    size_t distinct = 0, readings = 0;
    for (size_t i = 0; i < count; i++) {
        seen[i] = blocks[i].partition;
        readings += blocks[i].records.len / READING_RECORD_LEN;
    }
    qsort(seen, count, sizeof *seen, compare_i16);
    for (size_t i = 0; i < count; i++) distinct += i == 0 || seen[i] != seen[i - 1];
    self->busy_partitions = distinct;
    self->block_readings = count ? readings / count : 0;
}

static int64_t oldest_age_ms(const worker *self, const block *blocks, size_t count) {
    instant_ms oldest = INSTANT_MAX;
    for (size_t i = 0; i < count; i++)
        if (blocks[i].received_at < oldest) oldest = blocks[i].received_at;
    return count ? service_now(self->svc) - oldest : 0;
}

err_t batch_run(worker *self, size_t *out_readings, fault *out_fault) {
    *out_readings = 0;
    if (self->owned_count == 0) return ERR_OK;
    look at __attribute__((cleanup(look_auto))) = {0};
    err_t err = select_blocks(self, &at);
    if (err) return fault_set(out_fault, err, "journal", "%.180s", db_error_text(self->conn));
    block blocks[BLOCKS_MAX];
    size_t count = take_blocks(self, &at.rows, blocks);
    learn_shape(self, blocks, count);
    self->lag_ms = oldest_age_ms(self, blocks, count);
    atomic_store(&self->app->lag_ms, self->lag_ms);
    if (count == 0) self->looks_deep = false;
    if (points_count(self->points) > self->app->cache_points) points_clear(self->points);
    if (count > 0) err = run_blocks(self, blocks, count, out_readings, out_fault);
    if (!err) move_on(self, &at, count);
    return err;
}
