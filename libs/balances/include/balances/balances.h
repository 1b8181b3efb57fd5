// Balances of purses at any time, as known at any time.
#pragma once

#include "base/err.h"
#include "base/instant.h"
#include "db/db.h"
#include "money/money.h"

typedef struct balance_question {
    int32_t company;
    const int64_t *purses;
    size_t count;
    instant_ms as_of;     // movements that took effect until then, it included
    instant_ms known_at;  // and were booked until then, it included
} balance_question;

// One balance for each purse, in their order; 0 for a purse that is not the company's. The error is the database's.
err_t balances_at(db *conn, const balance_question *asked, money_micro *out_balances) MUST_CHECK;
