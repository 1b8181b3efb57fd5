// What rating one reading costs, under a tariff of five periods, three month tiers and a surcharge, and under one that
// uses the language to the full, beside the bare arithmetic it contains, in the same run; with millions of states in
// memory; what reading a document costs; and rating a year anew. Prints one JSON object; exit status 1 when a bound of
// loadtest/REPORT.md is missed.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "bench.h"

#define PACKED_BYTES 192
#define CELLS 15

// Every allocation of the process passes here.
int64_t allocations;
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
void *malloc(size_t size) { return allocations++, __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return allocations++, __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { return allocations++, __libc_realloc(block, size); }

typedef struct packed_state {
    uint8_t len;
    uint8_t bytes[PACKED_BYTES];
} packed_state;

int64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static tariff *compile(const zone *in_zone, uint64_t version, const tariff_line *lines, size_t count) {
    // Each version has bands of its own, and so its own entry of the cache.
    const int32_t shift = (int32_t)(version % 400);
    static const char *const NAMES[] = {"critical_peak", "peak", "flat", "valley", "deep_valley"};
    const tariff_band bands[] = {{0, 480 - shift, 3}, {480 - shift, 660, 1}, {660, 780, 2},  {780, 900, 4},
                                 {900, 1080, 2},      {1080, 1200, 0},       {1200, 1440, 1}};
    const tariff_row row = {{1, 1}, {12, 31}, 0x7F, -1, ARRAY_LEN(bands), bands};
    tariff_spec spec = {.version = version,
                        .code = SV("bench"),
                        .utility = UTILITY_ELECTRICITY,
                        .unit = SV("kWh"),
                        .effective_from = START,
                        .zone = in_zone,
                        .period_count = 5,
                        .row_count = 1,
                        .rows = &row,
                        .has_tiers = true,
                        .over = {.kind = WINDOW_MONTH},
                        .upper_count = 2,
                        .upper_milli = {240000, 400000},
                        .line_count = count,
                        .lines = lines,
                        .rounding_scale = 2};
    for (size_t i = 0; i < 5; i++) spec.periods[i] = sv_of(NAMES[i]);
    tariff *out = NULL;
    fault why = {0};
    if (tariff_new(&spec, TARIFF_FOR_CHARGING, &out, &why)) check_failed(why.reason, __FILE__, __LINE__);
    return out;
}

static tariff *five_periods_three_tiers(const zone *in_zone, uint64_t version) {
    tariff_line lines[2] = {{.name = SV("energy"), .kind = LINE_KIND_QUANTITY},
                            {.name = SV("surcharge"), .kind = LINE_KIND_QUANTITY, .over_total = true, .price_count = {3}}};
    for (size_t period = 0; period < 5; period++) {
        lines[0].price_count[period] = 3;
        for (int64_t tier = 0; tier < 3; tier++) lines[0].price_micro[period][tier] = 300000 + (int64_t)period * 170000 + tier * 60000;
    }
    for (int64_t tier = 0; tier < 3; tier++) lines[1].price_micro[0][tier] = tier * 50000;
    return compile(in_zone, version, lines, ARRAY_LEN(lines));
}

// The language at its widest: taxed, with whole kWh, free units, a fixed part by day, and a minimum at the month's end.
tariff *full_language(const zone *in_zone, uint64_t version) {
    tariff_line lines[6] = {
        {.name = SV("energy"), .kind = LINE_KIND_QUANTITY, .has_quantity_rounding = true, .quantity_mode = ROUNDING_TRUNCATE},
        {.name = SV("surcharge"), .kind = LINE_KIND_QUANTITY, .over_total = true, .price_count = {3}, .free_milli = 50000},
        {.name = SV("rent"), .kind = LINE_KIND_FIXED, .amount_micro = 15000000, .per = FIXED_PER_MONTH, .prorated_by_day = true},
        {.name = SV("fund"), .kind = LINE_KIND_PERCENT, .rate_micro = 12500, .of = 3},
        {.name = SV("least"), .kind = LINE_KIND_MINIMUM, .amount_micro = 20000000, .of = 3},
        {.name = SV("tax"), .kind = LINE_KIND_PERCENT, .rate_micro = 130000, .of = 31}};
    for (size_t period = 0; period < 5; period++) {
        lines[0].price_count[period] = 3;
        for (int64_t tier = 0; tier < 3; tier++) lines[0].price_micro[period][tier] = 300000 + (int64_t)period * 170000 + tier * 60000;
    }
    for (int64_t tier = 0; tier < 3; tier++) lines[1].price_micro[0][tier] = tier * 50000;
    return compile(in_zone, version, lines, ARRAY_LEN(lines));
}

rating_interval reading_of(size_t point, int64_t slot) {
    instant_ms from = START + slot * READING_MS;
    return (rating_interval){
        .from = from, .to = from + READING_MS, .quantity_milli = 100 + (int64_t)(point * 7919 + (size_t)slot * 31) % 900};
}

// The floor: one cell of the matrix, fifteen products, one division with rounding; no bands, no tiers, no windows.
measure measure_arithmetic(int64_t points, int64_t slots) {
    int64_t weights[CELLS];
    for (size_t i = 0; i < CELLS; i++) weights[i] = 300000 + (int64_t)i * 17000;
    int64_t(*matrix)[CELLS] = mem_new((size_t)points, sizeof *matrix);
    int64_t *charged = mem_new((size_t)points, sizeof *charged);
    measure out = {0};
    int64_t begin = cpu_ns();
    for (int64_t slot = 0; slot < slots; slot++) {
        for (size_t point = 0; point < (size_t)points; point++) {
            rating_interval reading = reading_of(point, slot);
            matrix[point][(size_t)slot % CELLS] += reading.quantity_milli;
            __int128 sum = 0;
            for (size_t i = 0; i < CELLS; i++) sum += (__int128)matrix[point][i] * weights[i];
            int64_t price = (int64_t)(((int64_t)sum + 5000000) / 10000000) * 10000;
            out.charged += price - charged[point];
            charged[point] = price;
            out.readings++;
        }
    }
    out.ns = cpu_ns() - begin;
    mem_free(matrix);
    mem_free(charged);
    return out;
}

static money_micro charge(const tariff *rated, rating_cache *cache, rating_state *state, size_t point, int64_t slot) {
    rating_interval reading = reading_of(point, slot);
    rating_result result;
    if (rating_charge(rated, cache, state, &reading, &result, NULL) != RATING_OK) BUG("a reading was not rated");
    return result.amount_micro;
}

static measure measure_charge(const tariff *rated, rating_cache *cache, int64_t points, int64_t days) {
    rating_state *states = mem_new((size_t)points, sizeof *states);
    measure out = {0};
    int64_t before = allocations;
    int64_t begin = cpu_ns();
    for (int64_t slot = 0; slot < days * READINGS_PER_DAY; slot++) {
        for (size_t point = 0; point < (size_t)points; point++) {
            out.charged += charge(rated, cache, &states[point], point, slot);
            out.readings++;
        }
    }
    out.ns = cpu_ns() - begin;
    out.allocations = allocations - before;
    mem_free(states);
    return out;
}

// As billing does it: each state lives packed.
static measure measure_packed(const tariff *rated, rating_cache *cache, int64_t points, int64_t days, size_t *out_largest) {
    packed_state *states = mem_new((size_t)points, sizeof *states);
    measure out = {0};
    int64_t before = allocations;
    int64_t begin = cpu_ns();
    for (int64_t slot = 0; slot < days * READINGS_PER_DAY; slot++) {
        for (size_t point = 0; point < (size_t)points; point++) {
            __attribute__((uninitialized)) rating_state state;
            __attribute__((uninitialized)) uint8_t bytes[RATING_STATE_BYTES_MAX];
            if (rating_state_unpack(sv_slice(states[point].bytes, states[point].len), &state, NULL)) BUG("a state was not read back");
            out.charged += charge(rated, cache, &state, point, slot);
            size_t len = rating_state_pack(&state, bytes);
            CHECK(len <= PACKED_BYTES);
            memcpy(states[point].bytes, bytes, len);
            states[point].len = (uint8_t)len;
            if (len > *out_largest) *out_largest = len;
            out.readings++;
        }
    }
    out.ns = cpu_ns() - begin;
    out.allocations = allocations - before;
    mem_free(states);
    return out;
}

static long long tenths(const measure *of) { return (long long)(of->ns * 10 / of->readings); }

void print_ns(const char *name, const measure *of) { printf("\"%s_ns\":%lld.%lld,", name, tenths(of) / 10, tenths(of) % 10); }

// Figures of states that are few enough for a look at the arithmetic alone.
static bool run_few(const bench_options *options, const zone *in_zone) {
    int64_t points = options->points, days = options->days;
    AUTO_TARIFF rated = five_periods_three_tiers(in_zone, 1);
    AUTO_TARIFF full = full_language(in_zone, 2);
    AUTO_RATING_CACHE cache = rating_cache_new(64);
    size_t largest = 0, largest_full = 0;
    int64_t few = points < 256 ? points : 256, many_days = days * (points / few);
    measure floor = measure_arithmetic(points, days * READINGS_PER_DAY);
    measure hot = measure_charge(rated, cache, few, many_days);
    measure scattered = measure_charge(rated, cache, points, days);
    measure packed = measure_packed(rated, cache, points, days, &largest);
    measure full_hot = measure_charge(full, cache, few, many_days);
    measure full_scattered = measure_charge(full, cache, points, days);
    measure full_packed = measure_packed(full, cache, points, days, &largest_full);
    if (full_packed.charged != full_scattered.charged) BUG("packed states were charged otherwise");
    if (packed.charged != scattered.charged) BUG("packed states were charged otherwise");
    int64_t allocated = hot.allocations + scattered.allocations + packed.allocations + full_hot.allocations + full_scattered.allocations +
                        full_packed.allocations;
    printf("\"readings\":%lld,", (long long)packed.readings);
    print_ns("floor", &floor);
    print_ns("charge_hot", &hot);
    print_ns("charge", &scattered);
    print_ns("unpack_charge_pack", &packed);
    print_ns("full_hot", &full_hot);
    print_ns("full", &full_scattered);
    print_ns("full_unpack_charge_pack", &full_packed);
    printf("\"full_packed_bytes_largest\":%zu,\"packed_bytes_largest\":%zu,\"allocations\":%lld,", largest_full, largest,
           (long long)allocated);
    return allocated == 0 && scattered.ns <= RATING_NS_MAX * scattered.readings &&
           full_scattered.ns <= RATING_NS_MAX * full_scattered.readings;
}

static const char HELP[] =
    "bench-rating [--points N] [--days N] [--many-points N] [--many-tariffs N] [--year-points N] [--quick]\n"
    "Rates --points states over --days; --many-points states in memory under --many-tariffs for a day (about 350 bytes each);\n"
    "a year of half-hour readings of --year-points usage points anew, on two threads. --quick: a tenth of the last two.\n";

static bool take_option(int option, bench_options *out) {
    switch (option) {
        case 'p': return sv_to_i64(sv_of(optarg), &out->points) && out->points >= 1 && out->points <= 10000000;
        case 'd': return sv_to_i64(sv_of(optarg), &out->days) && out->days >= 1 && out->days <= 366;
        case 'm': return sv_to_i64(sv_of(optarg), &out->many_points) && out->many_points >= 1 && out->many_points <= 100000000;
        case 't': return sv_to_i64(sv_of(optarg), &out->many_tariffs) && out->many_tariffs >= 1 && out->many_tariffs <= 10000;
        case 'y': return sv_to_i64(sv_of(optarg), &out->year_points) && out->year_points >= 2 && out->year_points <= 1000000;
        case 'q':
            out->many_points /= 10;
            out->year_points /= 10;
            return true;
        default: return false;
    }
}

int main(int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"points", 1, NULL, 'p'},      {"days", 1, NULL, 'd'},  {"many-points", 1, NULL, 'm'}, {"many-tariffs", 1, NULL, 't'},
        {"year-points", 1, NULL, 'y'}, {"quick", 0, NULL, 'q'}, {"help", 0, NULL, 'h'},        {NULL, 0, NULL, 0}};
    bench_options options = {.points = 20000, .days = 10, .many_points = 10000000, .many_tariffs = 1000, .year_points = 10000};
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 'h') {
            fputs(HELP, stdout);
            return EXIT_SUCCESS;
        }
        if (!take_option(option, &options)) return 2;
    }
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    printf("{");
    bool held = run_few(&options, shanghai);
    held = run_many(&options, shanghai) && held;
    held = run_document() && held;
    held = run_year(&options, shanghai) && held;
    printf("\"held\":%s}\n", held ? "true" : "false");
    return held ? EXIT_SUCCESS : EXIT_FAILURE;
}
