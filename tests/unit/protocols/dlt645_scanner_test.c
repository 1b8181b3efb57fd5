// The scanner against what a transparent link delivers: pieces, garbage, broken frames, noise.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/mem.h"
#include "recording.h"

#define ASK "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16"
#define ANSWER "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16"
#define CURRENT "68 61 01 00 00 00 00 68 91 07 33 34 35 35 CC 7C 33 16 16"
#define ALL_FE "68 61 10 01 30 12 15 68 91 08 33 33 34 33 FE FE FE FE F7 16"

size_t hex_bytes(const char *text, uint8_t *out, size_t capacity) {
    size_t len = 0;
    for (sv rest = sv_of(text); rest.len;) {
        if (rest.ptr[0] == ' ') {
            rest = sv_skip(rest, 1);
            continue;
        }
        assert_true(len < capacity && rest.len >= 2);
        assert_true(sv_hex_decode((sv){rest.ptr, 2}, &out[len++]));
        rest = sv_skip(rest, 2);
    }
    return len;
}

static void collect(recording *self, dlt645_scanner *scanner, bool is_silent) {
    dlt645_event event;
    while (dlt645_scanner_next(scanner, is_silent, &event)) {
        assert_true(self->count < RECORDING_EVENTS_MAX);
        self->events[self->count++] = event;
    }
}

void recording_run(recording *self, const uint8_t *bytes, size_t len, size_t piece) {
    dlt645_scanner scanner;
    dlt645_scanner_init(&scanner);
    memset(self, 0, sizeof *self);
    for (size_t at = 0; at < len;) {
        size_t wanted = len - at < piece ? len - at : piece;
        size_t taken = dlt645_scanner_add(&scanner, sv_slice(bytes + at, wanted));
        assert_true(taken > 0);
        at += taken;
        collect(self, &scanner, false);
    }
    collect(self, &scanner, true);
}

static void assert_same(const recording *a, const recording *b) {
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->events[i].is_frame, b->events[i].is_frame);
        assert_true(a->events[i].offset == b->events[i].offset && a->events[i].count == b->events[i].count);
        if (a->events[i].is_frame)
            assert_memory_equal(&a->events[i].frame, &b->events[i].frame, offsetof(dlt645_frame, data) + a->events[i].frame.len);
        else
            assert_int_equal(a->events[i].reason, b->events[i].reason);
    }
}

static const char MIXED[] = "FE FE " ASK " 00 68 11 FE " ANSWER " FE FE FE FE " CURRENT " 68 61 68 " ALL_FE " " ASK;

void frames_survive_any_segmentation(void **state) {
    (void)state;
    uint8_t bytes[512];
    size_t len = hex_bytes(MIXED, bytes, sizeof bytes);
    static recording whole;
    static recording pieces;
    recording_run(&whole, bytes, len, len);
    size_t frames = 0;
    for (size_t i = 0; i < whole.count; i++) frames += whole.events[i].is_frame;
    assert_int_equal(frames, 5);
    assert_int_equal(whole.count, 7);
    for (size_t piece = 1; piece < len; piece++) {
        recording_run(&pieces, bytes, len, piece);
        assert_same(&whole, &pieces);
    }
}

void two_cuts_anywhere_change_nothing(void **state) {
    (void)state;
    uint8_t bytes[64];
    size_t len = hex_bytes("FE " ANSWER, bytes, sizeof bytes);
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            dlt645_scanner scanner;
            dlt645_scanner_init(&scanner);
            recording seen = {0};
            const size_t cuts[] = {0, a, b, len};
            for (size_t i = 0; i < 3; i++) {
                sv part = sv_slice(bytes + cuts[i], cuts[i + 1] - cuts[i]);
                assert_int_equal(dlt645_scanner_add(&scanner, part), part.len);
                collect(&seen, &scanner, false);
            }
            assert_int_equal(seen.count, 1);
            assert_true(seen.events[0].is_frame && seen.events[0].offset == 1);
        }
    }
}

void preambles_of_any_length_are_accepted(void **state) {
    (void)state;
    static const size_t LENGTHS[] = {0, 1, 4, 40, 300};
    for (size_t i = 0; i < ARRAY_LEN(LENGTHS); i++) {
        uint8_t bytes[512];
        memset(bytes, 0xFE, LENGTHS[i]);
        size_t len = LENGTHS[i] + hex_bytes(ANSWER, bytes + LENGTHS[i], 64);
        static recording seen;
        recording_run(&seen, bytes, len, 7);
        assert_int_equal(seen.count, 1);
        assert_true(seen.events[0].is_frame && seen.events[0].offset == LENGTHS[i] && seen.events[0].count == 20);
    }
}

typedef struct row {
    const char *what;
    const char *hex;
    size_t events;
    size_t frames;
    uint64_t offset;  // of the first skip
    uint64_t skipped;
    dlt645_skip_reason reason;
} row;

static void assert_rows(const row *rows, size_t count) {
    static recording seen;
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[1024];
        size_t len = hex_bytes(rows[i].hex, bytes, sizeof bytes);
        recording_run(&seen, bytes, len, 1);
        size_t frames = 0;
        uint64_t skipped = 0;
        const dlt645_event *first = NULL;
        for (size_t e = 0; e < seen.count; e++) {
            frames += seen.events[e].is_frame;
            if (seen.events[e].is_frame) continue;
            skipped += seen.events[e].count;
            if (!first) first = &seen.events[e];
        }
        if (frames != rows[i].frames || skipped != rows[i].skipped || seen.count != rows[i].events)
            fail_msg("%s: %zu events, %zu frames, %llu skipped", rows[i].what, seen.count, frames, (unsigned long long)skipped);
        if (!first) continue;
        assert_string_equal(dlt645_skip_reason_text(first->reason), dlt645_skip_reason_text(rows[i].reason));
        assert_int_equal(first->offset, rows[i].offset);
    }
}

void garbage_is_skipped_and_counted(void **state) {
    (void)state;
    static const row ROWS[] = {
        {"nothing", "", 0, 0, 0, 0, DLT645_SKIP_GARBAGE},
        {"only FE", "FE FE FE", 0, 0, 0, 0, DLT645_SKIP_GARBAGE},
        {"before a frame", "01 02 03 " ASK, 2, 1, 0, 3, DLT645_SKIP_GARBAGE},
        {"preamble behind it is none", "01 02 FE FE " ASK, 2, 1, 0, 2, DLT645_SKIP_GARBAGE},
        {"FE within it", "01 FE 02 " ASK, 2, 1, 0, 3, DLT645_SKIP_GARBAGE},
        {"FE before it", "FE 01 " ASK, 2, 1, 0, 2, DLT645_SKIP_GARBAGE},
        {"a start byte in it", "68 01 " ASK, 2, 1, 0, 2, DLT645_SKIP_GARBAGE},
        {"start bytes only", "68 68 68 68 " ASK, 2, 1, 0, 4, DLT645_SKIP_GARBAGE},
        {"between frames", ASK " AA BB " ANSWER, 3, 2, 16, 2, DLT645_SKIP_GARBAGE},
        {"behind the last", ANSWER " 70 65 6E", 2, 1, 20, 3, DLT645_SKIP_GARBAGE},
        {"a heartbeat line", "70 65 6E 73 74 6F 63 6B 2D 61 6C 69 76 65 0A " ANSWER, 2, 1, 0, 15, DLT645_SKIP_GARBAGE},
        {"two frames together", ASK ANSWER, 2, 2, 0, 0, DLT645_SKIP_GARBAGE},
        {"DL/T 645-1997 has the same frame", "68 03 00 00 00 00 00 68 01 02 44 E9 03 16 68 03 00 00 00 00 00 68 81 04 44 E9 33 34 EC 16", 2,
         2, 0, 0, DLT645_SKIP_GARBAGE},
    };
    assert_rows(ROWS, ARRAY_LEN(ROWS));
}

void broken_frames_are_named(void **state) {
    (void)state;
    static const row ROWS[] = {
        {"checksum", "68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 55 16", 1, 0, 0, 20, DLT645_SKIP_CHECKSUM},
        {"checksum, then a good one", "68 61 01 00 00 00 00 68 11 04 33 33 34 33 15 16 " ASK, 2, 1, 0, 16, DLT645_SKIP_CHECKSUM},
        {"end byte", "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 17 " ASK, 2, 1, 0, 16, DLT645_SKIP_LENGTH},
        {"length one too short", "68 61 01 00 00 00 00 68 91 07 33 33 34 33 59 33 33 33 8A 16", 1, 0, 0, 20, DLT645_SKIP_LENGTH},
        {"length 201", "68 61 01 00 00 00 00 68 11 C9 33 33 34 33 14 16 " ASK, 2, 1, 0, 16, DLT645_SKIP_LENGTH},
        {"length 255", "68 61 01 00 00 00 00 68 11 FF 33 33 34 33 14 16 " ASK, 2, 1, 0, 16, DLT645_SKIP_LENGTH},
        {"a false header swallows none", "68 11 22 33 44 55 66 68 91 20 " ANSWER " " CURRENT " " ASK, 4, 3, 0, 10, DLT645_SKIP_LENGTH},
    };
    assert_rows(ROWS, ARRAY_LEN(ROWS));
}

void silence_ends_a_truncated_frame(void **state) {
    (void)state;
    uint8_t bytes[64];
    size_t len = hex_bytes(ANSWER, bytes, sizeof bytes);
    static recording seen;
    for (size_t cut = 1; cut < len; cut++) {
        recording_run(&seen, bytes, cut, 3);
        assert_int_equal(seen.count, 1);
        assert_false(seen.events[0].is_frame);
        assert_int_equal(seen.events[0].reason, DLT645_SKIP_TRUNCATED);
        assert_int_equal(seen.events[0].count, cut);
    }
    static const row ROWS[] = {
        {"a frame hides in a truncated one", "68 11 22 33 44 55 66 68 91 C8 " ANSWER, 2, 1, 0, 10, DLT645_SKIP_TRUNCATED},
        {"a lone start byte at the end", ASK " 68", 2, 1, 16, 1, DLT645_SKIP_TRUNCATED},
    };
    assert_rows(ROWS, ARRAY_LEN(ROWS));
    // After silence the scanner goes on as new.
    dlt645_scanner scanner;
    dlt645_event event;
    dlt645_scanner_init(&scanner);
    assert_int_equal(dlt645_scanner_add(&scanner, sv_slice(bytes, 12)), 12);
    assert_false(dlt645_scanner_next(&scanner, false, &event));
    assert_true(dlt645_scanner_next(&scanner, true, &event) && !event.is_frame);
    assert_int_equal(dlt645_scanner_add(&scanner, sv_slice(bytes, len)), len);
    assert_true(dlt645_scanner_next(&scanner, false, &event) && event.is_frame && event.offset == 12);
}

void noise_is_bounded_and_reported(void **state) {
    (void)state;
    uint64_t seed = 0;
    random_fill(&seed, sizeof seed);
    seed |= 1;
    print_message("# noise seed %llu\n", (unsigned long long)seed);
    for (int kind = 0; kind < 2; kind++) {
        dlt645_scanner scanner;
        dlt645_event event;
        dlt645_scanner_init(&scanner);
        uint64_t told = 0;
        uint64_t fed = 0;
        for (int i = 0; i < 200000; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            // Half of the runs are rich in the bytes that mean something.
            static const uint8_t RICH[] = {0x68, 0x68, 0x16, 0xFE, 0x00, 0x10, 0x91, 0x33};
            uint8_t byte = kind ? RICH[seed >> 32 & 7] : (uint8_t)(seed >> 40);
            assert_int_equal(dlt645_scanner_add(&scanner, sv_slice(&byte, 1)), 1);
            fed++;
            while (dlt645_scanner_next(&scanner, false, &event)) {
                assert_true(event.is_frame || event.count <= 5 * DLT645_SCANNER_BYTES);
                told += event.count;
            }
            assert_true(scanner.len <= DLT645_FRAME_MAX);
        }
        while (dlt645_scanner_next(&scanner, true, &event)) told += event.count;
        // Everything is accounted for, but FE that stood before a frame.
        assert_true(told <= fed && told > fed * 8 / 10);
    }
}
