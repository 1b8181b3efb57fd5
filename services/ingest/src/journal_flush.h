// One flush of the journal: what its transaction writes and what became of it.
#pragma once

#include "base/vec.h"
#include "db/db.h"
#include "journal.h"

typedef VEC(journal_entry *) journal_batch;

// Arrays that are kept from flush to flush.
typedef struct journal_flush {
    num_series *nums;
    VEC(journal_record) records;
    VEC(reading_record) ordered;
    VEC(uint8_t) bytes;
    VEC(int16_t) partitions;
    VEC(int64_t) ids;
    VEC(int16_t) counts;
    VEC(sv) blocks;
    VEC(int32_t) companies;
    VEC(int64_t) gateways;
    VEC(int64_t) counters;
} journal_flush;

void journal_flush_done(journal_flush *self);

// Runs the transaction until it is committed or cannot be, and sets each entry's result. `out_uncertain_xid` is not 0
// when the connection died while committing: the entries without a result then wait for that transaction's fate.
void journal_flush_run(journal_flush *self, db *conn, instant_ms now, const journal_batch *batch, int64_t *out_uncertain_xid);
