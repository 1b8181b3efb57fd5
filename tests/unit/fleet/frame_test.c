// The simulator's own frame codec against frames of real meters. A row without control is a frame whose data are not
// looked at; every row must decode, and encode to the same bytes again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sv.h"
#include "frame.h"

typedef struct frame_row {
    const char *wire;
    const char *address;
    uint8_t control;
    const char *data;  // plain, hex
} frame_row;

static const frame_row ROWS[] = {
    {"68AAAAAAAAAAAA681104333334 33AE16", "AAAAAAAAAAAA", 0x11, "00000100"},
    {"680172007200006891083333343333333333E716", "000072007201", 0x91, "0000010000000000"},
    {"6861010000000068110433333433 1416", "000000000161", 0x11, "00000100"},
    {"686101000000006891083333343359333333 8A16", "000000000161", 0x91, "0000010026000000"},
    {"6861010000000068110433343435 1716", "000000000161", 0x11, "00010102"},
    {"686101000000006891063334343534431016", "000000000161", 0x91, "000101020110"},
    {"68610100000000689107333435 35CC7C331616", "000000000161", 0x91, "00010202994900"},
    {"68610100000000689107333336354558336B16", "000000000161", 0x91, "00000302122500"},
    {"6861010000000068910733333735647633A916", "000000000161", 0x91, "00000402314300"},
    {"68610100000000689107333338353983338C16", "000000000161", 0x91, "00000502065000"},
    {"686101000000006891063333393534380916", "000000000161", 0x91, "000006020105"},
    {"6812907856341268110433333433 6816", "123456789012", 0x11, "00000100"},
    {"FEFE6812907856341268910833333433896745335416", "123456789012", 0x91, "0000010056341200"},
    {"FE68129078563412689306 45C3AB8967450716", "123456789012", 0x93, "129078563412"},
    {"6812907856341268D101358D16", "123456789012", 0xD1, "02"},
    {"680000000000006891063334 34354C56D916", "000000000000", 0x91, "000101021923"},
    {"6861100130121568 9C003516", "151230011061", 0x9C, ""},
    {"686110013012156811043638 33378616", "151230011061", 0x11, "03050004"},
    {"6861100130121568910636383337 33336E16", "151230011061", 0x91, "030500040000"},
    {"680610240519206 81C10353333333333 33334D33333333333333C016", "201905241006", 0x1C, "02000000000000001A00000000000000"},
    {"68AAAAAAAAAAAA681300DF16", "AAAAAAAAAAAA", 0x13, ""},
    {"6812005105032668030832 35B43A445566773716", "260305510012", 0x03, "FF02810711223344"},
    {"6812005105032668C301355A16", "260305510012", 0xC3, "02"},
    {"68120051050326681104 3237343A4D16", "260305510012", 0x11, "FF040107"},
    {"680300000000006801 0244E90316", "000000000003", 0x01, "11B6"},
    {"686110013012156811043335C3330C16", "151230011061", 0x11, "00029000"},
    {"68611001301215 6811043332343 37A16", "151230011061", 0x11, "00FF0100"},
    {"6899999999999968 08066353545344596E16", "999999999999", 0x08, "302021201126"},
    {"68611001301215681C103533333334333333 4D333363545344 59BA16", "151230011061", 0x1C, "02000000010000001A00003021201126"},
    {"6861100130121568DC0137AD16", "151230011061", 0xDC, "04"},
    {"686110013012156891083333343 3FEFEFEFEF716", "151230011061", 0x91, "00000100CBCBCBCB"},
    {"6861100130121568910833333333896745B3E616", "151230011061", 0x91, "0000000056341280"},
};

static size_t from_hex(const char *text, uint8_t *out) {
    char pairs[600];
    size_t len = 0;
    for (const char *at = text; *at; at++)
        if (*at != ' ') pairs[len++] = *at;
    assert_true(len % 2 == 0 && sv_hex_decode((sv){pairs, len}, out));
    return len / 2;
}

static void frames_of_real_meters_decode_and_encode(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        uint8_t wire[300], data[300], again[FLEET_FRAME_MAX];
        size_t wire_len = from_hex(ROWS[i].wire, wire), data_len = from_hex(ROWS[i].data, data), used;
        fleet_frame frame;
        assert_true(fleet_frame_find(wire, wire_len, &used, &frame));
        assert_int_equal(used, wire_len);
        char address[13];
        fleet_address_format(frame.address, address);
        assert_string_equal(address, ROWS[i].address);
        assert_int_equal(frame.control, ROWS[i].control);
        assert_int_equal(frame.len, data_len);
        assert_memory_equal(frame.data, data, data_len);
        unsigned preamble = 0;
        while (wire[preamble] == 0xFE) preamble++;
        assert_int_equal(fleet_frame_encode(&frame, preamble, again), wire_len);
        assert_memory_equal(again, wire, wire_len);
    }
}

static void broken_frames_are_not_found(void **state) {
    (void)state;
    static const char *const BROKEN[] = {
        "681290785634126891083333343389674533 5516",  // sum
        "681290785634126891083333343389674533 5417",  // end
        "6812907856341268 91C93333",                  // length over 200
        "FEFEFEFE",
        "00112233445566",
    };
    for (size_t i = 0; i < ARRAY_LEN(BROKEN); i++) {
        uint8_t wire[300];
        size_t used, len = from_hex(BROKEN[i], wire);
        fleet_frame frame;
        assert_false(fleet_frame_find(wire, len, &used, &frame));
        assert_true(used > 0 && used <= len);
    }
}

// Byte by byte, with garbage that contains a false start in front and a second frame behind.
static void a_frame_is_found_whatever_the_segments(void **state) {
    (void)state;
    uint8_t wire[300], pending[300];
    size_t len = from_hex("0016686811FE 6812907856341268110433333433 6816 68AAAAAAAAAAAA681300DF16", wire);
    size_t held = 0, found = 0;
    for (size_t i = 0; i < len; i++) {
        pending[held++] = wire[i];
        size_t used;
        fleet_frame frame;
        if (fleet_frame_find(pending, held, &used, &frame)) assert_int_equal(frame.control, found++ ? 0x13 : 0x11);
        memmove(pending, pending + used, held - used);
        held -= used;
    }
    assert_int_equal(found, 2);
    assert_int_equal(held, 0);
}

static void numbers_are_packed_lowest_pair_first(void **state) {
    (void)state;
    uint8_t bytes[4];
    uint64_t value;
    fleet_bcd_put(bytes, 4, 123456);
    assert_memory_equal(bytes, "\x56\x34\x12\x00", 4);
    assert_true(fleet_bcd_get(bytes, 4, &value) && value == 123456);
    bytes[2] = 0xCB;
    assert_false(fleet_bcd_get(bytes, 4, &value));
    uint8_t address[6];
    assert_true(fleet_address_parse("123456789012", 12, address));
    assert_memory_equal(address, "\x12\x90\x78\x56\x34\x12", 6);
    assert_false(fleet_address_parse("12345678901A", 12, address));
    assert_false(fleet_address_parse("12345678901", 11, address));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_real_meters_decode_and_encode),
        cmocka_unit_test(broken_frames_are_not_found),
        cmocka_unit_test(a_frame_is_found_whatever_the_segments),
        cmocka_unit_test(numbers_are_packed_lowest_pair_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
