// Any content of a frame with a good checksum: refused, or values that are within their shapes and can be written.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "protocols/dlt645.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    AUTO(buf) json;
    buf_init(&json, 8192);
    dlt645_message_write_json(&message, &json);
    CHECK(!buf_has_failed(&json));
    return 0;
}
