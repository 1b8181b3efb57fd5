#include "history.h"

#include <stdlib.h>

#include "base/check.h"
#include "billing_sql.h"
#include "metering/day_row.h"

typedef struct history {
    worker *by;
    const charging_setup *setup;
    instant_ms after;
    VEC(stored_record) records;
} history;

static int64_t channel_at(const charging_setup *setup, instant_ms at) {
    for (size_t i = 0; i < setup->installation_count; i++)
        if (at >= setup->installations[i].from && at <= setup->installations[i].to) return setup->installations[i].channel;
    return 0;
}

// Packed days carry no channel: a point is measured by one channel at a time, so the installation tells it.
static err_t take_day(history *self, sv packed, int32_t day, fault *out_fault) {
    instant_ms start = zone_day_start(self->setup->zone, day);
    size_t count = 0;
    err_t err = day_row_count(packed, &count);
    if (err || count > DAY_ROW_READINGS_MAX) return fault_set(out_fault, ERR_INTERNAL, "day", "a packed day cannot be read");
    day_reading *readings = mem_new(count + 1, sizeof *readings);
    err = day_row_unpack(packed, start, readings, count, &count);
    for (size_t i = 0; !err && i < count; i++) {
        if (readings[i].at <= self->after) continue;
        stored_record record = {.reading = {.channel = channel_at(self->setup, readings[i].at),
                                            .at = readings[i].at,
                                            .value = readings[i].value,
                                            .reg = readings[i].reg,
                                            .quality = readings[i].quality,
                                            .flags = readings[i].flags,
                                            .company = self->setup->company}};
        vec_push(&self->records, record);
    }
    mem_free(readings);
    return err ? fault_set(out_fault, ERR_INTERNAL, "day", "a packed day cannot be read") : ERR_OK;
}

static err_t load_packed(history *self, fault *out_fault) {
    int32_t from_day = self->after <= 0 ? 0 : (int32_t)zone_local_day(self->setup->zone, self->after);
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->by->conn, &SQL_REPLAY_PACKED, DB_PARAMS(DB_I64(self->setup->usage_point), DB_DATE(from_day)), &rows);
    if (err) return fault_set(out_fault, err, "day", "%.180s", db_error_text(self->by->conn));
    for (size_t i = 0; !err && i < rows.len; i++) err = take_day(self, db_bytes(&rows, i, 1), db_date(&rows, i, 0), out_fault);
    return err;
}

static err_t load_hot(history *self, fault *out_fault) {
    int64_t channels[64];
    size_t count = 0;
    for (size_t i = 0; i < self->setup->installation_count && count < ARRAY_LEN(channels); i++)
        channels[count++] = self->setup->installations[i].channel;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->by->conn, &SQL_REPLAY_HOT, DB_PARAMS(DB_I64_ARRAY(channels, count), DB_TIME(self->after + 1)), &rows);
    if (err) return fault_set(out_fault, err, "reading", "%.180s", db_error_text(self->by->conn));
    for (size_t i = 0; i < rows.len; i++) {
        stored_record record = {.reading = {.channel = db_i64(&rows, i, 0),
                                            .at = db_time(&rows, i, 1),
                                            .value = db_i64(&rows, i, 3),
                                            .reg = (uint8_t)db_i64(&rows, i, 2),
                                            .quality = (uint8_t)db_i64(&rows, i, 4),
                                            .flags = (uint16_t)db_i64(&rows, i, 5),
                                            .company = self->setup->company},
                                .block_id = db_i64(&rows, i, 7),
                                .record_no = (int16_t)db_i64(&rows, i, 8)};
        // A point's reading of another point's time on the same channel is not this point's.
        if (charging_installation_at(self->setup, record.reading.channel, record.reading.at)) vec_push(&self->records, record);
    }
    return ERR_OK;
}

static int compare_records(const void *left, const void *right) {
    const reading_record *a = &((const stored_record *)left)->reading, *b = &((const stored_record *)right)->reading;
    if (a->at != b->at) return a->at < b->at ? -1 : 1;
    if (a->channel != b->channel) return a->channel < b->channel ? -1 : 1;
    if (a->reg != b->reg) return a->reg < b->reg ? -1 : 1;
    return 0;
}

static bool is_same(const reading_record *a, const reading_record *b) {
    return a->at == b->at && a->channel == b->channel && a->reg == b->reg && a->value == b->value;
}

static void group(history *self, meter_poll **out_polls, size_t *out_count) {
    if (self->records.len > 1) qsort(self->records.items, self->records.len, sizeof *self->records.items, compare_records);
    size_t kept = 0;
    for (size_t i = 0; i < self->records.len; i++)
        if (kept == 0 || !is_same(&self->records.items[kept - 1].reading, &self->records.items[i].reading))
            self->records.items[kept++] = self->records.items[i];
    stored_record *records = ARENA_ARRAY(self->by->memory, stored_record, kept + 1);
    meter_poll *polls = ARENA_ARRAY(self->by->memory, meter_poll, kept + 1);
    size_t count = 0;
    for (size_t i = 0; i < kept; i++) {
        records[i] = self->records.items[i];
        if (count > 0 && poll_take_register(&polls[count - 1], &records[i])) continue;
        polls[count] = (meter_poll){.partition = (int16_t)self->setup->partition};
        (void)poll_take_register(&polls[count++], &records[i]);
    }
    *out_polls = polls;
    *out_count = count;
}

err_t history_load(worker *self, const charging_setup *setup, instant_ms after, meter_poll **out_polls, size_t *out_count,
                   fault *out_fault) {
    history all = {.by = self, .setup = setup, .after = after};
    err_t err = load_packed(&all, out_fault);
    if (!err) err = load_hot(&all, out_fault);
    if (!err) group(&all, out_polls, out_count);
    vec_done(&all.records);
    return err;
}
