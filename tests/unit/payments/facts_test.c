// What follows from a fact: the table case by case, then random histories against what must hold of all of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "facts.h"

#define NOW 1795000000000LL

static pay_order order_in(order_state state) {
    return (pay_order){.company = 1,
                       .num = 5,
                       .purse = 7,
                       .merchant = 3,
                       .number = SV("0193a1d000007000800000000000000a"),
                       .currency = SV("CNY"),
                       .amount_micro = 50000000,
                       .state = state,
                       .created_at = NOW - HOUR_MS,
                       .expires_at = NOW + HOUR_MS};
}

static pay_refund refund_in(refund_state state) {
    return (pay_refund){.num = 9, .order = 5, .number = SV("refund1"), .currency = SV("CNY"), .amount_micro = 20000000, .state = state};
}

static provider_fact paid_fact(void) {
    return (provider_fact){.state = PROVIDER_STATE_PAID,
                           .order_number = SV("0193a1d000007000800000000000000a"),
                           .channel_id = SV("4200001"),
                           .amount_micro = 50000000,
                           .currency = SV("CNY"),
                           .happened_at = NOW - SECOND_MS,
                           .is_of_merchant = true};
}

static provider_fact refund_fact(provider_fact_state state) {
    return (provider_fact){.state = state,
                           .order_number = SV("0193a1d000007000800000000000000a"),
                           .refund_number = SV("refund1"),
                           .refund_channel_id = SV("5000001"),
                           .amount_micro = 20000000,
                           .order_micro = 50000000,
                           .is_of_merchant = true};
}

static fact_decision decide(const pay_order *order, const pay_refund *refund, bool is_known, const provider_fact *fact) {
    fact_context context = {.merchant = 3, .order = order, .refund = refund, .is_known = is_known, .now = NOW};
    return fact_decide(&context, fact);
}

static void a_payment_is_credited_in_every_state_that_was_not_paid(void **state) {
    (void)state;
    static const struct {
        order_state from, to;
        fact_outcome outcome;
    } CASES[] = {{ORDER_CREATED, ORDER_PAID, OUTCOME_CREDITED},
                 {ORDER_PENDING, ORDER_PAID, OUTCOME_CREDITED},
                 {ORDER_UNKNOWN, ORDER_PAID, OUTCOME_CREDITED},
                 {ORDER_CLOSED, ORDER_PAID_LATE, OUTCOME_CREDITED_LATE},
                 {ORDER_FAILED, ORDER_PAID_LATE, OUTCOME_CREDITED_LATE}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        pay_order order = order_in(CASES[i].from);
        provider_fact fact = paid_fact();
        fact_decision got = decide(&order, NULL, false, &fact);
        assert_int_equal(got.outcome, CASES[i].outcome);
        assert_int_equal(got.order_state, CASES[i].to);
        assert_true(got.credits && got.records && got.changes_order && !got.suspends && !got.is_time_doubtful);
        assert_int_equal(got.happened_at, NOW - SECOND_MS);
        got = decide(&order, NULL, true, &fact);
        assert_int_equal(got.outcome, OUTCOME_DUPLICATE);
        assert_false(got.credits || got.records || got.changes_order);
    }
}

static void other_money_goes_into_suspense(void **state) {
    (void)state;
    pay_order pending = order_in(ORDER_PENDING), paid = order_in(ORDER_PAID);
    provider_fact less = paid_fact(), more = paid_fact(), dollars = paid_fact(), none = paid_fact(), plain = paid_fact();
    less.amount_micro -= 10000;
    more.amount_micro += 10000;
    dollars.currency = SV("USD");
    none.currency = SV("");
    const struct {
        const pay_order *order;
        const provider_fact *fact;
        suspense_reason reason;
        bool fails_order;
    } CASES[] = {{&pending, &less, SUSPENSE_AMOUNT_MISMATCH, true},      {&pending, &more, SUSPENSE_AMOUNT_MISMATCH, true},
                 {&pending, &dollars, SUSPENSE_CURRENCY_MISMATCH, true}, {&pending, &none, SUSPENSE_CURRENCY_MISMATCH, true},
                 {&paid, &plain, SUSPENSE_SECOND_PAYMENT, false},        {NULL, &plain, SUSPENSE_UNKNOWN_ORDER, false}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        fact_decision got = decide(CASES[i].order, NULL, false, CASES[i].fact);
        assert_int_equal(got.outcome, OUTCOME_SUSPENDED);
        assert_int_equal(got.suspense, CASES[i].reason);
        assert_true(got.suspends && got.records && !got.credits);
        assert_int_equal(got.changes_order, CASES[i].fails_order);
        if (CASES[i].fails_order) assert_int_equal(got.order_state, ORDER_FAILED);
    }
}

static void what_is_not_of_this_merchant_has_no_effect(void **state) {
    (void)state;
    pay_order order = order_in(ORDER_PENDING), others = order_in(ORDER_PENDING);
    others.merchant = 4;
    provider_fact fact = paid_fact(), foreign = paid_fact();
    foreign.is_of_merchant = false;
    fact_decision got = decide(&order, NULL, false, &foreign);
    assert_int_equal(got.outcome, OUTCOME_FOREIGN);
    assert_false(got.credits || got.records || got.suspends || got.changes_order || got.asks);
    got = decide(&others, NULL, false, &fact);
    assert_int_equal(got.outcome, OUTCOME_FOREIGN);
    assert_false(got.credits || got.records || got.suspends || got.changes_order || got.asks);
}

static void only_open_orders_close_and_nothing_takes_a_payment_back(void **state) {
    (void)state;
    static const provider_fact_state SAYINGS[] = {PROVIDER_STATE_UNPAID, PROVIDER_STATE_CLOSED, PROVIDER_STATE_FAILED,
                                                  PROVIDER_STATE_OTHER};
    for (size_t from = 0; from < ORDER_STATE_COUNT; from++)
        for (size_t i = 0; i < ARRAY_LEN(SAYINGS); i++) {
            pay_order order = order_in((order_state)from);
            provider_fact fact = paid_fact();
            fact.state = SAYINGS[i];
            fact_decision got = decide(&order, NULL, false, &fact);
            bool closes = order_state_is_open(order.state) && SAYINGS[i] == PROVIDER_STATE_CLOSED;
            assert_int_equal(got.changes_order, closes);
            if (closes) assert_int_equal(got.order_state, ORDER_CLOSED);
            assert_false(got.credits || got.records || got.suspends);
            assert_int_equal(got.asks, order_state_is_open(order.state) && SAYINGS[i] == PROVIDER_STATE_OTHER);
        }
}

static void impossible_times_are_those_of_receipt(void **state) {
    (void)state;
    static const instant_ms TIMES[] = {0, NOW - 400 * DAY_MS, NOW + HOUR_MS};
    for (size_t i = 0; i < ARRAY_LEN(TIMES); i++) {
        pay_order order = order_in(ORDER_PENDING);
        provider_fact fact = paid_fact();
        fact.happened_at = TIMES[i];
        fact_decision got = decide(&order, NULL, false, &fact);
        assert_true(got.credits && got.is_time_doubtful);
        assert_int_equal(got.happened_at, NOW);
    }
}

static void refunds_by_their_states(void **state) {
    (void)state;
    enum { NONE = -1 };
    static const struct {
        provider_fact_state saying;
        refund_state from;
        int to;  // NONE: no change
        bool releases, suspends;
    } CASES[] = {
        {PROVIDER_STATE_REFUNDED, REFUND_RESERVED, REFUND_SETTLED, false, false},
        {PROVIDER_STATE_REFUNDED, REFUND_UNKNOWN, REFUND_SETTLED, false, false},
        {PROVIDER_STATE_REFUNDED, REFUND_PENDING, REFUND_SETTLED, false, false},
        {PROVIDER_STATE_REFUNDED, REFUND_ABNORMAL, REFUND_SETTLED, false, false},
        {PROVIDER_STATE_REFUNDED, REFUND_SETTLED, NONE, false, false},
        {PROVIDER_STATE_REFUNDED, REFUND_FAILED, NONE, false, true},
        {PROVIDER_STATE_REFUNDED, REFUND_REFUSED, NONE, false, true},
        {PROVIDER_STATE_REFUND_CLOSED, REFUND_PENDING, REFUND_FAILED, true, false},
        {PROVIDER_STATE_REFUND_CLOSED, REFUND_FAILED, NONE, false, false},
        {PROVIDER_STATE_REFUND_CLOSED, REFUND_SETTLED, NONE, false, false},
        {PROVIDER_STATE_REFUND_ABNORMAL, REFUND_PENDING, REFUND_ABNORMAL, false, false},
        {PROVIDER_STATE_REFUND_ABNORMAL, REFUND_SETTLED, NONE, false, false},
        {PROVIDER_STATE_REFUND_PENDING, REFUND_RESERVED, REFUND_PENDING, false, false},
        {PROVIDER_STATE_REFUND_PENDING, REFUND_PENDING, NONE, false, false},
        {PROVIDER_STATE_REFUND_PENDING, REFUND_SETTLED, NONE, false, false},
        {PROVIDER_STATE_REFUND_OTHER, REFUND_PENDING, NONE, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        pay_order order = order_in(ORDER_PAID);
        pay_refund refund = refund_in(CASES[i].from);
        provider_fact fact = refund_fact(CASES[i].saying);
        fact_decision got = decide(&order, &refund, false, &fact);
        assert_int_equal(got.changes_refund, CASES[i].to != NONE);
        if (CASES[i].to != NONE) assert_int_equal(got.refund_state, CASES[i].to);
        assert_int_equal(got.releases, CASES[i].releases);
        assert_int_equal(got.suspends, CASES[i].suspends);
        assert_false(got.credits || got.changes_order);
    }
}

static void refunds_nobody_asked_for_are_imported_once(void **state) {
    (void)state;
    pay_order order = order_in(ORDER_PAID);
    provider_fact fact = refund_fact(PROVIDER_STATE_REFUNDED);
    fact_decision got = decide(&order, NULL, false, &fact);
    assert_true(got.suspends && got.records && got.has_foreign_refund);
    assert_int_equal(got.suspense, SUSPENSE_EXTERNAL_REFUND);
    got = decide(&order, NULL, true, &fact);
    assert_int_equal(got.outcome, OUTCOME_DUPLICATE);
    assert_false(got.suspends || got.records);
    pay_refund refund = refund_in(REFUND_PENDING);
    fact.amount_micro += 10000;
    got = decide(&order, &refund, false, &fact);
    assert_int_equal(got.suspense, SUSPENSE_REFUND_MISMATCH);
    assert_true(got.suspends && !got.changes_refund);
}

// ---- histories ----

static uint64_t seed_state;
static uint32_t roll(uint32_t below) {
    seed_state = seed_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed_state >> 33) % below;
}

static void no_history_credits_twice_or_loses_money(void **state) {
    (void)state;
    const char *wanted = getenv("PENSTOCK_TEST_SEED");
    uint64_t seed = wanted ? strtoull(wanted, NULL, 10) : (uint64_t)clock_monotonic_ns();
    seed_state = seed;
    print_message("seed %llu\n", (unsigned long long)seed);
    static const char *const IDS[] = {"a", "b", "c"};
    for (int history = 0; history < 20000; history++) {
        pay_order order = order_in((order_state)roll(3));
        bool is_known[3] = {false}, was_paid = false;
        int credits = 0, suspended = 0, received = 0;
        for (int step = 0; step < 12; step++) {
            provider_fact fact = paid_fact();
            uint32_t id = roll(3);
            fact.channel_id = sv_of(IDS[id]);
            fact.state = (provider_fact_state)roll(PROVIDER_STATE_OTHER + 1);
            if (roll(4) == 0) fact.amount_micro = 1 + (int64_t)roll(3) * 49999999;
            if (roll(8) == 0) fact.currency = SV("USD");
            if (roll(8) == 0) fact.is_of_merchant = false;
            fact_decision got = decide(&order, NULL, is_known[id], &fact);
            bool is_money = fact.state == PROVIDER_STATE_PAID && fact.is_of_merchant && !is_known[id];
            received += is_money;
            credits += got.credits;
            suspended += got.suspends;
            assert_int_equal(got.records, is_money);
            assert_false(got.credits && got.suspends);
            if (got.records) is_known[id] = true;
            if (got.changes_order) order.state = got.order_state;
            was_paid |= got.credits;
            assert_int_equal(was_paid, order.state == ORDER_PAID || order.state == ORDER_PAID_LATE);
        }
        assert_in_range(credits, 0, 1);
        assert_int_equal(received, credits + suspended);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payment_is_credited_in_every_state_that_was_not_paid),
        cmocka_unit_test(other_money_goes_into_suspense),
        cmocka_unit_test(what_is_not_of_this_merchant_has_no_effect),
        cmocka_unit_test(only_open_orders_close_and_nothing_takes_a_payment_back),
        cmocka_unit_test(impossible_times_are_those_of_receipt),
        cmocka_unit_test(refunds_by_their_states),
        cmocka_unit_test(refunds_nobody_asked_for_are_imported_once),
        cmocka_unit_test(no_history_credits_twice_or_loses_money),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
