#include "journal_flush.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest_sql.h"

#define RETRIES_MAX 5
#define REFUSALS_MAX 1000  // a flush; more are only counted

void journal_flush_done(journal_flush *self) {
    vec_done(&self->records);
    vec_done(&self->ordered);
    vec_done(&self->bytes);
    vec_done(&self->partitions);
    vec_done(&self->ids);
    vec_done(&self->counts);
    vec_done(&self->blocks);
    vec_done(&self->companies);
    vec_done(&self->gateways);
    vec_done(&self->counters);
}

// ---- counters ----

static int entry_compare(const void *a, const void *b) {
    const journal_entry *x = *(journal_entry *const *)a;
    const journal_entry *y = *(journal_entry *const *)b;
    if (x->gateway->num != y->gateway->num) return x->gateway->num < y->gateway->num ? -1 : 1;
    return (x->counter > y->counter) - (x->counter < y->counter);
}

// The gateways of pushes, once each, ascending. `pushes` is sorted.
static void list_gateways(journal_flush *self, const journal_batch *pushes) {
    vec_clear(&self->companies);
    vec_clear(&self->gateways);
    for (size_t i = 0; i < pushes->len; i++) {
        const registry_gateway *gateway = pushes->items[i]->gateway;
        if (self->gateways.len && self->gateways.items[self->gateways.len - 1] == gateway->num) continue;
        vec_push(&self->companies, gateway->company);
        vec_push(&self->gateways, gateway->num);
    }
}

static err_t open_counters(journal_flush *self, db *conn, instant_ms now, const journal_batch *pushes) {
    bool is_new = false;
    for (size_t i = 0; i < pushes->len; i++) is_new |= !pushes->items[i]->gateway->has_counter;
    if (!is_new) return ERR_OK;
    return db_exec(conn, &SQL_COUNTER_OPEN,
                   DB_PARAMS(DB_I32_ARRAY(self->companies.items, self->companies.len),
                             DB_I64_ARRAY(self->gateways.items, self->gateways.len), DB_TIME(now)),
                   NULL);
}

// Walks pushes and locked marks, both ascending by gateway; a push passes when its counter is above the mark, which it
// then raises.
static void judge_counters(journal_flush *self, const journal_batch *pushes, const db_rows *marks) {
    size_t row = 0;
    int64_t mark = 0;
    vec_clear(&self->counters);
    for (size_t i = 0; i < pushes->len; i++) {
        journal_entry *push = pushes->items[i];
        bool is_first = i == 0 || pushes->items[i - 1]->gateway != push->gateway;
        if (is_first) {
            while (row < marks->len && db_i64(marks, row, 0) < push->gateway->num) row++;
            CHECK(row < marks->len && db_i64(marks, row, 0) == push->gateway->num);
            mark = db_i64(marks, row, 1);
            vec_push(&self->counters, mark);
        }
        push->result = push->counter > mark ? ERR_OK : ERR_CONFLICT;
        if (push->result) continue;
        mark = push->counter;
        self->counters.items[self->counters.len - 1] = mark;
    }
}

static err_t raise_counters(journal_flush *self, db *conn, instant_ms now, const journal_batch *batch) {
    AUTO_MEM journal_entry **pushes_items = mem_new(batch->len, sizeof *pushes_items);
    journal_batch pushes = {pushes_items, 0, batch->len};
    for (size_t i = 0; i < batch->len; i++)
        if (batch->items[i]->counter > 0) pushes.items[pushes.len++] = batch->items[i];
    if (pushes.len == 0) return ERR_OK;
    qsort(pushes.items, pushes.len, sizeof *pushes.items, entry_compare);
    list_gateways(self, &pushes);
    err_t err = open_counters(self, conn, now, &pushes);
    if (err) return err;
    AUTO(db_rows) marks = {0};
    db_param companies = DB_I32_ARRAY(self->companies.items, self->companies.len);
    db_param gateways = DB_I64_ARRAY(self->gateways.items, self->gateways.len);
    err = db_query(conn, &SQL_COUNTER_LOCK, DB_PARAMS(companies, gateways), &marks);
    if (err) return err;
    judge_counters(self, &pushes, &marks);
    return db_exec(conn, &SQL_COUNTER_RAISE,
                   DB_PARAMS(companies, gateways, DB_I64_ARRAY(self->counters.items, self->counters.len), DB_TIME(now)), NULL);
}

// ---- blocks ----

static int record_compare(const void *a, const void *b) {
    const journal_record *x = a;
    const journal_record *y = b;
    if (x->partition != y->partition) return x->partition < y->partition ? -1 : 1;
    if (x->record.channel != y->record.channel) return x->record.channel < y->record.channel ? -1 : 1;
    if (x->record.at != y->record.at) return x->record.at < y->record.at ? -1 : 1;
    return (x->record.reg > y->record.reg) - (x->record.reg < y->record.reg);
}

static void gather_records(journal_flush *self, const journal_batch *batch) {
    vec_clear(&self->records);
    for (size_t i = 0; i < batch->len; i++) {
        const journal_entry *entry = batch->items[i];
        if (entry->result) continue;
        vec_reserve(&self->records, self->records.len + entry->record_count);
        if (entry->record_count)
            memcpy(self->records.items + self->records.len, entry->records, entry->record_count * sizeof *entry->records);
        self->records.len += entry->record_count;
    }
    if (self->records.len > 1) qsort(self->records.items, self->records.len, sizeof *self->records.items, record_compare);
}

// How many records from `first` make a block: one partition, at most 240, and no poll (one channel, one time) torn
// unless it alone is longer.
static size_t block_length(const journal_flush *self, size_t first) {
    const journal_record *records = self->records.items;
    size_t len = 1;
    size_t whole = 0;
    for (; first + len < self->records.len && records[first + len].partition == records[first].partition; len++) {
        const reading_record *before = &records[first + len - 1].record;
        const reading_record *next = &records[first + len].record;
        if (before->channel != next->channel || before->at != next->at) whole = len;
        if (len == READING_BLOCK_MAX) return whole ? whole : len;
    }
    return len;
}

static void pack_blocks(journal_flush *self, instant_ms now) {
    vec_clear(&self->partitions);
    vec_clear(&self->ids);
    vec_clear(&self->counts);
    vec_clear(&self->blocks);
    vec_clear(&self->ordered);
    vec_reserve(&self->bytes, self->records.len * READING_RECORD_LEN);
    for (size_t i = 0; i < self->records.len; i++) vec_push(&self->ordered, self->records.items[i].record);
    uint8_t *at = self->bytes.items;
    for (size_t first = 0, len; first < self->records.len; first += len) {
        len = block_length(self, first);
        size_t bytes = reading_block_pack(self->ordered.items + first, len, at);
        vec_push(&self->partitions, self->records.items[first].partition);
        vec_push(&self->ids, num_next(self->nums, now));
        vec_push(&self->counts, (int16_t)len);
        vec_push(&self->blocks, sv_slice(at, bytes));
        at += bytes;
    }
}

static err_t insert_blocks(journal_flush *self, db *conn, instant_ms now, int64_t *out_xid) {
    size_t count = self->blocks.len;
    if (count == 0) return ERR_OK;
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_BLOCK_INSERT,
                             DB_PARAMS(DB_I16_ARRAY(self->partitions.items, count), DB_I64_ARRAY(self->ids.items, count),
                                       DB_I16_ARRAY(self->counts.items, count), DB_BYTES_ARRAY(self->blocks.items, count), DB_TIME(now)),
                             &row);
    if (!err) *out_xid = db_i64(&row, 0, 0);
    return err;
}

// ---- refusals ----

typedef struct refusal_rows {
    VEC(int64_t) ids;
    VEC(int32_t) companies;
    VEC(int64_t) gateways;
    VEC(sv) reasons, places, details, raws;
} refusal_rows;

static void refusal_rows_auto(refusal_rows *self) {
    vec_done(&self->ids);
    vec_done(&self->companies);
    vec_done(&self->gateways);
    vec_done(&self->reasons);
    vec_done(&self->places);
    vec_done(&self->details);
    vec_done(&self->raws);
}

static void add_refusal(refusal_rows *rows, int64_t id, const refusal *what) {
    sv raw = {what->raw.ptr ? what->raw.ptr : "", what->raw.len < REFUSAL_RAW_MAX ? what->raw.len : REFUSAL_RAW_MAX};
    vec_push(&rows->ids, id);
    vec_push(&rows->companies, what->company);
    vec_push(&rows->gateways, what->gateway);
    vec_push(&rows->reasons, sv_of(refusal_text(what->reason)));
    vec_push(&rows->places, what->place);
    vec_push(&rows->details, what->detail.ptr ? what->detail : sv_of(refusal_meaning(what->reason)));
    vec_push(&rows->raws, raw);
}

static err_t insert_refusals(journal_flush *self, db *conn, instant_ms now, const journal_batch *batch) {
    AUTO(refusal_rows) rows = {0};
    for (size_t i = 0; i < batch->len; i++) {
        const journal_entry *entry = batch->items[i];
        for (size_t r = 0; !entry->result && r < entry->refusal_count && rows.ids.len < REFUSALS_MAX; r++)
            add_refusal(&rows, num_next(self->nums, now), &entry->refusals[r]);
    }
    size_t count = rows.ids.len;
    if (count == 0) return ERR_OK;
    return db_exec(
        conn, &SQL_REFUSED_INSERT,
        DB_PARAMS(DB_I64_ARRAY(rows.ids.items, count), DB_I32_ARRAY(rows.companies.items, count), DB_I64_ARRAY(rows.gateways.items, count),
                  DB_TEXT_ARRAY(rows.reasons.items, count), DB_TEXT_ARRAY(rows.places.items, count),
                  DB_TEXT_ARRAY(rows.details.items, count), DB_BYTES_ARRAY(rows.raws.items, count), DB_TIME(now)),
        NULL);
}

// ---- the transaction ----

static err_t attempt(journal_flush *self, db *conn, instant_ms now, const journal_batch *batch, int64_t *out_xid) {
    AUTO(db_tx) tx = {0};
    for (size_t i = 0; i < batch->len; i++) batch->items[i]->result = ERR_OK;
    err_t err = db_begin(conn, &tx);
    if (!err) err = raise_counters(self, conn, now, batch);
    if (err) return err;
    gather_records(self, batch);
    pack_blocks(self, now);
    err = insert_blocks(self, conn, now, out_xid);
    CRASH_POINT("ingest.after_insert");
    if (!err) err = insert_refusals(self, conn, now, batch);
    if (err) return err;
    CRASH_POINT("ingest.before_commit");
    err = db_commit(&tx);
    CRASH_POINT("ingest.after_commit");
    return err;
}

void journal_flush_run(journal_flush *self, db *conn, instant_ms now, const journal_batch *batch, int64_t *out_uncertain_xid) {
    int64_t xid = 0;
    err_t err = attempt(self, conn, now, batch, &xid);
    for (int i = 0; err == ERR_SERIALIZATION && i < RETRIES_MAX; i++) err = attempt(self, conn, now, batch, &xid);
    *out_uncertain_xid = err == ERR_UNCERTAIN ? xid : 0;
    if (err == ERR_OK) {
        for (size_t i = 0; i < batch->len; i++)
            if (batch->items[i]->counter > 0) batch->items[i]->gateway->has_counter = true;
        return;
    }
    LOG_WARN("the journal could not be written; gateways are told to try again", LOG_S("error", err_name(err)),
             LOG_S("why", db_error_text(conn)));
    for (size_t i = 0; i < batch->len; i++)
        if (batch->items[i]->result == ERR_OK || err != ERR_UNCERTAIN)
            batch->items[i]->result = err == ERR_UNCERTAIN ? err : ERR_UNAVAILABLE;
}
