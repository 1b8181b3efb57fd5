// What an answer or a request means. Everything or nothing: one field that cannot be true refuses the frame.
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "dlt645_items.h"
#include "protocols/dlt645.h"

#define NO_REGISTER DLT645_NO_REGISTER

static const dlt645_item ITEMS[] = {
#define DLT645_ITEM(data_id, name, reg, bytes, decimals, is_signed, unit, shape) \
    {(data_id), SV(name), SV(unit), (reg), (bytes), (decimals), (is_signed), DLT645_SHAPE_##shape},
#include "protocols/dlt645_items.def"
#undef DLT645_ITEM
};

typedef struct block {
    uint32_t data_id;
    uint32_t first;
    uint32_t step;
    uint8_t fewest;
    uint8_t most;
} block;

static const block BLOCKS[] = {
#define DLT645_BLOCK(data_id, first, step, fewest, most) {(data_id), (first), (step), (fewest), (most)},
#include "protocols/dlt645_blocks.def"
#undef DLT645_BLOCK
};

const dlt645_item *dlt645_item_find(uint32_t data_id) {
    for (size_t i = 0; i < ARRAY_LEN(ITEMS); i++)
        if (ITEMS[i].data_id == data_id) return &ITEMS[i];
    return NULL;
}

static const block *block_find(uint32_t data_id) {
    for (size_t i = 0; i < ARRAY_LEN(BLOCKS); i++)
        if (BLOCKS[i].data_id == data_id) return &BLOCKS[i];
    return NULL;
}

bool dlt645_register_item(uint8_t reg, uint32_t *out_data_id) {
    if (reg == NO_REGISTER) return false;
    for (size_t i = 0; i < ARRAY_LEN(ITEMS); i++) {
        if (ITEMS[i].reg != reg) continue;
        *out_data_id = ITEMS[i].data_id;
        return true;
    }
    return false;
}

static uint32_t take_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool bcd_byte(uint8_t byte, uint8_t *out_value) {
    if ((byte >> 4) > 9 || (byte & 15) > 9) return false;
    *out_value = (uint8_t)((byte >> 4) * 10 + (byte & 15));
    return true;
}

static bool is_filled(const uint8_t *bytes, size_t len) {
    if (bytes[0] != 0xFF && bytes[0] != 0xEE) return false;
    for (size_t i = 1; i < len; i++)
        if (bytes[i] != bytes[0]) return false;
    return true;
}

static dlt645_result decode_number(const dlt645_item *shape, const uint8_t *bytes, dlt645_value *out) {
    uint8_t top = bytes[shape->bytes - 1];
    bool negative = shape->is_signed && (top & 0x80);
    int64_t number = 0;
    for (size_t i = shape->bytes; i-- > 0;) {
        uint8_t pair = 0;
        uint8_t byte = i == (size_t)shape->bytes - 1 && negative ? (uint8_t)(top & 0x7F) : bytes[i];
        if (!bcd_byte(byte, &pair)) return DLT645_NOT_BCD;
        number = number * 100 + pair;
    }
    out->number = negative ? -number : number;
    return DLT645_OK;
}

static dlt645_result decode_digits(const dlt645_item *shape, const uint8_t *bytes, dlt645_value *out) {
    dlt645_address address;
    CHECK(shape->bytes == sizeof address.bytes);
    memcpy(address.bytes, bytes, sizeof address.bytes);
    for (size_t i = 0; i < sizeof address.bytes; i++)
        if (!bcd_byte(bytes[i], &(uint8_t){0})) return DLT645_NOT_BCD;
    dlt645_address_format(address, out->digits);
    return DLT645_OK;
}

// Which byte of the field holds what; -1: not there. A missing part takes a value that is always valid.
typedef struct time_layout {
    int8_t second, minute, hour, day, month, year;
} time_layout;

static const time_layout LAYOUT_EVENT = {0, 1, 2, 3, 4, 5};
static const time_layout LAYOUT_DATE = {-1, -1, -1, 1, 2, 3};
static const time_layout LAYOUT_TIME = {0, 1, 2, -1, -1, -1};
static const time_layout LAYOUT_DATE_TIME = {0, 1, 2, 4, 5, 6};

static bool take_part(const uint8_t *bytes, int8_t at, uint8_t missing, uint8_t *out) {
    *out = missing;
    return at < 0 || bcd_byte(bytes[at], out);
}

static dlt645_result decode_time(const uint8_t *bytes, time_layout layout, dlt645_time *out) {
    dlt645_time time = {0};
    uint8_t year = 0;
    bool is_bcd = take_part(bytes, layout.second, 0, &time.second) && take_part(bytes, layout.minute, 0, &time.minute) &&
                  take_part(bytes, layout.hour, 0, &time.hour) && take_part(bytes, layout.day, 1, &time.day) &&
                  take_part(bytes, layout.month, 1, &time.month) && take_part(bytes, layout.year, 0, &year);
    time.year = (uint16_t)(2000 + year);
    if (!is_bcd) return DLT645_NOT_BCD;
    if (!dlt645_time_is_valid(time)) return DLT645_TIME;
    *out = time;
    return DLT645_OK;
}

static dlt645_result decode_event(const uint8_t *bytes, dlt645_value *out) {
    dlt645_result result = decode_time(bytes, LAYOUT_EVENT, &out->time);
    return result == DLT645_OK ? decode_time(bytes + 6, LAYOUT_EVENT, &out->end) : result;
}

static dlt645_result decode_slot(const uint8_t *bytes, dlt645_value *out) {
    if (bytes[0] > DLT645_SLOT_OFF) return DLT645_ACTION;
    out->number = bytes[0];
    const uint8_t of_day[] = {0, bytes[1], bytes[2]};
    return decode_time(of_day, LAYOUT_TIME, &out->time);
}

static dlt645_result decode_item(const dlt645_item *shape, const uint8_t *bytes, dlt645_value *out) {
    *out = (dlt645_value){.name = shape->name,
                          .unit = shape->unit,
                          .shape = shape->shape,
                          .reg = shape->reg,
                          .decimals = shape->decimals,
                          .is_available = true};
    if (shape->shape != DLT645_SHAPE_STATUS && is_filled(bytes, shape->bytes)) {
        out->is_available = false;
        return DLT645_OK;
    }
    switch (shape->shape) {
        case DLT645_SHAPE_NUMBER: return decode_number(shape, bytes, out);
        case DLT645_SHAPE_STATUS: out->number = bytes[0] | bytes[1] << 8; return DLT645_OK;
        case DLT645_SHAPE_DIGITS: return decode_digits(shape, bytes, out);
        case DLT645_SHAPE_DATE: return decode_time(bytes, LAYOUT_DATE, &out->time);
        case DLT645_SHAPE_TIME: return decode_time(bytes, LAYOUT_TIME, &out->time);
        case DLT645_SHAPE_DATE_TIME: return decode_time(bytes, LAYOUT_DATE_TIME, &out->time);
        case DLT645_SHAPE_EVENT: return decode_event(bytes, out);
        case DLT645_SHAPE_SLOT: return decode_slot(bytes, out);
    }
    BUG("unknown shape");
}

static dlt645_result decode_block(const block *layout, const uint8_t *bytes, size_t len, dlt645_message *out) {
    size_t width = dlt645_item_find(layout->first)->bytes;
    size_t count = len / width;
    if (len % width != 0 || count < layout->fewest || count > layout->most) return DLT645_LENGTH;
    CHECK(count <= DLT645_VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        const dlt645_item *shape = dlt645_item_find(layout->first + (uint32_t)i * layout->step);
        dlt645_result result = decode_item(shape, bytes + i * width, &out->values[i]);
        if (result != DLT645_OK) return result;
    }
    out->value_count = count;
    return DLT645_OK;
}

// Data identifier, then its items. What follows more frames is left to whoever collects them all.
static dlt645_result decode_read_answer(const dlt645_frame *frame, dlt645_message *out) {
    if (frame->len == 0) return DLT645_EMPTY;
    if (frame->len < 4) return DLT645_LENGTH;
    out->has_data_id = true;
    out->data_id = take_u32(frame->data);
    const uint8_t *bytes = frame->data + 4;
    size_t len = (size_t)frame->len - 4;
    const dlt645_item *shape = dlt645_item_find(out->data_id);
    const block *layout = block_find(out->data_id);
    out->is_known_item = shape || layout;
    if (out->has_more || !out->is_known_item) return DLT645_OK;
    if (len == 0) return DLT645_EMPTY;
    if (layout) return decode_block(layout, bytes, len, out);
    if (len != shape->bytes) return DLT645_LENGTH;
    out->value_count = 1;
    return decode_item(shape, bytes, &out->values[0]);
}

static dlt645_result decode_address_answer(const dlt645_frame *frame, dlt645_message *out) {
    if (frame->len != 6) return frame->len == 0 ? DLT645_EMPTY : DLT645_LENGTH;
    out->value_count = 1;
    out->is_known_item = true;
    return decode_item(dlt645_item_find(0x04000401), frame->data, &out->values[0]);
}

static bool is_all(const uint8_t *bytes, size_t len, uint8_t value) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != value) return false;
    return true;
}

// PA P0 P1 P2 · operator 4 · N1 · N2 · deadline 6. With a MAC the body is sealed: only the operator can be told.
static dlt645_result decode_control(const dlt645_frame *frame, dlt645_message *out) {
    bool is_sealed = frame->len > 0 && frame->data[0] == 0x98;
    if (frame->len != 16 && !(is_sealed && frame->len >= 8)) return DLT645_LENGTH;
    out->has_level = true;
    out->level = frame->data[0];
    out->has_operator = true;
    out->operator_code = take_u32(frame->data + 4);
    if (is_sealed) return DLT645_OK;
    if (!dlt645_operation_text((dlt645_operation)frame->data[8])) return DLT645_OPERATION;
    out->operation = (dlt645_operation)frame->data[8];
    if (is_all(frame->data + 10, 6, 0)) return DLT645_OK;
    out->has_deadline = true;
    return decode_time(frame->data + 10, LAYOUT_EVENT, &out->deadline);
}

static dlt645_result decode_broadcast_time(const dlt645_frame *frame, dlt645_message *out) {
    if (frame->len != 6) return DLT645_LENGTH;
    out->has_deadline = true;
    return decode_time(frame->data, LAYOUT_EVENT, &out->deadline);
}

// Requests that begin with a data identifier, and for some an operator at a fixed place.
static dlt645_result decode_request(const dlt645_frame *frame, size_t operator_at, dlt645_message *out) {
    if (frame->len < 4 || (operator_at && frame->len < operator_at + 4)) return DLT645_LENGTH;
    out->has_data_id = true;
    out->data_id = take_u32(frame->data);
    out->is_known_item = dlt645_item_find(out->data_id) || block_find(out->data_id);
    out->has_operator = operator_at > 0;
    if (operator_at) out->operator_code = take_u32(frame->data + operator_at);
    return DLT645_OK;
}

// DI · PA P0 P1 P2 · operator 4 · value, the value as in a read's answer. Sealed with a MAC it stays undecoded.
static dlt645_result decode_write(const dlt645_frame *frame, dlt645_message *out) {
    dlt645_result result = decode_request(frame, 8, out);
    if (result != DLT645_OK) return result;
    out->has_level = true;
    out->level = frame->data[4];
    const dlt645_item *shape = dlt645_item_find(out->data_id);
    if (!shape || out->level == 0x98 || out->level == 0x99) return DLT645_OK;
    if (frame->len != 12 + shape->bytes) return DLT645_LENGTH;
    out->value_count = 1;
    return decode_item(shape, frame->data + 12, &out->values[0]);
}

static dlt645_result decode_error(const dlt645_frame *frame, dlt645_message *out) {
    if (frame->len != 1 && frame->len != 2) return DLT645_LENGTH;
    out->error_bits = (uint16_t)(frame->data[0] | (frame->len == 2 ? frame->data[1] << 8 : 0));
    return DLT645_OK;
}

static dlt645_kind kind_of(uint8_t control) {
    if ((control & 0xC0) == 0xC0) return DLT645_KIND_ERROR_ANSWER;
    switch (control) {
        case 0x03: return DLT645_KIND_SECURITY;
        case 0x83: return DLT645_KIND_SECURITY_ANSWER;
        case 0x08: return DLT645_KIND_BROADCAST_TIME;
        case 0x11: return DLT645_KIND_READ;
        case 0x91:
        case 0xB1: return DLT645_KIND_READ_ANSWER;
        case 0x12: return DLT645_KIND_READ_MORE;
        case 0x13: return DLT645_KIND_READ_ADDRESS;
        case 0x93: return DLT645_KIND_ADDRESS_ANSWER;
        case 0x14: return DLT645_KIND_WRITE;
        case 0x94: return DLT645_KIND_WRITE_ANSWER;
        case 0x16: return DLT645_KIND_FREEZE;
        case 0x1C: return DLT645_KIND_CONTROL;
        case 0x9C: return DLT645_KIND_CONTROL_ANSWER;
        default: return DLT645_KIND_OTHER;
    }
}

dlt645_result dlt645_decode(const dlt645_frame *frame, dlt645_message *out_message) {
    CHECK(frame->len <= DLT645_DATA_MAX);
    *out_message = (dlt645_message){.kind = kind_of(frame->control),
                                    .address = frame->address,
                                    .control = frame->control,
                                    .is_ok = !dlt645_frame_is_error(frame),
                                    .has_more = (frame->control & 0xA0) == 0xA0};
    switch (out_message->kind) {
        case DLT645_KIND_READ:
        case DLT645_KIND_READ_MORE: return decode_request(frame, 0, out_message);
        case DLT645_KIND_WRITE: return decode_write(frame, out_message);
        case DLT645_KIND_SECURITY: return decode_request(frame, 4, out_message);
        case DLT645_KIND_READ_ANSWER: return decode_read_answer(frame, out_message);
        case DLT645_KIND_ADDRESS_ANSWER: return decode_address_answer(frame, out_message);
        case DLT645_KIND_CONTROL: return decode_control(frame, out_message);
        case DLT645_KIND_BROADCAST_TIME: return decode_broadcast_time(frame, out_message);
        case DLT645_KIND_ERROR_ANSWER: return decode_error(frame, out_message);
        case DLT645_KIND_READ_ADDRESS:
        case DLT645_KIND_CONTROL_ANSWER: return frame->len == 0 ? DLT645_OK : DLT645_LENGTH;
        case DLT645_KIND_WRITE_ANSWER:
        case DLT645_KIND_SECURITY_ANSWER:
        case DLT645_KIND_FREEZE:
        case DLT645_KIND_OTHER: return DLT645_OK;
    }
    BUG("unknown kind");
}

const char *dlt645_result_reason(dlt645_result result) {
    switch (result) {
#define DLT645_RESULT(name, reason, detail) \
    case DLT645_##name:                     \
        return (reason);
#include "protocols/dlt645_results.def"
#undef DLT645_RESULT
    }
    BUG("unknown result");
}

const char *dlt645_result_detail(dlt645_result result) {
    switch (result) {
#define DLT645_RESULT(name, reason, detail) \
    case DLT645_##name:                     \
        return (detail);
#include "protocols/dlt645_results.def"
#undef DLT645_RESULT
    }
    BUG("unknown result");
}

bool dlt645_value_register(const dlt645_value *value, uint8_t *out_register, int64_t *out_value) {
    if (value->reg == NO_REGISTER || !value->is_available) return false;
    int64_t number = value->number;
    for (int i = value->decimals; i < register_describe(value->reg).decimals; i++)
        if (__builtin_mul_overflow(number, 10, &number)) return false;
    *out_register = value->reg;
    *out_value = number;
    return true;
}

dlt645_supply dlt645_supply_of(uint16_t status_word_3) {
    bool is_open = status_word_3 & DLT645_STATUS3_RELAY_OPEN;
    bool is_told_open = status_word_3 & DLT645_STATUS3_RELAY_COMMAND_OPEN;
    if (is_open) return is_told_open ? DLT645_SUPPLY_OFF : DLT645_SUPPLY_GOING_ON;
    return is_told_open ? DLT645_SUPPLY_GOING_OFF : DLT645_SUPPLY_ON;
}
