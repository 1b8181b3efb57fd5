// The block journal: what is in it is received, what is not was never acknowledged. Entries of many gateways gather for
// up to 20 ms and go into the database in one transaction: blocks of all partitions, the raised counters of pushing
// gateways, and the refusals. One thread owns it, and its connection holds this replica's number.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "metering/block.h"
#include "refusal.h"
#include "registry.h"

#define JOURNAL_GATHER_MS 20

typedef struct journal journal;

typedef struct journal_record {
    int16_t partition;
    reading_record record;
} journal_record;

// What one request or poll brings. All of it is journaled together or not at all. The arrays are borrowed until `done`
// was called, on the journal's thread; it must be quick and must not submit.
//   ERR_OK           committed
//   ERR_CONFLICT     the counter did not rise; nothing of it was kept
//   ERR_UNAVAILABLE  the database did not take it; it had no effect
//   ERR_UNCERTAIN    it could not be found out whether it was committed
typedef struct journal_entry {
    registry_gateway *gateway;
    int64_t counter;          // 0: not a push, nothing to raise
    journal_record *records;  // reordered by the journal
    size_t record_count;
    const refusal *refusals;
    size_t refusal_count;
    void (*done)(struct journal_entry *self, err_t result);
    void *owner;

    struct journal_entry *next;  // the journal's
    err_t result;
} journal_entry;

typedef struct journal_options {
    size_t queue_records_max;  // waiting and in flight; above: ERR_BUSY
    size_t queue_entries_max;
} journal_options;

journal *journal_new(service *svc, const journal_options *options);
void journal_free(journal *self);
// The thread. It ends when the service stops, after the last entry is answered.
void journal_run(service *svc, void *self);

// ERR_OK: `done` will be called, exactly once. ERR_BUSY: the queue is full. ERR_UNAVAILABLE: the database is away.
err_t journal_submit(journal *self, journal_entry *entry) MUST_CHECK;
// Waits for the answer; done and owner are set by this call.
err_t journal_submit_and_wait(journal *self, journal_entry *entry) MUST_CHECK;

// This replica's number, -1 while it has none. Valid for `starts` of it: read both to notice a change.
int32_t journal_replica(const journal *self);
instant_ms journal_replica_started_at(const journal *self);
bool journal_is_up(const journal *self);
