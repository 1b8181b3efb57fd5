// What we ask of a meter: reads, address, control, writes (clause 7 and appendix of DL/T 645-2007).
#include <string.h>

#include "base/instant.h"
#include "base/mem.h"
#include "dlt645_items.h"
#include "protocols/dlt645.h"

static void put_u32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (8 * i));
}

static uint8_t bcd(unsigned value) { return (uint8_t)(value / 10 % 10 << 4 | value % 10); }

dlt645_frame dlt645_read(dlt645_address address, uint32_t data_id) {
    dlt645_frame frame = {.address = address, .control = 0x11, .len = 4};
    put_u32(frame.data, data_id);
    return frame;
}

dlt645_frame dlt645_read_more(dlt645_address address, uint32_t data_id, uint8_t sequence) {
    dlt645_frame frame = {.address = address, .control = 0x12, .len = 5};
    put_u32(frame.data, data_id);
    frame.data[4] = sequence;
    return frame;
}

dlt645_frame dlt645_read_address(void) { return (dlt645_frame){.address = DLT645_WILDCARD, .control = 0x13}; }

// ss mm hh DD MM YY
static void put_time(uint8_t *out, dlt645_time time) {
    const uint8_t fields[] = {bcd(time.second), bcd(time.minute), bcd(time.hour), bcd(time.day), bcd(time.month), bcd(time.year)};
    memcpy(out, fields, sizeof fields);
}

dlt645_frame dlt645_control_request(dlt645_address address, const dlt645_control *control) {
    dlt645_frame frame = {.address = address, .control = 0x1C, .len = 16};
    frame.data[0] = control->level;
    memcpy(frame.data + 1, control->password, 3);
    put_u32(frame.data + 4, control->operator_code);
    frame.data[8] = (uint8_t)control->operation;
    put_time(frame.data + 10, control->deadline);
    return frame;
}

dlt645_frame dlt645_broadcast_time(dlt645_time time) {
    dlt645_frame frame = {.address = {{0x99, 0x99, 0x99, 0x99, 0x99, 0x99}}, .control = 0x08, .len = 6};
    put_time(frame.data, time);
    return frame;
}

// DI 4 · PA P0 P1 P2 · operator 4 · value.
static void begin_write(dlt645_address address, const dlt645_writer *writer, uint32_t data_id, dlt645_frame *out) {
    *out = (dlt645_frame){.address = address, .control = 0x14, .len = 12};
    put_u32(out->data, data_id);
    out->data[4] = writer->level;
    memcpy(out->data + 5, writer->password, 3);
    put_u32(out->data + 8, writer->operator_code);
}

bool dlt645_write_number(dlt645_address address, const dlt645_writer *writer, uint32_t data_id, int64_t number, dlt645_frame *out_frame) {
    const dlt645_item *shape = dlt645_item_find(data_id);
    if (!shape || shape->shape != DLT645_SHAPE_NUMBER || number < 0) return false;
    dlt645_frame frame;
    begin_write(address, writer, data_id, &frame);
    for (int i = 0; i < shape->bytes; i++, number /= 100) frame.data[frame.len++] = bcd((unsigned)(number % 100));
    if (number) return false;
    *out_frame = frame;
    return true;
}

bool dlt645_write_slot(dlt645_address address, const dlt645_writer *writer, uint32_t data_id, dlt645_slot slot, dlt645_frame *out_frame) {
    const dlt645_item *shape = dlt645_item_find(data_id);
    if (!shape || shape->shape != DLT645_SHAPE_SLOT || slot.hour > 23 || slot.minute > 59) return false;
    begin_write(address, writer, data_id, out_frame);
    out_frame->data[out_frame->len++] = (uint8_t)slot.action;
    out_frame->data[out_frame->len++] = bcd(slot.minute);
    out_frame->data[out_frame->len++] = bcd(slot.hour);
    return true;
}

bool dlt645_time_is_valid(dlt645_time time) {
    return time.year >= 2000 && time.year <= 2099 && time.month >= 1 && time.month <= 12 && time.day >= 1 &&
           time.day <= days_in_month(time.year, time.month) && time.hour < 24 && time.minute < 60 && time.second < 60;
}

int64_t dlt645_time_seconds(dlt645_time time) {
    return days_from_civil(time.year, time.month, time.day) * 86400 + time.hour * 3600 + time.minute * 60 + time.second;
}

dlt645_time dlt645_time_from_seconds(int64_t seconds) {
    const int64_t first = days_from_civil(2000, 1, 1) * 86400;
    const int64_t last = days_from_civil(2100, 1, 1) * 86400 - 1;
    if (seconds < first) seconds = first;
    if (seconds > last) seconds = last;
    int32_t year, month, day;
    civil_from_days(seconds / 86400, &year, &month, &day);
    int64_t of_day = seconds % 86400;
    return (dlt645_time){.year = (uint16_t)year,
                         .month = (uint8_t)month,
                         .day = (uint8_t)day,
                         .hour = (uint8_t)(of_day / 3600),
                         .minute = (uint8_t)(of_day / 60 % 60),
                         .second = (uint8_t)(of_day % 60)};
}

static const struct {
    uint8_t number;
    const char *text;
} OPERATIONS[] = {
#define DLT645_OPERATION(n1, name, text) {(n1), (text)},
#include "protocols/dlt645_operations.def"
#undef DLT645_OPERATION
};

const char *dlt645_operation_text(dlt645_operation operation) {
    for (size_t i = 0; i < ARRAY_LEN(OPERATIONS); i++)
        if (OPERATIONS[i].number == (uint8_t)operation) return OPERATIONS[i].text;
    return NULL;
}

bool dlt645_operation_parse(sv text, dlt645_operation *out_operation) {
    for (size_t i = 0; i < ARRAY_LEN(OPERATIONS); i++) {
        if (!sv_equal(sv_of(OPERATIONS[i].text), text)) continue;
        *out_operation = (dlt645_operation)OPERATIONS[i].number;
        return true;
    }
    return false;
}
