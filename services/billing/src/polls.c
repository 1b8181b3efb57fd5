#include "polls.h"

#include <stdlib.h>
#include <string.h>

#include "metering/register.h"

// The cumulative register a meter is billed by; which one depends on what it measures.
static bool is_total(uint8_t reg) {
    return reg == REGISTER_ACTIVE_ENERGY_TOTAL || reg == REGISTER_WATER_VOLUME_TOTAL || reg == REGISTER_GAS_VOLUME_TOTAL ||
           reg == REGISTER_HEAT_ENERGY_TOTAL;
}

bool poll_take_register(meter_poll *self, const stored_record *record) {
    const reading_record *reading = &record->reading;
    if (self->record_count > 0 && (self->charging.channel != reading->channel || self->charging.at != reading->at)) return false;
    if (self->record_count == 0) {
        self->records = record;
        self->company = reading->company;
        self->charging =
            (charging_poll){.channel = reading->channel, .at = reading->at, .quality = reading->quality, .flags = reading->flags};
    }
    self->record_count++;
    if (is_total(reading->reg) && !self->has_total) {
        self->has_total = true;
        self->total_register = reading->reg;
        self->charging.value = reading->value;
        self->charging.quality = reading->quality;
        self->charging.flags = reading->flags;
    }
    charging_poll_take(&self->charging, reading->reg, reading->value);
    int tariff_number = register_tariff_number(reading->reg);
    // Period registers count only while they come without a gap: t1, t2, t3 …
    if (tariff_number > 0 && (uint32_t)tariff_number == self->charging.register_count + 1)
        self->charging.registers[self->charging.register_count++] = reading->value;
    return true;
}

static void take_block(const block *from, stored_record *records, size_t count, poll_list *out) {
    meter_poll *open = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!reading_record_is_valid(&records[i].reading) || !register_is_stored(records[i].reading.reg)) {
            out->invalid[out->invalid_count++] = &records[i];
            open = NULL;
            continue;
        }
        if (open && poll_take_register(open, &records[i])) continue;
        open = &out->items[out->len++];
        *open = (meter_poll){.partition = from->partition};
        (void)poll_take_register(open, &records[i]);
    }
}

err_t polls_read(const block *blocks, size_t count, arena *memory, poll_list *out_polls, fault *out_fault) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += blocks[i].records.len / READING_RECORD_LEN;
    poll_list out = {.items = ARENA_ARRAY(memory, meter_poll, total + 1), .invalid = ARENA_ARRAY(memory, const stored_record *, total + 1)};
    stored_record *records = ARENA_ARRAY(memory, stored_record, total + 1);
    reading_record unpacked[READING_BLOCK_MAX];
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        err_t err = reading_block_unpack(blocks[i].records, unpacked, &len);
        if (err)
            return fault_set(out_fault, err, "block", "block %lld of partition %d is no whole number of records", (long long)blocks[i].id,
                             blocks[i].partition);
        for (size_t k = 0; k < len; k++) records[k] = (stored_record){unpacked[k], blocks[i].id, (int16_t)k};
        take_block(&blocks[i], records, len, &out);
        records += len;
        out.record_count += len;
    }
    *out_polls = out;
    return ERR_OK;
}

static int compare_i64(int64_t a, int64_t b) { return a < b ? -1 : a > b; }

static int compare_polls(const void *left, const void *right) {
    const meter_poll *a = left, *b = right;
    int order = compare_i64(a->point ? a->point->num : 0, b->point ? b->point->num : 0);
    if (order == 0) order = compare_i64(a->charging.at, b->charging.at);
    if (order == 0) order = compare_i64(a->charging.channel, b->charging.channel);
    if (order == 0) order = compare_i64(a->records->block_id, b->records->block_id);
    return order ? order : compare_i64(a->records->record_no, b->records->record_no);
}

void polls_sort(poll_list *self) { qsort(self->items, self->len, sizeof *self->items, compare_polls); }
