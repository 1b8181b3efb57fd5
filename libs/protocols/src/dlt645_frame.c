// Frames of DL/T 645-2007 as bytes: addresses, encoding, and the scanner that finds frames in any stream.
#include <string.h>

#include "base/check.h"
#include "protocols/dlt645.h"

#define START 0x68
#define END 0x16
#define FILL 0xFE
#define HEADER_LEN 10
#define OVERHEAD_LEN 12
#define SHIFT 0x33

const dlt645_address DLT645_WILDCARD = {{0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA}};

bool dlt645_address_parse(sv text, dlt645_address *out_address) {
    uint8_t bytes[6];
    if (text.len != DLT645_ADDRESS_TEXT_LEN || !sv_hex_decode(text, bytes)) return false;
    bool is_wildcard = sv_equal_nocase(text, SV("AAAAAAAAAAAA"));
    for (size_t i = 0; i < text.len && !is_wildcard; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    for (size_t i = 0; i < 6; i++) out_address->bytes[i] = bytes[5 - i];
    return true;
}

void dlt645_address_format(dlt645_address address, char out[DLT645_ADDRESS_TEXT_LEN + 1]) {
    static const char DIGITS[] = "0123456789ABCDEF";
    for (size_t i = 0; i < 6; i++) {
        out[2 * i] = DIGITS[address.bytes[5 - i] >> 4];
        out[2 * i + 1] = DIGITS[address.bytes[5 - i] & 15];
    }
    out[DLT645_ADDRESS_TEXT_LEN] = '\0';
}

bool dlt645_address_equal(dlt645_address a, dlt645_address b) { return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0; }

bool dlt645_address_is_wildcard(dlt645_address address) { return dlt645_address_equal(address, DLT645_WILDCARD); }

static uint8_t sum_of(const uint8_t *bytes, size_t len) {
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++) sum += bytes[i];
    return (uint8_t)sum;
}

size_t dlt645_frame_encode(const dlt645_frame *frame, uint8_t out[DLT645_PREAMBLE_LEN + DLT645_FRAME_MAX]) {
    CHECK(frame->len <= DLT645_DATA_MAX);
    memset(out, FILL, DLT645_PREAMBLE_LEN);
    uint8_t *at = out + DLT645_PREAMBLE_LEN;
    at[0] = START;
    memcpy(at + 1, frame->address.bytes, 6);
    at[7] = START;
    at[8] = frame->control;
    at[9] = frame->len;
    for (size_t i = 0; i < frame->len; i++) at[HEADER_LEN + i] = (uint8_t)(frame->data[i] + SHIFT);
    size_t body = HEADER_LEN + (size_t)frame->len;
    at[body] = sum_of(at, body);
    at[body + 1] = END;
    return DLT645_PREAMBLE_LEN + body + 2;
}

const char *dlt645_skip_reason_text(dlt645_skip_reason reason) {
    switch (reason) {
        case DLT645_SKIP_GARBAGE: return "garbage";
        case DLT645_SKIP_CHECKSUM: return "checksum";
        case DLT645_SKIP_LENGTH: return "length";
        case DLT645_SKIP_TRUNCATED: return "truncated";
    }
    BUG("unknown skip reason");
}

void dlt645_scanner_init(dlt645_scanner *self) { memset(self, 0, sizeof *self); }

size_t dlt645_scanner_add(dlt645_scanner *self, sv bytes) {
    size_t room = sizeof self->bytes - self->len;
    size_t taken = bytes.len < room ? bytes.len : room;
    if (taken) memcpy(self->bytes + self->len, bytes.ptr, taken);
    self->len += taken;
    return taken;
}

typedef enum look { LOOK_FRAME, LOOK_NOTHING, LOOK_BAD, LOOK_INCOMPLETE } look;

// What stands at the first of `len` bytes.
static look look_at(const uint8_t *bytes, size_t len, dlt645_skip_reason *out_reason) {
    if (bytes[0] != START) return LOOK_NOTHING;
    if (len > 7 && bytes[7] != START) return LOOK_NOTHING;
    *out_reason = DLT645_SKIP_TRUNCATED;
    if (len < HEADER_LEN) return LOOK_INCOMPLETE;
    size_t total = (size_t)bytes[9] + OVERHEAD_LEN;
    *out_reason = DLT645_SKIP_LENGTH;
    if (bytes[9] > DLT645_DATA_MAX) return LOOK_BAD;
    *out_reason = DLT645_SKIP_TRUNCATED;
    if (len < total) return LOOK_INCOMPLETE;
    *out_reason = DLT645_SKIP_LENGTH;
    if (bytes[total - 1] != END) return LOOK_BAD;
    *out_reason = DLT645_SKIP_CHECKSUM;
    return bytes[total - 2] == sum_of(bytes, total - 2) ? LOOK_FRAME : LOOK_BAD;
}

// Counts a byte that belongs to no frame. FE counts only once something else follows it that is no frame.
static void skip_byte(dlt645_scanner *self, uint8_t byte, uint64_t offset, dlt645_skip_reason reason) {
    if (byte == FILL && reason == DLT645_SKIP_GARBAGE) {
        self->skipped_fill++;
        return;
    }
    if (self->skipped == 0) {
        self->skipped_offset = offset - self->skipped_fill;
        self->reason = DLT645_SKIP_GARBAGE;
    }
    self->skipped += self->skipped_fill + 1;
    self->skipped_fill = 0;
    if (self->reason == DLT645_SKIP_GARBAGE) self->reason = reason;
}

static bool take_skipped(dlt645_scanner *self, dlt645_event *out_event) {
    if (self->skipped == 0) return false;
    out_event->is_frame = false;
    out_event->reason = self->reason;
    out_event->offset = self->skipped_offset;
    out_event->count = self->skipped;
    self->skipped = self->skipped_fill = 0;
    return true;
}

static void take_frame(const uint8_t *bytes, dlt645_event *out_event) {
    out_event->is_frame = true;
    memcpy(out_event->frame.address.bytes, bytes + 1, 6);
    out_event->frame.control = bytes[8];
    out_event->frame.len = bytes[9];
    for (size_t i = 0; i < bytes[9]; i++) out_event->frame.data[i] = (uint8_t)(bytes[HEADER_LEN + i] - SHIFT);
    out_event->count = (uint64_t)bytes[9] + OVERHEAD_LEN;
}

static void drop_front(dlt645_scanner *self, size_t count) {
    memmove(self->bytes, self->bytes + count, self->len - count);
    self->len -= count;
    self->offset += count;
}

bool dlt645_scanner_next(dlt645_scanner *self, bool is_silent, dlt645_event *out_event) {
    size_t at = 0;
    for (; at < self->len; at++) {
        dlt645_skip_reason reason = DLT645_SKIP_GARBAGE;
        look seen = look_at(self->bytes + at, self->len - at, &reason);
        if (seen == LOOK_INCOMPLETE && !is_silent) break;
        if (seen == LOOK_FRAME) {
            drop_front(self, at);
            if (take_skipped(self, out_event)) return true;
            self->skipped_fill = 0;
            out_event->offset = self->offset;
            take_frame(self->bytes, out_event);
            drop_front(self, (size_t)out_event->count);
            return true;
        }
        skip_byte(self, self->bytes[at], self->offset + at, seen == LOOK_NOTHING ? DLT645_SKIP_GARBAGE : reason);
    }
    drop_front(self, at);
    // A line full of noise is reported now and then, not only when it ends.
    return (is_silent || self->skipped >= 4 * DLT645_SCANNER_BYTES) && take_skipped(self, out_event);
}
