// A year rated anew: packed days are unpacked and every reading goes through charging_apply, as `ledger verify`, a replay
// and a simulation do; the database is left out. Two threads, half of the points each.
#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"
#include "charging/point.h"
#include "metering/day_row.h"

#define DAYS 366  // of 2024
#define THREADS 2
#define PROFILES 16  // different years; points share them
#define YEAR_SECONDS_MAX 60

typedef struct packed_year {
    buf days[DAYS];
} packed_year;

typedef struct share {
    const charging_setup *setup;
    const packed_year *years;
    size_t from, to;  // points
    int64_t cpu_ns, readings;
    money_micro charged;
} share;

static void pack_year(size_t profile, packed_year *out) {
    int64_t value = 0;
    for (size_t day = 0; day < DAYS; day++) {
        day_reading readings[READINGS_PER_DAY];
        instant_ms midnight = START + (instant_ms)day * DAY_MS;
        for (size_t i = 0; i < READINGS_PER_DAY; i++) {
            rating_interval reading = reading_of(profile, (int64_t)(day * READINGS_PER_DAY + i));
            value += reading.quantity_milli;
            readings[i] = (day_reading){.at = reading.to - 1, .value = value};
        }
        buf_init(&out->days[day], DAY_ROW_BYTES_MAX);
        if (day_row_pack(readings, READINGS_PER_DAY, midnight, &out->days[day])) BUG("a day was not packed");
    }
}

static void rate_day(share *self, rating_cache *cache, sv packed, instant_ms midnight, charging_point *point, charging_outcome *outcome) {
    day_reading readings[READINGS_PER_DAY];
    size_t count = 0;
    if (day_row_unpack(packed, midnight, readings, READINGS_PER_DAY, &count)) BUG("a day was not read back");
    for (size_t i = 0; i < count; i++) {
        charging_poll poll = {.channel = 1, .at = readings[i].at, .value = readings[i].value, .quality = readings[i].quality};
        vec_clear(&outcome->pieces);
        if (charging_apply(self->setup, cache, point, &poll, outcome) != CHARGING_CHARGED) BUG("a reading was not charged");
        for (size_t k = 0; k < outcome->pieces.len; k++) self->charged += outcome->pieces.items[k].amount;
    }
    self->readings += (int64_t)count;
}

static void *rate_share(void *context) {
    share *self = context;
    int64_t begin = cpu_ns();
    AUTO_RATING_CACHE cache = rating_cache_new(4096);
    charging_outcome outcome = {0};
    for (size_t i = self->from; i < self->to; i++) {
        charging_point point;
        charging_point_init(&point);
        const packed_year *year = &self->years[i % PROFILES];
        for (size_t day = 0; day < DAYS; day++)
            rate_day(self, cache, buf_view(&year->days[day]), START + (instant_ms)day * DAY_MS, &point, &outcome);
    }
    charging_outcome_done(&outcome);
    self->cpu_ns = cpu_ns() - begin;
    return NULL;
}

static bool report(const share *shares, int64_t wall_ms, int64_t points) {
    int64_t readings = 0, cpu = 0, longest = 0;
    for (size_t i = 0; i < THREADS; i++) {
        readings += shares[i].readings;
        cpu += shares[i].cpu_ns;
        if (shares[i].cpu_ns > longest) longest = shares[i].cpu_ns;
    }
    printf(
        "\"year_points\":%lld,\"year_readings\":%lld,\"year_threads\":%d,\"year_wall_ms\":%lld,\"year_cpu_ms\":%lld,"
        "\"year_cpu_ns_a_reading\":%lld,",
        (long long)points, (long long)readings, THREADS, (long long)wall_ms, (long long)(cpu / 1000000), (long long)(cpu / readings));
    // The bound is for 10 000 points with a core for each thread.
    return longest / points * 10000 <= YEAR_SECONDS_MAX * 1000000000LL;
}

bool run_year(const bench_options *options, const zone *in_zone) {
    AUTO_TARIFF rated = full_language(in_zone, 3);
    charging_installation installation = {.channel = 1,
                                          .from = START - HOUR_MS,
                                          .to = INSTANT_MAX,
                                          .closing_value = -1,
                                          .ratio_num = 1,
                                          .ratio_den = 1,
                                          .limits = {.max_per_hour = 100000, .range = 1000000000, .resolution = 10}};
    charging_holder holder = {.account = 1, .purse = 1, .from = START - HOUR_MS, .to = INSTANT_MAX};
    charging_version version = {.from = INSTANT_MIN, .num = 3, .tariff = rated};
    charging_setup setup = {.company = 1,
                            .usage_point = 1,
                            .zone = in_zone,
                            .installation_count = 1,
                            .installations = &installation,
                            .holder_count = 1,
                            .holders = &holder,
                            .version_count = 1,
                            .versions = &version,
                            .rated_version = -1};
    packed_year *years = mem_new(PROFILES, sizeof *years);
    for (size_t i = 0; i < PROFILES; i++) pack_year(i, &years[i]);
    share shares[THREADS];
    pthread_t threads[THREADS];
    int64_t begin_ms = clock_monotonic_ms();
    for (size_t i = 0; i < THREADS; i++) {
        size_t points = (size_t)options->year_points;
        shares[i] = (share){.setup = &setup, .years = years, .from = points * i / THREADS, .to = points * (i + 1) / THREADS};
        CHECK(pthread_create(&threads[i], NULL, rate_share, &shares[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    bool held = report(shares, clock_monotonic_ms() - begin_ms, options->year_points);
    for (size_t i = 0; i < PROFILES; i++)
        for (size_t day = 0; day < DAYS; day++) buf_done(&years[i].days[day]);
    mem_free(years);
    return held;
}
