// Each reason alone stands against a switch-off; nothing else does. The order of reasons, the wishes and the steps by
// tables.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "switching/switching.h"
#include "world.h"

static switching_facts may_be_cut(switching_cause cause) {
    return (switching_facts){.cause = cause,
                             .is_newest = SWITCHING_YES,
                             .is_switchable = SWITCHING_YES,
                             .never_cut = SWITCHING_NO,
                             .is_forced_on = SWITCHING_NO,
                             .is_frozen = SWITCHING_NO,
                             .has_unknown_off = SWITCHING_NO,
                             .off_last_hour = 4,
                             .off_limit = 5,
                             .is_own = SWITCHING_YES,
                             .prepaid_rule = SWITCHING_YES,
                             .is_shared = SWITCHING_NO,
                             .level = 3,
                             .credit_age_ms = SWITCHING_NEVER,
                             .is_stopped = SWITCHING_NO,
                             .reading_age_ms = 60000,
                             .tariff_age_ms = SWITCHING_NEVER,
                             .in_window = SWITCHING_YES,
                             .is_warned = SWITCHING_YES,
                             .on_age_ms = SWITCHING_NEVER,
                             .stale_after_ms = 3600000,
                             .credit_quiet_ms = 600000,
                             .min_on_ms = 1800000};
}

typedef struct reason_row {
    switching_refusal expected;
    bool stops_operators;
    void (*spoil)(switching_facts *);
} reason_row;

#define SPOIL(name, statement) \
    static void spoil_##name(switching_facts *f) { statement; }
SPOIL(newest, f->is_newest = SWITCHING_NO)
SPOIL(switchable, f->is_switchable = SWITCHING_NO)
SPOIL(never_cut, f->never_cut = SWITCHING_YES)
SPOIL(forced, f->is_forced_on = SWITCHING_YES)
SPOIL(unknown_off, f->has_unknown_off = SWITCHING_YES)
SPOIL(frozen, f->is_frozen = SWITCHING_YES)
SPOIL(limiter, f->off_last_hour = 5)
SPOIL(rule, f->prepaid_rule = SWITCHING_NO)
SPOIL(shared, f->is_shared = SWITCHING_YES)
SPOIL(no_purse, f->level = SWITCHING_LEVEL_NONE)
SPOIL(level, f->level = 2)
SPOIL(payment_unknown, f->payment_block = SV("payment_unknown"))
SPOIL(payment_credit, f->payment_block = SV("payment_not_credited"))
SPOIL(payment_suspense, f->payment_block = SV("payment_in_suspense"))
SPOIL(payment_recent, f->payment_block = SV("payment_recent"))
SPOIL(payment_odd, f->payment_block = SV("never_cut"))
SPOIL(credit, f->credit_age_ms = 599999)
SPOIL(credit_ahead, f->credit_age_ms = -5)
SPOIL(stopped, f->is_stopped = SWITCHING_YES)
SPOIL(stale, f->reading_age_ms = 3600001)
SPOIL(no_reading, f->reading_age_ms = SWITCHING_NEVER)
SPOIL(future, f->reading_age_ms = -SWITCHING_FUTURE_MS - 1)
SPOIL(tariff, f->tariff_age_ms = SWITCHING_TARIFF_QUIET_MS - 1)
SPOIL(window, f->in_window = SWITCHING_NO)
SPOIL(warning, f->is_warned = SWITCHING_NO)
SPOIL(on_recent, f->on_age_ms = 1799999)

static const reason_row ROWS[] = {
    {SWITCHING_SUPERSEDED, true, spoil_newest},
    {SWITCHING_NOT_SWITCHABLE, true, spoil_switchable},
    {SWITCHING_NEVER_CUT, true, spoil_never_cut},
    {SWITCHING_FORCE_ON, true, spoil_forced},
    {SWITCHING_OUTCOME_UNKNOWN, true, spoil_unknown_off},
    {SWITCHING_RULE_OFF, false, spoil_rule},
    {SWITCHING_SHARED, false, spoil_shared},
    {SWITCHING_NO_PURSE, false, spoil_no_purse},
    {SWITCHING_NOT_IN_ARREARS, false, spoil_level},
    {SWITCHING_PAYMENT_UNKNOWN, false, spoil_payment_unknown},
    {SWITCHING_PAYMENT_NOT_CREDITED, false, spoil_payment_credit},
    {SWITCHING_PAYMENT_IN_SUSPENSE, false, spoil_payment_suspense},
    {SWITCHING_PAYMENT_RECENT, false, spoil_payment_recent},
    {SWITCHING_PAYMENT_UNKNOWN, false, spoil_payment_odd},
    {SWITCHING_CREDIT_RECENT, false, spoil_credit},
    {SWITCHING_CREDIT_RECENT, false, spoil_credit_ahead},
    {SWITCHING_POINT_STOPPED, false, spoil_stopped},
    {SWITCHING_STALE_READING, false, spoil_stale},
    {SWITCHING_STALE_READING, false, spoil_no_reading},
    {SWITCHING_STALE_READING, false, spoil_future},
    {SWITCHING_TARIFF_CHANGED, false, spoil_tariff},
    {SWITCHING_OUTSIDE_WINDOW, false, spoil_window},
    {SWITCHING_NO_WARNING, false, spoil_warning},
    {SWITCHING_ON_RECENT, false, spoil_on_recent},
    {SWITCHING_FROZEN, true, spoil_frozen},
    {SWITCHING_LIMITER, true, spoil_limiter},
};

static void each_reason_alone_is_enough(void **state) {
    (void)state;
    static const switching_cause CAUSES[] = {SWITCHING_CAUSE_ARREARS, SWITCHING_CAUSE_OPERATOR, SWITCHING_CAUSE_CUSTOMER};
    for (size_t c = 0; c < ARRAY_LEN(CAUSES); c++) {
        switching_facts clean = may_be_cut(CAUSES[c]);
        assert_int_equal(switching_refusal_of(&clean), SWITCHING_ALLOWED);
        for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
            switching_facts f = may_be_cut(CAUSES[c]);
            ROWS[i].spoil(&f);
            bool is_stopped = CAUSES[c] == SWITCHING_CAUSE_ARREARS || ROWS[i].stops_operators;
            switching_refusal expected = is_stopped ? ROWS[i].expected : SWITCHING_ALLOWED;
            if (switching_refusal_of(&f) != expected) fail_msg("row %zu of cause %zu: %d", i, c, switching_refusal_of(&f));
        }
    }
    switching_facts stranger = may_be_cut(SWITCHING_CAUSE_CUSTOMER);
    stranger.is_own = SWITCHING_NO;
    assert_int_equal(switching_refusal_of(&stranger), SWITCHING_NOT_ALLOWED);
}

// Of two reasons the earlier in the table is told, so that a person reads the one that matters.
static void of_two_reasons_the_weightier_is_told(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        for (size_t j = 0; j < ARRAY_LEN(ROWS); j++) {
            switching_facts f = may_be_cut(SWITCHING_CAUSE_ARREARS);
            ROWS[i].spoil(&f);
            ROWS[j].spoil(&f);
            switching_refusal told = switching_refusal_of(&f),
                              least = ROWS[i].expected < ROWS[j].expected ? ROWS[i].expected : ROWS[j].expected;
            bool is_one_fact = told == ROWS[j].expected;  // the second may have replaced the first's fact
            if (told != least && !is_one_fact) fail_msg("rows %zu and %zu tell %d", i, j, told);
        }
    }
}

static void a_fact_nobody_knows_refuses(void **state) {
    (void)state;
    switching_facts nothing = {0};
    assert_int_equal(switching_refusal_of(&nothing), SWITCHING_MISSING_FACTS);
    // Each fact of three values, made unknown in turn.
    static const size_t TRUTHS[] = {
        offsetof(switching_facts, is_newest),    offsetof(switching_facts, is_switchable), offsetof(switching_facts, never_cut),
        offsetof(switching_facts, is_forced_on), offsetof(switching_facts, is_frozen),     offsetof(switching_facts, has_unknown_off),
        offsetof(switching_facts, prepaid_rule), offsetof(switching_facts, is_shared),     offsetof(switching_facts, is_stopped),
        offsetof(switching_facts, in_window),    offsetof(switching_facts, is_warned)};
    for (size_t i = 0; i < ARRAY_LEN(TRUTHS); i++) {
        switching_facts f = may_be_cut(SWITCHING_CAUSE_ARREARS);
        switching_truth unknown = SWITCHING_NOT_KNOWN;
        memcpy((char *)&f + TRUTHS[i], &unknown, sizeof unknown);
        if (switching_refusal_of(&f) != SWITCHING_MISSING_FACTS) fail_msg("fact %zu may be unknown", i);
    }
    switching_facts f = may_be_cut(SWITCHING_CAUSE_CUSTOMER);
    f.is_own = SWITCHING_NOT_KNOWN;
    assert_int_equal(switching_refusal_of(&f), SWITCHING_MISSING_FACTS);
    f = may_be_cut(SWITCHING_CAUSE_ARREARS);
    f.off_limit = 0;
    assert_int_equal(switching_refusal_of(&f), SWITCHING_MISSING_FACTS);
    f = may_be_cut(SWITCHING_CAUSE_ARREARS);
    f.cause = SWITCHING_CAUSE_UNKNOWN;
    assert_int_equal(switching_refusal_of(&f), SWITCHING_MISSING_FACTS);
}

static void wishes(void **state) {
    (void)state;
    static const struct {
        switching_standing standing;
        switching_wish expected;
    } TABLE[] = {
        {{.prepaid_rule = true, .level = 3}, SWITCHING_WANT_OFF},
        {{.prepaid_rule = true, .level = 2}, SWITCHING_WANT_ON},
        {{.prepaid_rule = true, .level = 0, .is_off = true}, SWITCHING_WANT_ON},
        {{.prepaid_rule = true, .level = SWITCHING_LEVEL_NONE, .is_off = true}, SWITCHING_STAY},
        {{.prepaid_rule = true, .level = 3, .never_cut = true}, SWITCHING_WANT_ON},
        {{.prepaid_rule = true, .level = 3, .is_forced_on = true, .hold = SWITCHING_HOLD_OFF}, SWITCHING_WANT_ON},
        {{.prepaid_rule = true, .level = 3, .hold = SWITCHING_HOLD_ON}, SWITCHING_WANT_ON},
        {{.prepaid_rule = true, .level = 0, .hold = SWITCHING_HOLD_OFF}, SWITCHING_WANT_OFF},
        {{.prepaid_rule = true, .level = 3, .is_shared = true}, SWITCHING_STAY},
        {{.prepaid_rule = false, .level = 3}, SWITCHING_STAY},
        {{.prepaid_rule = false, .level = 3, .is_off = true}, SWITCHING_WANT_ON},
    };
    for (size_t i = 0; i < ARRAY_LEN(TABLE); i++)
        if (switching_wish_of(&TABLE[i].standing) != TABLE[i].expected) fail_msg("row %zu", i);
}

static void steps(void **state) {
    (void)state;
    static const struct {
        switching_position position;
        switching_step expected;
    } TABLE[] = {
        {{.seen = SWITCHING_STATE_OFF}, SWITCHING_REST},  // never ours
        {{.was_touched = true}, SWITCHING_SEND_ON},
        {{.was_touched = true, .has_open_on = true}, SWITCHING_REST},
        {{.was_touched = true, .is_verified = true, .seen = SWITCHING_STATE_ON}, SWITCHING_REST},
        {{.was_touched = true, .is_verified = true, .seen = SWITCHING_STATE_OFF}, SWITCHING_SEND_ON},
        {{.was_touched = true, .is_verified = true, .seen = SWITCHING_STATE_OPENING}, SWITCHING_REST},
        {{.was_touched = true, .is_verified = true, .seen = SWITCHING_STATE_STUCK}, SWITCHING_SEND_ON},
        {{.was_touched = true, .is_verified = true, .seen = SWITCHING_STATE_OFF, .keeps_itself_off = true}, SWITCHING_REST},
        {{.is_off = true, .was_touched = true, .seen = SWITCHING_STATE_ON}, SWITCHING_PROPOSE_OFF},
        {{.is_off = true, .was_touched = true, .seen = SWITCHING_STATE_ON, .has_open_off = true}, SWITCHING_REST},
        {{.is_off = true, .was_touched = true, .seen = SWITCHING_STATE_ON, .has_unknown_off = true}, SWITCHING_READ_BACK},
        {{.is_off = true, .was_touched = true, .has_unknown_off = true, .has_open_read = true}, SWITCHING_REST},
        {{.is_off = true, .was_touched = true, .has_unknown_off = true, .has_fresh_look = true}, SWITCHING_REST},
        {{.is_off = true, .was_touched = true, .seen = SWITCHING_STATE_CLOSING, .has_fresh_look = true}, SWITCHING_REST},
        {{.is_off = true, .was_touched = true, .is_verified = true, .seen = SWITCHING_STATE_OFF}, SWITCHING_REST},
        {{.is_off = true, .was_touched = true, .is_verified = true, .seen = SWITCHING_STATE_ON}, SWITCHING_PROPOSE_OFF},
        {{.is_off = true, .was_touched = true, .seen = SWITCHING_STATE_CLOSING}, SWITCHING_READ_BACK},
        {{.is_off = true, .was_touched = true, .seen = SWITCHING_STATE_STUCK}, SWITCHING_REST},
    };
    for (size_t i = 0; i < ARRAY_LEN(TABLE); i++)
        if (switching_step_of(&TABLE[i].position) != TABLE[i].expected) fail_msg("row %zu", i);
}

static void ends(void **state) {
    (void)state;
    for (int sent = 0; sent < 2; sent++) {
        assert_int_equal(switching_end_of(true, SWITCHING_STATE_OFF, sent), SWITCHING_DONE);
        assert_int_equal(switching_end_of(true, SWITCHING_STATE_ON, sent), SWITCHING_WITHOUT_EFFECT);
        for (int seen = SWITCHING_STATE_UNKNOWN; seen <= SWITCHING_STATE_STUCK; seen++) {
            if (seen == SWITCHING_STATE_ON || seen == SWITCHING_STATE_OFF) continue;
            assert_int_equal(switching_end_of(true, (switching_state)seen, sent), sent ? SWITCHING_END_UNKNOWN : SWITCHING_WITHOUT_EFFECT);
        }
        assert_int_equal(switching_end_of(false, SWITCHING_STATE_ON, sent), SWITCHING_DONE);
        assert_int_equal(switching_end_of(false, SWITCHING_STATE_OFF, sent), SWITCHING_AGAIN);
        assert_int_equal(switching_end_of(false, SWITCHING_STATE_UNKNOWN, sent), SWITCHING_AGAIN);
    }
}

static void words_go_both_ways(void **state) {
    (void)state;
    for (int i = 1; i < SWITCHING_REFUSAL_COUNT; i++) {
        switching_refusal back;
        assert_true(switching_refusal_parse(sv_of(switching_refusal_text((switching_refusal)i)), &back));
        assert_int_equal(back, i);
        assert_non_null(switching_refusal_meaning((switching_refusal)i));
    }
    switching_refusal kept = SWITCHING_FROZEN;
    assert_false(switching_refusal_parse(SV("whatever"), &kept));
    assert_int_equal(kept, SWITCHING_FROZEN);
    for (int i = SWITCHING_CAUSE_ARREARS; i <= SWITCHING_CAUSE_CUSTOMER; i++)
        assert_int_equal(switching_cause_of(sv_of(switching_cause_text((switching_cause)i))), i);
    assert_int_equal(switching_cause_of(SV_NONE), SWITCHING_CAUSE_UNKNOWN);
    for (int i = 0; i <= SWITCHING_STATE_STUCK; i++)
        assert_int_equal(switching_state_of(sv_of(switching_state_text((switching_state)i))), i);
    assert_int_equal(switching_state_of(SV("ajar")), SWITCHING_STATE_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_alone_is_enough),
        cmocka_unit_test(of_two_reasons_the_weightier_is_told),
        cmocka_unit_test(a_fact_nobody_knows_refuses),
        cmocka_unit_test(wishes),
        cmocka_unit_test(steps),
        cmocka_unit_test(ends),
        cmocka_unit_test(words_go_both_ways),
        cmocka_unit_test(no_wrong_switch_off_and_no_withheld_switch_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
