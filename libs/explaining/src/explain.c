// Charges again what was charged: from the newest checkpoint before it, with the readings known when it was booked, and
// looks closely at the stretch of the charge.
#include "base/check.h"
#include "explaining/explaining.h"
#include "explaining/stored.h"
#include "explaining_sql.h"
#include "setups/setups.h"
#include "tell.h"

#define CHARGE_ROW_CORRECTION 1
#define CHARGE_CAUSE_CLOSE 3
#define CHARGE_CAUSE_GAP 4
#define PIECES_MAX 65536
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
static err_t stretch_run(explainer *self);
static err_t close_read(explainer *self);
static err_t versions_read(explainer *self);
err_t explain_charge(db *conn, zone_set *zones, const explain_request *request, arena *memory, explanation **out_explanation,
                     fault *out_fault) {
    AUTO_SETUPS all = setups_new(zones);
    explainer *self = ARENA_NEW(memory, explainer);
    *self = (explainer){.conn = conn, .memory = memory, .fault = out_fault, .out = ARENA_NEW(memory, explanation)};
    charging_point_init(&self->point);
    err_t err = row_read(self, request);
    if (!err) err = versions_read(self);
    if (!err) err = setup_read(self, all);
    if (!err && self->out->is_close) {
        err = close_read(self);
    } else if (!err && self->out->is_held) {
        err = checkpoint_read(self);
        if (!err) err = stretch_run(self);
        if (!err)
            err =
                explaining_tell(self->out, self->tariff, &self->before, &self->after, &self->trace, self->row.document, memory, out_fault);
    }
    rating_trace_done(&self->trace);
    if (!err) *out_explanation = self->out;
    return err;
}

static err_t point_find(db *conn, int64_t charge, int64_t *out_point) {
    instant_ms made = num_instant(charge);
    AUTO(db_rows) row = {0};
    err_t err =
        db_query_one(conn, &SQL_EXPLAIN_FIND, DB_PARAMS(DB_I64(charge), DB_TIME(made - DAY_SLACK_MS), DB_TIME(made + DAY_SLACK_MS)), &row);
    if (!err) *out_point = db_i64(&row, 0, 0);
    return err;
}

static const char *cause_name(int16_t kind, int16_t cause) {
    if (kind == CHARGE_ROW_CORRECTION && cause != 2 && cause != CHARGE_CAUSE_CLOSE) return "correction";
    return cause == 2 ? "recharge" : cause == CHARGE_CAUSE_CLOSE ? "window_close" : "reading";
}

static err_t row_read(explainer *self, const explain_request *request) {
    explanation *out = self->out;
    out->charge = request->charge;
    out->usage_point = request->usage_point;
    err_t err = request->charge > 0 ? ERR_OK : ERR_NOT_FOUND;
    if (!err && !out->usage_point) err = point_find(self->conn, request->charge, &out->usage_point);
    AUTO(db_rows) row = {0};
    if (!err) err = db_query_one(self->conn, &SQL_EXPLAIN_CHARGE_ROW, DB_PARAMS(DB_I64(out->charge), DB_I64(out->usage_point)), &row);
    if (err == ERR_NOT_FOUND) return fault_set(self->fault, err, "charge", "there is no charge %lld", (long long)request->charge);
    if (err) return err;
    out->company = (int32_t)db_i64(&row, 0, 0);
    self->row.account = db_i64(&row, 0, 2);
    self->row.channel = db_i64(&row, 0, 3);
    self->row.epoch = (int32_t)db_i64(&row, 0, 4);
    self->row.kind = (int16_t)db_i64(&row, 0, 5);
    self->row.cause = (int16_t)db_i64(&row, 0, 6);
    out->from_at = db_time(&row, 0, 7);
    out->to_at = db_time(&row, 0, 8);
    out->from_value = db_i64(&row, 0, 9);
    out->to_value = db_i64(&row, 0, 10);
    out->quantity = db_i64(&row, 0, 11);
    out->amount = db_i64(&row, 0, 12);
    self->row.version_num = db_i64(&row, 0, 13);
    out->booked_at = db_time(&row, 0, 14);
    out->is_correction = self->row.kind == CHARGE_ROW_CORRECTION;
    out->cause = cause_name(self->row.kind, self->row.cause);
    out->is_close = self->row.cause == CHARGE_CAUSE_CLOSE;
    out->is_estimated = self->row.cause == CHARGE_CAUSE_GAP;
    out->is_held = self->row.account != 0 && self->row.version_num != 0;
    if (!out->is_held) return ERR_OK;
    out->tariff_code = arena_copy(self->memory, db_text(&row, 0, 15));
    out->tariff_version = db_i64(&row, 0, 16);
    out->tariff_from = db_time(&row, 0, 17);
    self->row.document = arena_copy(self->memory, db_text(&row, 0, 18));
    out->corrects.charge = db_i64(&row, 0, 19);
    out->is_true_up = db_bool(&row, 0, 20);
    return ERR_OK;
}

// What it corrects, and what the prices of its version were made of.
static err_t versions_read(explainer *self) {
    explanation *out = self->out;
    AUTO(db_rows) corrected = {0};
    AUTO(db_rows) indices = {0};
    err_t err = ERR_OK;
    if (out->corrects.charge)
        err =
            db_query_one(self->conn, &SQL_EXPLAIN_CORRECTED, DB_PARAMS(DB_I64(out->corrects.charge), DB_I64(out->usage_point)), &corrected);
    if (err == ERR_NOT_FOUND) return fault_set(self->fault, ERR_STALE, "charge", "the charge it corrects is gone");
    if (!err && corrected.len)
        out->corrects = (explanation_corrected){out->corrects.charge,      db_time(&corrected, 0, 0), db_time(&corrected, 0, 1),
                                                db_time(&corrected, 0, 2), db_i64(&corrected, 0, 3),  db_i64(&corrected, 0, 4)};
    if (!err && out->is_held)
        err = db_query(self->conn, &SQL_EXPLAIN_INDICES, DB_PARAMS(DB_I32(out->company), DB_I64(self->row.version_num)), &indices);
    if (err) return err;
    out->indices = ARENA_ARRAY(self->memory, explanation_index, indices.len + 1);
    for (size_t i = 0; i < indices.len; i++)
        out->indices[out->index_count++] =
            (explanation_index){arena_copy(self->memory, db_text(&indices, i, 0)), arena_copy(self->memory, db_text(&indices, i, 1)),
                                db_i64(&indices, i, 2), db_bool(&indices, i, 3)};
    return ERR_OK;
}

static const char *unit_of(purpose item) {
    return item == PURPOSE_COLD_WATER || item == PURPOSE_HOT_WATER || item == PURPOSE_GAS ? "m3" : "kWh";
}

static err_t setup_read(explainer *self, setups *all) {
    explanation *out = self->out;
    setups_key key = {out->company, out->usage_point};
    setups_knowledge then = {.known_at = out->booked_at, .recharged_from = INSTANT_MAX, .decided_until = out->booked_at};
    err_t err = setups_load_as(all, self->conn, &key, 1, &then);
    if (err) return err;
    self->setup = setups_find(all, out->usage_point);
    if (!self->setup) {
        const char *why = setups_fault(all, out->usage_point);
        return fault_set(self->fault, ERR_INTERNAL, "usage point", "%.150s", why ? why : "has no setup");
    }
    out->zone = self->setup->zone;
    out->currency = currency_code(self->setup->currency);
    out->unit = unit_of(self->setup->item);
    out->ratio_num = out->ratio_den = 1;
    const charging_installation *inst = charging_installation_at(self->setup, self->row.channel, out->from_at);
    if (inst) {
        out->ratio_num = inst->ratio_num;
        out->ratio_den = inst->ratio_den;
        out->is_estimated_end = out->is_estimated && inst->has_estimated_close && out->to_at == inst->to;
    }
    for (size_t i = 0; i < self->setup->version_count; i++)
        if (self->setup->versions[i].num == self->row.version_num) self->tariff = self->setup->versions[i].tariff;
    if (out->is_held && !self->tariff)
        return fault_set(self->fault, ERR_STALE, "tariff", "the version it was priced by no longer applies here");
    return ERR_OK;
}

// The newest packed point that does not lie behind the beginning of the charge; without one, from the first reading on.
static err_t checkpoint_read(explainer *self) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(
        self->conn, &SQL_EXPLAIN_CHECKPOINTS,
        DB_PARAMS(DB_I32(self->out->company), DB_I64(self->out->usage_point), DB_TIME(self->out->to_at), DB_TIME(self->out->booked_at)),
        &rows);
    for (size_t i = 0; i < rows.len && !err; i++) {
        charging_point point;
        err = charging_point_unpack(db_bytes(&rows, i, 2), &point, self->fault);
        if (err || (point.channel != 0 && point.last_at > self->out->from_at)) continue;
        self->point = point;
        break;
    }
    return err;
}

static bool is_inside(const explainer *self, const charging_piece *piece) {
    return piece->from_at >= self->out->from_at && piece->to_at <= self->out->to_at && piece->account == self->row.account &&
           piece->version_num == self->row.version_num;
}

// What period registers did to the matrix, where time did not split it: all of it shares the poll's time.
static void trace_matrix(explainer *self, const charging_piece *piece, const rating_state *from, const rating_state *to) {
    bool is_same = from->version == to->version && from->window.from == to->window.from && from->steps == to->steps;
    for (uint32_t cell = 0; cell < to->periods * to->steps; cell++) {
        int64_t quantity = to->used_milli[cell] - (is_same ? from->used_milli[cell] : 0);
        if (quantity == 0) continue;
        rating_piece one = {piece->from_at, piece->to_at, cell / to->steps, cell % to->steps, quantity};
        vec_push(&self->trace.pieces, one);
    }
}

static charging_stretch stretch_of(const explainer *self, const charging_piece *piece, const tariff *by) {
    return (charging_stretch){.setup = self->setup,
                              .holder = charging_holder_at(self->setup, piece->from_at),
                              .tariff = by,
                              .from = piece->from_at,
                              .to = piece->to_at,
                              .quantity = piece->quantity,
                              .profile = piece->profile};
}

// One piece inside the stretch, from `state` on; `whole` is the state behind the poll when the poll is this one piece.
static err_t piece_rate(explainer *self, const charging_piece *piece, rating_state *state, const rating_state *whole) {
    if (!self->has_begun) self->before = *state;
    self->has_begun = true;
    rating_state from = *state;
    size_t pieces = self->trace.pieces.len, closed = self->trace.closed.len;
    charging_stretch stretch = stretch_of(self, piece, self->tariff);
    money_micro amount = 0;
    rating_answer answer = charging_rate(&stretch, NULL, state, &amount, &self->trace);
    self->out->has_profile |= piece->profile != NULL;
    if (answer == RATING_OK && amount == piece->amount && (!whole || rating_state_equal(state, whole))) {
        self->amount += piece->amount;
        self->after = *state;
        return ERR_OK;
    }
    if (!whole) return fault_set(self->fault, ERR_STALE, "charge", "it is one part of an interval priced by period registers");
    self->trace.pieces.len = pieces;
    self->trace.closed.len = closed;
    if (whole->window.from != from.window.from && from.version != 0)
        return fault_set(self->fault, ERR_STALE, "charge", "period registers crossed the end of a tier window");
    trace_matrix(self, piece, &from, whole);
    *state = *whole;
    self->amount += piece->amount;
    self->after = *whole;
    return ERR_OK;
}

static err_t poll_look(explainer *self, const charging_outcome *outcome) {
    rating_state state = outcome->before.rating;
    int64_t account = outcome->before.account;
    for (size_t i = 0; i < outcome->pieces.len; i++) {
        const charging_piece *piece = &outcome->pieces.items[i];
        if (piece->account != account) rating_state_hand_over(&state);
        account = piece->account;
        if (is_inside(self, piece)) {
            err_t err = piece_rate(self, piece, &state, outcome->pieces.len == 1 ? &self->point.rating : NULL);
            if (err) return err;
            continue;
        }
        if (!piece->account || i + 1 == outcome->pieces.len) continue;
        const charging_version *version = charging_version_at(self->setup, piece->from_at);
        if (!version || !version->tariff)
            return fault_set(self->fault, ERR_STALE, "charge", "the part of the interval before it has no tariff");
        charging_stretch stretch = stretch_of(self, piece, version->tariff);
        money_micro amount;
        if (charging_rate(&stretch, NULL, &state, &amount, NULL) != RATING_OK)
            return fault_set(self->fault, ERR_STALE, "charge", "the part of the interval before it cannot be rated again");
    }
    return ERR_OK;
}

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

// The close of a tier window is told from what billing keeps of it: as it stands now, or not at all.
static err_t close_read(explainer *self) {
    explanation *out = self->out;
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(
        self->conn, &SQL_EXPLAIN_CLOSE,
        DB_PARAMS(DB_I32(out->company), DB_I64(out->usage_point), DB_I64(self->row.account), DB_TIME(out->from_at), DB_I64(out->charge)),
        &row);
    if (err == ERR_NOT_FOUND) return fault_set(self->fault, ERR_STALE, "charge", "nothing is kept of the window it closed");
    if (err) return err;
    charging_window window = {.contracted_va = db_i64(&row, 0, 5),
                              .demand = {.average_w = db_i64(&row, 0, 1),
                                         .register_w = db_i64(&row, 0, 2),
                                         .active = db_i64(&row, 0, 3),
                                         .reactive = db_i64(&row, 0, 4)}};
    if (db_is_null(&row, 0, 0)) return fault_set(self->fault, ERR_STALE, "charge", "its window was closed before a reading told its end");
    err = rating_state_unpack(db_bytes(&row, 0, 0), &window.state, self->fault);
    if (err) return err;
    out->closing = charging_closing_of(&window, &out->demand_source);
    out->active = window.demand.active;
    out->reactive = window.demand.reactive;
    money_micro due = 0;
    if (rating_close(self->tariff, &window.state, &out->closing, &due) != RATING_OK || due != db_i64(&row, 0, 6))
        return fault_set(self->fault, ERR_STALE, "charge", "later readings changed how its window ended: a correction follows it");
    return explaining_tell_close(out, self->tariff, &window.state, due, self->row.document, self->memory, self->fault);
}
