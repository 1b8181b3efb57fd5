#include "recharge_compare.h"

#include "base/num_map.h"
#include "ctl_sql.h"
#include "explaining/stored.h"
#include "verify.h"

#define POINTS_PER_LOAD 256
#define RATING_CACHE_ENTRIES 4096

typedef struct comparer {
    db *conn;
    const recharge_question *asked;
    recharge_comparison *out;
    setups *decided, *known;
    rating_cache *cache;
    charging_outcome outcome;
    charging_differences sums;
    closed_windows closed;
    fault *fault;
} comparer;

static bool names_version(const recharge_question *asked, int64_t num) {
    for (size_t i = 0; i < asked->version_count; i++)
        if (asked->versions[i] == num) return true;
    return false;
}

static bool is_priced_by(const recharge_question *asked, const charging_setup *setup, instant_ms from, instant_ms to) {
    for (size_t i = 0; i < setup->version_count && setup->versions[i].from < to; i++) {
        bool reaches = i + 1 == setup->version_count || setup->versions[i + 1].from > from;
        if (reaches && names_version(asked, setup->versions[i].num)) return true;
    }
    return false;
}

static recharge_line *line_of(comparer *self, size_t point, int64_t account) {
    recharge_comparison *out = self->out;
    for (size_t i = out->lines.len; i > 0 && out->lines.items[i - 1].point == point; i--)
        if (out->lines.items[i - 1].account == account) return &out->lines.items[i - 1];
    vec_push(&out->lines, ((recharge_line){.point = point, .account = account}));
    return &out->lines.items[out->lines.len - 1];
}

static err_t rate_again(comparer *self, const charging_setup *setup, const recharge_point *point) {
    AUTO(stored_polls) polls = {0};
    err_t err = stored_polls_load(self->conn, setup, (stored_range){INSTANT_MIN, point->last_at, INSTANT_MAX}, &polls, self->fault);
    if (err) return err;
    charging_point again;
    charging_point_init(&again);
    charging_differences_begin(&self->sums, setup, &again);
    vec_clear(&self->closed);
    for (size_t i = 0; i < polls.list.len; i++) {
        vec_clear(&self->outcome.pieces);
        if (charging_apply(setup, self->cache, &again, &polls.list.items[i], &self->outcome) != CHARGING_CHARGED) continue;
        closed_windows_take(&self->closed, setup, &self->outcome);
        for (size_t p = 0; p < self->outcome.pieces.len; p++) charging_differences_rate(&self->sums, &self->outcome.pieces.items[p]);
    }
    if (again.last_at == point->last_at) return ERR_OK;
    return fault_set(self->fault, ERR_STALE, "readings", "those of usage point %lld cannot be rated again up to where it stands",
                     (long long)point->num);
}

static err_t take_charges(comparer *self, int64_t point) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_RECHARGE_POINT_CHARGES, DB_PARAMS(DB_I64(point)), &rows);
    for (size_t i = 0; i < rows.len; i++)
        charging_differences_charge(&self->sums, db_i64(&rows, i, 0), db_time(&rows, i, 1), db_time(&rows, i, 2), db_i64(&rows, i, 3),
                                    db_i64(&rows, i, 4));
    return err;
}

// What closed tier windows come to, against what was posted for them.
static err_t take_closes(comparer *self, size_t at) {
    if (self->closed.len == 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_VERIFY_POINT_WINDOWS, DB_PARAMS(DB_I64(self->out->points.items[at].num)), &rows);
    for (size_t i = 0; i < self->closed.len && !err; i++) {
        const closed_window *window = &self->closed.items[i];
        if (window->answer != RATING_OK) continue;
        money_micro posted = 0;
        for (size_t row = 0; row < rows.len; row++)
            if (db_i64(&rows, row, 0) == window->account && db_time(&rows, row, 1) == window->from) posted = db_i64(&rows, row, 4);
        if (posted != window->amount) line_of(self, at, window->account)->closes += window->amount - posted;
    }
    return err;
}

static err_t point_compare(comparer *self, size_t at) {
    recharge_point *point = &self->out->points.items[at];
    point->change = INSTANT_MAX;
    const charging_setup *old = setups_find(self->decided, point->num), *new = setups_find(self->known, point->num);
    if (!old || !new) {
        const char *why = setups_fault(old ? self->known : self->decided, point->num);
        return fault_set(self->fault, ERR_STALE, "usage point", "%lld: %.150s", (long long)point->num, why ? why : "has no setup");
    }
    instant_ms change = charging_versions_differ_from(old->versions, old->version_count, new->versions, new->version_count);
    if (change >= point->last_at) return ERR_OK;
    const recharge_question *asked = self->asked;
    if (asked->versions && !is_priced_by(asked, old, change, point->last_at) && !is_priced_by(asked, new, change, point->last_at))
        return ERR_OK;
    point->change = change;
    err_t err = rate_again(self, new, point);
    if (!err) err = take_charges(self, point->num);
    for (size_t i = 0; i < self->sums.list.len && !err; i++) {
        const charging_difference *each = &self->sums.list.items[i];
        if (each->month.to <= change && each->amount == each->charged) continue;
        recharge_line *line = line_of(self, at, each->holding.account);
        line->charged += each->charged;
        line->rated += each->amount;
    }
    return err ? err : take_closes(self, at);
}

static err_t batch_compare(comparer *self, size_t first, size_t count) {
    setups_key keys[POINTS_PER_LOAD];
    const recharge_point *points = &self->out->points.items[first];
    for (size_t i = 0; i < count; i++) keys[i] = (setups_key){points[i].company, points[i].num};
    setups_forget_all(self->decided);
    setups_forget_all(self->known);
    setups_knowledge again = {.known_at = self->asked->known_at, .recharged_from = self->asked->from, .decided_until = INSTANT_MAX};
    err_t err = setups_load(self->decided, self->conn, keys, count, self->asked->known_at);
    if (!err) err = setups_load_as(self->known, self->conn, keys, count, &again);
    for (size_t i = 0; i < count && !err; i++) err = point_compare(self, first + i);
    return err;
}

err_t recharge_compare(recharge_comparison *self, db *conn, const recharge_question *asked, fault *out_fault) {
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_SETUPS decided = setups_new(zones);
    AUTO_SETUPS known = setups_new(zones);
    AUTO_RATING_CACHE cache = rating_cache_new(RATING_CACHE_ENTRIES);
    comparer by = {.conn = conn, .asked = asked, .out = self, .decided = decided, .known = known, .cache = cache, .fault = out_fault};
    err_t err = ERR_OK;
    for (size_t first = 0; first < self->points.len && !err; first += POINTS_PER_LOAD) {
        size_t left = self->points.len - first;
        err = batch_compare(&by, first, left < POINTS_PER_LOAD ? left : POINTS_PER_LOAD);
    }
    charging_outcome_done(&by.outcome);
    charging_differences_done(&by.sums);
    vec_done(&by.closed);
    return err;
}

void recharge_comparison_auto(recharge_comparison *self) {
    vec_done(&self->points);
    vec_done(&self->lines);
}
