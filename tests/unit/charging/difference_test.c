// What usage comes to when it is rated again, against what was charged: by holding and local month, nothing lost between.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "charging/difference.h"

#define MARCH 1709222400000LL  // 2024-03-01T00:00:00+08:00
#define APRIL (MARCH + 31 * DAY_MS)
#define MAY (APRIL + 30 * DAY_MS)

typedef struct bench {
    zone *local;
    charging_holder holders[4];
    charging_setup setup;
    charging_differences sums;
} bench;

// Account 1 until 10 April, its terms changing on 20 March; nobody for a day; account 2; account 1 again from 5 May.
static int make(void **state) {
    bench *self = calloc(1, sizeof *self);
    self->local = zone_new_fixed(SV("east"), 8 * 3600);
    self->holders[0] = (charging_holder){.account = 1, .purse = 11, .from = MARCH, .to = MARCH + 19 * DAY_MS};
    self->holders[1] = (charging_holder){.account = 1, .purse = 12, .from = MARCH + 19 * DAY_MS, .to = APRIL + 9 * DAY_MS};
    self->holders[2] = (charging_holder){.account = 2, .purse = 21, .from = APRIL + 10 * DAY_MS, .to = MAY + 4 * DAY_MS};
    self->holders[3] = (charging_holder){.account = 1, .purse = 13, .from = MAY + 4 * DAY_MS, .to = INSTANT_MAX};
    self->setup = (charging_setup){.zone = self->local, .holder_count = 4, .holders = self->holders};
    *state = self;
    return 0;
}

static int done(void **state) {
    bench *self = *state;
    charging_differences_done(&self->sums);
    zone_free(self->local);
    free(self);
    return 0;
}

static void a_holding_is_an_account_without_a_break(void **state) {
    bench *self = *state;
    static const struct {
        instant_ms at;
        charging_holding expected;
    } CASES[] = {
        {MARCH - 1, {0}},
        {MARCH, {1, 12, MARCH, APRIL + 9 * DAY_MS}},
        {MARCH + 19 * DAY_MS, {1, 12, MARCH, APRIL + 9 * DAY_MS}},
        {APRIL + 9 * DAY_MS - 1, {1, 12, MARCH, APRIL + 9 * DAY_MS}},
        {APRIL + 9 * DAY_MS, {0}},
        {APRIL + 10 * DAY_MS, {2, 21, APRIL + 10 * DAY_MS, MAY + 4 * DAY_MS}},
        {MAY + 4 * DAY_MS, {1, 13, MAY + 4 * DAY_MS, INSTANT_MAX}},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        charging_holding found = charging_holding_at(&self->setup, CASES[i].at);
        assert_int_equal(found.account, CASES[i].expected.account);
        assert_int_equal(found.purse, CASES[i].expected.purse);
        assert_true(found.from == CASES[i].expected.from && found.to == CASES[i].expected.to);
    }
}

static void lists_of_versions_differ_from(void **state) {
    (void)state;
    const charging_version a[] = {{.from = 10, .num = 1}, {.from = 20, .num = 2}, {.from = 30, .num = 3}};
    const charging_version later[] = {{.from = 10, .num = 1}, {.from = 25, .num = 2}, {.from = 30, .num = 3}};
    const charging_version other[] = {{.from = 10, .num = 1}, {.from = 20, .num = 2}, {.from = 30, .num = 9}};
    const charging_version earlier[] = {{.from = 5, .num = 1}, {.from = 20, .num = 2}, {.from = 30, .num = 3}};
    assert_true(charging_versions_differ_from(a, 3, a, 3) == INSTANT_MAX);
    assert_true(charging_versions_differ_from(a, 3, later, 3) == 20);
    assert_true(charging_versions_differ_from(other, 3, a, 3) == 30);
    assert_true(charging_versions_differ_from(a, 3, earlier, 3) == 5);
    assert_true(charging_versions_differ_from(a, 3, a, 2) == 30);
    assert_true(charging_versions_differ_from(NULL, 0, a, 3) == 10);
    assert_true(charging_versions_differ_from(NULL, 0, NULL, 0) == INSTANT_MAX);
}

static void rate(bench *self, instant_ms from, instant_ms to, money_micro amount) {
    charging_holding held = charging_holding_at(&self->setup, from);
    charging_piece piece = {
        .from_at = from, .to_at = to, .amount = amount, .quantity = amount * 2, .account = held.account, .version_num = 7};
    charging_differences_rate(&self->sums, &piece);
}

static const charging_difference *at(const bench *self, size_t i) {
    assert_true(i < self->sums.list.len);
    return &self->sums.list.items[i];
}

static void usage_belongs_to_the_month_it_ended_in(void **state) {
    bench *self = *state;
    charging_point fresh;
    charging_point_init(&fresh);
    charging_differences_begin(&self->sums, &self->setup, &fresh);
    rate(self, MARCH, MARCH + DAY_MS, 10);
    rate(self, APRIL - HOUR_MS, APRIL, 5);                              // ends with March
    rate(self, APRIL, APRIL + HOUR_MS, 7);                              // April
    rate(self, APRIL + 9 * DAY_MS, APRIL + 10 * DAY_MS, 1000);          // nobody
    rate(self, APRIL + 10 * DAY_MS, APRIL + 11 * DAY_MS, 3);            // the next account
    rate(self, MAY + 4 * DAY_MS, MAY + 5 * DAY_MS, 2);                  // the first one again
    charging_differences_charge(&self->sums, 1, MARCH, APRIL, 12, 24);  // a day less a little
    charging_differences_charge(&self->sums, 1, APRIL, APRIL + HOUR_MS, 7, 14);
    charging_differences_charge(&self->sums, 2, APRIL + 10 * DAY_MS, APRIL + 11 * DAY_MS, 4, 6);
    charging_differences_charge(&self->sums, 2, MARCH, APRIL, 99, 99);  // nothing of it was rated
    assert_int_equal(self->sums.list.len, 4);
    static const struct {
        int64_t account, purse;
        money_micro amount, charged;
        instant_ms month;
    } EXPECTED[] = {{1, 12, 15, 12, MARCH}, {1, 12, 7, 7, APRIL}, {2, 21, 3, 4, APRIL}, {1, 13, 2, 0, MAY}};
    for (size_t i = 0; i < ARRAY_LEN(EXPECTED); i++) {
        const charging_difference *each = at(self, i);
        assert_int_equal(each->holding.account, EXPECTED[i].account);
        assert_int_equal(each->holding.purse, EXPECTED[i].purse);
        assert_int_equal(each->amount, EXPECTED[i].amount);
        assert_int_equal(each->charged, EXPECTED[i].charged);
        assert_true(each->month.from == EXPECTED[i].month);
        assert_int_equal(each->quantity, EXPECTED[i].amount * 2);
    }
    assert_true(at(self, 0)->from_at == MARCH && at(self, 0)->to_at == APRIL);
}

static void what_lies_before_the_checkpoint_is_in_the_first_month(void **state) {
    bench *self = *state;
    charging_point point;
    charging_point_init(&point);
    point.account = 1;
    point.last_at = APRIL - HOUR_MS;
    point.charged_total = 100;
    point.quantity_total = 200;
    charging_differences_begin(&self->sums, &self->setup, &point);
    rate(self, APRIL - HOUR_MS, APRIL + HOUR_MS, 6);
    charging_differences_charge(&self->sums, 1, MARCH, MARCH + DAY_MS, 40, 80);
    charging_differences_charge(&self->sums, 1, MARCH + DAY_MS, APRIL - HOUR_MS, 60, 120);
    charging_differences_charge(&self->sums, 1, APRIL - HOUR_MS, APRIL + HOUR_MS, 6, 12);
    assert_int_equal(self->sums.list.len, 1);
    assert_int_equal(at(self, 0)->amount, 106);
    assert_int_equal(at(self, 0)->charged, 106);
    assert_int_equal(at(self, 0)->quantity, 212);
    assert_int_equal(at(self, 0)->charged_quantity, 212);
    // Of another account nothing is taken over.
    point.account = 2;
    charging_differences_begin(&self->sums, &self->setup, &point);
    rate(self, APRIL, APRIL + HOUR_MS, 6);
    assert_int_equal(at(self, 0)->amount, 6);
}

static int draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int)(*state >> 33);
}

// Wherever the checkpoint lies, the differences of each account add up to the same.
static void sums_do_not_depend_on_the_checkpoint(void **state) {
    bench *self = *state;
    unsigned seed = (unsigned)time(NULL);
    const char *wanted = getenv("PENSTOCK_TEST_SEED");
    if (wanted) seed = (unsigned)strtoul(wanted, NULL, 10);
    print_message("seed %u\n", seed);
    uint64_t random = seed;
    for (int round = 0; round < 200; round++) {
        enum { COUNT = 60 };
        instant_ms ends[COUNT + 1] = {MARCH};
        money_micro rated[COUNT], charged[COUNT];
        for (int i = 0; i < COUNT; i++) {
            ends[i + 1] = ends[i] + (1 + draw(&random) % 40) * HOUR_MS;
            charging_holding held = charging_holding_at(&self->setup, ends[i]);
            if (held.account && ends[i + 1] > held.to) ends[i + 1] = held.to;
            if (!held.account) ends[i + 1] = APRIL + 10 * DAY_MS;
            rated[i] = draw(&random) % 1000;
            charged[i] = i < COUNT / 2 && round % 2 ? rated[i] : draw(&random) % 1000;
        }
        money_micro total[2] = {0};
        for (int start = 0; start < 2; start++) {
            int first = start ? draw(&random) % (COUNT / 3) : 0;
            charging_point point;
            charging_point_init(&point);
            charging_holding held = first ? charging_holding_at(&self->setup, ends[first] - 1) : (charging_holding){0};
            point.account = held.account;
            point.last_at = ends[first];
            for (int i = 0; i < first; i++)
                if (ends[i] >= held.from) point.charged_total += rated[i];
            charging_differences_begin(&self->sums, &self->setup, &point);
            for (int i = first; i < COUNT; i++) rate(self, ends[i], ends[i + 1], rated[i]);
            for (int i = 0; i < COUNT; i++)
                charging_differences_charge(&self->sums, charging_holding_at(&self->setup, ends[i]).account, ends[i], ends[i + 1],
                                            charged[i], 0);
            for (size_t i = 0; i < self->sums.list.len; i++)
                if (at(self, i)->holding.from >= held.from) total[start] += at(self, i)->amount - at(self, i)->charged;
        }
        if (total[0] != total[1]) fail_msg("seed %u, round %d: %lld, %lld", seed, round, (long long)total[0], (long long)total[1]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, done)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_holding_is_an_account_without_a_break), TEST(lists_of_versions_differ_from),
        TEST(usage_belongs_to_the_month_it_ended_in),  TEST(what_lies_before_the_checkpoint_is_in_the_first_month),
        TEST(sums_do_not_depend_on_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
