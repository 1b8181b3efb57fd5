// The quick way of the usual interval against the whole way, which a trace asks for: the same amounts and states, for
// random tariffs of every kind of line, random readings and changes of version. SEED=n repeats a run.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rating/rating.h"

#define START 1704038400000LL  // 2024-01-01T00:00:00+08:00
#define ROUNDS 400
#define READINGS 500

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int64_t below(uint64_t *seed, int64_t bound) { return (int64_t)(next_random(seed) % (uint64_t)bound); }
static bool chance(uint64_t *seed, int64_t in) { return below(seed, in) == 0; }

typedef struct sample {
    tariff_spec spec;
    tariff_row row;
    tariff_band bands[3];
    tariff_line lines[7];
} sample;

static void round_some(tariff_line *line, uint64_t *seed) {
    if (!chance(seed, 2)) return;
    line->has_quantity_rounding = true;
    line->quantity_scale = (int32_t)below(seed, 3);
    line->quantity_mode = (rounding_mode)below(seed, ROUNDING_COUNT);
}

static void fill_lines(sample *self, uint64_t *seed) {
    tariff_line *at = self->lines;
    *at = (tariff_line){.name = SV("energy"), .kind = LINE_KIND_QUANTITY};
    for (size_t period = 0; period < self->spec.period_count; period++) {
        at->price_count[period] = self->spec.upper_count + 1;
        for (size_t tier = 0; tier <= self->spec.upper_count; tier++) at->price_micro[period][tier] = below(seed, 2200000) - 200000;
    }
    round_some(at++, seed);
    *at = (tariff_line){.name = SV("surcharge"), .kind = LINE_KIND_QUANTITY, .over_total = true, .price_count = {1}};
    at->price_micro[0][0] = below(seed, 90000);
    if (chance(seed, 2)) at->free_milli = 1000 * (1 + below(seed, 60));
    round_some(at++, seed);
    if (chance(seed, 2))
        *at++ = (tariff_line){.name = SV("rent"),
                              .kind = LINE_KIND_FIXED,
                              .amount_micro = below(seed, 30000000),
                              .per = chance(seed, 2) ? FIXED_PER_MONTH : FIXED_PER_DAY,
                              .prorated_by_day = chance(seed, 2)};
    uint32_t all = (1u << (at - self->lines)) - 1;
    if (chance(seed, 2))
        *at++ = (tariff_line){.name = SV("fund"), .kind = LINE_KIND_PERCENT, .rate_micro = 1 + below(seed, 90000), .of = 1};
    if (chance(seed, 2)) *at++ = (tariff_line){.name = SV("least"), .kind = LINE_KIND_MINIMUM, .amount_micro = 9000000, .of = all};
    if (chance(seed, 2)) *at++ = (tariff_line){.name = SV("tax"), .kind = LINE_KIND_PERCENT, .rate_micro = 130000, .of = all};
    self->spec.lines = self->lines;
    self->spec.line_count = (size_t)(at - self->lines);
}

static void sample_fill(sample *self, uint64_t version, const zone *in_zone, uint64_t *seed) {
    static const int32_t EDGES[] = {0, 8 * 60, 17 * 60 + 30, 1440};
    *self = (sample){0};
    for (uint32_t i = 0; i < 3; i++) self->bands[i] = (tariff_band){EDGES[i], EDGES[i + 1], i};
    self->row = (tariff_row){.from = {1, 1}, .to = {12, 31}, .days = 0x7F, .flag = -1, .band_count = 3, .bands = self->bands};
    self->spec = (tariff_spec){.version = version,
                               .code = SV("sample"),
                               .utility = UTILITY_ELECTRICITY,
                               .unit = SV("kWh"),
                               .currency = CURRENCY_CNY,
                               .effective_from = START,
                               .zone = in_zone,
                               .period_count = 3,
                               .periods = {SV("peak"), SV("flat"), SV("valley")},
                               .row_count = 1,
                               .rows = &self->row,
                               .has_tiers = true,
                               .over = {.kind = WINDOW_MONTH},
                               .tier_kind = chance(seed, 8) ? TIER_KIND_VOLUME : TIER_KIND_GRADUATED,
                               .upper_count = 2,
                               .upper_milli = {90000, 170000},
                               .rounding = (rounding_mode)below(seed, ROUNDING_COUNT),
                               .rounding_scale = (int32_t)below(seed, 7),
                               .rounds_each_line = chance(seed, 8)};
    bool is_personal = self->spec.tier_kind == TIER_KIND_GRADUATED && chance(seed, 3);
    if (is_personal) self->spec.per_head_milli[0] = self->spec.per_head_milli[1] = 10000;
    fill_lines(self, seed);
    if (is_personal) self->lines[1].free_milli = 0;
}

static tariff *any_tariff(uint64_t version, const zone *in_zone, uint64_t *seed) {
    for (;;) {
        sample from;
        tariff *out = NULL;
        fault why = {0};
        sample_fill(&from, version, in_zone, seed);
        if (!tariff_new(&from.spec, TARIFF_FOR_CHARGING, &out, &why)) return out;
    }
}

static void pack_and_unpack(rating_state *state) {
    uint8_t bytes[RATING_STATE_BYTES_MAX];
    fault why = {0};
    assert_int_equal(rating_state_unpack(sv_slice(bytes, rating_state_pack(state, bytes)), state, &why), ERR_OK);
}

static void compare_way(const tariff *const rated[2], rating_cache *cache, uint64_t *seed) {
    rating_state quick, whole;
    rating_state_init(&quick);
    rating_state_init(&whole);
    rating_holder holder = {.heads = (int32_t)below(seed, 6), .opened_at = START};
    instant_ms at = START;
    int64_t changes_at = 1 + below(seed, READINGS);
    for (int64_t i = 0; i < READINGS; i++) {
        int64_t longest = chance(seed, 20) ? 3 * DAY_MS : 45 * MINUTE_MS;
        rating_interval in = {
            .from = at, .to = at + 1 + below(seed, longest), .quantity_milli = chance(seed, 5) ? 0 : below(seed, 3000), .holder = &holder};
        if (chance(seed, 100)) in.quantity_milli = INT64_MAX - below(seed, 1000);
        const tariff *by = rated[i >= changes_at];
        rating_result quick_result = {0}, whole_result = {0};
        AUTO(rating_trace) trace = {0};
        rating_answer answer = rating_charge(by, chance(seed, 4) ? NULL : cache, &quick, &in, &quick_result, NULL);
        assert_int_equal(answer, rating_charge(by, cache, &whole, &in, &whole_result, &trace));
        assert_true(quick_result.amount_micro == whole_result.amount_micro);
        assert_true(quick_result.quantity_milli == whole_result.quantity_milli);
        assert_true(quick_result.windows_closed == whole_result.windows_closed);
        assert_true(rating_state_equal(&quick, &whole));
        if (answer == RATING_OK) at = in.to;
        if (!chance(seed, 50)) continue;
        pack_and_unpack(&quick);
        pack_and_unpack(&whole);
    }
}

static void the_quick_way_and_the_whole_way_charge_alike(void **state) {
    (void)state;
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20240717;
    printf("# SEED=%llu\n", (unsigned long long)seed);
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    AUTO_RATING_CACHE cache = rating_cache_new(64);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        AUTO_TARIFF first = any_tariff(2 * round + 1, shanghai, &seed);
        AUTO_TARIFF second = any_tariff(2 * round + 2, shanghai, &seed);
        const tariff *const rated[2] = {first, second};
        compare_way(rated, cache, &seed);
    }
}

// A state kept in the bytes of its room alone is charged like a whole one, by either way; a sanitizer watches its end.
static void a_room_is_enough(void **state) {
    (void)state;
    uint64_t seed = 20240718;
    printf("# SEED=%llu\n", (unsigned long long)seed);
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        AUTO_TARIFF rated = any_tariff(round + 1, shanghai, &seed);
        rating_state whole = {0};
        rating_state *kept = mem_new(1, rating_state_room(rated));
        instant_ms at = START;
        for (int i = 0; i < READINGS; i++) {
            rating_interval in = {
                .from = at, .to = at + 1 + below(&seed, chance(&seed, 20) ? 40 * DAY_MS : HOUR_MS), .quantity_milli = below(&seed, 3000)};
            rating_result here = {0}, there = {0};
            assert_int_equal(rating_charge(rated, NULL, kept, &in, &here, NULL), rating_charge(rated, NULL, &whole, &in, &there, NULL));
            assert_true(here.amount_micro == there.amount_micro);
            at = in.to;
        }
        uint8_t bytes[RATING_STATE_BYTES_MAX], others[RATING_STATE_BYTES_MAX];
        size_t len = rating_state_pack(kept, bytes);
        assert_int_equal(len, rating_state_pack(&whole, others));
        assert_memory_equal(bytes, others, len);
        mem_free(kept);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_quick_way_and_the_whole_way_charge_alike), cmocka_unit_test(a_room_is_enough)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
