// A poll moves a point in legs: the way to the end of a removed channel, then the way to the poll's own value. A leg is
// cut where the holder or the tariff version changes; bands, tiers and tier windows are cut by rating.
#include "base/check.h"
#include "calendar/window.h"
#include "charging/point.h"
#include "leg.h"

const char *charging_answer_text(charging_answer answer) {
    static const char *const TEXTS[] = {
#define CHARGING_ANSWER(name, text, meaning) [CHARGING_##name] = (text),
#include "charging/answers.def"
#undef CHARGING_ANSWER
    };
    CHECK((size_t)answer < ARRAY_LEN(TEXTS));
    return TEXTS[answer];
}

void charging_point_init(charging_point *self) {
    *self = (charging_point){.checkpoint_due = INSTANT_MIN};
    rating_state_init(&self->rating);
}

void charging_outcome_done(charging_outcome *self) {
    vec_done(&self->pieces);
    vec_done(&self->windows);
    rating_trace_done(&self->trace);
}

int64_t leg_scaled(const charging_installation *inst, int128 value) { return (int64_t)(value * inst->ratio_num / inst->ratio_den); }

// The first instant after `at` where holder or version changes, at most `end`.
static instant_ms next_cut(const charging_setup *setup, instant_ms at, instant_ms end) {
    instant_ms cut = end;
    for (size_t i = 0; i < setup->holder_count; i++) {
        const charging_holder *holder = &setup->holders[i];
        if (holder->from > at && holder->from < cut) cut = holder->from;
        if (holder->to > at && holder->to < cut) cut = holder->to;
    }
    for (size_t i = 0; i < setup->version_count; i++)
        if (setup->versions[i].from > at && setup->versions[i].from < cut) cut = setup->versions[i].from;
    // Heads hold for a tier window.
    const charging_version *version = charging_version_at(setup, at);
    if (version && version->tariff && tariff_is_personal(version->tariff)) {
        instant_ms window_to = tariff_window(version->tariff, at).to;
        if (window_to < cut) cut = window_to;
    }
    return cut;
}

static int64_t split(const charging_setup *setup, const leg *way, int64_t quantity, instant_ms cut) {
    if (!way->profile) return rating_split_by_time(quantity, way->from, way->to, cut);
    return charging_profile_split(way->profile, setup->zone, quantity, way->from, way->to, cut);
}

// The part of a leg before `cut`; *rest becomes what is behind it.
static leg leg_take(const charging_setup *setup, leg *rest, instant_ms cut) {
    leg head = *rest;
    if (cut < rest->to) {
        head.to = cut;
        int64_t span = rest->to_value - rest->from_value;
        int64_t part = split(setup, rest, span < 0 ? -span : span, cut);
        head.to_value = rest->from_value + (span < 0 ? -part : part);
        head.quantity = split(setup, rest, rest->quantity, cut);
        head.reactive = split(setup, rest, rest->reactive, cut);
        for (uint32_t i = 0; i < rest->register_count; i++) head.registers[i] = split(setup, rest, rest->registers[i], cut);
    }
    rest->from = head.to;
    rest->from_value = head.to_value;
    rest->quantity -= head.quantity;
    rest->reactive -= head.reactive;
    for (uint32_t i = 0; i < rest->register_count; i++) rest->registers[i] -= head.registers[i];
    return head;
}

// Period registers win where each of the tariff's periods has one.
static bool periods_of(const charging_installation *inst, const tariff *version, const leg *part, int64_t *out_quantities) {
    if (part->register_count == 0 || part->register_count < inst->period_count) return false;
    for (size_t i = 0; i < tariff_period_count(version); i++) out_quantities[i] = 0;
    size_t known = 0;
    for (size_t i = 0; i < inst->period_count; i++) {
        size_t period = 0;
        if (!tariff_find_period(version, inst->periods[i], &period)) return false;
        out_quantities[period] += part->registers[i];
        known |= (size_t)1 << period;
    }
    return known == ((size_t)1 << tariff_period_count(version)) - 1;
}

static void set_holder(charging_point *point, const charging_holder *holder) {
    int64_t account = holder ? holder->account : 0;
    point->purse = holder ? holder->purse : 0;
    if (account == point->account) return;
    point->account = account;  // a new account starts at zero
    point->charged_total = 0;
    point->quantity_total = 0;
    rating_state_hand_over(&point->rating);
    demand_hand_over(&point->demand);
}

static rating_answer rate_spread(const charging_stretch *self, rating_cache *cache, rating_state *state, rating_interval *interval,
                                 money_micro *out_amount, rating_trace *trace) {
    charging_spread spread = charging_spread_of(self->profile, self->setup->zone, self->from, self->to);
    size_t periods = self->per_period ? tariff_period_count(self->tariff) : 0;
    int64_t used[TARIFF_PERIODS_MAX + 1] = {0}, per_period[TARIFF_PERIODS_MAX];
    instant_ms from = self->from;
    for (instant_ms until; charging_spread_next(&spread, &until); from = until) {
        int64_t whole = charging_spread_used(&spread, self->quantity);
        interval->from = from;
        interval->to = until;
        interval->quantity_milli = whole - used[TARIFF_PERIODS_MAX];
        used[TARIFF_PERIODS_MAX] = whole;
        for (size_t i = 0; i < periods; i++) {
            int64_t until_here = charging_spread_used(&spread, self->per_period[i]);
            per_period[i] = until_here - used[i];
            used[i] = until_here;
        }
        interval->per_period_milli = periods ? per_period : NULL;
        rating_result result;
        rating_answer answer = rating_charge(self->tariff, cache, state, interval, &result, trace);
        if (answer != RATING_OK) return answer;
        if (!money_add(*out_amount, result.amount_micro, out_amount)) return RATING_TOO_LARGE;
    }
    return RATING_OK;
}

rating_answer charging_rate(const charging_stretch *self, rating_cache *cache, rating_state *state, money_micro *out_amount,
                            rating_trace *trace) {
    rating_holder holder;
    rating_interval interval = {.from = self->from, .to = self->to, .quantity_milli = self->quantity, .per_period_milli = self->per_period};
    if (self->holder && tariff_is_personal(self->tariff)) {
        holder = charging_holder_facts(self->holder, self->tariff, self->from);
        interval.holder = &holder;
    }
    *out_amount = 0;
    // Where nothing depends on when it was used, one step does.
    bool is_one = !self->profile || (tariff_period_count(self->tariff) == 1 && tariff_window(self->tariff, self->from).to >= self->to);
    if (!is_one) return rate_spread(self, cache, state, &interval, out_amount, trace);
    rating_result result;
    rating_answer answer = rating_charge(self->tariff, cache, state, &interval, &result, trace);
    if (answer == RATING_OK) *out_amount = result.amount_micro;
    return answer;
}

// The part's amount into the piece and the totals, and what it does to tier windows that post at their close.
static charging_answer rate_held(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_installation *inst,
                                 const charging_holder *holder, const charging_version *version, const leg *part, charging_piece *piece,
                                 charging_outcome *outcome) {
    int64_t per_period[TARIFF_PERIODS_MAX];
    bool has_periods = periods_of(inst, version->tariff, part, per_period);
    bool closes = tariff_has_closing_lines(version->tariff);
    window_before before = {point->rating.version, point->rating.window.from};
    // A trace, for the windows that end, keeps rating from its quick way: none where the open window goes on.
    bool may_end = closes && (before.version != tariff_version(version->tariff) || part->to > point->rating.window.to);
    vec_clear(&outcome->trace.pieces);
    vec_clear(&outcome->trace.closed);
    charging_stretch stretch = {.setup = setup,
                                .holder = holder,
                                .tariff = version->tariff,
                                .from = part->from,
                                .to = part->to,
                                .quantity = part->quantity,
                                .per_period = has_periods ? per_period : NULL,
                                .profile = part->profile};
    outcome->rating = charging_rate(&stretch, cache, &point->rating, &piece->amount, may_end ? &outcome->trace : NULL);
    if (outcome->rating != RATING_OK) return CHARGING_UNRATABLE;
    if (has_periods) {
        piece->quantity = 0;
        for (size_t i = 0; i < tariff_period_count(version->tariff); i++) piece->quantity += per_period[i];
    }
    piece->version_num = version->num;
    point->charged_total += piece->amount;
    point->quantity_total += piece->quantity;
    if (closes) windows_take(outcome, point, holder, version, part, before);
    return CHARGING_CHARGED;
}

static charging_answer rate_part(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_installation *inst,
                                 const leg *part, charging_outcome *outcome) {
    const charging_holder *holder = charging_holder_at(setup, part->from);
    const charging_version *version = charging_version_at(setup, part->from);
    set_holder(point, holder);
    charging_piece piece = {.channel = inst->channel,
                            .epoch = part->epoch,
                            .from_at = part->from,
                            .to_at = part->to,
                            .from_value = part->from_value,
                            .to_value = part->to_value,
                            .quantity = part->quantity,
                            .account = point->account,
                            .purse = point->purse,
                            .is_estimated = part->is_estimated,
                            .profile = part->profile};
    if (holder) {
        if (!version || !version->tariff) return CHARGING_NO_TARIFF;
        charging_answer answer = rate_held(setup, cache, point, inst, holder, version, part, &piece, outcome);
        if (answer != CHARGING_CHARGED) return answer;
    }
    vec_push(&outcome->pieces, piece);
    return CHARGING_CHARGED;
}

// Closing lines need more than usage; without such lines nothing is remembered.
static void measure(const charging_setup *setup, charging_point *point, const charging_installation *inst, const charging_poll *poll,
                    leg *way) {
    const charging_version *version = charging_version_at(setup, way->from);
    if (version && version->tariff && tariff_needs_closing(version->tariff))
        demand_measure(&point->demand, inst, poll, way);
    else
        point->demand = (charging_demand){0};
}

static charging_answer run_leg(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_installation *inst,
                               const charging_poll *poll, leg way, charging_outcome *outcome) {
    instant_ms began = way.from;
    way.profile = charging_profile_of(setup, way.from, way.to);
    way.is_estimated = way.is_estimated || way.profile;
    measure(setup, point, inst, poll, &way);
    while (way.from < way.to) {
        leg part = leg_take(setup, &way, next_cut(setup, way.from, way.to));
        charging_answer answer = rate_part(setup, cache, point, inst, &part, outcome);
        if (answer != CHARGING_CHARGED) return answer;
    }
    point->last_at = way.to;
    point->last_value = way.to_value;
    point->epoch = way.epoch;
    point->estimated_since = way.is_estimated ? began : 0;
    return CHARGING_CHARGED;
}

// Whether the way is a gap nobody has described yet. What was never read before, and history that is brought in, has no
// rhythm to miss.
static bool is_new_gap(const charging_setup *setup, const charging_installation *inst, const charging_poll *poll, const leg *way,
                       charging_outcome *outcome) {
    if (!outcome->finds_gaps || setup->gap_after_ms <= 0 || way->to - way->from <= setup->gap_after_ms) return false;
    if (way->from == inst->from || (poll->flags & READING_BACKFILL) || charging_profile_of(setup, way->from, way->to)) return false;
    outcome->gap_from = way->from;
    outcome->gap_to = way->to;
    return true;
}

// Period registers may differ from the total by the rounding of each display, twice.
static bool registers_add_up(const charging_installation *inst, const leg *way) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < way->register_count; i++)
        if (way->registers[i] < 0 || __builtin_add_overflow(sum, way->registers[i], &sum)) return false;
    int64_t resolution = inst->limits.resolution > 0 ? inst->limits.resolution : 1;
    int64_t slack = leg_scaled(inst, (int128)resolution * (way->register_count + 1)) + way->register_count + 1;
    int64_t difference = sum - way->quantity;
    return difference <= slack && difference >= -slack;
}

static charging_answer answer_of(reading_verdict verdict) {
    switch (verdict) {
        case VERDICT_FIRST:
        case VERDICT_STEP:
        case VERDICT_ROLLOVER: return CHARGING_CHARGED;
        case VERDICT_DUPLICATE:
        case VERDICT_BACKWARD_SMALL: return CHARGING_IGNORED;
        case VERDICT_LATE: return CHARGING_LATE;
        case VERDICT_CONFLICT:
        case VERDICT_BACKWARD:
        case VERDICT_IMPLAUSIBLE:
        case VERDICT_OUT_OF_RANGE: return CHARGING_REFUSED;
        case VERDICT_COUNT: break;
    }
    BUG("no such verdict");
}

// The way from the point's last reading to the poll. `inst` is the poll's installation and the point stands on it.
static charging_answer judge(const charging_installation *inst, const charging_point *point, const charging_poll *poll, leg *out_way,
                             reading_verdict *out_verdict) {
    reading_point last = {point->last_at, point->last_value};
    int64_t usage = 0;
    *out_verdict = reading_judge(&inst->limits, &last, (reading_point){poll->at, poll->value}, &usage);
    charging_answer answer = answer_of(*out_verdict);
    if (answer != CHARGING_CHARGED) return answer;
    *out_way = (leg){.from = point->last_at,
                     .to = poll->at,
                     .from_value = point->last_value,
                     .to_value = poll->value,
                     .quantity = leg_scaled(inst, (int128)point->last_value + usage) - leg_scaled(inst, point->last_value),
                     .epoch = point->epoch + (*out_verdict == VERDICT_ROLLOVER)};
    bool has_registers = inst->period_count > 0 && poll->register_count >= inst->period_count &&
                         point->register_count == inst->period_count && *out_verdict != VERDICT_ROLLOVER;
    if (!has_registers) return CHARGING_CHARGED;
    out_way->register_count = (uint32_t)inst->period_count;
    for (size_t i = 0; i < inst->period_count; i++)
        out_way->registers[i] = leg_scaled(inst, poll->registers[i]) - leg_scaled(inst, point->registers[i]);
    return registers_add_up(inst, out_way) ? CHARGING_CHARGED : CHARGING_PERIODS_DIFFER;
}

// Puts the point at the beginning of an installation; first, what its old channel still counted is charged.
static charging_answer change_channel(const charging_setup *setup, rating_cache *cache, charging_point *point,
                                      const charging_installation *inst, const charging_poll *poll, charging_outcome *outcome) {
    if (point->channel != 0) {
        const charging_installation *old = charging_installation_at(setup, point->channel, point->last_at);
        if (!old || old->to > inst->from || old->closing_value < 0) return CHARGING_NOT_INSTALLED;
        charging_poll end = {.channel = old->channel, .at = old->to, .value = old->closing_value};
        leg way = {0};
        charging_answer answer = judge(old, point, &end, &way, &outcome->verdict);
        if (answer == CHARGING_CHARGED && is_new_gap(setup, old, poll, &way, outcome)) return CHARGING_GAP;
        way.is_estimated = old->has_estimated_close;
        if (answer == CHARGING_CHARGED) answer = run_leg(setup, cache, point, old, &end, way, outcome);
        if (answer != CHARGING_CHARGED && answer != CHARGING_IGNORED) return answer;
    }
    demand_change_channel(&point->demand);
    point->channel = inst->channel;
    point->epoch = 0;
    point->last_at = inst->from;
    point->last_value = inst->opening_value;
    point->register_count = 0;
    return CHARGING_CHARGED;
}

static charging_answer move(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_poll *poll,
                            charging_outcome *outcome) {
    const charging_installation *inst = charging_installation_at(setup, poll->channel, poll->at);
    if (!inst) return CHARGING_NOT_INSTALLED;
    bool is_same = point->channel == inst->channel && point->last_at >= inst->from;
    if (point->channel != 0 && !is_same && poll->at < point->last_at) return CHARGING_LATE;
    if (!is_same) {
        charging_answer answer = change_channel(setup, cache, point, inst, poll, outcome);
        if (answer != CHARGING_CHARGED) return answer;
    }
    leg way;
    charging_answer answer = judge(inst, point, poll, &way, &outcome->verdict);
    if (answer != CHARGING_CHARGED) return is_same ? answer : (answer == CHARGING_IGNORED ? CHARGING_CHARGED : answer);
    if (is_new_gap(setup, inst, poll, &way, outcome)) return CHARGING_GAP;
    answer = run_leg(setup, cache, point, inst, poll, way, outcome);
    if (answer != CHARGING_CHARGED) return answer;
    bool has_registers = inst->period_count > 0 && poll->register_count >= inst->period_count;
    point->register_count = has_registers ? (uint32_t)inst->period_count : 0;
    for (size_t i = 0; has_registers && i < inst->period_count; i++) point->registers[i] = poll->registers[i];
    return CHARGING_CHARGED;
}

// The month of local time that holds `at`.
static time_window month_of(const zone *local, instant_ms at) {
    static const window_rule MONTHLY = {.kind = WINDOW_MONTH};
    return window_at(local, &MONTHLY, at);
}

charging_answer charging_apply(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_poll *poll,
                               charging_outcome *out_outcome) {
    out_outcome->asks_checkpoint = false;
    out_outcome->rating = RATING_OK;
    out_outcome->verdict = VERDICT_STEP;
    vec_clear(&out_outcome->windows);
    if (!quality_is_billable(poll->quality)) return CHARGING_SUSPECT;
    size_t pieces = out_outcome->pieces.len;
    out_outcome->before = *point;
    charging_answer answer = move(setup, cache, point, poll, out_outcome);
    if (answer != CHARGING_CHARGED) {
        *point = out_outcome->before;
        out_outcome->pieces.len = pieces;
        vec_clear(&out_outcome->windows);
        return answer;
    }
    if (poll->at >= point->checkpoint_due) {
        time_window month = month_of(setup->zone, poll->at);
        out_outcome->asks_checkpoint = true;
        out_outcome->checkpoint_from = month.from;
        point->checkpoint_due = month.to;
    }
    return CHARGING_CHARGED;
}

bool charging_piece_join(charging_piece *into, const charging_piece *next) {
    bool continues = into->channel == next->channel && into->epoch == next->epoch && into->account == next->account &&
                     into->version_num == next->version_num && into->is_estimated == next->is_estimated && into->to_at == next->from_at &&
                     into->to_value == next->from_value;
    money_micro amount = 0;
    if (!continues || !money_add(into->amount, next->amount, &amount)) return false;
    into->to_at = next->to_at;
    into->to_value = next->to_value;
    into->quantity += next->quantity;
    into->amount = amount;
    return true;
}
