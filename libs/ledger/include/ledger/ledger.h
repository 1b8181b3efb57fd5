// The ledger's law: what a transfer is, and which transfers may exist. One transfer moves one positive amount from one
// ledger account (debited) to another (credited) and is never changed; the opposite direction is written by swapping
// the two sides. The database enforces insert-only; this library says what is well-formed before it gets there.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"
#include "money/money.h"

typedef enum transfer_kind {
#define TRANSFER_KIND(number, name, text, meaning) TRANSFER_##name = (number),
#include "ledger/transfer_kinds.def"
#undef TRANSFER_KIND
} transfer_kind;

typedef enum account_class {
#define ACCOUNT_CLASS(number, name, text, owner, has_item) ACCOUNT_CLASS_##name = (number),
#include "ledger/account_classes.def"
#undef ACCOUNT_CLASS
} account_class;

typedef enum purpose {
#define PURPOSE(number, name, text) PURPOSE_##name = (number),
#include "ledger/purposes.def"
#undef PURPOSE
} purpose;

typedef enum credit_level {
#define CREDIT_LEVEL(number, name, text) CREDIT_LEVEL_##name = (number),
#include "ledger/credit_levels.def"
#undef CREDIT_LEVEL
} credit_level;

// Texts of the vocabularies; "" for a number nobody declared.
const char *transfer_kind_name(int32_t kind);
const char *account_class_name(int32_t class);
const char *purpose_name(int32_t purpose);
const char *credit_level_name(int32_t level);
bool purpose_parse(sv text, purpose *out_purpose);

// (class, num, item) names a ledger account of a company and currency. `item` is a purpose or a payment channel where
// the class has items, else 0.
typedef struct ledger_account {
    account_class class;
    int32_t item;
    int64_t num;
} ledger_account;

typedef struct ledger_transfer {
    int64_t id;  // num_series
    int32_t company;
    transfer_kind kind;
    ledger_account debit;
    ledger_account credit;
    currency currency;
    money_micro amount;  // above zero
    int64_t source_num;  // what caused it: block, order, run
    int64_t corrects;    // id of the transfer it corrects or reverses; 0 for none
    instant_ms booked_at;
    instant_ms effective_at;
} ledger_transfer;

// The transfer of a rated amount: from the purse to the seller's revenue, or back when the amount is negative. False
// when the amount is zero: nothing moves.
bool ledger_charge(ledger_transfer *self, money_micro amount, int64_t purse, int64_t legal_entity, purpose item);

// ERR_BAD_INPUT with the field as place: a side that does not belong to the kind, an item where there is none, the same
// account on both sides, an amount not above zero, a correction that names nothing.
err_t ledger_transfer_check(const ledger_transfer *self, fault *out_fault) MUST_CHECK;

// The thresholds of a purse, each the balance at or below which the level begins: alarm_1 ≥ alarm_2 ≥ −overdraft.
typedef struct credit_thresholds {
    money_micro alarm_1;
    money_micro alarm_2;
    money_micro overdraft;  // allowed negative balance, not negative itself
} credit_thresholds;

credit_level credit_level_of(money_micro balance, const credit_thresholds *thresholds);
