#include "charge.h"

#include "base/check.h"
#include "base/mem.h"

void charger_init(charger *self, setups *borrowed_setups, rating_cache *borrowed_rating, arena *borrowed_memory) {
    *self = (charger){.setups = borrowed_setups, .rating = borrowed_rating, .memory = borrowed_memory};
}

void charger_done(charger *self) {
    charging_outcome_done(&self->outcome);
    vec_done(&self->gaps);
}

static void store_records(const meter_poll *self, int32_t epoch, effects *out) {
    for (size_t i = 0; i < self->record_count; i++) vec_push(&out->readings, ((reading_row){&self->records[i], epoch}));
}

static void set_aside(const meter_poll *self, int64_t usage_point, int32_t epoch, const char *reason, const char *detail, effects *out) {
    for (size_t i = 0; i < self->record_count; i++)
        vec_push(&out->quarantine, ((quarantine_row){&self->records[i], usage_point, epoch, reason, detail}));
}

void charge_unknown(const meter_poll *polls, size_t count, effects *out_effects, charge_counts *out_counts) {
    for (size_t i = 0; i < count; i++) {
        set_aside(&polls[i], 0, 0, charging_answer_text(CHARGING_NOT_INSTALLED), "", out_effects);
        out_counts->quarantined++;
    }
}

// One point on its way through its polls of this transaction.
typedef struct walk {
    charger *by;
    const charging_setup *setup;  // NULL: unusable, only store
    point_entry *entry;
    charging_point point;
    point_row row;
    size_t first_charge;  // charges of this point begin here
    bool stores;
    bool has_moved;
    const char *stop;  // reason, NULL while it goes
    effects *out;
} walk;

static void ask_days(walk *self, instant_ms before, instant_ms after) {
    int64_t last = zone_local_day(self->setup->zone, after);
    for (int64_t day = before <= 0 ? last : zone_local_day(self->setup->zone, before); day < last; day++)
        vec_push(&self->out->days, ((day_row){self->entry->company, self->entry->num, (int32_t)day, self->row.partition}));
}

// What the board shows as today's: of a stretch over midnight, the part of the new day in proportion to time.
static void count_day(walk *self, const charging_piece *piece) {
    instant_ms start = zone_day_start(self->setup->zone, zone_local_day(self->setup->zone, piece->to_at));
    if (start > self->row.day_start) {
        self->row.day_start = start;
        self->row.day_quantity = self->row.day_amount = 0;
    }
    int64_t quantity = piece->quantity, amount = piece->amount;
    if (piece->from_at < start) {
        quantity -= rating_split_by_time(quantity, piece->from_at, piece->to_at, start);
        amount -= amount < 0 ? 0 : rating_split_by_time(amount, piece->from_at, piece->to_at, start);
    }
    self->row.day_quantity += quantity;
    self->row.day_amount += amount;
}

// Charges end with the local day, so that days add up; otherwise one charge takes in all that continues it.
static bool joins_last(walk *self, const charging_piece *piece, bool is_history) {
    if (self->out->charges.len == self->first_charge) return false;
    charge_row *last = &self->out->charges.items[self->out->charges.len - 1];
    const zone *local = self->setup->zone;
    if (last->is_history != is_history || zone_local_day(local, last->piece.to_at - 1) != zone_local_day(local, piece->to_at - 1))
        return false;
    return charging_piece_join(&last->piece, piece);
}

static void take_pieces(walk *self, const meter_poll *poll) {
    bool is_history = (poll->charging.flags & READING_BACKFILL) != 0;
    charging_outcome *outcome = &self->by->outcome;
    for (size_t i = 0; i < outcome->pieces.len; i++) {
        const charging_piece *piece = &outcome->pieces.items[i];
        count_day(self, piece);
        if (joins_last(self, piece, is_history)) continue;
        charge_row row = {.id = num_next(self->out->nums, self->out->now),
                          .usage_point = self->entry->num,
                          .piece = *piece,
                          .cause = piece->is_estimated ? CAUSE_GAP : CAUSE_BLOCK,
                          .cause_record = poll->records->record_no,
                          .cause_num = poll->records->block_id,
                          .is_history = is_history,
                          .setup = self->setup};
        vec_push(&self->out->charges, row);
    }
}

static sv pack(walk *self, const charging_point *point) {
    uint8_t bytes[CHARGING_POINT_BYTES_MAX];
    return arena_copy(self->by->memory, sv_slice(bytes, charging_point_pack(point, bytes)));
}

static void take_checkpoint(walk *self) {
    const charging_outcome *outcome = &self->by->outcome;
    vec_push(&self->out->checkpoints, ((checkpoint_row){self->entry->company, self->entry->num, self->point.account,
                                                        outcome->checkpoint_from, pack(self, &outcome->before)}));
}

static void decide(walk *self, const charging_version *version, instant_ms from) {
    if (version->num == self->row.rated_version) return;
    vec_push(&self->out->rated, ((rated_row){self->entry->company, self->entry->num, from, version->num, 0}));
    self->row.rated_version = version->num;
}

// Usage stays rated under the versions it was charged under: each change of version is written down.
static void take_versions(walk *self) {
    const charging_outcome *outcome = &self->by->outcome;
    if (outcome->pieces.len == 0) return;
    instant_ms from = outcome->pieces.items[0].from_at, to = self->point.last_at;
    const charging_setup *setup = self->setup;
    if (self->row.rated_version < 0 && (setup->version_count == 0 || setup->versions[0].from > from))
        decide(self, &(charging_version){.num = 0}, from);
    for (size_t i = 0; i < setup->version_count && setup->versions[i].from < to; i++)
        if (i + 1 == setup->version_count || setup->versions[i + 1].from > from) decide(self, &setup->versions[i], setup->versions[i].from);
}

static void take_charged(walk *self, const meter_poll *poll) {
    instant_ms before = self->by->outcome.before.last_at;
    if (self->stores) store_records(poll, self->point.epoch, self->out);
    take_pieces(self, poll);
    take_versions(self);
    if (self->by->outcome.asks_checkpoint) take_checkpoint(self);
    effects_take_windows(self->out, self->setup, &self->by->outcome);
    if (self->stores) ask_days(self, before, self->point.last_at);
    self->has_moved = true;
}

static void stop_at(walk *self, const meter_poll *poll, const char *why) {
    self->stop = why;
    self->row.stopped_since = self->out->now;
    self->has_moved = true;
    const stored_record *record = poll->records;
    if (self->stores) vec_push(&self->out->dead, ((dead_row){record, self->entry->num, self->setup ? self->setup->property : 0, why}));
}

// False: a gap has to be described first.
static bool step(walk *self, const meter_poll *poll, late_polls *out_late, charge_counts *counts) {
    if (!poll->has_total) {
        if (self->stores) set_aside(poll, self->entry->num, self->point.epoch, "no_total", "", self->out);
        counts->quarantined++;
        return true;
    }
    self->by->outcome.pieces.len = 0;
    charging_answer answer = charging_apply(self->setup, self->by->rating, &self->point, &poll->charging, &self->by->outcome);
    switch (answer) {
        case CHARGING_CHARGED: take_charged(self, poll), counts->charged++; return true;
        case CHARGING_IGNORED:
            // A small step back was read and is kept; a repetition is not.
            if (self->stores && self->by->outcome.verdict == VERDICT_BACKWARD_SMALL) store_records(poll, self->point.epoch, self->out);
            counts->ignored++;
            return true;
        case CHARGING_LATE:
            if (self->stores) vec_push(out_late, ((late_poll){poll, self->setup, self->point.epoch}));
            counts->late++;
            return true;
        case CHARGING_NO_TARIFF:
        case CHARGING_UNRATABLE:
            if (self->stores) store_records(poll, self->point.epoch, self->out);
            stop_at(self, poll, charging_answer_text(answer));
            counts->stored++;
            return true;
        case CHARGING_GAP: return false;
        case CHARGING_REFUSED:
        case CHARGING_SUSPECT:
        case CHARGING_NOT_INSTALLED:
        case CHARGING_PERIODS_DIFFER: break;
    }
    const char *reason = answer == CHARGING_REFUSED ? verdict_text(self->by->outcome.verdict).ptr : charging_answer_text(answer);
    if (self->stores) set_aside(poll, self->entry->num, self->point.epoch, reason, "", self->out);
    counts->quarantined++;
    return true;
}

static void walk_end(walk *self) {
    if (!self->has_moved) return;
    self->row.point = self->point;
    self->row.state = pack(self, &self->point);
    vec_push(&self->out->points, self->row);
    if (self->setup) effects_touch(self->out, self->entry->company, self->setup->property);
}

void charge_point(charger *self, const meter_poll *polls, size_t count, bool stores, const char *why_stop, effects *out_effects,
                  late_polls *out_late, charge_counts *out_counts) {
    point_entry *entry = polls->point;
    effects_mark mark = effects_mark_of(out_effects);
    size_t late_mark = out_late->len;
    charge_counts counts_mark = *out_counts;
    self->outcome.finds_gaps = self->finds_gaps;
    walk way = {.by = self,
                .entry = entry,
                .setup = setups_find(self->setups, entry->num),
                .first_charge = out_effects->charges.len,
                .stores = stores,
                .out = out_effects};
    err_t err = charging_point_unpack(sv_slice(entry->state, entry->state_len), &way.point, NULL);
    CHECK(!err);  // it was unpacked when it was loaded, or packed by us
    way.row = (point_row){.entry = entry,
                          .partition = polls->partition,
                          .day_start = entry->day_start,
                          .day_quantity = entry->day_quantity,
                          .day_amount = entry->day_amount,
                          .rated_version = entry->rated_version};
    if (way.setup && entry->rated_version == POINT_RATED_UNKNOWN) way.row.rated_version = way.setup->rated_version;
    if (entry->is_stopped && stores) {
        way.stop = "stopped";
    } else if (why_stop || !way.setup) {
        stop_at(&way, polls, why_stop ? why_stop : setups_fault(self->setups, entry->num));
    }
    for (size_t i = 0; i < count; i++) {
        if (way.stop) {
            if (stores) store_records(&polls[i], way.point.epoch, out_effects);
            out_counts->stored++;
        } else if (!step(&way, &polls[i], out_late, out_counts)) {
            effects_reset(out_effects, mark);
            out_late->len = late_mark;
            *out_counts = counts_mark;
            vec_push(&self->gaps, ((charger_gap){polls, count, entry->num, self->outcome.gap_from, self->outcome.gap_to}));
            return;
        }
    }
    walk_end(&way);
}
