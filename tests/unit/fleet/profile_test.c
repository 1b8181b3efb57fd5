// The load function of the simulated meters: every promise of fleet/profile.h, over random meters from a printed seed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fleet/profile.h"

#define SEED 20261121u
#define START_AT 1795190400000LL  // 2026-11-21T00:00:00+08:00

static fleet_load any_load(uint64_t index) {
    return (fleet_load){.seed = SEED,
                        .address = 100000000000u + index,
                        .profile = (fleet_profile)(index % FLEET_PROFILE_COUNT),
                        .start_wh = 5000000 + (int64_t)index,
                        .start_at = START_AT};
}

static void assert_periods_sum(const fleet_registers *registers) {
    int64_t sum = 0;
    for (int p = 0; p < FLEET_PERIODS; p++) sum += registers->period_wh[p];
    assert_true(sum == registers->total_wh);
}

static void registers_start_where_they_are_told(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        fleet_load load = any_load(i);
        fleet_registers registers = fleet_load_at(&load, START_AT);
        assert_true(registers.total_wh == load.start_wh);
        assert_periods_sum(&registers);
    }
}

static void registers_never_fall_and_periods_sum(void **state) {
    (void)state;
    print_message("# seed %u\n", SEED);
    for (uint64_t i = 0; i < 50; i++) {
        fleet_load load = any_load(i);
        instant_ms at = START_AT - 60 * DAY_MS;
        fleet_registers before = fleet_load_at(&load, at);
        for (uint64_t step = 0; step < 2000; step++) {
            at += (int64_t)(fleet_mix(SEED + i, step) % (3 * (uint64_t)HOUR_MS));
            fleet_registers after = fleet_load_at(&load, at);
            assert_periods_sum(&after);
            for (int p = 0; p < FLEET_PERIODS; p++) assert_true(after.period_wh[p] >= before.period_wh[p]);
            before = after;
        }
    }
}

static void the_hour_cache_agrees_with_the_function(void **state) {
    (void)state;
    fleet_load load = any_load(7);
    for (instant_ms hour_start = START_AT; hour_start < START_AT + 8 * DAY_MS; hour_start += HOUR_MS) {
        fleet_hour hour = fleet_load_hour(&load, hour_start + 1234567);
        assert_true(hour.from == hour_start);
        for (int64_t part = 0; part < HOUR_MS; part += 599999) {
            fleet_registers cached = fleet_hour_at(&hour, hour_start + part);
            fleet_registers asked = fleet_load_at(&load, hour_start + part);
            assert_memory_equal(&cached, &asked, sizeof asked);
        }
        int64_t used = fleet_load_used_wh(&load, hour_start, hour_start + HOUR_MS);
        assert_true(used == fleet_hour_power_w(&hour));
    }
}

// Local hours of +08:00 and the one register that may count in them.
static void only_the_period_of_the_hour_counts(void **state) {
    (void)state;
    static const struct {
        int hour, period;
    } ROWS[] = {{0, 3}, {6, 3}, {7, 2}, {8, 1}, {10, 1}, {11, 2}, {16, 2}, {17, 1}, {19, 0}, {20, 0}, {21, 1}, {22, 3}, {23, 3}};
    fleet_load load = any_load(3);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        for (int64_t day = 0; day < 14; day++) {
            fleet_hour hour = fleet_load_hour(&load, START_AT + day * DAY_MS + ROWS[i].hour * HOUR_MS);
            for (int p = 0; p < FLEET_PERIODS; p++)
                if (p != ROWS[i].period) assert_true(hour.energy_wh[p] == 0);
            assert_true(hour.energy_wh[ROWS[i].period] > 0);
        }
    }
}

static void kinds_of_customer_use_what_they_should(void **state) {
    (void)state;
    static const struct {
        fleet_profile profile;
        int64_t day_min_wh, day_max_wh;
    } ROWS[] = {
        {FLEET_PROFILE_SHOP, 18000, 60000},   {FLEET_PROFILE_FLAT, 4000, 14000},        {FLEET_PROFILE_DORMITORY_ROOM, 1500, 5000},
        {FLEET_PROFILE_OFFICE, 10000, 34000}, {FLEET_PROFILE_PUBLIC_AREA, 7000, 21000},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        for (uint64_t meter = 0; meter < 100; meter++) {
            fleet_load load = any_load(meter);
            load.profile = ROWS[i].profile;
            int64_t mean = fleet_load_used_wh(&load, START_AT, START_AT + 70 * DAY_MS) / 70;
            assert_in_range((uint64_t)mean, (uint64_t)ROWS[i].day_min_wh, (uint64_t)ROWS[i].day_max_wh);
        }
}

static void seeds_and_addresses_differ(void **state) {
    (void)state;
    fleet_load a = any_load(10), b = any_load(10), c = any_load(10);
    b.seed++;
    c.address++;
    instant_ms at = START_AT + 10 * DAY_MS;
    assert_true(fleet_load_at(&a, at).total_wh != fleet_load_at(&b, at).total_wh);
    assert_true(fleet_load_at(&a, at).total_wh != fleet_load_at(&c, at).total_wh);
}

static void the_display_rolls_over(void **state) {
    (void)state;
    static const struct {
        int64_t wh, counts;
    } ROWS[] = {{0, 0}, {9, 0}, {10, 1}, {1234560, 123456}, {999999999, 99999999}, {1000000000, 0}, {1000000029, 2}, {-5, 0}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) assert_true(fleet_display_counts(ROWS[i].wh) == ROWS[i].counts);
}

static void names_are_a_vocabulary(void **state) {
    (void)state;
    for (int i = 0; i < FLEET_PROFILE_COUNT; i++) {
        fleet_profile profile = FLEET_PROFILE_COUNT;
        assert_true(fleet_profile_parse(sv_of(fleet_profile_name((fleet_profile)i)), &profile));
        assert_int_equal(profile, i);
    }
    fleet_profile profile;
    assert_false(fleet_profile_parse(SV("palace"), &profile));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_start_where_they_are_told),
        cmocka_unit_test(registers_never_fall_and_periods_sum),
        cmocka_unit_test(the_hour_cache_agrees_with_the_function),
        cmocka_unit_test(only_the_period_of_the_hour_counts),
        cmocka_unit_test(kinds_of_customer_use_what_they_should),
        cmocka_unit_test(seeds_and_addresses_differ),
        cmocka_unit_test(the_display_rolls_over),
        cmocka_unit_test(names_are_a_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
