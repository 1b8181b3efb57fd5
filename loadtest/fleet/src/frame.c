#include "frame.h"

#include <string.h>

#include "base/check.h"

#define START 0x68
#define END 0x16
#define WAKE_UP 0xFE
#define OFFSET 0x33
#define HEADER_LEN 10
#define FRAME_OVERHEAD 12

static uint8_t checksum(const uint8_t *bytes, size_t len) {
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++) sum += bytes[i];
    return (uint8_t)(sum & 0xFF);
}

size_t fleet_frame_encode(const fleet_frame *frame, unsigned preamble, uint8_t out[FLEET_FRAME_MAX]) {
    CHECK(preamble <= 4 && frame->len <= FLEET_FRAME_DATA_MAX);
    memset(out, WAKE_UP, preamble);
    uint8_t *at = out + preamble;
    at[0] = START;
    memcpy(at + 1, frame->address, 6);
    at[7] = START;
    at[8] = frame->control;
    at[9] = frame->len;
    for (size_t i = 0; i < frame->len; i++) at[HEADER_LEN + i] = (uint8_t)(frame->data[i] + OFFSET);
    at[HEADER_LEN + frame->len] = checksum(at, (size_t)HEADER_LEN + frame->len);
    at[HEADER_LEN + frame->len + 1] = END;
    return preamble + FRAME_OVERHEAD + frame->len;
}

typedef enum attempt { ATTEMPT_FRAME, ATTEMPT_NOT_HERE, ATTEMPT_TOO_SHORT } attempt;

// Tries to read a frame at exactly this place.
static attempt frame_read(const uint8_t *bytes, size_t len, fleet_frame *out_frame) {
    if (bytes[0] != START) return ATTEMPT_NOT_HERE;
    if (len > 7 && bytes[7] != START) return ATTEMPT_NOT_HERE;
    if (len < HEADER_LEN) return ATTEMPT_TOO_SHORT;
    size_t data_len = bytes[9];
    if (data_len > FLEET_FRAME_DATA_MAX) return ATTEMPT_NOT_HERE;
    if (len < FRAME_OVERHEAD + data_len) return ATTEMPT_TOO_SHORT;
    if (bytes[HEADER_LEN + data_len + 1] != END) return ATTEMPT_NOT_HERE;
    if (bytes[HEADER_LEN + data_len] != checksum(bytes, HEADER_LEN + data_len)) return ATTEMPT_NOT_HERE;
    *out_frame = (fleet_frame){.control = bytes[8], .len = (uint8_t)data_len};
    memcpy(out_frame->address, bytes + 1, 6);
    for (size_t i = 0; i < data_len; i++) out_frame->data[i] = (uint8_t)(bytes[HEADER_LEN + i] - OFFSET);
    return ATTEMPT_FRAME;
}

bool fleet_frame_find(const uint8_t *bytes, size_t len, size_t *out_used, fleet_frame *out_frame) {
    for (size_t at = 0; at < len; at++) {
        switch (frame_read(bytes + at, len - at, out_frame)) {
            case ATTEMPT_FRAME: *out_used = at + FRAME_OVERHEAD + out_frame->len; return true;
            case ATTEMPT_TOO_SHORT: *out_used = at; return false;
            case ATTEMPT_NOT_HERE: break;
        }
    }
    *out_used = len;
    return false;
}

bool fleet_address_parse(const char *digits, size_t len, uint8_t out[6]) {
    if (len != 12) return false;
    uint8_t address[6];
    for (size_t i = 0; i < 6; i++) {
        char high = digits[2 * i], low = digits[2 * i + 1];
        if (high < '0' || high > '9' || low < '0' || low > '9') return false;
        address[5 - i] = (uint8_t)((high - '0') << 4 | (low - '0'));
    }
    memcpy(out, address, 6);
    return true;
}

void fleet_address_format(const uint8_t address[6], char out[13]) {
    static const char DIGITS[] = "0123456789ABCDEF";
    for (size_t i = 0; i < 6; i++) {
        out[2 * i] = DIGITS[address[5 - i] >> 4];
        out[2 * i + 1] = DIGITS[address[5 - i] & 15];
    }
    out[12] = '\0';
}

void fleet_bcd_put(uint8_t *out, size_t len, uint64_t value) {
    for (size_t i = 0; i < len; i++) {
        unsigned pair = (unsigned)(value % 100);
        out[i] = (uint8_t)((pair / 10) << 4 | pair % 10);
        value /= 100;
    }
}

bool fleet_bcd_get(const uint8_t *bytes, size_t len, uint64_t *out_value) {
    uint64_t value = 0;
    for (size_t i = len; i-- > 0;) {
        unsigned high = bytes[i] >> 4, low = bytes[i] & 15;
        if (high > 9 || low > 9) return false;
        value = value * 100 + high * 10 + low;
    }
    *out_value = value;
    return true;
}
