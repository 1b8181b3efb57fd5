// Any content of a frame with a good checksum: refused, or values that are within their shapes and can be written.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "protocols/dlt645.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What a write says, written again, is the same bytes.
static void check_write(const dlt645_frame *frame, const dlt645_message *message) {
    const dlt645_value *value = &message->values[0];
    dlt645_writer writer = {.level = frame->data[4], .operator_code = message->operator_code};
    memcpy(writer.password, frame->data + 5, sizeof writer.password);
    dlt645_frame again;
    bool is_written = false;
    if (value->shape == DLT645_SHAPE_NUMBER) {
        is_written = dlt645_write_number(frame->address, &writer, message->data_id, value->number, &again);
        CHECK(is_written || value->number <= 0);
    } else if (value->shape == DLT645_SHAPE_SLOT) {
        dlt645_slot slot = {(dlt645_slot_action)value->number, value->time.hour, value->time.minute};
        is_written = dlt645_write_slot(frame->address, &writer, message->data_id, slot, &again);
        CHECK(is_written);
    }
    if (is_written && value->number) CHECK(again.len == frame->len && memcmp(again.data, frame->data, frame->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > DLT645_DATA_MAX + 1) return 0;
    dlt645_frame frame = {.control = data[0], .len = (uint8_t)(size - 1)};
    memcpy(frame.data, data + 1, size - 1);
    dlt645_message message;
    if (dlt645_decode(&frame, &message) != DLT645_OK) return 0;
    CHECK(message.value_count <= DLT645_VALUES_MAX);
    for (size_t i = 0; i < message.value_count; i++) {
        uint8_t reg = 0;
        int64_t value = 0;
        if (dlt645_value_register(&message.values[i], &reg, &value)) CHECK(register_is_known(reg));
    }
    if (message.kind == DLT645_KIND_WRITE && message.value_count && message.values[0].is_available) check_write(&frame, &message);
    AUTO(buf) json;
    buf_init(&json, 8192);
    dlt645_message_write_json(&message, &json);
    CHECK(!buf_has_failed(&json));
    return 0;
}
