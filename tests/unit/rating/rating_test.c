// Rating: what must hold for any usage. Random tariffs, readings and changes from a printed seed; packed bytes; answers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rating/rating.h"

#define START 1704038400000LL  // 2024-01-01T00:00:00+08:00
#define SEED 77041u

static const char *const PERIODS[] = {"critical_peak", "peak", "flat", "valley", "deep_valley"};

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int64_t random_below(uint64_t *seed, int64_t bound) { return (int64_t)(next_random(seed) % (uint64_t)bound); }

// A spec with what it points to.
typedef struct sample {
    tariff_spec spec;
    tariff_row row;
    tariff_band bands[5];
    tariff_line lines[3];
} sample;

// Five periods over the day, three tiers over the month, a surcharge by tier and a tax.
static void sample_fill(sample *self, uint64_t version, const zone *in_zone, uint64_t *seed) {
    static const int32_t EDGES[] = {0, 8 * 60, 12 * 60, 17 * 60 + 30, 22 * 60};
    memset(self, 0, sizeof *self);
    for (uint32_t i = 0; i < 5; i++) self->bands[i] = (tariff_band){EDGES[i], i < 4 ? EDGES[i + 1] : 1440, i};
    self->row = (tariff_row){.from = {1, 1}, .to = {12, 31}, .days = 0x7F, .flag = -1, .band_count = 5, .bands = self->bands};
    self->lines[0] = (tariff_line){.name = SV("energy"), .kind = LINE_KIND_QUANTITY};
    self->lines[1] = (tariff_line){.name = SV("surcharge"), .kind = LINE_KIND_QUANTITY, .over_total = true, .price_count = {3}};
    self->lines[2] = (tariff_line){.name = SV("tax"), .kind = LINE_KIND_PERCENT, .rate_micro = random_below(seed, 300000), .of = 3};
    for (size_t period = 0; period < 5; period++) {
        self->lines[0].price_count[period] = 3;
        for (size_t tier = 0; tier < 3; tier++) self->lines[0].price_micro[period][tier] = random_below(seed, 2000000);
    }
    for (size_t tier = 0; tier < 3; tier++) self->lines[1].price_micro[0][tier] = random_below(seed, 500000);
    self->spec = (tariff_spec){.version = version,
                               .code = SV("sample"),
                               .utility = UTILITY_ELECTRICITY,
                               .unit = SV("kWh"),
                               .currency = CURRENCY_CNY,
                               .effective_from = START,
                               .zone = in_zone,
                               .period_count = 5,
                               .row_count = 1,
                               .rows = &self->row,
                               .has_tiers = true,
                               .over = {.kind = WINDOW_MONTH},
                               .upper_count = 2,
                               .upper_milli = {240000, 400000},
                               .line_count = 3,
                               .lines = self->lines,
                               .rounding = (rounding_mode)random_below(seed, ROUNDING_COUNT),
                               .rounding_scale = 2};
    for (size_t i = 0; i < 5; i++) self->spec.periods[i] = sv_of(PERIODS[i]);
}

static tariff *compiled(const sample *from) {
    tariff *out = NULL;
    fault why = {0};
    if (tariff_new(&from->spec, TARIFF_FOR_CHARGING, &out, &why)) fail_msg("%s: %s", why.place, why.reason);
    return out;
}

static money_micro charge(const tariff *rated, rating_cache *cache, rating_state *state, const rating_interval *interval) {
    rating_result result = {0};
    rating_answer answer = rating_charge(rated, cache, state, interval, &result, NULL);
    if (answer != RATING_OK) fail_msg("%s", rating_answer_text(answer));
    return result.amount_micro;
}

// The price of a matrix, worked out line by line from the spec: a second way to the same amount.
static money_micro price_from_spec(const sample *from, const rating_state *state) {
    int128 sum = 0;  // 10^-9
    for (size_t period = 0; period < 5; period++)
        for (size_t tier = 0; tier < 3; tier++)
            sum += (int128)state->used_milli[period * 3 + tier] *
                   (from->lines[0].price_micro[period][tier] + from->lines[1].price_micro[0][tier]);
    int128 taxed = sum * (MONEY_MICRO + from->lines[2].rate_micro);  // 10^-15
    return (money_micro)(round_divide(taxed, power_of_ten(13), from->spec.rounding) * 10000);
}

static void charges_add_up_to_the_price_of_the_final_matrix(void **state) {
    (void)state;
    uint64_t seed = SEED;
    printf("# seed %u\n", SEED);
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    AUTO_RATING_CACHE cache = rating_cache_new(64);
    for (uint64_t round = 0; round < 60; round++) {
        sample from;
        sample_fill(&from, round + 1, shanghai, &seed);
        AUTO_TARIFF rated = compiled(&from);
        rating_state open;
        rating_state_init(&open);
        instant_ms at = START;
        money_micro sum = 0, closed = 0;
        int64_t quantity = 0, matrix = 0;
        while (at < START + 62 * DAY_MS) {
            rating_interval interval = {
                .from = at, .to = at + 1 + random_below(&seed, 3 * DAY_MS), .quantity_milli = random_below(&seed, 30000)};
            AUTO(rating_trace) trace = {0};
            rating_result result;
            assert_int_equal(rating_charge(rated, cache, &open, &interval, &result, &trace), RATING_OK);
            sum += result.amount_micro;
            quantity += interval.quantity_milli;
            int64_t pieces = 0;
            for (size_t i = 0; i < trace.pieces.len; i++) pieces += trace.pieces.items[i].quantity_milli;
            assert_true(pieces == interval.quantity_milli);
            assert_int_equal(trace.closed.len, result.windows_closed);
            for (size_t i = 0; i < trace.closed.len; i++) {
                assert_true(trace.closed.items[i].charged_micro == price_from_spec(&from, &trace.closed.items[i]));
                closed += trace.closed.items[i].charged_micro;
                matrix += rating_state_used_milli(&trace.closed.items[i]);
            }
            at = interval.to;
        }
        assert_true(sum == closed + price_from_spec(&from, &open));
        assert_true(quantity == matrix + rating_state_used_milli(&open));
    }
}

// Per-period registers: neither the order of periods nor the rhythm of reading changes what a surcharge comes to.
static void the_order_of_periods_does_not_matter_for_an_additive_surcharge(void **state) {
    (void)state;
    uint64_t seed = SEED + 1;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    for (uint64_t round = 0; round < 200; round++) {
        sample from;
        sample_fill(&from, 1, shanghai, &seed);
        for (size_t period = 0; period < 5; period++) from.lines[0].price_count[period] = 1;
        AUTO_TARIFF rated = compiled(&from);
        int64_t whole[5];
        for (size_t i = 0; i < 5; i++) whole[i] = random_below(&seed, 300000);
        rating_state at_once, forwards, backwards;
        rating_state_init(&at_once);
        rating_state_init(&forwards);
        rating_state_init(&backwards);
        rating_interval interval = {.from = START, .to = START + HOUR_MS, .per_period_milli = whole};
        money_micro wanted = charge(rated, NULL, &at_once, &interval);
        money_micro sum_forwards = 0, sum_backwards = 0;
        for (size_t i = 0; i < 5; i++) {
            int64_t one[5] = {0}, other[5] = {0};
            one[i] = whole[i];
            other[4 - i] = whole[4 - i];
            interval = (rating_interval){.from = START + (int64_t)i, .to = START + 1 + (int64_t)i, .per_period_milli = one};
            sum_forwards += charge(rated, NULL, &forwards, &interval);
            interval.per_period_milli = other;
            sum_backwards += charge(rated, NULL, &backwards, &interval);
        }
        assert_true(sum_forwards == wanted && sum_backwards == wanted);
    }
}

static void under_one_price_the_rhythm_of_reading_does_not_matter(void **state) {
    (void)state;
    uint64_t seed = SEED + 2;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    for (uint64_t round = 0; round < 100; round++) {
        sample from;
        sample_fill(&from, 1, shanghai, &seed);
        tariff_line flat = {.name = SV("energy"), .kind = LINE_KIND_QUANTITY, .over_total = true, .price_count = {1}};
        flat.price_micro[0][0] = random_below(&seed, 3000000);
        from.spec.period_count = from.spec.row_count = 0;
        from.spec.has_tiers = false;
        from.spec.lines = &flat;
        from.spec.line_count = 1;
        AUTO_TARIFF rated = compiled(&from);
        rating_state seldom, often;
        rating_state_init(&seldom);
        rating_state_init(&often);
        money_micro sum = 0;
        int64_t used = 0;
        instant_ms at = START;
        for (int i = 0; i < 300; i++) {
            rating_interval interval = {
                .from = at, .to = at + 1 + random_below(&seed, 5 * DAY_MS), .quantity_milli = random_below(&seed, 10000)};
            sum += charge(rated, NULL, &often, &interval);
            used += interval.quantity_milli;
            at = interval.to;
        }
        rating_interval whole = {.from = START, .to = at, .quantity_milli = used};
        assert_true(charge(rated, NULL, &seldom, &whole) == sum);
        assert_true(rating_state_equal(&seldom, &often));
    }
}

static void replaying_a_window_reaches_the_same_state(void **state) {
    (void)state;
    uint64_t seed = SEED + 3;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    AUTO_RATING_CACHE cache = rating_cache_new(4);
    sample from;
    sample_fill(&from, 9, shanghai, &seed);
    AUTO_TARIFF rated = compiled(&from);
    rating_state live, replayed;
    rating_state_init(&live);
    rating_state_init(&replayed);
    rating_interval intervals[400];
    for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
        instant_ms at = START + (int64_t)i * 30 * MINUTE_MS;
        intervals[i] = (rating_interval){.from = at, .to = at + 30 * MINUTE_MS, .quantity_milli = random_below(&seed, 3000)};
        // Between two readings the state lives in its packed form.
        uint8_t bytes[RATING_STATE_BYTES_MAX];
        size_t len = rating_state_pack(&live, bytes);
        assert_int_equal(rating_state_unpack(sv_slice(bytes, len), &live, NULL), ERR_OK);
        (void)charge(rated, cache, &live, &intervals[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(intervals); i++) (void)charge(rated, NULL, &replayed, &intervals[i]);
    assert_true(rating_state_equal(&live, &replayed));
}

static void a_version_change_keeps_the_position_and_the_exact_price(void **state) {
    (void)state;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    uint64_t seed = SEED + 4;
    tariff_line lines[2] = {{.name = SV("energy"), .kind = LINE_KIND_QUANTITY, .over_total = true, .price_count = {2}},
                            {.name = SV("tax"), .kind = LINE_KIND_PERCENT, .rate_micro = 130000, .of = 1}};
    sample from;
    sample_fill(&from, 1, shanghai, &seed);
    from.spec.period_count = from.spec.row_count = 0;
    from.spec.lines = lines;
    from.spec.line_count = 1;
    from.spec.upper_count = 1;
    from.spec.upper_milli[0] = 100000;
    from.spec.rounding = ROUNDING_HALF_UP;
    lines[0].price_micro[0][0] = 333333;
    lines[0].price_micro[0][1] = 2000000;
    AUTO_TARIFF first = compiled(&from);
    from.spec.version = 2;
    from.spec.line_count = 2;  // now taxed: the sums have more decimals
    lines[0].price_micro[0][0] = 500000;
    lines[0].price_micro[0][1] = 1000000;
    AUTO_TARIFF second = compiled(&from);
    from.spec.version = 3;
    from.spec.over.kind = WINDOW_YEAR;
    AUTO_TARIFF yearly = compiled(&from);

    rating_state account;
    rating_state_init(&account);
    rating_interval interval = {.from = START, .to = START + DAY_MS, .quantity_milli = 60050};
    // 60.05 * 0.333333 = 20.01664665
    assert_true(charge(first, NULL, &account, &interval) == 20020000);
    interval = (rating_interval){.from = START + DAY_MS, .to = START + 2 * DAY_MS, .quantity_milli = 50000};
    // 39.95 * 0.5 + 10.05 * 1 = 30.025, taxed 33.92825; with 20.01664665: 53.94489665
    assert_true(charge(second, NULL, &account, &interval) == 53940000 - 20020000);
    assert_true(rating_state_used_milli(&account) == 110050);
    // And back: the position is still 110.05, the third price of this window is 2.
    interval = (rating_interval){.from = START + 2 * DAY_MS, .to = START + 3 * DAY_MS, .quantity_milli = 1000};
    assert_true(charge(first, NULL, &account, &interval) == 55940000 - 53940000);
    uint8_t bytes[RATING_STATE_BYTES_MAX];
    rating_state back;
    size_t len = rating_state_pack(&account, bytes);
    assert_int_equal(rating_state_unpack(sv_slice(bytes, len), &back, NULL), ERR_OK);
    assert_true(rating_state_equal(&account, &back));
    // Another tier window: it begins anew.
    rating_result result;
    interval = (rating_interval){.from = START + 3 * DAY_MS, .to = START + 4 * DAY_MS, .quantity_milli = 1000};
    assert_int_equal(rating_charge(yearly, NULL, &account, &interval, &result, NULL), RATING_OK);
    assert_true(result.amount_micro == 570000 && result.windows_closed == 1);
    assert_true(rating_state_used_milli(&account) == 1000);
}

// What a state cannot remember is refused with the document, not at the first reading.
static void more_edges_than_a_state_remembers_are_refused(void **state) {
    (void)state;
    uint64_t seed = SEED + 9;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    for (size_t edges = 1; edges < TARIFF_TIERS_MAX; edges++) {
        for (int roundings = 0; roundings < 3; roundings++) {
            sample from;
            sample_fill(&from, 1, shanghai, &seed);
            from.spec.tier_kind = TIER_KIND_VOLUME;
            from.spec.upper_count = edges;
            for (size_t i = 0; i < edges; i++) from.spec.upper_milli[i] = (int64_t)(i + 1) * 100250;
            for (size_t period = 0; period < 5; period++) from.lines[0].price_count[period] = 1;
            from.lines[1].price_count[0] = 1;
            for (int i = 0; i < roundings; i++) {
                from.lines[i].has_quantity_rounding = true;
                from.lines[i].quantity_mode = i ? ROUNDING_CEIL : ROUNDING_TRUNCATE;
            }
            AUTO_TARIFF rated = NULL;
            fault why = {0};
            bool is_made = tariff_new(&from.spec, TARIFF_FOR_CHARGING, &rated, &why) == ERR_OK;
            bool fits = edges * (roundings ? 2 : 1) < RATING_AHEAD_MAX;
            if (is_made != fits) fail_msg("%zu edges, %d roundings: %s", edges, roundings, why.reason);
            if (!fits) assert_string_equal(why.place, "/tiers/upper");
            if (!is_made) continue;
            rating_state open;
            rating_state_init(&open);
            rating_interval interval = {.from = START, .to = START + HOUR_MS, .quantity_milli = 1000};
            rating_result result;
            assert_int_equal(rating_charge(rated, NULL, &open, &interval, &result, NULL), RATING_OK);
        }
    }
}

static void packed_states_are_small_and_read_back(void **state) {
    (void)state;
    uint64_t seed = SEED + 5;
    size_t largest = 0;
    for (int round = 0; round < 5000; round++) {
        rating_state in;
        rating_state_init(&in);
        in.version = next_random(&seed) >> 1 | 1;
        in.window = (time_window){START, START + 31 * DAY_MS};
        in.window_dates_ahead = RATING_AHEAD_FROM | RATING_AHEAD_TO;
        in.charged_micro = random_below(&seed, 1000000000000000);
        in.priced = (exact_amount){(int128)in.charged_micro * 1000000000, 15};
        in.periods = 5;
        in.steps = 3;
        bool accrues = round % 5 == 0;
        for (size_t i = 0; i < 15; i++) in.used_milli[i] = random_below(&seed, round % 2 || accrues ? 10000000000 : 1000000000000);
        if (accrues) {
            in.accrued = (rating_accrued){12,
                                          12 * RATING_SHARES - random_below(&seed, 1000),
                                          366,
                                          START + 31 * DAY_MS,
                                          START + 5 * DAY_MS,
                                          RATING_AHEAD_WINDOWS | RATING_AHEAD_DAYS};
            in.priced_rest = (int32_t)random_below(&seed, RATING_SHARES);
        }
        if (round % 3 == 0) {
            in.before_milli = random_below(&seed, 1000000000);
            in.carried = (exact_amount){-(int128)random_below(&seed, INT64_MAX), 9};
        }
        uint8_t bytes[RATING_STATE_BYTES_MAX];
        size_t len = rating_state_pack(&in, bytes);
        if (len > largest) largest = len;
        rating_state back;
        assert_int_equal(rating_state_unpack(sv_slice(bytes, len), &back, NULL), ERR_OK);
        assert_true(rating_state_equal(&in, &back));
        // Shorter, longer or changed bytes are refused or read, never anything else.
        fault why = {0};
        assert_int_equal(rating_state_unpack(sv_slice(bytes, len - 1), &back, &why), ERR_MALFORMED);
        bytes[len] = 0;
        assert_int_equal(rating_state_unpack(sv_slice(bytes, len + 1), &back, &why), ERR_MALFORMED);
        bytes[random_below(&seed, (int64_t)len)] ^= (uint8_t)(1 << random_below(&seed, 8));
        if (rating_state_unpack(sv_slice(bytes, len), &back, &why) == ERR_OK) assert_true(rating_state_used_milli(&back) >= 0);
    }
    printf("# largest state of five periods by three tiers: %zu bytes\n", largest);
    assert_true(largest <= 160);
    rating_state none;
    assert_int_equal(rating_state_unpack(SV(""), &none, NULL), ERR_OK);
    assert_true(none.version == 0);
}

// A volume tariff with fixed lines, packed and read back after every reading, over changes of version and account.
static void volume_tiers_and_clocks_survive_packing(void **state) {
    (void)state;
    uint64_t seed = SEED + 8;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    sample from;
    sample_fill(&from, 1, shanghai, &seed);
    from.spec.tier_kind = TIER_KIND_VOLUME;
    tariff_line lines[3] = {
        from.lines[0],
        {.name = SV("month"), .kind = LINE_KIND_FIXED, .amount_micro = 10000000, .per = FIXED_PER_MONTH},
        {.name = SV("day"), .kind = LINE_KIND_FIXED, .amount_micro = 31000000, .per = FIXED_PER_MONTH, .prorated_by_day = true}};
    from.spec.lines = lines;
    AUTO_TARIFF first = compiled(&from);
    from.spec.version = 2;
    from.spec.upper_milli[0] = 300000;
    AUTO_TARIFF second = compiled(&from);
    rating_state open;
    rating_state_init(&open);
    for (int64_t day = 0; day < 90; day++) {
        rating_interval interval = {
            .from = START + day * DAY_MS, .to = START + (day + 1) * DAY_MS, .quantity_milli = random_below(&seed, 30000)};
        rating_state unpacked = open;
        (void)charge(day % 20 < 10 ? first : second, NULL, &open, &interval);
        uint8_t bytes[RATING_STATE_BYTES_MAX];
        size_t len = rating_state_pack(&unpacked, bytes);
        assert_int_equal(rating_state_unpack(sv_slice(bytes, len), &unpacked, NULL), ERR_OK);
        (void)charge(day % 20 < 10 ? first : second, NULL, &unpacked, &interval);
        assert_true(rating_state_equal(&open, &unpacked));
        len = rating_state_pack(&open, bytes);
        for (size_t cut = 1; cut < len; cut++) {
            fault why = {0};
            if (cut > 1) assert_int_equal(rating_state_unpack(sv_slice(bytes, cut), &unpacked, &why), ERR_MALFORMED);
        }
    }
    // The next account begins without use, but the month and the day are paid.
    rating_state_hand_over(&open);
    uint8_t bytes[RATING_STATE_BYTES_MAX];
    size_t len = rating_state_pack(&open, bytes);
    rating_state next;
    assert_int_equal(rating_state_unpack(sv_slice(bytes, len), &next, NULL), ERR_OK);
    assert_true(rating_state_equal(&open, &next) && next.version == 0);
    instant_ms noon = START + 89 * DAY_MS + 12 * HOUR_MS;
    rating_interval rest = {.from = noon, .to = noon + HOUR_MS};
    assert_true(charge(first, NULL, &next, &rest) == 0);
    rest = (rating_interval){.from = noon + HOUR_MS, .to = START + 90 * DAY_MS + HOUR_MS};
    assert_true(charge(first, NULL, &next, &rest) == 1000000);
}

static void what_cannot_be_rated_is_answered_and_changes_nothing(void **state) {
    (void)state;
    uint64_t seed = SEED + 6;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    sample from;
    sample_fill(&from, 1, shanghai, &seed);
    AUTO_TARIFF rated = compiled(&from);
    rating_state open;
    rating_state_init(&open);
    rating_interval first = {.from = START + 40 * DAY_MS, .to = START + 41 * DAY_MS, .quantity_milli = 5000};
    (void)charge(rated, NULL, &open, &first);
    static const int64_t NEGATIVE[5] = {1, 1, -1, 1, 1};
    static const int64_t HUGE_PARTS[5] = {INT64_MAX, INT64_MAX, 0, 0, 0};
    const struct {
        rating_interval interval;
        rating_answer answer;
    } ROWS[] = {
        {{.from = first.to, .to = first.to, .quantity_milli = 1}, RATING_BAD_INTERVAL},
        {{.from = first.to, .to = first.from, .quantity_milli = 1}, RATING_BAD_INTERVAL},
        {{.from = first.to, .to = first.to + 1, .quantity_milli = -1}, RATING_BAD_INTERVAL},
        {{.from = first.to, .to = first.to + 1, .per_period_milli = NEGATIVE}, RATING_BAD_INTERVAL},
        {{.from = first.to, .to = first.to + 1, .per_period_milli = HUGE_PARTS}, RATING_TOO_LARGE},
        {{.from = first.to, .to = first.to + 1, .quantity_milli = INT64_MAX}, RATING_TOO_LARGE},
        {{.from = START, .to = START + DAY_MS, .quantity_milli = 1}, RATING_LATE},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        rating_state before = open;
        rating_result result = {.amount_micro = 42};
        assert_int_equal(rating_charge(rated, NULL, &open, &ROWS[i].interval, &result, NULL), ROWS[i].answer);
        assert_true(rating_state_equal(&before, &open) && result.amount_micro == 42);
    }
    rating_state foreign = open;
    foreign.steps = 2;
    rating_result result;
    rating_interval next = {.from = first.to, .to = first.to + 1, .quantity_milli = 1};
    assert_int_equal(rating_charge(rated, NULL, &foreign, &next, &result, NULL), RATING_STATE_MISMATCH);
}

static void proportional_pieces_leave_nothing_over(void **state) {
    (void)state;
    assert_true(rating_split_by_time(10, 0, 3, 1) == 3);
    assert_true(rating_split_by_time(INT64_MAX, INSTANT_MIN, INSTANT_MAX, INSTANT_MAX) == INT64_MAX);
    assert_true(rating_split_by_time(7, 0, 10, 0) == 0);
    // Registers of five periods over a tier edge: 10 units of room out of 100, cumulative floor, the last takes the rest.
    uint64_t seed = SEED + 7;
    AUTO_ZONE shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    sample from;
    sample_fill(&from, 1, shanghai, &seed);
    from.spec.upper_milli[0] = 10;
    from.spec.upper_milli[1] = 1000;
    AUTO_TARIFF rated = compiled(&from);
    rating_state open;
    rating_state_init(&open);
    static const int64_t PARTS[5] = {15, 25, 5, 45, 10};
    rating_interval interval = {.from = START, .to = START + 1, .per_period_milli = PARTS};
    (void)charge(rated, NULL, &open, &interval);
    static const int64_t FIRST_TIER[5] = {1, 3, 0, 5, 1};
    for (size_t i = 0; i < 5; i++) {
        assert_true(open.used_milli[i * 3] == FIRST_TIER[i]);
        assert_true(open.used_milli[i * 3 + 1] == PARTS[i] - FIRST_TIER[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charges_add_up_to_the_price_of_the_final_matrix),
        cmocka_unit_test(the_order_of_periods_does_not_matter_for_an_additive_surcharge),
        cmocka_unit_test(under_one_price_the_rhythm_of_reading_does_not_matter),
        cmocka_unit_test(replaying_a_window_reaches_the_same_state),
        cmocka_unit_test(a_version_change_keeps_the_position_and_the_exact_price),
        cmocka_unit_test(more_edges_than_a_state_remembers_are_refused),
        cmocka_unit_test(packed_states_are_small_and_read_back),
        cmocka_unit_test(volume_tiers_and_clocks_survive_packing),
        cmocka_unit_test(what_cannot_be_rated_is_answered_and_changes_nothing),
        cmocka_unit_test(proportional_pieces_leave_nothing_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
