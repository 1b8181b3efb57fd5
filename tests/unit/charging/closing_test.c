// What readings leave behind beside charges: holders' facts at tier edges, tier windows that post at their close, gaps.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "charging/point.h"
#include "documents/zone_files.h"

#define MARCH 1709222400000LL  // 2024-03-01T00:00:00+08:00, a Friday
#define APRIL 1711900800000LL
#define MAY 1714492800000LL
#define CHANNEL 11
#define KWH 1000

static zone *shanghai;

typedef struct fixture {
    charging_installation installation;
    charging_holder holders[3];
    charging_heads heads[3];
    charging_version version;
    charging_profile profiles[4];
    charging_setup setup;
    charging_point point;
    charging_outcome outcome;
    money_micro charged;
} fixture;

static tariff *tariff_of(const tariff_spec *from) {
    tariff_spec spec = *from;
    spec.version = 1;
    spec.code = SV("t");
    spec.utility = UTILITY_ELECTRICITY;
    spec.unit = SV("kWh");
    spec.currency = CURRENCY_CNY;
    spec.zone = shanghai;
    spec.rounding = ROUNDING_HALF_UP;
    spec.rounding_scale = 2;
    tariff *made = NULL;
    fault why = {0};
    if (tariff_new(&spec, TARIFF_FOR_CHARGING, &made, &why)) fail_msg("%s: %s", why.place, why.reason);
    return made;
}

static fixture *fixture_new(const tariff *by) {
    fixture *f = mem_new(1, sizeof *f);
    f->setup = (charging_setup){.company = 1,
                                .usage_point = 5,
                                .item = PURPOSE_ELECTRICITY,
                                .currency = CURRENCY_CNY,
                                .zone = shanghai,
                                .installation_count = 1,
                                .installations = &f->installation,
                                .holder_count = 1,
                                .holders = f->holders,
                                .version_count = 1,
                                .versions = &f->version,
                                .profiles = f->profiles};
    f->installation = (charging_installation){.channel = CHANNEL,
                                              .from = MARCH,
                                              .to = INSTANT_MAX,
                                              .closing_value = -1,
                                              .ratio_num = 1,
                                              .ratio_den = 1,
                                              .limits = {.range = 1000000000, .resolution = 1}};
    f->holders[0] = (charging_holder){.account = 7, .purse = 8, .from = MARCH, .to = INSTANT_MAX, .opened_at = MARCH};
    f->version = (charging_version){.from = 0, .num = 1, .tariff = by};
    charging_point_init(&f->point);
    return f;
}

static void fixture_free(fixture *f) {
    charging_outcome_done(&f->outcome);
    mem_free(f);
}

static charging_answer poll(fixture *f, charging_poll one) {
    one.channel = CHANNEL;
    vec_clear(&f->outcome.pieces);
    charging_answer answer = charging_apply(&f->setup, NULL, &f->point, &one, &f->outcome);
    for (size_t i = 0; i < f->outcome.pieces.len; i++) f->charged += f->outcome.pieces.items[i].amount;
    return answer;
}

static void charge(fixture *f, instant_ms at, int64_t value) {
    assert_int_equal(poll(f, (charging_poll){.at = at, .value = value}), CHARGING_CHARGED);
}

// ---- holders ----

// 100 kWh at 1.00, 50 more for each head above 4; then 2.00. Over the month.
static tariff *by_heads(bool prorates) {
    static const tariff_line ENERGY = {
        .name = SV("energy"), .kind = LINE_KIND_QUANTITY, .price_count = {2}, .price_micro = {{1000000, 2000000}}};
    return tariff_of(&(tariff_spec){.has_tiers = true,
                                    .over = {.kind = WINDOW_MONTH},
                                    .upper_count = 1,
                                    .upper_milli = {100 * KWH},
                                    .per_head_milli = {prorates ? 0 : 50 * KWH},
                                    .heads_above = {4},
                                    .prorates_opening = prorates,
                                    .line_count = 1,
                                    .lines = &ENERGY});
}

static void a_change_of_heads_takes_effect_with_the_next_window(void **state) {
    (void)state;
    AUTO_TARIFF t = by_heads(false);
    fixture *f = fixture_new(t);
    f->heads[0] = (charging_heads){0, 5};
    f->heads[1] = (charging_heads){MARCH + 10 * DAY_MS, 6};
    f->holders[0].heads = f->heads;
    f->holders[0].heads_count = 2;
    charge(f, MARCH + 20 * DAY_MS, 160 * KWH);  // 150 at 1.00, 10 at 2.00
    assert_true(f->charged == 170000000);
    charge(f, APRIL, 160 * KWH);
    charge(f, APRIL + DAY_MS, 370 * KWH);  // six heads: 200 at 1.00, 10 at 2.00
    assert_true(f->charged == 170000000 + 220000000);
    fixture_free(f);
}

static void a_reading_over_the_windows_edge_finds_each_windows_heads(void **state) {
    (void)state;
    AUTO_TARIFF t = by_heads(false);
    fixture *f = fixture_new(t);
    f->heads[0] = (charging_heads){0, 4};
    f->heads[1] = (charging_heads){APRIL, 6};
    f->holders[0].heads = f->heads;
    f->holders[0].heads_count = 2;
    charge(f, APRIL - 10 * DAY_MS, 0);
    charge(f, APRIL + 10 * DAY_MS, 400 * KWH);  // 200 each: 100 + 2 × 100, then 200 at 1.00
    assert_true(f->charged == 300000000 + 200000000);
    assert_int_equal(f->outcome.pieces.len, 2);
    fixture_free(f);
}

static void an_account_opened_inside_a_window_has_its_share_of_it(void **state) {
    (void)state;
    AUTO_TARIFF t = by_heads(true);
    fixture *f = fixture_new(t);
    instant_ms opened = APRIL + 15 * DAY_MS;  // 15 of 30 days are left
    f->installation.from = opened;
    f->holders[0].from = f->holders[0].opened_at = opened;
    charge(f, opened + DAY_MS, 60 * KWH);  // 50 at 1.00, 10 at 2.00
    assert_true(f->charged == 70000000);
    charge(f, MAY, 60 * KWH);
    charge(f, MAY + DAY_MS, 160 * KWH);  // the whole 100
    assert_true(f->charged == 170000000);
    fixture_free(f);
}

// ---- windows ----

static tariff *with_demand(void) {
    static const tariff_factor_step STEPS[] = {{0, 50000}, {900000, 0}};
    static const tariff_line LINES[] = {
        {.name = SV("energy"), .kind = LINE_KIND_QUANTITY, .price_count = {1}, .price_micro = {{1000000}}},
        {.name = SV("demand"), .kind = LINE_KIND_DEMAND, .amount_micro = 10000000},
        {.name = SV("capacity"), .kind = LINE_KIND_DEMAND, .amount_micro = 1000000, .by_contract = true},
        {.name = SV("factor"), .kind = LINE_KIND_POWER_FACTOR, .of = 1, .factor_count = 2, .factors = STEPS},
        {.name = SV("least"), .kind = LINE_KIND_MINIMUM, .of = 1, .amount_micro = 100000000},
    };
    return tariff_of(&(tariff_spec){.line_count = ARRAY_LEN(LINES), .lines = LINES});
}

static void a_window_is_told_when_it_opens_and_when_it_closes(void **state) {
    (void)state;
    AUTO_TARIFF t = with_demand();
    fixture *f = fixture_new(t);
    f->holders[0].contracted_va = 20000;
    charge(f, MARCH + HOUR_MS, 2 * KWH);
    assert_int_equal(f->outcome.windows.len, 1);
    assert_false(f->outcome.windows.items[0].is_closed);
    assert_true(f->outcome.windows.items[0].state.window.to == APRIL && f->outcome.windows.items[0].account == 7);
    charge(f, MARCH + 2 * HOUR_MS, 9 * KWH);  // 7 kW
    assert_int_equal(f->outcome.windows.len, 0);
    charge(f, APRIL, 50 * KWH);
    assert_int_equal(f->outcome.windows.len, 1);
    const charging_window *march = &f->outcome.windows.items[0];
    assert_true(march->is_closed);
    demand_source source;
    rating_closing closing = charging_closing_of(march, &source);
    assert_true(source == DEMAND_OF_READINGS && closing.max_demand_w == 7000);
    assert_true(closing.contracted_va == 20000 && closing.power_factor_micro == 0);
    money_micro due = 0;
    assert_int_equal(rating_close(t, &march->state, &closing, &due), RATING_OK);
    assert_true(f->charged == 50000000 && due == 70000000 + 20000000 + 50000000);
    charge(f, APRIL + HOUR_MS, 51 * KWH);
    assert_int_equal(f->outcome.windows.len, 1);
    assert_false(f->outcome.windows.items[0].is_closed);
    fixture_free(f);
}

static void one_reading_may_close_several_windows(void **state) {
    (void)state;
    AUTO_TARIFF t = with_demand();
    fixture *f = fixture_new(t);
    charge(f, APRIL - HOUR_MS, 0);
    charge(f, MAY + HOUR_MS, 722 * KWH);  // 30 days and 2 hours at one kW
    assert_int_equal(f->outcome.windows.len, 3);
    const charging_window *list = f->outcome.windows.items;
    assert_true(list[0].is_closed && list[0].state.window.from == MARCH && list[0].demand.average_w == 1000);
    assert_true(list[1].is_closed && list[1].state.window.from == APRIL && list[1].demand.average_w == 1000);
    assert_true(!list[2].is_closed && list[2].state.window.from == MAY);
    assert_int_equal(rating_state_used_milli(&list[1].state), 720 * KWH);
    fixture_free(f);
}

static void near_readings_add_up_to_a_quarter_of_an_hour(void **state) {
    (void)state;
    AUTO_TARIFF t = with_demand();
    fixture *f = fixture_new(t);
    charge(f, MARCH + HOUR_MS, 0);
    static const int64_t STEPS[] = {3000, 0, 0, 500, 500, 500};  // Wh in five minutes: 3 kWh in the first quarter are 12 kW
    int64_t value = 0;
    for (size_t i = 0; i < ARRAY_LEN(STEPS); i++) charge(f, MARCH + HOUR_MS + (instant_ms)(i + 1) * 5 * MINUTE_MS, value += STEPS[i]);
    assert_true(f->point.demand.average_w == 12000);
    fixture_free(f);
}

static void the_meters_own_demand_wins_and_what_it_kept_from_before_does_not(void **state) {
    (void)state;
    AUTO_TARIFF t = with_demand();
    fixture *f = fixture_new(t);
    static const struct {
        instant_ms at;
        int64_t demand_mw;
        int64_t wanted_w;  // of the window so far
    } ROWS[] = {
        {MARCH + DAY_MS, 9000000, 9000},
        {MARCH + 2 * DAY_MS, 9500000, 9500},
        {APRIL + DAY_MS, 9500000, 0},         // not cleared yet
        {APRIL + 2 * DAY_MS, 4000000, 4000},  // cleared, and reached since
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        charging_poll one = {.at = ROWS[i].at, .value = (int64_t)i * KWH, .has_max_demand = true, .max_demand = ROWS[i].demand_mw};
        assert_int_equal(poll(f, one), CHARGING_CHARGED);
        assert_true(f->point.demand.register_w == ROWS[i].wanted_w);
    }
    fixture_free(f);
}

static void the_power_factor_is_active_over_apparent_energy(void **state) {
    (void)state;
    AUTO_TARIFF t = with_demand();
    fixture *f = fixture_new(t);
    static const struct {
        instant_ms at;
        int64_t active, reactive;  // −1: not read
    } ROWS[] = {{MARCH + DAY_MS, 100, 50}, {MARCH + 2 * DAY_MS, 250, -1}, {MARCH + 3 * DAY_MS, 500, 350}, {APRIL, 500, 350}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        charging_poll one = {
            .at = ROWS[i].at, .value = ROWS[i].active * KWH, .has_reactive = ROWS[i].reactive >= 0, .reactive = ROWS[i].reactive * KWH};
        assert_int_equal(poll(f, one), CHARGING_CHARGED);
    }
    demand_source source;
    rating_closing closing = charging_closing_of(&f->outcome.windows.items[0], &source);
    assert_true(f->outcome.windows.items[0].demand.active == 400 * KWH && f->outcome.windows.items[0].demand.reactive == 300 * KWH);
    assert_in_range(closing.power_factor_micro, 799999, 800001);  // 400 of 500
    fixture_free(f);
}

static void the_next_account_begins_with_nothing_measured(void **state) {
    (void)state;
    AUTO_TARIFF t = with_demand();
    fixture *f = fixture_new(t);
    f->holders[0].to = MARCH + 10 * DAY_MS;
    f->holders[1] = (charging_holder){.account = 9, .purse = 10, .from = MARCH + 10 * DAY_MS, .to = INSTANT_MAX, .opened_at = MARCH};
    f->setup.holder_count = 2;
    charge(f, MARCH + 10 * DAY_MS, 240 * 10 * KWH);  // 10 kW
    assert_true(f->point.demand.average_w == 10000);
    charge(f, MARCH + 11 * DAY_MS, 240 * 10 * KWH + 24 * KWH);
    assert_true(f->point.demand.average_w == 1000);
    charge(f, APRIL, 240 * 10 * KWH + 24 * KWH);
    assert_int_equal(f->outcome.windows.len, 1);
    assert_true(f->outcome.windows.items[0].account == 9 && f->outcome.windows.items[0].demand.average_w == 1000);
    fixture_free(f);
}

// ---- gaps ----

static tariff *day_and_night(void) {
    static const tariff_band BANDS[] = {{8 * 60, 22 * 60, 0}, {22 * 60, 8 * 60, 1}};
    static const tariff_row ALWAYS = {.from = {1, 1}, .to = {12, 31}, .days = 0x7F, .flag = -1, .band_count = 2, .bands = BANDS};
    static const tariff_line ENERGY = {
        .name = SV("energy"), .kind = LINE_KIND_QUANTITY, .price_count = {1, 1}, .price_micro = {{1000000}, {300000}}};
    return tariff_of(&(tariff_spec){
        .period_count = 2, .periods = {SV("day"), SV("night")}, .row_count = 1, .rows = &ALWAYS, .line_count = 1, .lines = &ENERGY});
}

// Everything from 09:00 to 10:00 on weekdays, from 23:00 to 24:00 at weekends.
static charging_profile office(instant_ms from, instant_ms to) {
    charging_profile made = {.from = from, .to = to, .longer_than_ms = 2 * HOUR_MS};
    made.milli[0][18] = made.milli[0][19] = 1000;
    made.milli[1][46] = made.milli[1][47] = 1000;
    return made;
}

static void a_gap_is_spread_by_the_profile(void **state) {
    (void)state;
    AUTO_TARIFF t = day_and_night();
    fixture *f = fixture_new(t);
    f->setup.gap_after_ms = 2 * HOUR_MS;
    f->outcome.finds_gaps = true;
    charge(f, MARCH + HOUR_MS, KWH);  // from the installation on is no gap
    f->charged = 0;
    charging_point before = f->point;
    charging_poll late = {.at = MARCH + 4 * DAY_MS + HOUR_MS, .value = 41 * KWH};
    assert_int_equal(poll(f, late), CHARGING_GAP);
    assert_true(f->outcome.gap_from == MARCH + HOUR_MS && f->outcome.gap_to == late.at);
    assert_true(charging_point_equal(&f->point, &before) && f->outcome.pieces.len == 0);
    f->profiles[0] = office(f->outcome.gap_from, f->outcome.gap_to);
    f->setup.profile_count = 1;
    // Friday and Monday 10 kWh each by day, the weekend 20 by night.
    assert_int_equal(poll(f, late), CHARGING_CHARGED);
    assert_true(f->charged == 20000000 + 6000000);
    assert_int_equal(f->outcome.pieces.len, 1);
    assert_true(f->outcome.pieces.items[0].is_estimated && f->outcome.pieces.items[0].quantity == 40 * KWH);
    assert_true(f->point.estimated_since == MARCH + HOUR_MS);
    charge(f, late.at + HOUR_MS, 42 * KWH);
    assert_true(!f->outcome.pieces.items[0].is_estimated && f->point.estimated_since == 0);
    fixture_free(f);
}

static void history_that_is_brought_in_and_short_stretches_are_no_gaps(void **state) {
    (void)state;
    AUTO_TARIFF t = day_and_night();
    fixture *f = fixture_new(t);
    f->setup.gap_after_ms = 2 * HOUR_MS;
    f->outcome.finds_gaps = true;
    charge(f, MARCH + 10 * HOUR_MS, KWH);
    charge(f, MARCH + 12 * HOUR_MS, KWH);
    assert_int_equal(poll(f, (charging_poll){.at = MARCH + 20 * HOUR_MS, .value = KWH, .flags = READING_BACKFILL}), CHARGING_CHARGED);
    f->outcome.finds_gaps = false;
    charge(f, MARCH + 30 * HOUR_MS, KWH);
    assert_true(f->point.estimated_since == 0);
    fixture_free(f);
}

static void late_readings_cut_a_gap_and_what_is_short_is_none(void **state) {
    (void)state;
    AUTO_TARIFF t = day_and_night();
    fixture *f = fixture_new(t);
    f->profiles[0] = office(MARCH + HOUR_MS, MARCH + DAY_MS);
    f->setup.profile_count = 1;
    charge(f, MARCH + HOUR_MS, 0);
    charge(f, MARCH + 3 * HOUR_MS, 2 * KWH);  // two hours: by time, all by night
    assert_true(f->charged == 600000 && !f->outcome.pieces.items[0].is_estimated);
    charge(f, MARCH + DAY_MS, 12 * KWH);
    assert_true(f->charged == 600000 + 10000000 && f->outcome.pieces.items[0].is_estimated);
    fixture_free(f);
}

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static uint64_t seed_of_run(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 7041;
    printf("# SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void spreading_keeps_the_sum_and_never_goes_back(void **state) {
    (void)state;
    static const char *const ZONES[] = {"Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"};
    uint64_t seed = seed_of_run();
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    for (int round = 0; round < 1000; round++) {
        const zone *local = NULL;
        assert_int_equal(zone_set_find(zones, sv_of(ZONES[round % (int)ARRAY_LEN(ZONES)]), &local, NULL), ERR_OK);
        charging_profile profile = {0};
        for (int i = 0; round % 5 && i < 2 * CHARGING_SLOTS; i++)
            profile.milli[i / CHARGING_SLOTS][i % CHARGING_SLOTS] = (uint32_t)(random_next(&seed) % (round % 3 ? 5000 : 2));
        instant_ms from = MARCH + (instant_ms)(random_next(&seed) % (400 * DAY_MS));
        instant_ms to = from + 1 + (instant_ms)(random_next(&seed) % (20 * DAY_MS));
        int64_t quantity = (int64_t)(random_next(&seed) % 1000000);
        charging_spread spread = charging_spread_of(&profile, local, from, to);
        instant_ms until = from, last_until = from;
        int64_t last = 0;
        while (charging_spread_next(&spread, &until)) {
            int64_t used = charging_spread_used(&spread, quantity);
            assert_true(used >= last && until > last_until && until - last_until <= CHARGING_SLOT_MS);
            assert_true(used == charging_profile_split(&profile, local, quantity, from, to, until));
            last = used;
            last_until = until;
        }
        assert_true(until == to && last == quantity);
        uint8_t bytes[CHARGING_PROFILE_BYTES_MAX];
        charging_profile again = {0};
        assert_int_equal(charging_profile_unpack(sv_slice(bytes, charging_profile_pack(&profile, bytes)), &again, NULL), ERR_OK);
        assert_memory_equal(again.milli, profile.milli, sizeof again.milli);
    }
}

// The meter's own period registers win; the profile says how much of each lies before the edge of a tier window.
static void period_registers_in_a_gap_keep_their_sums(void **state) {
    (void)state;
    static const tariff_band BANDS[] = {{8 * 60, 22 * 60, 0}, {22 * 60, 8 * 60, 1}};
    static const tariff_row ALWAYS = {.from = {1, 1}, .to = {12, 31}, .days = 0x7F, .flag = -1, .band_count = 2, .bands = BANDS};
    static const tariff_line ENERGY = {
        .name = SV("energy"), .kind = LINE_KIND_QUANTITY, .price_count = {2, 2}, .price_micro = {{1000000, 2000000}, {100000, 200000}}};
    AUTO_TARIFF t = tariff_of(&(tariff_spec){.period_count = 2,
                                             .periods = {SV("day"), SV("night")},
                                             .row_count = 1,
                                             .rows = &ALWAYS,
                                             .has_tiers = true,
                                             .over = {.kind = WINDOW_MONTH},
                                             .upper_count = 1,
                                             .upper_milli = {15 * KWH},
                                             .line_count = 1,
                                             .lines = &ENERGY});
    fixture *f = fixture_new(t);
    f->installation.period_count = 2;
    f->installation.periods[0] = SV("day");
    f->installation.periods[1] = SV("night");
    instant_ms from = APRIL - DAY_MS, to = APRIL + DAY_MS;  // a Sunday and a Monday: half of the profile each
    f->profiles[0] = office(from, to);
    f->setup.profile_count = 1;
    assert_int_equal(poll(f, (charging_poll){.at = from, .value = 0, .register_count = 2}), CHARGING_CHARGED);
    charging_poll end = {.at = to, .value = 40 * KWH, .register_count = 2, .registers = {30 * KWH, 10 * KWH}};
    assert_int_equal(poll(f, end), CHARGING_CHARGED);
    // Each day 15 by day and 5 by night, in two half hours: three quarters of each tier by day.
    assert_int_equal(rating_state_used_milli(&f->point.rating), 20 * KWH);
    assert_true(f->charged == 2 * 19380000);  // 11.25 + 0.375 in the first tier, 7.50 + 0.25 in the second: 19.375
    fixture_free(f);
}

static void a_profile_is_what_was_used_in_each_half_hour(void **state) {
    (void)state;
    charging_profile_sums sums = {0};
    // Weekdays 2 kWh from 09:00 to 10:00; nothing was ever read at a weekend.
    for (int day = 3; day < 8; day++)
        for (int hour = 0; hour < 24; hour++)
            charging_profile_add(&sums, shanghai, MARCH + day * DAY_MS + hour * HOUR_MS, MARCH + day * DAY_MS + (hour + 1) * HOUR_MS,
                                 hour == 9 ? 2 * KWH : 0);
    charging_profile_add(&sums, shanghai, MARCH + DAY_MS, MARCH + 2 * DAY_MS, 900 * KWH);  // a day says nothing about half hours
    charging_profile made = {0};
    charging_profile_take(&made, &sums);
    for (int i = 0; i < CHARGING_SLOTS; i++) {
        assert_int_equal(made.milli[0][i], i == 18 || i == 19 ? KWH : 0);
        assert_int_equal(made.milli[1][i], made.milli[0][i]);
    }
    assert_int_equal(charging_profile_usual(&made, shanghai, MARCH, MARCH + 7 * DAY_MS), 14 * KWH);
    assert_int_equal(charging_profile_unpack(SV("\x02"), &made, NULL), ERR_MALFORMED);
    assert_int_equal(charging_profile_unpack(SV("\x01\x05"), &made, NULL), ERR_MALFORMED);
}

// Random readings with gaps under tiers, periods and closing lines: from any checkpoint the rest gives the same point.
static void replaying_gaps_and_windows_is_bit_equal(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    AUTO_TARIFF demand = with_demand();
    AUTO_TARIFF bands = day_and_night();
    for (int round = 0; round < 60; round++) {
        fixture *f = fixture_new(round % 2 ? demand : bands);
        charging_point start;
        bool has_start = false;
        VEC(charging_poll) since = {0};
        money_micro at_start = 0;
        instant_ms at = MARCH;
        int64_t value = 0;
        for (int i = 0; i < 120; i++) {
            bool is_gap = random_next(&seed) % 12 == 0;
            instant_ms from = at;
            at += (instant_ms)(is_gap ? 3 * HOUR_MS + (instant_ms)(random_next(&seed) % (5 * DAY_MS))
                                      : 5 * MINUTE_MS + (instant_ms)(random_next(&seed) % HOUR_MS));
            value += (int64_t)(random_next(&seed) % 5000);
            if (is_gap && f->setup.profile_count < ARRAY_LEN(f->profiles)) f->profiles[f->setup.profile_count++] = office(from, at);
            charging_poll one = {.channel = CHANNEL, .at = at, .value = value, .has_reactive = i % 3 == 0, .reactive = value / 3};
            if (i == 40) {
                uint8_t bytes[CHARGING_POINT_BYTES_MAX];
                assert_int_equal(charging_point_unpack(sv_slice(bytes, charging_point_pack(&f->point, bytes)), &start, NULL), ERR_OK);
                assert_true(charging_point_equal(&start, &f->point));
                at_start = f->charged;
                has_start = true;
            }
            if (has_start) vec_push(&since, one);
            assert_int_equal(poll(f, one), CHARGING_CHARGED);
        }
        charging_point end = f->point;
        money_micro charged = f->charged;
        f->point = start;
        f->charged = at_start;
        for (size_t i = 0; i < since.len; i++) assert_int_equal(poll(f, since.items[i]), CHARGING_CHARGED);
        assert_true(f->charged == charged && charging_point_equal(&f->point, &end));
        assert_true(f->point.charged_total == charged);
        vec_done(&since);
        fixture_free(f);
    }
}

static void a_close_nobody_could_read_is_marked(void **state) {
    (void)state;
    AUTO_TARIFF t = day_and_night();
    fixture *f = fixture_new(t);
    charging_installation both[2] = {f->installation, f->installation};
    both[0].to = MARCH + DAY_MS;
    both[0].closing_value = 30 * KWH;
    both[0].has_estimated_close = true;
    both[1].channel = CHANNEL + 1;
    both[1].from = MARCH + DAY_MS;
    f->setup.installations = both;
    f->setup.installation_count = 2;
    charge(f, MARCH + HOUR_MS, 10 * KWH);
    charging_poll first = {.channel = CHANNEL + 1, .at = MARCH + 25 * HOUR_MS, .value = KWH};
    vec_clear(&f->outcome.pieces);
    assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &first, &f->outcome), CHARGING_CHARGED);
    assert_int_equal(f->outcome.pieces.len, 2);
    assert_true(f->outcome.pieces.items[0].is_estimated && f->outcome.pieces.items[0].quantity == 20 * KWH);
    assert_true(!f->outcome.pieces.items[1].is_estimated && f->point.estimated_since == 0);
    fixture_free(f);
}

static int make(void **state) {
    (void)state;
    shanghai = zone_new_fixed(SV("Asia/Shanghai"), 8 * 3600);
    return 0;
}

static int drop(void **state) {
    (void)state;
    zone_free(shanghai);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_heads_takes_effect_with_the_next_window),
        cmocka_unit_test(a_reading_over_the_windows_edge_finds_each_windows_heads),
        cmocka_unit_test(an_account_opened_inside_a_window_has_its_share_of_it),
        cmocka_unit_test(a_window_is_told_when_it_opens_and_when_it_closes),
        cmocka_unit_test(one_reading_may_close_several_windows),
        cmocka_unit_test(near_readings_add_up_to_a_quarter_of_an_hour),
        cmocka_unit_test(the_meters_own_demand_wins_and_what_it_kept_from_before_does_not),
        cmocka_unit_test(the_power_factor_is_active_over_apparent_energy),
        cmocka_unit_test(the_next_account_begins_with_nothing_measured),
        cmocka_unit_test(a_gap_is_spread_by_the_profile),
        cmocka_unit_test(history_that_is_brought_in_and_short_stretches_are_no_gaps),
        cmocka_unit_test(late_readings_cut_a_gap_and_what_is_short_is_none),
        cmocka_unit_test(spreading_keeps_the_sum_and_never_goes_back),
        cmocka_unit_test(period_registers_in_a_gap_keep_their_sums),
        cmocka_unit_test(a_profile_is_what_was_used_in_each_half_hour),
        cmocka_unit_test(replaying_gaps_and_windows_is_bit_equal),
        cmocka_unit_test(a_close_nobody_could_read_is_marked),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
