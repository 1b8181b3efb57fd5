// From spec to tariff: every rule is checked, then what charges need is worked out.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "price.h"

typedef struct compilation {
    const tariff_spec *spec;
    tariff *out;
    fault *fault;
    int32_t depth[TARIFF_LINES_MAX];  // percent levels, -1: not visited
    bool is_open[TARIFF_LINES_MAX];   // being visited: meeting it again is a cycle
    size_t ordered;
} compilation;

#define REFUSE(c, ...) fault_set((c)->fault, ERR_BAD_INPUT, __VA_ARGS__)

static err_t refuse_at(compilation *c, const char *reason, const char *format, ...) __attribute__((format(printf, 3, 4)));

static err_t refuse_at(compilation *c, const char *reason, const char *format, ...) {
    char place[sizeof c->fault->place];
    va_list args;
    va_start(args, format);
    vsnprintf(place, sizeof place, format, args);
    va_end(args);
    return REFUSE(c, place, "%s", reason);
}

static bool is_name(sv text) { return text.len > 0 && text.len <= TARIFF_NAME_MAX; }

static err_t compile_periods(compilation *c) {
    const tariff_spec *spec = c->spec;
    if (spec->period_count > TARIFF_PERIODS_MAX) return REFUSE(c, "/periods", "more than %d periods", TARIFF_PERIODS_MAX);
    c->out->periods = spec->period_count ? (uint32_t)spec->period_count : 1;
    if (spec->period_count == 0) sv_copy_truncated(SV("flat"), c->out->period_names[0], sizeof c->out->period_names[0]);
    for (size_t i = 0; i < spec->period_count; i++) {
        if (!is_name(spec->periods[i])) return refuse_at(c, "a period name has 1 to 64 bytes", "/periods/%zu", i);
        if (sv_equal(spec->periods[i], SV("*"))) return refuse_at(c, "\"*\" stands for all periods", "/periods/%zu", i);
        for (size_t j = 0; j < i; j++)
            if (sv_equal(spec->periods[i], spec->periods[j])) return refuse_at(c, "period named twice", "/periods/%zu", i);
        sv_copy_truncated(spec->periods[i], c->out->period_names[i], sizeof c->out->period_names[i]);
    }
    return ERR_OK;
}

static err_t refuse_minutes(compilation *c, int32_t from, int32_t to, const char *reason, const char *place) {
    return REFUSE(c, place, "%s %02d:%02d–%02d:%02d", reason, from / 60, from % 60, to / 60, to % 60);
}

#define NO_PERIOD UINT8_MAX

// Lays one band over the minutes of the day.
static err_t lay_band(compilation *c, size_t row, size_t index, uint8_t minutes[MINUTES_PER_DAY]) {
    const tariff_band *band = &c->spec->rows[row].bands[index];
    int32_t from = band->from_minute;
    int32_t to = band->to_minute;
    if (from < 0 || from >= MINUTES_PER_DAY || to < 0 || to > MINUTES_PER_DAY)
        return refuse_at(c, "a time of day is out of bounds", "/calendar/%zu/bands/%zu", row, index);
    if (band->period >= c->out->periods) return refuse_at(c, "unknown period", "/calendar/%zu/bands/%zu/period", row, index);
    int32_t length = to > from ? to - from : to + MINUTES_PER_DAY - from;
    for (int32_t i = 0; i < length; i++) {
        int32_t minute = (from + i) % MINUTES_PER_DAY;
        if (minutes[minute] == NO_PERIOD) {
            minutes[minute] = (uint8_t)band->period;
            continue;
        }
        int32_t until = i;
        while (until < length && minutes[(from + until) % MINUTES_PER_DAY] != NO_PERIOD) until++;
        char place[64];
        snprintf(place, sizeof place, "/calendar/%zu/bands/%zu/%s", row, index, i == 0 ? "from" : "to");
        return refuse_minutes(c, minute, (from + until) % MINUTES_PER_DAY, "bands overlap", place);
    }
    return ERR_OK;
}

static err_t compile_bands(compilation *c, size_t index) {
    const tariff_row *row = &c->spec->rows[index];
    compiled_row *out = &c->out->rows[index];
    uint8_t minutes[MINUTES_PER_DAY];
    memset(minutes, NO_PERIOD, sizeof minutes);
    if (row->band_count < 1 || row->band_count > TARIFF_BANDS_MAX)
        return refuse_at(c, "a day has 1 to 48 bands", "/calendar/%zu/bands", index);
    for (size_t i = 0; i < row->band_count; i++) {
        err_t err = lay_band(c, index, i, minutes);
        if (err) return err;
    }
    for (int32_t minute = 0; minute < MINUTES_PER_DAY; minute++) {
        if (minutes[minute] == NO_PERIOD) {
            int32_t until = minute;
            while (until < MINUTES_PER_DAY && minutes[until] == NO_PERIOD) until++;
            char place[64];
            snprintf(place, sizeof place, "/calendar/%zu/bands", index);
            return refuse_minutes(c, minute, until, "no band covers", place);
        }
        if (minute == 0 || minutes[minute] != minutes[minute - 1])
            out->segments[out->segment_count++] = (day_segment){minute, minutes[minute]};
    }
    return ERR_OK;
}

static bool is_month_day(month_day day) {
    return day.month >= 1 && day.month <= 12 && day.day >= 1 && day.day <= days_in_month(2000, day.month);
}

static err_t compile_row(compilation *c, size_t index) {
    const tariff_row *row = &c->spec->rows[index];
    compiled_row *out = &c->out->rows[index];
    if (!is_month_day(row->from)) return refuse_at(c, "not a month-day", "/calendar/%zu/from", index);
    if (!is_month_day(row->to)) return refuse_at(c, "not a month-day", "/calendar/%zu/to", index);
    if (row->days == 0 || row->days >= DAY_KIND_BIT(DAY_KIND_COUNT)) return refuse_at(c, "no days", "/calendar/%zu/days", index);
    if (row->flag >= (int32_t)c->spec->flag_count) return refuse_at(c, "unknown flag", "/calendar/%zu/flag", index);
    out->from = row->from;
    out->to = row->to;
    out->days = row->days;
    out->flag = row->flag < 0 ? -1 : row->flag;
    return compile_bands(c, index);
}

// Each date and weekday needs a row that holds without a flag; holidays and workdays fall back to their weekday.
static err_t check_every_day_has_a_row(compilation *c) {
    for (int32_t month = 1; month <= 12; month++) {
        for (int32_t day = 1; day <= days_in_month(2000, month); day++) {
            uint32_t matched = 0;
            for (size_t i = 0; i < c->out->row_count; i++) {
                const compiled_row *row = &c->out->rows[i];
                if (row->flag < 0 && month_day_is_within((month_day){month, day}, row->from, row->to)) matched |= row->days;
            }
            for (int kind = DAY_KIND_MON; kind <= DAY_KIND_SUN; kind++)
                if (!(matched & DAY_KIND_BIT(kind)))
                    return REFUSE(c, "/calendar", "no row holds on %02d-%02d when it is a %s", month, day, day_kind_name((day_kind)kind));
        }
    }
    return ERR_OK;
}

static int by_day(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static err_t compile_flags(compilation *c) {
    const tariff_spec *spec = c->spec;
    if (spec->flag_count > TARIFF_FLAGS_MAX) return REFUSE(c, "/flagged_days", "more than %d flags", TARIFF_FLAGS_MAX);
    c->out->flag_count = spec->flag_count;
    c->out->flags = mem_new(spec->flag_count, sizeof c->out->flags[0]);
    for (size_t i = 0; i < spec->flag_count; i++) {
        const tariff_flag *flag = &spec->flags[i];
        if (flag->day_count > TARIFF_FLAGGED_DAYS_MAX)
            return refuse_at(c, "too many flagged days", "/flagged_days/%.*s", SV_ARG(flag->name));
        c->out->flags[i].day_count = flag->day_count;
        for (size_t j = 0; j < flag->day_count; j++) c->out->flags[i].days[j] = flag->days[j];
        qsort(c->out->flags[i].days, flag->day_count, sizeof(int64_t), by_day);
    }
    return ERR_OK;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

static uint64_t mix_number(uint64_t hash, int64_t value) { return mix(hash, &value, sizeof value); }

static uint64_t band_fingerprint(const tariff *self) {
    sv name = zone_name(self->zone);
    uint64_t hash = mix(14695981039346656037u, name.ptr, name.len);
    hash = mix_number(hash, (int64_t)day_calendar_fingerprint(self->calendar));
    hash = mix_number(hash, self->bucket_offset_ms);
    for (size_t i = 0; i < self->row_count; i++) {
        const compiled_row *row = &self->rows[i];
        hash = mix_number(hash, row->from.month * 100 + row->from.day);
        hash = mix_number(hash, row->to.month * 100 + row->to.day);
        hash = mix_number(hash, (int64_t)row->days << 32 | (uint32_t)row->flag);
        for (size_t j = 0; j < row->segment_count; j++)
            hash = mix_number(hash, (int64_t)row->segments[j].from_minute << 32 | row->segments[j].period);
        hash = mix_number(hash, -1);
    }
    for (size_t i = 0; i < self->flag_count; i++)
        hash = mix_number(mix(hash, self->flags[i].days, self->flags[i].day_count * sizeof(int64_t)), -2);
    return hash ? hash : 1;
}

static err_t compile_calendar(compilation *c) {
    const tariff_spec *spec = c->spec;
    if (spec->row_count > TARIFF_ROWS_MAX) return REFUSE(c, "/calendar", "more than %d rows", TARIFF_ROWS_MAX);
    if (spec->row_count == 0 && c->out->periods > 1) return REFUSE(c, "/", "\"calendar\" is missing: there are several periods");
    err_t err = compile_flags(c);
    if (err) return err;
    c->out->rows = mem_new(spec->row_count, sizeof c->out->rows[0]);
    c->out->row_count = spec->row_count;
    for (size_t i = 0; i < spec->row_count; i++)
        if ((err = compile_row(c, i))) return err;
    if (spec->row_count > 0 && (err = check_every_day_has_a_row(c))) return err;
    if (c->out->periods == 1) c->out->row_count = 0;  // checked, but it decides nothing
    c->out->bucket_offset_ms = zone_stretch_at(c->out->zone, spec->effective_from).offset_s * SECOND_MS;
    c->out->band_fingerprint = band_fingerprint(c->out);
    return ERR_OK;
}

static err_t compile_window(compilation *c) {
    const window_rule *over = &c->spec->over;
    if (over->kind == WINDOW_DAY || over->kind == WINDOW_LIFE) return REFUSE(c, "/tiers/over", "not a tier window");
    if (over->billing_day < 0 || over->billing_day > 28) return REFUSE(c, "/tiers/billing_day", "must be within 1 to 28");
    if (over->kind == WINDOW_SEASON && (over->season_count < 1 || over->season_count > WINDOW_SEASONS_MAX))
        return REFUSE(c, "/tiers/season_starts", "1 to %d starts are needed", WINDOW_SEASONS_MAX);
    for (size_t i = 0; i < over->season_count && over->kind == WINDOW_SEASON; i++) {
        if (!is_month_day(over->seasons[i])) return refuse_at(c, "not a month-day", "/tiers/season_starts/%zu", i);
        int32_t at = over->seasons[i].month * 100 + over->seasons[i].day;
        if (i > 0 && at <= over->seasons[i - 1].month * 100 + over->seasons[i - 1].day)
            return refuse_at(c, "season starts must rise", "/tiers/season_starts/%zu", i);
    }
    c->out->over = *over;
    return ERR_OK;
}

static err_t compile_personal_edges(compilation *c) {
    const tariff_spec *spec = c->spec;
    tariff *out = c->out;
    out->is_personal = out->prorates_opening = spec->prorates_opening;
    for (size_t i = 0; i < spec->upper_count; i++) {
        if (spec->per_head_milli[i] < 0 || spec->per_head_milli[i] > QUANTITY_LIMIT_MILLI || spec->upper_milli[i] > QUANTITY_LIMIT_MILLI)
            return refuse_at(c, "must be within 0 and 10^12 units", "/tiers/upper/%zu", i);
        if (spec->heads_above[i] < 0 || spec->heads_above[i] > TARIFF_HEADS_MAX)
            return refuse_at(c, "must be within 0 to 1000", "/tiers/upper/%zu/heads_above", i);
        out->per_head_milli[i] = spec->per_head_milli[i];
        out->heads_above[i] = spec->heads_above[i];
        out->is_personal = out->is_personal || spec->per_head_milli[i] > 0;
    }
    if (out->is_personal && out->tier_kind == TIER_KIND_VOLUME)
        return REFUSE(c, "/tiers/kind", "edges per head and prorate_opening need graduated tiers");
    return ERR_OK;
}

// Windows are the tiers'. Without tiers there is one for the life of the account, unless a line posts at its close:
// then it is the month.
static void choose_window(compilation *c) {
    bool posts_at_close = false;
    for (size_t i = 0; i < c->spec->line_count; i++) {
        line_kind kind = c->spec->lines[i].kind;
        posts_at_close |= kind == LINE_KIND_DEMAND || kind == LINE_KIND_MINIMUM || kind == LINE_KIND_POWER_FACTOR;
    }
    c->out->over = (window_rule){.kind = posts_at_close ? WINDOW_MONTH : WINDOW_LIFE};
}

static err_t compile_tiers(compilation *c) {
    const tariff_spec *spec = c->spec;
    tariff *out = c->out;
    choose_window(c);
    out->tiers = 1;
    out->tier_upper[0] = INT64_MAX;
    if (!spec->has_tiers) return ERR_OK;
    err_t err = compile_window(c);
    if (err) return err;
    if (spec->upper_count < 1 || spec->upper_count >= TARIFF_TIERS_MAX)
        return REFUSE(c, "/tiers/upper", "1 to %d edges are needed", TARIFF_TIERS_MAX - 1);
    out->tier_kind = spec->tier_kind;
    out->tiers = (uint32_t)spec->upper_count + 1;
    for (size_t i = 0; i < spec->upper_count; i++) {
        if (spec->upper_milli[i] <= (i ? spec->upper_milli[i - 1] : 0))
            return refuse_at(c, "tier edges must rise strictly, from above 0", "/tiers/upper/%zu", i);
        out->tier_upper[i] = spec->upper_milli[i];
    }
    out->tier_upper[spec->upper_count] = INT64_MAX;
    return compile_personal_edges(c);
}

static bool push_edge(tariff *out, int64_t edge) {
    size_t at = 0;
    while (at < out->steps && out->step_upper[at] < edge) at++;
    if (at < out->steps && out->step_upper[at] == edge) return true;
    if (out->steps == RATING_STEPS_MAX) return false;
    memmove(&out->step_upper[at + 1], &out->step_upper[at], (out->steps - at) * sizeof out->step_upper[0]);
    out->step_upper[at] = edge;
    out->steps++;
    return true;
}

// Steps are the tiers (a volume tariff has one), cut once more where a free quantity ends.
static err_t compile_steps(compilation *c) {
    tariff *out = c->out;
    bool is_volume = out->tier_kind == TIER_KIND_VOLUME;
    CHECK(push_edge(out, INT64_MAX));
    for (size_t i = 0; !is_volume && i < out->tiers; i++) CHECK(push_edge(out, out->tier_upper[i]));
    for (size_t i = 0; i < out->line_count; i++) {
        int64_t free_milli = c->spec->lines[i].free_milli;
        if (free_milli > 0 && !push_edge(out, free_milli))
            return refuse_at(c, "too many different free quantities", "/lines/%zu/free_quantity", i);
        for (size_t tier = 0; free_milli > 0 && tier + 1 < out->tiers; tier++)
            if (out->per_head_milli[tier] > 0 && out->tier_upper[tier] < free_milli)
                return refuse_at(c, "passes a tier edge that moves with the heads", "/lines/%zu/free_quantity", i);
    }
    for (size_t step = 0, tier = 0; step < out->steps; step++) {
        out->tier_of_step[step] = (uint32_t)tier;
        out->ends_tier[step] = !is_volume && out->step_upper[step] == out->tier_upper[tier];
        if (out->ends_tier[step]) tier++;
    }
    return ERR_OK;
}

static err_t check_use(compilation *c, size_t index) {
    line_kind kind = c->spec->lines[index].kind;
    if (kind >= LINE_KIND_COUNT) return refuse_at(c, "unknown kind", "/lines/%zu/kind", index);
    return ERR_OK;
}

// The prices of one period (or of the total), one per tier.
static err_t compile_prices(compilation *c, size_t index, size_t period) {
    const tariff_line *line = &c->spec->lines[index];
    const tariff *out = c->out;
    const char *name = line->over_total ? "*" : out->period_names[period];
    size_t count = line->price_count[period];
    if (count == 0) {
        char place[64];
        snprintf(place, sizeof place, "/lines/%zu/prices", index);
        return REFUSE(c, place, "no price for period \"%s\"", name);
    }
    if (count != 1 && count != out->tiers) {
        char place[128];
        snprintf(place, sizeof place, "/lines/%zu/prices/%.64s", index, name);
        return REFUSE(c, place, "%zu prices for %u tiers; give one price, or one per tier", count, out->tiers);
    }
    for (size_t tier = 0; tier < out->tiers; tier++) {
        int64_t price = line->price_micro[period][count == 1 ? 0 : tier];
        if (price > PRICE_LIMIT_MICRO || price < -PRICE_LIMIT_MICRO)
            return refuse_at(c, "a price is too large", "/lines/%zu/prices/%.64s", index, name);
        c->out->lines[index].price_micro[period][tier] = price;
    }
    return ERR_OK;
}

static err_t compile_factors(compilation *c, size_t index) {
    const tariff_line *line = &c->spec->lines[index];
    compiled_line *out = &c->out->lines[index];
    if (line->factor_count < 1 || line->factor_count > TARIFF_POWER_FACTORS_MAX)
        return refuse_at(c, "1 to 64 factors are needed", "/lines/%zu/table", index);
    for (size_t i = 0; i < line->factor_count; i++) {
        const tariff_factor_step *step = &line->factors[i];
        if (step->from_factor_micro < 0 || step->from_factor_micro > MONEY_MICRO)
            return refuse_at(c, "a power factor is within 0 to 1", "/lines/%zu/table/%zu/from", index, i);
        if (i > 0 && step->from_factor_micro <= line->factors[i - 1].from_factor_micro)
            return refuse_at(c, "factors must rise", "/lines/%zu/table/%zu/from", index, i);
        if (step->rate_micro > RATE_LIMIT_MICRO || step->rate_micro < -RATE_LIMIT_MICRO)
            return refuse_at(c, "the rate is too large", "/lines/%zu/table/%zu/rate", index, i);
        out->factors[i].from_factor_micro = step->from_factor_micro;
        out->factors[i].rate = step->rate_micro;
    }
    out->factor_count = line->factor_count;
    return ERR_OK;
}

static accrual counter_of(const tariff_line *line) {
    if (line->per == FIXED_PER_DAY) return ACCRUAL_DAYS;
    return line->prorated_by_day && line->per != FIXED_PER_PURCHASE ? ACCRUAL_SHARES : ACCRUAL_WINDOWS;
}

static err_t compile_quantity_line(compilation *c, size_t index) {
    const tariff_line *line = &c->spec->lines[index];
    compiled_line *out = &c->out->lines[index];
    if (line->free_milli < 0) return refuse_at(c, "must not be negative", "/lines/%zu/free_quantity", index);
    out->free_milli = line->free_milli;
    if (line->has_quantity_rounding) {
        if (line->quantity_scale < 0 || line->quantity_scale > 3)
            return refuse_at(c, "must be within 0 to 3", "/lines/%zu/quantity_rounding/scale", index);
        out->quantity_unit_milli = (int64_t)power_of_ten(3 - line->quantity_scale);
        out->quantity_mode = line->quantity_mode;
    }
    for (size_t period = 0; period < (line->over_total ? 1 : c->out->periods); period++) {
        err_t err = compile_prices(c, index, period);
        if (err) return err;
    }
    return ERR_OK;
}

static err_t compile_line(compilation *c, size_t index) {
    const tariff_line *line = &c->spec->lines[index];
    compiled_line *out = &c->out->lines[index];
    err_t err = check_use(c, index);
    if (err) return err;
    if (!is_name(line->name)) return refuse_at(c, "a line name has 1 to 64 bytes", "/lines/%zu/name", index);
    for (size_t i = 0; i < index; i++)
        if (sv_equal(c->spec->lines[i].name, line->name)) return refuse_at(c, "line named twice", "/lines/%zu/name", index);
    sv_copy_truncated(line->name, out->name, sizeof out->name);
    out->kind = line->kind;
    out->over_total = line->over_total;
    out->amount_micro = line->amount_micro;
    out->per = line->per;
    out->prorated_by_day = line->prorated_by_day;
    out->by_contract = line->by_contract;
    out->of = line->of;
    out->rate_micro = line->rate_micro;
    if (line->amount_micro > PRICE_LIMIT_MICRO || line->amount_micro < -PRICE_LIMIT_MICRO)
        return refuse_at(c, "the amount is too large", "/lines/%zu/amount", index);
    if (line->rate_micro > RATE_LIMIT_MICRO || line->rate_micro < -RATE_LIMIT_MICRO)
        return refuse_at(c, "the rate is too large", "/lines/%zu/rate", index);
    out->counter = counter_of(line);
    bool accrues = line->kind == LINE_KIND_FIXED && line->per != FIXED_PER_PURCHASE;
    c->out->accrues_windows |= accrues && out->counter == ACCRUAL_WINDOWS;
    c->out->accrues_days |= accrues && out->counter != ACCRUAL_WINDOWS;
    if (line->kind == LINE_KIND_FIXED && out->counter == ACCRUAL_SHARES) c->out->shares = RATING_SHARES;
    c->out->has_minimum |= line->kind == LINE_KIND_MINIMUM;
    c->out->needs_closing |= line->kind == LINE_KIND_DEMAND || line->kind == LINE_KIND_POWER_FACTOR;
    if (line->kind == LINE_KIND_POWER_FACTOR) return compile_factors(c, index);
    return line->kind == LINE_KIND_QUANTITY ? compile_quantity_line(c, index) : ERR_OK;
}

// Orders lines behind those they build on, and finds how deep percent lines build on percent lines.
static err_t visit_line(compilation *c, size_t index) {
    const compiled_line *line = &c->out->lines[index];
    if (c->depth[index] >= 0) return ERR_OK;
    if (c->is_open[index]) return refuse_at(c, "the line builds on itself", "/lines/%zu/of", index);
    c->is_open[index] = true;
    int32_t deepest = 0;
    bool is_share = line->kind == LINE_KIND_PERCENT || line->kind == LINE_KIND_POWER_FACTOR;
    bool builds = is_share || line->kind == LINE_KIND_MINIMUM;
    if (builds && (line->of == 0 || line->of >> c->out->line_count)) return refuse_at(c, "unknown line, or none", "/lines/%zu/of", index);
    for (size_t i = 0; builds && i < c->out->line_count; i++) {
        if (!(line->of >> i & 1)) continue;
        err_t err = visit_line(c, i);
        if (err) return err;
        if (c->depth[i] > deepest) deepest = c->depth[i];
    }
    c->depth[index] = deepest + is_share;
    if (c->depth[index] > TARIFF_PERCENT_DEPTH_MAX)
        return refuse_at(c, "percent lines build on each other more than 3 deep", "/lines/%zu/of", index);
    c->out->order[c->ordered++] = index;
    return ERR_OK;
}

static bool is_multiple(const tariff *out, int64_t by) {
    for (size_t i = 0; i < out->line_count; i++) {
        if (out->lines[i].rate_micro % by != 0) return false;
        for (size_t j = 0; j < out->lines[i].factor_count; j++)
            if (out->lines[i].factors[j].rate % by != 0) return false;
    }
    return true;
}

static unsigned __int128 power_of_five(int32_t exponent) { return (unsigned __int128)power_of_ten(exponent) >> exponent; }

// Newton's iteration doubles the right bits: 3, 6, … 192.
static unsigned __int128 inverse_of_odd(unsigned __int128 odd) {
    unsigned __int128 inverse = odd;
    for (int i = 0; i < 6; i++) inverse *= 2 - odd * inverse;
    return inverse;
}

// Brings all rates to the fewest decimals that hold them: fewer decimals, wider sums.
static int32_t compile_rates(tariff *out) {
    int32_t scale = MONEY_SCALE;
    int64_t by = 1;
    while (scale > 0 && is_multiple(out, by * 10)) {
        scale--;
        by *= 10;
    }
    out->rate_inverse = inverse_of_odd(power_of_five(scale));
    for (size_t i = 0; i < out->line_count; i++) {
        out->lines[i].rate = out->lines[i].rate_micro / by;
        for (size_t j = 0; j < out->lines[i].factor_count; j++) out->lines[i].factors[j].rate /= by;
    }
    return scale;
}

static err_t compile_lines(compilation *c) {
    if (c->spec->line_count < 1 || c->spec->line_count > TARIFF_LINES_MAX)
        return REFUSE(c, "/lines", "1 to %d lines are needed", TARIFF_LINES_MAX);
    c->out->line_count = c->spec->line_count;
    err_t err = compile_steps(c);
    if (err) return err;
    c->out->shares = 1;
    for (size_t i = 0; i < c->out->line_count; i++)
        if ((err = compile_line(c, i))) return err;
    c->out->has_closing_lines = c->out->needs_closing || c->out->has_minimum;
    c->out->closes_apart = c->out->has_closing_lines && c->out->use == TARIFF_FOR_CHARGING;
    if (c->out->has_minimum) c->out->shares = RATING_SHARES;
    memset(c->depth, -1, sizeof c->depth);
    int32_t deepest = 0;
    for (size_t i = 0; i < c->out->line_count; i++) {
        if ((err = visit_line(c, i))) return err;
        if (c->depth[i] > deepest) deepest = c->depth[i];
    }
    if (!price_ahead_fits(c->out))
        return REFUSE(c, "/tiers/upper", "volume tiers and quantity roundings make more than %d edges", RATING_AHEAD_MAX - 1);
    c->out->rate_scale = compile_rates(c->out);
    c->out->exact_scale = PRODUCT_SCALE + c->out->rate_scale * deepest;
    return ERR_OK;
}

static int128 magnitude(int128 value) { return value < 0 ? -value : value; }

// What one milli-unit in a cell, or one count of an accrual, comes to on one line that builds on no other.
static int128 basic_weight(const tariff *out, size_t index, uint32_t plane, size_t column) {
    const compiled_line *line = &out->lines[index];
    size_t cells = (size_t)out->periods * out->steps;
    if (line->kind == LINE_KIND_FIXED && line->per != FIXED_PER_PURCHASE && column == cells + line->counter) return line->unit_price;
    if (line->kind != LINE_KIND_QUANTITY || column >= cells) return 0;
    size_t row = line->over_total ? 0 : column / out->steps;
    return price_of_step(out, line, row, column % out->steps, plane) * out->product_lift;
}

// All lines of one column; false when one passes the limit.
static bool weigh_column(tariff *out, uint32_t plane, size_t column, int128 *out_weight, int128 *out_reach) {
    int128 amounts[TARIFF_LINES_MAX];
    for (size_t i = 0; i < out->line_count; i++) amounts[i] = basic_weight(out, i, plane, column);
    if (!price_dependent_lines(out, &(dependence){0}, amounts)) return false;
    *out_weight = *out_reach = 0;
    for (size_t i = 0; i < out->line_count; i++) {
        *out_weight += amounts[i];
        *out_reach += magnitude(amounts[i]);
    }
    return true;
}

// Of each line with rounded quantities by itself, without shares. Where one does not fit, lines are priced one by one.
static bool weigh_rounded_lines(tariff *out) {
    size_t cells = (size_t)out->periods * out->steps;
    for (size_t i = 0; i < out->line_count && out->is_linear; i++) {
        compiled_line *line = &out->lines[i];
        if (line->quantity_unit_milli == 0) continue;
        line->unit_weights = mem_new(cells, sizeof line->unit_weights[0]);
        for (size_t cell = 0; cell < (line->over_total ? out->steps : cells); cell++) {
            int128 amounts[TARIFF_LINES_MAX] = {0};
            int128 sum = 0;
            amounts[i] = basic_weight(out, i, 0, cell);
            if (!price_dependent_lines(out, &(dependence){0}, amounts)) return false;
            for (size_t j = 0; j < out->line_count; j++) sum += amounts[j];
            sum /= out->shares;
            if (magnitude(sum) > INT64_MAX) out->is_linear = false;
            line->unit_weights[cell] = (int64_t)sum;
        }
    }
    return true;
}

static void gather_rounded_lines(tariff *out) {
    for (size_t i = 0; i < out->line_count; i++) {
        const compiled_line *line = &out->lines[i];
        if (line->quantity_unit_milli == 0) continue;
        out->rounded[out->rounded_count++] =
            (rounded_line){line->quantity_unit_milli, line->unit_weights, line->quantity_mode, line->over_total};
    }
}

// The prices that do not depend on quantities; exact.
static bool compile_unit_prices(tariff *out) {
    int128 one = power_of_ten(out->exact_scale - MONEY_SCALE);
    out->product_lift = power_of_ten(out->exact_scale - PRODUCT_SCALE) * out->shares;
    for (size_t i = 0; i < out->line_count; i++) {
        compiled_line *line = &out->lines[i];
        if (line->kind != LINE_KIND_FIXED && line->kind != LINE_KIND_MINIMUM) continue;
        bool is_share = line->kind == LINE_KIND_FIXED && line->counter == ACCRUAL_SHARES;
        if (__builtin_mul_overflow(one * (is_share ? 1 : out->shares), (int128)line->amount_micro, &line->unit_price)) return false;
        if (magnitude(line->unit_price) > AMOUNT_LIMIT) return false;
    }
    return true;
}

// No account lives to see more: 10 000 years of months, and of days in shares.
static int128 most_counted(size_t counter) { return counter == ACCRUAL_SHARES ? (int128)1 << 36 : (int128)1 << 22; }

static err_t compile_weights(compilation *c) {
    tariff *out = c->out;
    size_t cells = (size_t)out->periods * out->steps;
    size_t columns = cells + ACCRUAL_COUNT;
    uint32_t planes = out->tier_kind == TIER_KIND_VOLUME ? out->tiers : 1;
    if (!compile_unit_prices(out)) return REFUSE(c, "/lines", "amounts and rates multiply to too much");
    out->weights = mem_new(planes * columns, sizeof out->weights[0]);
    out->narrow_weights = mem_new(planes * columns, sizeof out->narrow_weights[0]);
    int128 largest = 1;
    out->is_narrow = true;
    for (size_t at = 0; at < planes * columns; at++) {
        size_t column = at % columns;
        int128 reach;
        if (!weigh_column(out, (uint32_t)(at / columns), column, &out->weights[at], &reach))
            return REFUSE(c, "/lines", "prices and rates multiply to too much");
        if (column >= cells && reach > AMOUNT_LIMIT / most_counted(column - cells))
            return REFUSE(c, "/lines", "fixed amounts and rates multiply to too much");
        if (column < cells && reach > largest) largest = reach;
        int128 narrow = out->weights[at] / out->shares;  // nothing is left over: only counters know shares
        bool fits = magnitude(narrow) <= INT64_MAX;
        out->narrow_weights[at] = fits ? (int64_t)narrow : 0;
        if (column < cells && !fits) out->is_narrow = false;
    }
    for (size_t i = 0; i < out->line_count; i++) out->has_rounded_quantities |= out->lines[i].quantity_unit_milli > 0;
    out->is_linear = out->tier_kind == TIER_KIND_GRADUATED || !out->has_rounded_quantities;
    if (!weigh_rounded_lines(out)) return REFUSE(c, "/lines", "prices and rates multiply to too much");
    gather_rounded_lines(out);
    out->is_simple = out->is_linear && !out->has_rounded_quantities && !out->has_closing_lines && out->tier_kind == TIER_KIND_GRADUATED &&
                     out->shares == 1 && !out->accrues_windows && !out->accrues_days;
    out->is_incremental = out->is_linear && out->is_narrow && out->tier_kind == TIER_KIND_GRADUATED && !out->rounds_each_line &&
                          (!out->has_closing_lines || out->closes_apart);
    // An amount at this quantity still fits 2^62 micro-units, and the sum of products 2^124.
    int128 limit = ((int128)1 << 124) / largest;
    int128 lowest_micro = power_of_ten(out->exact_scale - MONEY_SCALE) * out->shares;
    if (lowest_micro < (int128)1 << 62 && ((int128)1 << 62) * lowest_micro / largest < limit)
        limit = ((int128)1 << 62) * lowest_micro / largest;
    out->quantity_limit_milli = limit < QUANTITY_LIMIT_MILLI ? (int64_t)limit : QUANTITY_LIMIT_MILLI;
    if (out->quantity_limit_milli < QUANTITY_LIMIT_LEAST) return REFUSE(c, "/lines", "prices and rates are too large to rate exactly");
    return ERR_OK;
}

static err_t compile_head(compilation *c) {
    const tariff_spec *spec = c->spec;
    tariff *out = c->out;
    if (spec->version == 0) BUG("a tariff needs a version");
    if (!is_name(spec->code)) return REFUSE(c, "/code", "a code has 1 to 64 bytes");
    if (!utility_has_unit(spec->utility, spec->unit))
        return REFUSE(c, "/unit", "%s is not measured in this unit", utility_name(spec->utility));
    if (spec->rounding_scale < 0 || spec->rounding_scale > MONEY_SCALE) return REFUSE(c, "/rounding/scale", "must be within 0 to 6");
    out->version = spec->version;
    sv_copy_truncated(spec->code, out->code, sizeof out->code);
    out->currency = spec->currency;
    sv_copy_truncated(spec->unit, out->unit, sizeof out->unit);
    out->effective_from = spec->effective_from;
    out->zone = spec->zone;
    out->calendar = spec->calendar;
    out->rounding = spec->rounding;
    out->rounding_scale = spec->rounding_scale;
    out->rounds_each_line = spec->rounds_each_line;
    return ERR_OK;
}

err_t tariff_new(const tariff_spec *spec, tariff_use use, tariff **out_tariff, fault *out_fault) {
    AUTO_TARIFF self = mem_new(1, sizeof *self);
    self->use = use;
    compilation c = {.spec = spec, .out = self, .fault = out_fault};
    err_t err;
    if ((err = compile_head(&c)) || (err = compile_periods(&c)) || (err = compile_calendar(&c)) || (err = compile_tiers(&c)) ||
        (err = compile_lines(&c)) || (err = compile_weights(&c)))
        return err;
    self->plain_divisor = power_of_ten(self->exact_scale - self->rounding_scale);
    self->rounding_divisor = self->plain_divisor * self->shares;
    self->rounding_step = (int64_t)power_of_ten(MONEY_SCALE - self->rounding_scale);
    *out_tariff = self;
    self = NULL;
    return ERR_OK;
}
