// From blocks of the journal to polls: the registers of one channel at one time, in the order in which they count.
#pragma once

#include "base/arena.h"
#include "charging/point.h"
#include "db/db.h"
#include "metering/block.h"
#include "points.h"

typedef struct block {
    int16_t partition;
    int64_t id;
    int64_t xid;
    instant_ms received_at;
    sv records;
} block;

typedef struct stored_record {
    reading_record reading;
    int64_t block_id;
    int16_t record_no;
} stored_record;

typedef struct meter_poll {
    point_entry *point;  // NULL: the channel measures nothing we know
    charging_poll charging;
    const stored_record *records;  // adjacent
    size_t record_count;
    int32_t company;
    int16_t partition;
    bool has_total;
    uint8_t total_register;
} meter_poll;

typedef struct poll_list {
    meter_poll *items;
    size_t len;
    size_t record_count;
    const stored_record **invalid;  // records no ingest should have journaled
    size_t invalid_count;
} poll_list;

// Reads the blocks into the arena. ERR_MALFORMED: a block is no whole number of records; the fault names it.
err_t polls_read(const block *blocks, size_t count, arena *memory, poll_list *out_polls, fault *out_fault) MUST_CHECK;
// Sorts by usage point, time and channel, once `point` is filled in.
void polls_sort(poll_list *self);
// Groups registers of one channel and time as they are stored (hot rows, packed days): the same shape.
bool poll_take_register(meter_poll *self, const stored_record *record);
