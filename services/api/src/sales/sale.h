// One movement of money that an operator asked for: a row of api.sale and one posting. The routes differ in what they
// ask for; what may be moved, the receipt and the posting are decided here.
//
// Order of locks: the sale's own row, the purse, the receipt series of the legal entity. The posting is the last
// statement of the transaction.
#pragma once

#include "calendar/zone.h"
#include "call.h"
#include "ledger/ledger.h"

// A purse at the counter, and what the rules of its place allow; a limit of 0 limits nothing.
typedef struct sale_place {
    int64_t account, property, purse, legal_entity;
    currency currency;
    const zone *where;
    money_micro single_max, operator_day_max, second_person_above, balance_max;
    bool has_second_person;
    int64_t reversal_within_minutes;
} sale_place;

typedef struct sale {
    uuid id;
    int64_t num;
    transfer_kind kind;
    sv method;  // empty where the kind has none
    int64_t account, purse, property, legal_entity;
    bool is_credit;  // into the purse
    money_micro amount;
    sv currency;
    sv reference, reason;  // may be empty
    int64_t asked_by, decided_by;
    int64_t reverses_num, reverses_transfer;
    int64_t transfer;  // given by sale_execute
    bool has_order;
    uuid order;  // the payment that a refund goes back through
    int64_t bulk_num;
} sale;

// The account in the path and its purse of purpose `item`. ERR_CONFLICT: closed; ERR_BAD_INPUT: no such purse, or nobody
// sells it.
err_t sale_place_find(api_call *call, uuid account, sv item, sale_place *out, fault *out_fault) MUST_CHECK;
// Refuses what the rules of the place forbid, whatever the balance.
err_t sale_check_rules(api_call *call, const sale *self, const sale_place *place, fault *out_fault) MUST_CHECK;
bool sale_needs_second_person(const sale *self, const sale_place *place);
// Locks the purse until the transaction ends; for a zeroing whose amount is still 0 it takes the balance as amount.
err_t sale_lock(api_call *call, sale *self, money_micro *out_balance, fault *out_fault) MUST_CHECK;
err_t sale_store(api_call *call, sale *self) MUST_CHECK;
// Decides by the locked balance, gives the receipt number, and marks it done; or, for a refund through the channel it
// came by, hands it to payments. sale_post follows as the transaction's last statement.
err_t sale_execute(api_call *call, sale *self, money_micro balance, money_micro balance_max, fault *out_fault) MUST_CHECK;
err_t sale_post(api_call *call, const sale *self) MUST_CHECK;
// A stored sale, under its row's lock.
err_t sale_find(api_call *call, uuid id, sale *out, sv *out_state, instant_ms *out_requested_at, fault *out_fault) MUST_CHECK;
err_t sale_write(api_call *call, uuid id) MUST_CHECK;
