// A register is a sum of four independent period registers. Each one is: whole weeks, plus days of this week, plus a
// displacement of the day's start (at most 30 % of the day ahead of it), plus the hours of the day by weight, plus a
// displacement of the hour's start (at most half of the hour ahead of it). A displacement never passes the next
// boundary, which keeps the register monotonic without remembering anything.
#include "fleet/profile.h"

#include "base/check.h"
#include "base/mem.h"

#define HOURS 24
#define MONDAY_DAY 19723  // 2024-01-01, a Monday, in days since 1970-01-01
#define DAY_JITTER_PERCENT 30
#define METER_SCALE_MIN_PERMILLE 500
#define METER_SCALE_SPAN_PERMILLE 1001

typedef struct profile_row {
    const char *name;
    int64_t day_wh[2];     // weekday, weekend
    const char *shape[2];  // one digit per hour
} profile_row;

static const profile_row PROFILES[] = {
#define FLEET_PROFILE(name, text, weekday_wh, weekend_wh, weekday_shape, weekend_shape) \
    {text, {weekday_wh, weekend_wh}, {weekday_shape, weekend_shape}},
#include "fleet/profiles.def"
#undef FLEET_PROFILE
};

// The period register that counts in each local hour: 1 sharp, 2 peak, 3 flat, 4 valley.
static const char HOUR_PERIOD[HOURS + 1] = "444444432223333332211244";

const char *fleet_profile_name(fleet_profile profile) { return PROFILES[profile].name; }

bool fleet_profile_parse(sv text, fleet_profile *out_profile) {
    for (size_t i = 0; i < ARRAY_LEN(PROFILES); i++)
        if (sv_equal(text, sv_of(PROFILES[i].name))) {
            *out_profile = (fleet_profile)i;
            return true;
        }
    return false;
}

uint64_t fleet_mix(uint64_t a, uint64_t b) {
    uint64_t x = a * 0x9E3779B97F4A7C15u ^ (b + 0xD1B54A32D192ED03u);
    x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93u;
    x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93u;
    return x ^ (x >> 32);
}

static int64_t chance_below(uint64_t key, uint64_t index, int64_t bound) {
    return bound <= 0 ? 0 : (int64_t)(fleet_mix(key, index) % (uint64_t)bound);
}

static int64_t hour_weight(const char *shape, int hour, int period) { return HOUR_PERIOD[hour] - '1' == period ? shape[hour] - '0' : 0; }

static int64_t weight_before(const char *shape, int hour, int period) {
    int64_t sum = 0;
    for (int h = 0; h < hour; h++) sum += hour_weight(shape, h, period);
    return sum;
}

// One period register of one meter.
typedef struct period_load {
    const profile_row *row;
    int period;
    uint64_t key;       // of this meter and period
    int64_t day_wh[2];  // mean energy of a weekday and a weekend day
} period_load;

static period_load period_load_of(const fleet_load *self, int period) {
    const profile_row *row = &PROFILES[self->profile];
    uint64_t meter = fleet_mix(self->seed, self->address);
    int64_t permille = METER_SCALE_MIN_PERMILLE + (int64_t)(meter % METER_SCALE_SPAN_PERMILLE);
    period_load load = {.row = row, .period = period, .key = fleet_mix(meter, (uint64_t)period)};
    for (int kind = 0; kind < 2; kind++) {
        int64_t all = 0;
        for (int p = 0; p < FLEET_PERIODS; p++) all += weight_before(row->shape[kind], HOURS, p);
        load.day_wh[kind] = row->day_wh[kind] * permille * weight_before(row->shape[kind], HOURS, period) / (all * 1000);
    }
    return load;
}

static int day_kind(int64_t day) { return day % 7 >= 5; }

// Energy from the first Monday to the start of `day`.
static int64_t day_start_wh(const period_load *load, int64_t day) {
    int64_t weekday = day % 7;
    int64_t mean = day / 7 * (5 * load->day_wh[0] + 2 * load->day_wh[1]);
    mean += weekday <= 5 ? weekday * load->day_wh[0] : 5 * load->day_wh[0] + (weekday - 5) * load->day_wh[1];
    int64_t bound = load->day_wh[day_kind(day)] * DAY_JITTER_PERCENT / 100;
    return mean + chance_below(load->key, (uint64_t)day * 32, bound);
}

// Energy from the start of `day` to the start of `hour` (0–24) in it. The start of a period's first hour is not
// displaced: that would count energy in an hour of another period.
static int64_t hour_start_wh(const period_load *load, int64_t day, int64_t whole_day_wh, int hour) {
    const char *shape = load->row->shape[day_kind(day)];
    int64_t weights = weight_before(shape, HOURS, load->period);
    if (weights == 0) return hour == HOURS ? whole_day_wh : 0;
    int64_t start = whole_day_wh * weight_before(shape, hour, load->period) / weights;
    if (hour == 0 || hour == HOURS || HOUR_PERIOD[hour - 1] != HOUR_PERIOD[hour]) return start;
    int64_t next = whole_day_wh * weight_before(shape, hour + 1, load->period) / weights;
    return start + chance_below(load->key, (uint64_t)day * 32 + 1 + (uint64_t)hour, (next - start) / 2);
}

static int64_t local_ms_of(instant_ms at) {
    int64_t local_ms = at + FLEET_UTC_OFFSET_S * SECOND_MS - MONDAY_DAY * DAY_MS;
    return local_ms < 0 ? 0 : local_ms;
}

// Adds to one period of `hour` what it counted until the hour's start and what it counts within it.
static void add_period(fleet_hour *hour, const period_load *load, int64_t local_ms) {
    int64_t day = local_ms / DAY_MS;
    int of_day = (int)(local_ms % DAY_MS / HOUR_MS);
    int64_t day_start = day_start_wh(load, day);
    int64_t whole_day = day_start_wh(load, day + 1) - day_start;
    int64_t start = hour_start_wh(load, day, whole_day, of_day);
    int64_t end = hour_start_wh(load, day, whole_day, of_day + 1);
    CHECK(end >= start);
    hour->start.period_wh[load->period] += day_start + start;
    hour->start.total_wh += day_start + start;
    hour->energy_wh[load->period] = end - start;
}

static fleet_hour hour_of_loads(const period_load loads[FLEET_PERIODS], instant_ms at) {
    int64_t local_ms = local_ms_of(at);
    fleet_hour hour = {.from = at - (at + FLEET_UTC_OFFSET_S * SECOND_MS) % HOUR_MS};
    for (int p = 0; p < FLEET_PERIODS; p++) add_period(&hour, &loads[p], local_ms);
    return hour;
}

// The start register is dealt to the periods as a mean weekday would deal it; what division leaves goes to the third.
static fleet_registers start_registers(const fleet_load *self, const period_load loads[FLEET_PERIODS]) {
    int64_t day = 0;
    for (int p = 0; p < FLEET_PERIODS; p++) day += loads[p].day_wh[0];
    fleet_registers start = {.total_wh = self->start_wh};
    int64_t rest = self->start_wh;
    for (int p = 0; p < FLEET_PERIODS; p++) {
        start.period_wh[p] = day ? (int64_t)((__int128)self->start_wh * loads[p].day_wh[0] / day) : 0;
        rest -= start.period_wh[p];
    }
    start.period_wh[2] += rest;
    return start;
}

fleet_hour fleet_load_hour(const fleet_load *self, instant_ms at) {
    period_load loads[FLEET_PERIODS];
    for (int p = 0; p < FLEET_PERIODS; p++) loads[p] = period_load_of(self, p);
    fleet_hour hour = hour_of_loads(loads, at);
    fleet_hour origin_hour = hour_of_loads(loads, self->start_at);
    fleet_registers origin = fleet_hour_at(&origin_hour, self->start_at);
    fleet_registers start = start_registers(self, loads);
    for (int p = 0; p < FLEET_PERIODS; p++) hour.start.period_wh[p] += start.period_wh[p] - origin.period_wh[p];
    hour.start.total_wh += start.total_wh - origin.total_wh;
    return hour;
}

fleet_registers fleet_hour_at(const fleet_hour *self, instant_ms at) {
    fleet_registers registers = self->start;
    int64_t elapsed_ms = local_ms_of(at) % HOUR_MS;
    for (int p = 0; p < FLEET_PERIODS; p++) {
        int64_t used = self->energy_wh[p] * elapsed_ms / HOUR_MS;
        registers.period_wh[p] += used;
        registers.total_wh += used;
    }
    return registers;
}

fleet_registers fleet_load_at(const fleet_load *self, instant_ms at) {
    fleet_hour hour = fleet_load_hour(self, at);
    return fleet_hour_at(&hour, at);
}

int64_t fleet_load_used_wh(const fleet_load *self, instant_ms from, instant_ms to) {
    return fleet_load_at(self, to).total_wh - fleet_load_at(self, from).total_wh;
}

int64_t fleet_hour_power_w(const fleet_hour *self) {
    int64_t power_w = 0;
    for (int p = 0; p < FLEET_PERIODS; p++) power_w += self->energy_wh[p];
    return power_w;
}

int64_t fleet_display_counts(int64_t energy_wh) { return energy_wh < 0 ? 0 : energy_wh / 10 % 100000000; }
