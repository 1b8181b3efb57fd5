#include "simulation/compare.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

void comparison_done(comparison *self) { vec_done(&self->shares); }

void comparison_auto(comparison *self) { comparison_done(self); }

typedef struct side {
    charging_setup setup;
    charging_version *versions;  // owned
    charging_point point;
    charging_outcome outcome;
} side;

static void side_auto(side *self) {
    mem_free(self->versions);
    charging_outcome_done(&self->outcome);
}

static void versions_push(side *self, charging_version version) { self->versions[self->setup.version_count++] = version; }

// The version that goes on at `at`, once more: it changes nothing but cuts there.
static void versions_cut(side *self, instant_ms at) {
    if (self->setup.version_count == 0) return;
    charging_version last = self->versions[self->setup.version_count - 1];
    if (last.from >= at) return;
    last.from = at;
    versions_push(self, last);
}

// The point's own versions, cut at both bounds; or those before `from` and the tried one from there on.
static void side_init(side *self, const compare_case *what, const charging_point *opening, bool is_tried) {
    const charging_setup *real = what->setup;
    self->setup = *real;
    self->point = *opening;
    self->versions = mem_new(real->version_count + 3, sizeof *self->versions);
    self->setup.versions = self->versions;
    self->setup.version_count = 0;
    size_t i = 0;
    for (; i < real->version_count && real->versions[i].from < what->from; i++) versions_push(self, real->versions[i]);
    if (is_tried)
        versions_push(self, (charging_version){what->from, SIMULATION_VERSION, what->tried});
    else if (i == real->version_count || real->versions[i].from != what->from)
        versions_cut(self, what->from);
    for (; !is_tried && i < real->version_count && real->versions[i].from < what->to; i++) versions_push(self, real->versions[i]);
    versions_cut(self, what->to);
}

static compare_share *share_of(comparison *out, int64_t account) {
    for (size_t i = out->shares.len; i-- > 0;)
        if (out->shares.items[i].account == account) return &out->shares.items[i];
    vec_push(&out->shares, ((compare_share){.account = account}));
    return &out->shares.items[out->shares.len - 1];
}

static bool pieces_take(const compare_case *what, const side *by, bool is_tried, comparison *out) {
    for (size_t i = 0; i < by->outcome.pieces.len; i++) {
        const charging_piece *piece = &by->outcome.pieces.items[i];
        if (piece->account == 0 || piece->from_at < what->from || piece->to_at > what->to) continue;
        compare_share *share = share_of(out, piece->account);
        money_micro *sum = is_tried ? &share->then : &share->now;
        if (!money_add(*sum, piece->amount, sum)) return false;
        if (!is_tried) share->quantity += piece->quantity;
    }
    return true;
}

// What the close of tier windows comes to, those that ended in the compared time.
static bool windows_take(const compare_case *what, const side *by, bool is_tried, comparison *out) {
    for (size_t i = 0; i < by->outcome.windows.len; i++) {
        const charging_window *window = &by->outcome.windows.items[i];
        instant_ms end = window->state.window.to;
        if (!window->is_closed || end <= what->from || end > what->to) continue;
        const charging_version *version = NULL;
        for (size_t v = 0; v < by->setup.version_count; v++)
            if (by->setup.versions[v].num == window->version_num) version = &by->setup.versions[v];
        demand_source source;
        rating_closing closing = charging_closing_of(window, &source);
        money_micro amount = 0;
        if (!version || rating_close(version->tariff, &window->state, &closing, &amount) != RATING_OK) return false;
        compare_share *share = share_of(out, window->account);
        money_micro *sum = is_tried ? &share->then : &share->now;
        if (!money_add(*sum, amount, sum)) return false;
    }
    return true;
}

static bool refuse(comparison *out, bool is_tried, const char *why, instant_ms at) {
    out->failed_at = at;
    snprintf(out->why, sizeof out->why, "%s: %.90s", is_tried ? "under the tried tariff" : "as it is charged now", why);
    return false;
}

static bool poll_charge(const compare_case *what, side *by, bool is_tried, rating_cache *cache, const charging_poll *poll,
                        comparison *out) {
    vec_clear(&by->outcome.pieces);
    charging_answer answer = charging_apply(&by->setup, cache, &by->point, poll, &by->outcome);
    if (answer == CHARGING_IGNORED) return true;
    if (answer == CHARGING_UNRATABLE) return refuse(out, is_tried, rating_answer_text(by->outcome.rating), poll->at);
    if (answer != CHARGING_CHARGED) return refuse(out, is_tried, charging_answer_text(answer), poll->at);
    return (pieces_take(what, by, is_tried, out) && windows_take(what, by, is_tried, out)) ||
           refuse(out, is_tried, "the amounts are too large", poll->at);
}

bool compare_point(const compare_case *what, rating_cache *cache, const charging_point *opening, const charging_poll *polls, size_t count,
                   comparison *out) {
    CHECK(what->from < what->to);
    vec_clear(&out->shares);
    out->readings = 0;
    out->until = what->from;
    out->why[0] = 0;
    AUTO(side) now = {0}, then = {0};
    side_init(&now, what, opening, false);
    bool has_parted = false;
    for (size_t i = 0; i < count && now.point.last_at < what->to; i++) {
        // Until an interval crosses `from` both sides are the same: one is charged, the other begins as its copy.
        if (!has_parted && polls[i].at > what->from) {
            side_init(&then, what, &now.point, true);
            has_parted = true;
        }
        if (!poll_charge(what, &now, false, cache, &polls[i], out)) return false;
        if (has_parted && !poll_charge(what, &then, true, cache, &polls[i], out)) return false;
        out->readings += has_parted;
    }
    if (now.point.last_at > out->until) out->until = now.point.last_at < what->to ? now.point.last_at : what->to;
    return true;
}
