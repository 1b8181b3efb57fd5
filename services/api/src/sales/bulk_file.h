// A file of sales as text: comma-separated (RFC 4180 without line breaks inside a field), UTF-8, first line
// "account,purpose,amount,reference".
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/sv.h"
#include "money/money.h"

#define BULK_ROWS_MAX 2000

typedef struct bulk_row {
    sv account, purpose, reference;  // views of the text or of the arena
    money_micro amount;
    const char *problem;  // why the amount or the line cannot be read; NULL when it can
} bulk_row;

// ERR_BAD_INPUT at /csv with the line in its reason: no such header, no row, too many rows, not UTF-8. A row that cannot be read
// does not spoil the others: it carries its problem.
err_t bulk_file_read(sv text, arena *memory, bulk_row **out_rows, size_t *out_count, fault *out_fault) MUST_CHECK;
