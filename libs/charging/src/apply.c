// A poll moves a point in legs: the way to the end of a removed channel, then the way to the poll's own value. A leg is
// cut where the holder or the tariff version changes; bands, tiers and tier windows are cut by rating.
#include "base/check.h"
#include "calendar/window.h"
#include "charging/point.h"

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

void charging_outcome_done(charging_outcome *self) { vec_done(&self->pieces); }

typedef struct leg {
    instant_ms from, to;
    int64_t from_value, to_value;
    int64_t quantity;
    int32_t epoch;
    uint32_t register_count;  // 0: split by time
    int64_t registers[CHARGING_REGISTERS_MAX];
} leg;

static int64_t scaled(const charging_installation *inst, int128 value) { return (int64_t)(value * inst->ratio_num / inst->ratio_den); }

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
    return cut;
}

// The part of a leg before `cut`; *rest becomes what is behind it.
static leg leg_take(leg *rest, instant_ms cut) {
    leg head = *rest;
    if (cut < rest->to) {
        head.to = cut;
        int64_t span = rest->to_value - rest->from_value;
        int64_t part = rating_split_by_time(span < 0 ? -span : span, rest->from, rest->to, cut);
        head.to_value = rest->from_value + (span < 0 ? -part : part);
        head.quantity = rating_split_by_time(rest->quantity, rest->from, rest->to, cut);
        for (uint32_t i = 0; i < rest->register_count; i++)
            head.registers[i] = rating_split_by_time(rest->registers[i], rest->from, rest->to, cut);
    }
    rest->from = head.to;
    rest->from_value = head.to_value;
    rest->quantity -= head.quantity;
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
                            .purse = point->purse};
    if (holder) {
        if (!version || !version->tariff) return CHARGING_NO_TARIFF;
        int64_t per_period[TARIFF_PERIODS_MAX];
        bool has_periods = periods_of(inst, version->tariff, part, per_period);
        rating_interval interval = {
            .from = part->from, .to = part->to, .quantity_milli = part->quantity, .per_period_milli = has_periods ? per_period : NULL};
        rating_result result;
        outcome->rating = rating_charge(version->tariff, cache, &point->rating, &interval, &result, NULL);
        if (outcome->rating != RATING_OK) return CHARGING_UNRATABLE;
        piece.version_num = version->num;
        piece.amount = result.amount_micro;
        piece.quantity = result.quantity_milli;
        point->charged_total += result.amount_micro;
        point->quantity_total += result.quantity_milli;
    }
    vec_push(&outcome->pieces, piece);
    return CHARGING_CHARGED;
}

static charging_answer run_leg(const charging_setup *setup, rating_cache *cache, charging_point *point, const charging_installation *inst,
                               leg way, charging_outcome *outcome) {
    while (way.from < way.to) {
        leg part = leg_take(&way, next_cut(setup, way.from, way.to));
        charging_answer answer = rate_part(setup, cache, point, inst, &part, outcome);
        if (answer != CHARGING_CHARGED) return answer;
    }
    point->last_at = way.to;
    point->last_value = way.to_value;
    point->epoch = way.epoch;
    return CHARGING_CHARGED;
}

// Period registers may differ from the total by the rounding of each display, twice.
static bool registers_add_up(const charging_installation *inst, const leg *way) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < way->register_count; i++)
        if (way->registers[i] < 0 || __builtin_add_overflow(sum, way->registers[i], &sum)) return false;
    int64_t resolution = inst->limits.resolution > 0 ? inst->limits.resolution : 1;
    int64_t slack = scaled(inst, (int128)resolution * (way->register_count + 1)) + way->register_count + 1;
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
                     .quantity = scaled(inst, (int128)point->last_value + usage) - scaled(inst, point->last_value),
                     .epoch = point->epoch + (*out_verdict == VERDICT_ROLLOVER)};
    bool has_registers = inst->period_count > 0 && poll->register_count >= inst->period_count &&
                         point->register_count == inst->period_count && *out_verdict != VERDICT_ROLLOVER;
    if (!has_registers) return CHARGING_CHARGED;
    out_way->register_count = (uint32_t)inst->period_count;
    for (size_t i = 0; i < inst->period_count; i++)
        out_way->registers[i] = scaled(inst, poll->registers[i]) - scaled(inst, point->registers[i]);
    return registers_add_up(inst, out_way) ? CHARGING_CHARGED : CHARGING_PERIODS_DIFFER;
}

// Puts the point at the beginning of an installation; first, what its old channel still counted is charged.
static charging_answer change_channel(const charging_setup *setup, rating_cache *cache, charging_point *point,
                                      const charging_installation *inst, charging_outcome *outcome) {
    if (point->channel != 0) {
        const charging_installation *old = charging_installation_at(setup, point->channel, point->last_at);
        if (!old || old->to > inst->from || old->closing_value < 0) return CHARGING_NOT_INSTALLED;
        charging_poll end = {.channel = old->channel, .at = old->to, .value = old->closing_value};
        leg way;
        charging_answer answer = judge(old, point, &end, &way, &outcome->verdict);
        if (answer == CHARGING_CHARGED) answer = run_leg(setup, cache, point, old, way, outcome);
        if (answer != CHARGING_CHARGED && answer != CHARGING_IGNORED) return answer;
    }
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
        charging_answer answer = change_channel(setup, cache, point, inst, outcome);
        if (answer != CHARGING_CHARGED) return answer;
    }
    leg way;
    charging_answer answer = judge(inst, point, poll, &way, &outcome->verdict);
    if (answer != CHARGING_CHARGED) return is_same ? answer : (answer == CHARGING_IGNORED ? CHARGING_CHARGED : answer);
    answer = run_leg(setup, cache, point, inst, way, outcome);
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
    if (!quality_is_billable(poll->quality)) return CHARGING_SUSPECT;
    size_t pieces = out_outcome->pieces.len;
    out_outcome->before = *point;
    charging_answer answer = move(setup, cache, point, poll, out_outcome);
    if (answer != CHARGING_CHARGED) {
        *point = out_outcome->before;
        out_outcome->pieces.len = pieces;
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
                     into->version_num == next->version_num && into->to_at == next->from_at && into->to_value == next->from_value;
    money_micro amount = 0;
    if (!continues || !money_add(into->amount, next->amount, &amount)) return false;
    into->to_at = next->to_at;
    into->to_value = next->to_value;
    into->quantity += next->quantity;
    into->amount = amount;
    return true;
}
