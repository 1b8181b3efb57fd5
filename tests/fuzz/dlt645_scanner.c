// Any stream in any pieces: the same frames as in one piece, every byte accounted for, memory bounded.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "protocols/dlt645.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Sums over what was reported; `digest` changes with any difference in order, place or kind.
typedef struct account {
    uint64_t bytes;
    uint64_t digest;
} account;

static void drain(dlt645_scanner *scanner, bool is_silent, account *self) {
    dlt645_event event;
    while (dlt645_scanner_next(scanner, is_silent, &event)) {
        CHECK(event.count > 0);
        self->bytes += event.count;
        if (event.is_frame) {
            uint8_t bytes[DLT645_PREAMBLE_LEN + DLT645_FRAME_MAX];
            CHECK(dlt645_frame_encode(&event.frame, bytes) == event.count + DLT645_PREAMBLE_LEN);
            self->digest = self->digest * 1099511628211u ^ event.offset;
        }
    }
    CHECK(scanner->len <= DLT645_FRAME_MAX);
}

static account run(sv bytes, size_t piece) {
    dlt645_scanner scanner;
    dlt645_scanner_init(&scanner);
    account self = {0};
    while (bytes.len) {
        size_t wanted = bytes.len < piece ? bytes.len : piece;
        size_t taken = dlt645_scanner_add(&scanner, sv_slice(bytes.ptr, wanted));
        CHECK(taken > 0);
        bytes = sv_skip(bytes, taken);
        drain(&scanner, false, &self);
    }
    drain(&scanner, true, &self);
    CHECK(scanner.len == 0);
    return self;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    sv bytes = sv_slice(data + 1, size - 1);
    account whole = run(bytes, 4096);
    account pieces = run(bytes, (size_t)data[0] + 1);
    CHECK(whole.digest == pieces.digest && whole.bytes == pieces.bytes && whole.bytes <= bytes.len);
    return 0;
}
