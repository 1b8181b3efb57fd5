// The ledger's law, kind by kind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ledger/ledger.h"

static ledger_transfer transfer(transfer_kind kind, account_class debit, account_class credit) {
    bool debit_item = debit == ACCOUNT_CLASS_REVENUE || debit == ACCOUNT_CLASS_CLEARING || debit == ACCOUNT_CLASS_SUSPENSE;
    bool credit_item = credit == ACCOUNT_CLASS_REVENUE || credit == ACCOUNT_CLASS_CLEARING || credit == ACCOUNT_CLASS_SUSPENSE;
    return (ledger_transfer){.id = 1,
                             .company = 1,
                             .kind = kind,
                             .debit = {debit, debit_item ? PURPOSE_ELECTRICITY : 0, 10},
                             .credit = {credit, credit_item ? PURPOSE_ELECTRICITY : 0, 20},
                             .amount = 5,
                             .corrects = 7};
}

static void each_kind_moves_money_only_between_its_own_accounts(void **state) {
    (void)state;
    static const struct {
        transfer_kind kind;
        account_class debit, credit;
    } ALLOWED[] = {
        {TRANSFER_CHARGE, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_REVENUE},
        {TRANSFER_CHARGE, ACCOUNT_CLASS_REVENUE, ACCOUNT_CLASS_PURSE},
        {TRANSFER_CORRECTION, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_REVENUE},
        {TRANSFER_CORRECTION, ACCOUNT_CLASS_REVENUE, ACCOUNT_CLASS_PURSE},
        {TRANSFER_SALE, ACCOUNT_CLASS_CASH, ACCOUNT_CLASS_PURSE},
        {TRANSFER_TOP_UP, ACCOUNT_CLASS_CLEARING, ACCOUNT_CLASS_PURSE},
        {TRANSFER_REFUND, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CASH},
        {TRANSFER_REFUND, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CLEARING},
        {TRANSFER_REVERSAL, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CASH},
        {TRANSFER_REVERSAL, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CLEARING},
        {TRANSFER_REVERSAL, ACCOUNT_CLASS_CLEARING, ACCOUNT_CLASS_PURSE},
        {TRANSFER_SUSPENSE, ACCOUNT_CLASS_CLEARING, ACCOUNT_CLASS_SUSPENSE},
        {TRANSFER_SUSPENSE, ACCOUNT_CLASS_SUSPENSE, ACCOUNT_CLASS_CLEARING},
        {TRANSFER_SUSPENSE, ACCOUNT_CLASS_SUSPENSE, ACCOUNT_CLASS_PURSE},
        {TRANSFER_ADJUSTMENT, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_PURSE},
        {TRANSFER_ADJUSTMENT, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_ADJUSTMENT},
        {TRANSFER_ADJUSTMENT, ACCOUNT_CLASS_METER_CREDIT, ACCOUNT_CLASS_PURSE},
        {TRANSFER_ADJUSTMENT, ACCOUNT_CLASS_METER_CREDIT, ACCOUNT_CLASS_ADJUSTMENT},
        {TRANSFER_ADJUSTMENT, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_METER_CREDIT},
        {TRANSFER_PRESET_CREDIT, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_PURSE},
        {TRANSFER_ZEROING, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_PURSE},
        {TRANSFER_ZEROING, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_ADJUSTMENT},
    };
    for (int kind = TRANSFER_CHARGE; kind <= TRANSFER_SUSPENSE; kind++)
        for (int debit = ACCOUNT_CLASS_PURSE; debit <= ACCOUNT_CLASS_SUSPENSE; debit++)
            for (int credit = ACCOUNT_CLASS_PURSE; credit <= ACCOUNT_CLASS_SUSPENSE; credit++) {
                bool allowed = false;
                for (size_t i = 0; i < ARRAY_LEN(ALLOWED); i++)
                    allowed |= (int)ALLOWED[i].kind == kind && (int)ALLOWED[i].debit == debit && (int)ALLOWED[i].credit == credit;
                ledger_transfer t = transfer((transfer_kind)kind, (account_class)debit, (account_class)credit);
                assert_int_equal(ledger_transfer_check(&t, NULL) == ERR_OK, allowed);
            }
}

static void a_malformed_transfer_is_refused_by_its_field(void **state) {
    (void)state;
    fault f;
    ledger_transfer t = transfer(TRANSFER_SALE, ACCOUNT_CLASS_CASH, ACCOUNT_CLASS_PURSE);
    t.amount = 0;
    assert_int_equal(ledger_transfer_check(&t, &f), ERR_BAD_INPUT);
    assert_string_equal(f.place, "amount");

    t = transfer(TRANSFER_SALE, ACCOUNT_CLASS_CASH, ACCOUNT_CLASS_PURSE);
    t.debit.item = PURPOSE_GAS;
    assert_int_equal(ledger_transfer_check(&t, &f), ERR_BAD_INPUT);
    assert_string_equal(f.place, "debit");

    t = transfer(TRANSFER_REVERSAL, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CASH);
    t.corrects = 0;
    assert_int_equal(ledger_transfer_check(&t, &f), ERR_BAD_INPUT);
    assert_string_equal(f.place, "corrects");

    t = transfer(TRANSFER_CHARGE, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_REVENUE);
    t.credit.num = 0;
    assert_int_equal(ledger_transfer_check(&t, &f), ERR_BAD_INPUT);
    assert_string_equal(f.place, "credit");
}

static void a_charge_goes_from_purse_to_revenue_and_back_when_negative(void **state) {
    (void)state;
    ledger_transfer t = {.id = 1, .company = 1, .kind = TRANSFER_CHARGE};
    assert_false(ledger_charge(&t, 0, 3, 4, PURPOSE_ELECTRICITY));
    assert_true(ledger_charge(&t, 12, 3, 4, PURPOSE_ELECTRICITY));
    assert_int_equal(t.debit.class, ACCOUNT_CLASS_PURSE);
    assert_int_equal(t.credit.item, PURPOSE_ELECTRICITY);
    assert_true(ledger_charge(&t, -12, 3, 4, PURPOSE_ELECTRICITY));
    assert_int_equal(t.credit.class, ACCOUNT_CLASS_PURSE);
    assert_true(t.amount == 12);
    assert_int_equal(ledger_transfer_check(&t, NULL), ERR_OK);
}

static void levels_begin_at_their_threshold(void **state) {
    (void)state;
    const credit_thresholds thresholds = {.alarm_1 = 100, .alarm_2 = 50, .overdraft = 20};
    static const struct {
        money_micro balance;
        credit_level level;
    } ROWS[] = {{101, CREDIT_LEVEL_NORMAL},  {100, CREDIT_LEVEL_ALARM_1}, {51, CREDIT_LEVEL_ALARM_1},  {50, CREDIT_LEVEL_ALARM_2},
                {-19, CREDIT_LEVEL_ALARM_2}, {-20, CREDIT_LEVEL_ARREARS}, {-21, CREDIT_LEVEL_ARREARS}, {INT64_MIN, CREDIT_LEVEL_ARREARS}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) assert_int_equal(credit_level_of(ROWS[i].balance, &thresholds), ROWS[i].level);
}

static void names_cover_their_numbers(void **state) {
    (void)state;
    purpose p;
    assert_true(purpose_parse(SV("hot_water"), &p));
    assert_int_equal(p, PURPOSE_HOT_WATER);
    assert_false(purpose_parse(SV(""), &p));
    assert_string_equal(transfer_kind_name(TRANSFER_TOP_UP), "top_up");
    assert_string_equal(transfer_kind_name(0), "");
    assert_string_equal(transfer_kind_name(99), "");
    assert_string_equal(account_class_name(-1), "");
    assert_string_equal(credit_level_name(CREDIT_LEVEL_ARREARS), "arrears");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_moves_money_only_between_its_own_accounts),
        cmocka_unit_test(a_malformed_transfer_is_refused_by_its_field),
        cmocka_unit_test(a_charge_goes_from_purse_to_revenue_and_back_when_negative),
        cmocka_unit_test(levels_begin_at_their_threshold),
        cmocka_unit_test(names_cover_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
