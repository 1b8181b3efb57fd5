// Charges again what was charged: from the newest checkpoint before it, with the readings known when it was booked, and
// looks closely at the stretch of the charge.
#include "base/check.h"
#include "explaining/explaining.h"
#include "explaining/stored.h"
#include "explaining_sql.h"
#include "setups/setups.h"
#include "tell.h"

#define CHARGE_ROW_CORRECTION 1
#define PIECES_MAX 4096
#define DAY_SLACK_MS DAY_MS  // the booked day of a charge lies this near to the time in its num

typedef struct charge_row {
    int64_t account, channel, version_num;
    int32_t epoch;
    int16_t kind, cause;
    instant_ms known_at;
    sv document;
} charge_row;

typedef struct explainer {
    db *conn;
    arena *memory;
    fault *fault;
    explanation *out;
    charge_row row;
    const charging_setup *setup;
    const tariff *tariff;
    charging_point point;
    // Of the stretch:
    bool has_begun;
    rating_state before;
    rating_state after;
    money_micro amount;
    rating_trace trace;
} explainer;

static err_t row_read(explainer *self, const explain_request *request);
static err_t setup_read(explainer *self, setups *all);
static err_t checkpoint_read(explainer *self);
// Charges the stored polls up to `until`, as far as the stretch reaches.
static err_t polls_run(explainer *self, instant_ms until, rating_cache *cache, charging_outcome *outcome) {
    const explanation *out = self->out;
    stored_range range = {self->point.channel ? self->point.last_at : INSTANT_MIN, until, out->booked_at};
    AUTO(stored_polls) polls = {0};
    err_t err = stored_polls_load(self->conn, self->setup, range, &polls, self->fault);
    for (size_t i = 0; i < polls.list.len && !err && self->point.last_at < out->to_at; i++) {
        vec_clear(&outcome->pieces);
        if (charging_apply(self->setup, cache, &self->point, &polls.list.items[i], outcome) != CHARGING_CHARGED) continue;
        if (self->point.last_at > out->from_at) err = poll_look(self, outcome);
        if (self->trace.pieces.len > PIECES_MAX)
            err = fault_set(self->fault, ERR_TOO_LARGE, "charge", "it has more than %d pieces", PIECES_MAX);
    }
    return err;
}

static err_t stretch_run(explainer *self) {
    const explanation *out = self->out;
    AUTO_RATING_CACHE cache = rating_cache_new(256);
    charging_outcome outcome = {0};
    err_t err = polls_run(self, out->to_at, cache, &outcome);
    // A charge cut at a change of holder or version ends inside a reading's interval: the reading lies behind it.
    if (!err && self->point.last_at < out->to_at) err = polls_run(self, INSTANT_MAX, cache, &outcome);
    charging_outcome_done(&outcome);
    if (err) return err;
    if (!self->has_begun) return fault_set(self->fault, ERR_STALE, "charge", "its readings are not stored any more");
    if (!out->is_correction && self->amount != out->amount)
        return fault_set(self->fault, ERR_STALE, "charge", "the stored readings give another amount than was charged");
    return ERR_OK;
}
