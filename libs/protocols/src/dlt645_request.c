// What we ask of a meter: reads, address, control (clause 7 and appendix of DL/T 645-2007).
#include <string.h>

#include "base/instant.h"
#include "base/mem.h"
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

bool dlt645_time_is_valid(dlt645_time time) {
    return time.year >= 2000 && time.year <= 2099 && time.month >= 1 && time.month <= 12 && time.day >= 1 &&
           time.day <= days_in_month(time.year, time.month) && time.hour < 24 && time.minute < 60 && time.second < 60;
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
