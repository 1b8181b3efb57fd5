// DL/T 645-2007: published and constructed frames with their meaning, and what must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "protocols/protocol.h"
#include "recording.h"

// The only frame in `hex`.
static dlt645_frame frame_of(const char *hex) {
    uint8_t bytes[256];
    static recording seen;
    recording_run(&seen, bytes, hex_bytes(hex, bytes, sizeof bytes), 256);
    if (seen.count != 1 || !seen.events[0].is_frame) fail_msg("not one frame: %s", hex);
    return seen.events[0].frame;
}

static void frames_mean_what_is_known_of_them(void **state) {
    (void)state;
    static const struct {
        const char *hex;
        const char *json;
    } ROWS[] = {
        {"68 AA AA AA AA AA AA 68 11 04 33 33 34 33 AE 16",
         "{\"protocol\":\"dlt645\",\"address\":\"AAAAAAAAAAAA\",\"control\":\"11\",\"ok\":true,\"data_id\":\"00010000\",\"kind\":"
         "\"read\"}"},
        {"68 01 72 00 72 00 00 68 91 08 33 33 34 33 33 33 33 33 E7 16",
         "{\"protocol\":\"dlt645\",\"address\":\"000072007201\",\"control\":\"91\",\"ok\":true,\"data_id\":\"00010000\",\"values\":[{"
         "\"name\":"
         "\"active_energy_total\",\"value\":\"0.00\",\"unit\":\"kWh\"}],\"kind\":\"read_answer\"}"},
        {"68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16",
         "\"address\":\"000000000161\",\"control\":\"11\",\"ok\":true,\"data_id\":\"00010000\""},
        {"68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16", "\"value\":\"0.26\",\"unit\":\"kWh\""},
        {"68 61 01 00 00 00 00 68 11 04 33 34 34 35 17 16", "\"data_id\":\"02010100\""},
        {"68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16", "{\"name\":\"voltage_a\",\"value\":\"100.1\",\"unit\":\"V\"}"},
        {"68 61 01 00 00 00 00 68 91 07 33 34 35 35 CC 7C 33 16 16", "{\"name\":\"current_a\",\"value\":\"4.999\",\"unit\":\"A\"}"},
        {"68 61 01 00 00 00 00 68 91 07 33 33 36 35 45 58 33 6B 16",
         "{\"name\":\"active_power_total\",\"value\":\"0.2512\",\"unit\":\"kW\"}"},
        {"68 61 01 00 00 00 00 68 91 07 33 33 37 35 64 76 33 A9 16",
         "{\"name\":\"reactive_power_total\",\"value\":\"0.4331\",\"unit\":\"kvar\"}"},
        {"68 61 01 00 00 00 00 68 91 07 33 33 38 35 39 83 33 8C 16",
         "{\"name\":\"apparent_power_total\",\"value\":\"0.5006\",\"unit\":\"kVA\"}"},
        {"68 61 01 00 00 00 00 68 91 06 33 33 39 35 34 38 09 16", "{\"name\":\"power_factor\",\"value\":\"0.501\",\"unit\":\"\"}"},
        {"68 12 90 78 56 34 12 68 11 04 33 33 34 33 68 16", "\"address\":\"123456789012\",\"control\":\"11\""},
        {"FE FE 68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 54 16",
         "{\"protocol\":\"dlt645\",\"address\":\"123456789012\",\"control\":\"91\",\"ok\":true,\"data_id\":\"00010000\",\"values\":[{"
         "\"name\":"
         "\"active_energy_total\",\"value\":\"1234.56\",\"unit\":\"kWh\"}],\"kind\":\"read_answer\"}"},
        {"FE 68 12 90 78 56 34 12 68 93 06 45 C3 AB 89 67 45 07 16",
         "\"control\":\"93\",\"ok\":true,\"values\":[{\"name\":\"address\",\"value\":\"123456789012\",\"unit\":\"\"}],\"kind\":\"address_"
         "answer\""},
        {"68 12 90 78 56 34 12 68 D1 01 35 8D 16",
         "\"control\":\"D1\",\"ok\":false,\"kind\":\"error_answer\",\"error_bits\":\"0002\",\"errors\":[\"no_such_data\"]"},
        {"68 00 00 00 00 00 00 68 91 06 33 34 34 35 4C 56 D9 16", "\"value\":\"231.9\""},
        {"68 61 10 01 30 12 15 68 9C 00 35 16", "\"address\":\"151230011061\",\"control\":\"9C\",\"ok\":true,\"kind\":\"control_answer\""},
        {"68 61 10 01 30 12 15 68 11 04 36 38 33 37 86 16", "\"data_id\":\"04000503\",\"kind\":\"read\""},
        {"68 61 10 01 30 12 15 68 91 06 36 38 33 37 33 33 6E 16",
         "{\"name\":\"status_word_3\",\"value\":\"0000\",\"bits\":{\"slot_set\":\"first\",\"supply\":\"main\",\"programming\":"
         "\"forbidden\","
         "\"relay\":\"closed\",\"zone_set\":\"first\",\"relay_command\":\"close\",\"pre_trip_alarm\":\"no\",\"prepaid\":\"none\","},
        {"68 06 10 24 05 19 20 68 1C 10 35 33 33 33 33 33 33 33 4D 33 33 33 33 33 33 33 C0 16",
         "\"control\":\"1C\",\"ok\":true,\"kind\":\"control\",\"operation\":\"trip\",\"level\":\"02\",\"password\":\"******\",\"operator\":"
         "\"00000000\",\"deadline\":null}"},
        {"68 AA AA AA AA AA AA 68 13 00 DF 16", "\"control\":\"13\",\"ok\":true,\"kind\":\"read_address\""},
        {"68 12 00 51 05 03 26 68 03 08 32 35 B4 3A 44 55 66 77 37 16",
         "\"control\":\"03\",\"ok\":true,\"data_id\":\"078102FF\",\"kind\":\"security\",\"operator\":\"44332211\""},
        {"68 12 00 51 05 03 26 68 C3 01 35 5A 16",
         "\"ok\":false,\"kind\":\"error_answer\",\"error_bits\":\"0002\",\"errors\":[\"repeated_recharge\"]"},
        {"68 12 00 51 05 03 26 68 C3 01 34 59 16", "\"errors\":[\"other\"]"},
        {"68 61 10 01 30 12 15 68 C3 02 53 33 E4 16", "\"error_bits\":\"0020\",\"errors\":[\"recharge_count_error\"]"},
        {"68 61 10 01 30 12 15 68 C3 02 35 33 C6 16", "\"error_bits\":\"0002\",\"errors\":[\"repeated_recharge\"]"},
        {"68 12 00 51 05 03 26 68 11 04 32 37 34 3A 4D 16", "\"data_id\":\"070104FF\",\"kind\":\"read\""},
        {"68 03 00 00 00 00 00 68 01 02 44 E9 03 16", "\"control\":\"01\",\"ok\":true,\"kind\":\"other\""},
        {"68 03 00 00 00 00 00 68 81 04 44 E9 33 34 EC 16", "\"control\":\"81\",\"ok\":true,\"kind\":\"other\""},
        {"68 61 10 01 30 12 15 68 11 04 33 35 C3 33 0C 16", "\"data_id\":\"00900200\""},
        {"68 61 10 01 30 12 15 68 91 08 33 35 C3 33 78 56 34 33 C5 16",
         "{\"name\":\"remaining_amount\",\"value\":\"123.45\",\"unit\":\"CNY\"}"},
        {"68 61 10 01 30 12 15 68 91 08 34 35 C3 33 33 83 33 33 AD 16",
         "{\"name\":\"overdraft_amount\",\"value\":\"50.00\",\"unit\":\"CNY\"}"},
        {"68 61 10 01 30 12 15 68 11 04 33 32 34 33 7A 16", "\"data_id\":\"0001FF00\""},
        {"68 99 99 99 99 99 99 68 08 06 63 53 54 53 44 59 6E 16", "\"kind\":\"broadcast_time\",\"time\":\"2026-11-20T21:20:30\""},
        {"68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 4D 33 33 63 54 53 44 59 BA 16",
         "\"operation\":\"trip\",\"level\":\"02\",\"password\":\"******\",\"operator\":\"00000001\",\"deadline\":\"2026-11-20T21:30:00\""},
        {"68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 4F 33 33 63 54 53 44 59 BC 16", "\"operation\":\"close\""},
        {"68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 6D 33 33 63 54 53 44 59 DA 16", "\"operation\":\"keep_power\""},
        {"68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 6E 33 33 63 54 53 44 59 DB 16", "\"operation\":\"keep_power_release\""},
        {"68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 5D 33 33 63 54 53 44 59 CA 16", "\"operation\":\"alarm\""},
        {"68 61 10 01 30 12 15 68 DC 01 37 AD 16", "\"errors\":[\"not_authorised\"]"},
        {"68 61 10 01 30 12 15 68 14 10 34 34 38 37 37 33 33 33 34 33 33 33 83 9B 33 33 B5 16",
         "\"control\":\"14\",\"ok\":true,\"data_id\":\"04050101\",\"kind\":\"write\",\"level\":\"04\",\"password\":\"******\",\"operator\":"
         "\"00000001\""},
        {"68 99 99 99 99 99 99 68 16 04 CC CC CC CC B0 16", "\"kind\":\"freeze\""},
        {"68 61 10 01 30 12 15 68 91 08 33 33 33 33 89 67 45 B3 E6 16",
         "{\"name\":\"combined_active_energy_total\",\"value\":\"-1234.56\",\"unit\":\"kWh\"}"},
        {"68 61 10 01 30 12 15 68 B1 0A 34 33 44 36 33 34 35 36 37 38 76 16",
         "\"control\":\"B1\",\"ok\":true,\"data_id\":\"03110001\",\"kind\":\"read_answer\",\"more\":true"},
        {"68 61 10 01 30 12 15 68 12 05 34 33 44 36 34 C5 16", "\"data_id\":\"03110001\",\"kind\":\"read_more\""},
        {"68 61 10 01 30 12 15 68 03 1E 32 35 34 3A 34 33 33 33 43 5A 33 33 3A 33 33 33 33 33 33 33 89 67 45 C3 AB 89 33 33 33 33 F6 16",
         "\"data_id\":\"070102FF\",\"kind\":\"security\",\"operator\":\"00000001\""},
        {"FE FE FE FE 68 AA AA AA AA AA AA 68 91 08 33 33 34 33 89 67 45 33 9A 16",
         "\"address\":\"AAAAAAAAAAAA\",\"control\":\"91\",\"ok\":true"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_frame frame = frame_of(ROWS[i].hex);
        dlt645_message message;
        dlt645_result result = dlt645_decode(&frame, &message);
        if (result != DLT645_OK) fail_msg("row %zu: %s", i, dlt645_result_reason(result));
        AUTO(buf) json;
        buf_init(&json, 8192);
        dlt645_message_write_json(&message, &json);
        if (!strstr(buf_cstr(&json), ROWS[i].json)) fail_msg("row %zu: %s", i, buf_cstr(&json));
    }
}

// An answer with good checksum around `data_hex` (without the 33h shift).
static dlt645_frame answer_of(uint8_t control, const char *data_hex) {
    dlt645_frame frame = {.address = {{1}}, .control = control};
    frame.len = (uint8_t)hex_bytes(data_hex, frame.data, sizeof frame.data);
    return frame;
}

static void impossible_content_refuses_the_frame(void **state) {
    (void)state;
    static const struct {
        const char *what;
        uint8_t control;
        const char *data;
        dlt645_result result;
    } ROWS[] = {
        {"a digit above 9", 0x91, "00 00 01 00 1A 00 00 00", DLT645_NOT_BCD},
        {"in the high nibble", 0x91, "00 00 01 00 A1 00 00 00", DLT645_NOT_BCD},
        {"CB in each byte", 0x91, "00 00 01 00 CB CB CB CB", DLT645_NOT_BCD},
        {"a large counter, no sign", 0x91, "00 00 01 00 00 00 00 80", DLT645_OK},
        {"partly FF", 0x91, "00 00 01 00 FF FF FF 00", DLT645_NOT_BCD},
        {"nothing behind the item", 0x91, "00 00 01 00", DLT645_EMPTY},
        {"nothing at all", 0x91, "", DLT645_EMPTY},
        {"no whole item", 0x91, "00 00 01", DLT645_LENGTH},
        {"a byte short", 0x91, "00 00 01 00 00 00 00", DLT645_LENGTH},
        {"a byte long", 0x91, "00 00 01 00 00 00 00 00 00", DLT645_LENGTH},
        {"energy block of no whole items", 0x91, "00 FF 01 00 01 00 00 00 01", DLT645_LENGTH},
        {"energy block of seven", 0x91, "00 FF 01 00 01 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00",
         DLT645_LENGTH},
        {"voltage block of one phase", 0x91, "00 FF 01 02 01 23", DLT645_OK},
        {"voltage block of four", 0x91, "00 FF 01 02 01 23 01 23 01 23 01 23", DLT645_LENGTH},
        {"power block without a phase", 0x91, "00 FF 03 02 12 25 00", DLT645_LENGTH},
        {"one bad item of a block", 0x91, "00 FF 01 02 01 23 01 23 0A 23", DLT645_NOT_BCD},
        {"hour 30", 0x91, "01 00 11 03 00 15 30 19 11 26 30 40 15 19 11 26", DLT645_TIME},
        {"end before sense", 0x91, "01 00 11 03 00 15 20 19 11 26 30 40 15 19 13 26", DLT645_TIME},
        {"30 February", 0x91, "01 01 00 04 05 30 02 26", DLT645_TIME},
        {"29 February of a leap year", 0x91, "01 01 00 04 05 29 02 28", DLT645_OK},
        {"second 60", 0x91, "02 01 00 04 60 00 00", DLT645_TIME},
        {"hour in hex", 0x91, "02 01 00 04 00 00 0A", DLT645_NOT_BCD},
        {"address with a letter", 0x93, "12 90 78 56 34 1A", DLT645_NOT_BCD},
        {"address of five", 0x93, "12 90 78 56 34", DLT645_LENGTH},
        {"no address", 0x93, "", DLT645_EMPTY},
        {"control too short", 0x1C, "02 00 00 00 01 00 00 00 1A 00 00 30 21 20 11", DLT645_LENGTH},
        {"unknown operation", 0x1C, "02 00 00 00 01 00 00 00 77 00 00 30 21 20 11 26", DLT645_OPERATION},
        {"deadline in month 13", 0x1C, "02 00 00 00 01 00 00 00 1A 00 00 30 21 20 13 26", DLT645_TIME},
        {"control answer with data", 0x9C, "01", DLT645_LENGTH},
        {"error without a byte", 0xD1, "", DLT645_LENGTH},
        {"error with three", 0xD1, "01 02 03", DLT645_LENGTH},
        {"a read of half an item", 0x11, "00 00", DLT645_LENGTH},
        {"a slot that does something else", 0x91, "01 02 FE 04 03 00 08", DLT645_ACTION},
        {"a slot at 24:00", 0x91, "01 02 FE 04 01 00 24", DLT645_TIME},
        {"a written threshold", 0x14, "01 0B 09 04 04 00 00 00 01 00 00 00 00 50 01", DLT645_OK},
        {"a written threshold, not BCD", 0x14, "01 0B 09 04 04 00 00 00 01 00 00 00 0A 50 01", DLT645_NOT_BCD},
        {"a written threshold, too long", 0x14, "01 0B 09 04 04 00 00 00 01 00 00 00 00 50 01 00", DLT645_LENGTH},
        {"a write with a MAC", 0x14, "01 0B 09 04 98 00 00 00 01 00 00 00 AA BB CC DD EE", DLT645_OK},
        {"a write without an operator", 0x14, "01 0B 09 04 04 00 00 00", DLT645_LENGTH},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_frame frame = answer_of(ROWS[i].control, ROWS[i].data);
        dlt645_message message;
        dlt645_result result = dlt645_decode(&frame, &message);
        if (result != ROWS[i].result) fail_msg("%s: %s", ROWS[i].what, dlt645_result_reason(result));
    }
}

static void fields_without_data_are_not_zero(void **state) {
    (void)state;
    static const char *const ROWS[] = {"00 00 01 00 FF FF FF FF", "00 00 01 00 EE EE EE EE", "00 01 01 02 FF FF"};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_frame frame = answer_of(0x91, ROWS[i]);
        dlt645_message message;
        uint8_t reg = 0;
        int64_t value = 0;
        assert_int_equal(dlt645_decode(&frame, &message), DLT645_OK);
        assert_false(message.values[0].is_available);
        assert_false(dlt645_value_register(&message.values[0], &reg, &value));
        AUTO(buf) json;
        buf_init(&json, 8192);
        dlt645_message_write_json(&message, &json);
        assert_non_null(strstr(buf_cstr(&json), "\"value\":null"));
    }
}

static void blocks_give_all_their_registers(void **state) {
    (void)state;
    static const struct {
        const char *data;
        size_t count;
        uint8_t first;
        int64_t values[7];
    } ROWS[] = {
        {"00 FF 01 00 56 34 12 00 01 00 00 00 02 00 00 00 03 00 00 00 50 34 12 00",
         5,
         REGISTER_ACTIVE_ENERGY_TOTAL,
         {1234560, 10, 20, 30, 1234500}},
        {"00 FF 01 00 56 34 12 00", 1, REGISTER_ACTIVE_ENERGY_TOTAL, {1234560}},
        {"00 FF 01 02 01 23 99 22 FF FF", 3, REGISTER_VOLTAGE_A, {230100, 229900, -1}},
        {"00 FF 02 02 99 49 00 01 00 80 00 00 00", 3, REGISTER_CURRENT_A, {4999, -1, 0}},
        {"00 FF 03 02 12 25 00 12 25 80 00 00 00 00 00 00", 4, REGISTER_ACTIVE_POWER_TOTAL, {251200, -251200, 0, 0}},
        {"FF 05 00 04 00 00 00 00 50 00 20 00 00 00 00 00 01 01", 7, REGISTER_STATUS_WORD_1, {0, 0, 0x50, 0x20, 0, 0, 0x101}},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_frame frame = answer_of(0x91, ROWS[i].data);
        dlt645_message message;
        assert_int_equal(dlt645_decode(&frame, &message), DLT645_OK);
        assert_int_equal(message.value_count, ROWS[i].count);
        for (size_t v = 0; v < message.value_count; v++) {
            uint8_t reg = 255;
            int64_t value = 0;
            bool has = dlt645_value_register(&message.values[v], &reg, &value);
            if (i == 2 && v == 2) {
                assert_false(has);
                continue;
            }
            assert_true(has);
            assert_int_equal(reg, ROWS[i].first + v);
            assert_true(value == ROWS[i].values[v]);
        }
    }
}

static void requests_are_the_published_bytes(void **state) {
    (void)state;
    dlt645_address address;
    assert_true(dlt645_address_parse(SV("151230011061"), &address));
    dlt645_control control = {.operation = DLT645_TRIP, .level = 2, .operator_code = 1, .deadline = {2026, 11, 20, 21, 30, 0}};
    dlt645_control close = control;
    close.operation = DLT645_CLOSE;
    const struct {
        dlt645_frame frame;
        const char *hex;
    } rows[] = {
        {dlt645_read(DLT645_WILDCARD, 0x00010000), "FE FE FE FE 68 AA AA AA AA AA AA 68 11 04 33 33 34 33 AE 16"},
        {dlt645_read(address, 0x04000503), "FE FE FE FE 68 61 10 01 30 12 15 68 11 04 36 38 33 37 86 16"},
        {dlt645_read(address, 0x0001FF00), "FE FE FE FE 68 61 10 01 30 12 15 68 11 04 33 32 34 33 7A 16"},
        {dlt645_read_more(address, 0x03110001, 1), "FE FE FE FE 68 61 10 01 30 12 15 68 12 05 34 33 44 36 34 C5 16"},
        {dlt645_read_address(), "FE FE FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16"},
        {dlt645_control_request(address, &control),
         "FE FE FE FE 68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 4D 33 33 63 54 53 44 59 BA 16"},
        {dlt645_control_request(address, &close),
         "FE FE FE FE 68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 4F 33 33 63 54 53 44 59 BC 16"},
        {dlt645_broadcast_time((dlt645_time){2026, 11, 20, 21, 20, 30}),
         "FE FE FE FE 68 99 99 99 99 99 99 68 08 06 63 53 54 53 44 59 6E 16"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t wanted[256];
        uint8_t sent[DLT645_PREAMBLE_LEN + DLT645_FRAME_MAX];
        size_t len = hex_bytes(rows[i].hex, wanted, sizeof wanted);
        assert_int_equal(dlt645_frame_encode(&rows[i].frame, sent), len);
        assert_memory_equal(sent, wanted, len);
    }
}

// What was written is what a reader of the frame sees, and what the meter answers when it is asked for it.
static void written_values_come_back(void **state) {
    (void)state;
    static const struct {
        uint32_t data_id;
        int64_t number;
        bool fits;
        const char *json;
    } ROWS[] = {
        {0x04001001, 5000, true, "\"name\":\"alarm_amount_1\",\"value\":\"50.00\""},
        {0x04001002, 99999999, true, "\"value\":\"999999.99\""},
        {0x04001002, 100000000, false, NULL},
        {0x04090B01, 35000, true, "\"name\":\"overload_power\",\"value\":\"3.5000\""},
        {0x04FE0101, 3, true, "\"name\":\"overload_recoveries\",\"value\":\"3\""},
        {0x04FE0101, 100, false, NULL},
        {0x04FE0102, 0, true, "\"name\":\"malicious_power\",\"value\":\"0.0000\""},
        {0x04FE0102, -1, false, NULL},
        {0x04FE0201, 1, false, NULL},
        {0x04000503, 1, false, NULL},
        {0x12345678, 1, false, NULL},
    };
    const dlt645_writer writer = {4, {0x11, 0x22, 0x33}, 77};
    dlt645_address address;
    assert_true(dlt645_address_parse(SV("151230011061"), &address));
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_frame frame;
        assert_int_equal(dlt645_write_number(address, &writer, ROWS[i].data_id, ROWS[i].number, &frame), ROWS[i].fits);
        if (!ROWS[i].fits) continue;
        dlt645_message message;
        assert_int_equal(dlt645_decode(&frame, &message), DLT645_OK);
        assert_true(message.values[0].number == ROWS[i].number);
        AUTO(buf) json;
        buf_init(&json, 8192);
        dlt645_message_write_json(&message, &json);
        if (!strstr(buf_cstr(&json), ROWS[i].json)) fail_msg("%s", buf_cstr(&json));
        assert_non_null(strstr(buf_cstr(&json), "\"level\":\"04\",\"password\":\"******\",\"operator\":\"0000004D\""));
        assert_null(strstr(buf_cstr(&json), "112233"));
    }
    for (int minute_of_day = 0; minute_of_day < 1440; minute_of_day++) {
        dlt645_slot slot = {(dlt645_slot_action)(minute_of_day % 3), (uint8_t)(minute_of_day / 60), (uint8_t)(minute_of_day % 60)};
        dlt645_frame frame;
        dlt645_message message;
        assert_true(dlt645_write_slot(address, &writer, 0x04FE0201 + (uint32_t)minute_of_day % 8, slot, &frame));
        assert_int_equal(dlt645_decode(&frame, &message), DLT645_OK);
        assert_int_equal(message.values[0].number, slot.action);
        assert_int_equal(message.values[0].time.hour, slot.hour);
        assert_int_equal(message.values[0].time.minute, slot.minute);
    }
    dlt645_frame frame;
    assert_false(dlt645_write_slot(address, &writer, 0x04FE0201, (dlt645_slot){DLT645_SLOT_ON, 24, 0}, &frame));
    assert_false(dlt645_write_slot(address, &writer, 0x04FE0209, (dlt645_slot){DLT645_SLOT_ON, 8, 0}, &frame));
    assert_false(dlt645_write_slot(address, &writer, 0x04090B01, (dlt645_slot){DLT645_SLOT_ON, 8, 0}, &frame));
}

static void meter_times_are_seconds(void **state) {
    (void)state;
    static const struct {
        dlt645_time time, later;
        int64_t seconds;
    } ROWS[] = {
        {{2026, 11, 20, 21, 25, 0}, {2026, 11, 20, 21, 30, 0}, 300},  {{2026, 12, 31, 23, 57, 30}, {2027, 1, 1, 0, 2, 30}, 300},
        {{2028, 2, 28, 23, 59, 59}, {2028, 2, 29, 0, 0, 0}, 1},       {{2000, 1, 1, 0, 0, 0}, {2000, 1, 1, 0, 0, 0}, -1},
        {{2099, 12, 31, 23, 59, 0}, {2099, 12, 31, 23, 59, 59}, 300},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_time later = dlt645_time_from_seconds(dlt645_time_seconds(ROWS[i].time) + ROWS[i].seconds);
        assert_true(dlt645_time_is_valid(later));
        assert_true(dlt645_time_seconds(later) == dlt645_time_seconds(ROWS[i].later));
    }
}

static void status_word_3_tells_the_supply(void **state) {
    (void)state;
    static const struct {
        uint16_t word;
        dlt645_supply supply;
    } ROWS[] = {{0x0000, DLT645_SUPPLY_ON},        {0x0050, DLT645_SUPPLY_OFF}, {0x0010, DLT645_SUPPLY_GOING_ON},
                {0x0040, DLT645_SUPPLY_GOING_OFF}, {0xFFAF, DLT645_SUPPLY_ON},  {0x1050, DLT645_SUPPLY_OFF}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) assert_int_equal(dlt645_supply_of(ROWS[i].word), ROWS[i].supply);
}

static void errors_name_the_first_known_reason(void **state) {
    (void)state;
    static const struct {
        uint8_t control;
        const char *data;
        const char *reason;
    } ROWS[] = {{0xDC, "04", "not_authorised"}, {0xDC, "01", "other"},          {0xDC, "00", "other"},
                {0xD1, "02", "no_such_data"},   {0xD4, "05", "not_authorised"}, {0xC3, "02 00", "repeated_recharge"},
                {0xD1, "80", "other"}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_frame frame = answer_of(ROWS[i].control, ROWS[i].data);
        dlt645_message message;
        assert_int_equal(dlt645_decode(&frame, &message), DLT645_OK);
        assert_string_equal(dlt645_message_error(&message), ROWS[i].reason);
    }
}

static void addresses_are_twelve_digits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } ROWS[] = {{"123456789012", true},  {"000000000000", true},  {"AAAAAAAAAAAA", true},
                {"aaaaaaaaaaaa", true},  {"12345678901", false},  {"1234567890123", false},
                {"12345678901A", false}, {"AAAAAAAAAA12", false}, {"", false},
                {"12345678901 ", false}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        dlt645_address address;
        char text[DLT645_ADDRESS_TEXT_LEN + 1];
        assert_int_equal(dlt645_address_parse(sv_of(ROWS[i].text), &address), ROWS[i].ok);
        if (!ROWS[i].ok) continue;
        dlt645_address_format(address, text);
        assert_true(sv_equal_nocase(sv_of(text), sv_of(ROWS[i].text)));
        assert_int_equal(dlt645_address_is_wildcard(address), i == 2 || i == 3);
    }
}

// Every register a meter of this kind can report is asked for by an item that gives it back.
static void registers_and_items_agree(void **state) {
    (void)state;
    int found = 0;
    for (unsigned reg = 0; reg < REGISTER_NUMBER_END; reg++) {
        uint32_t data_id = 0;
        if (!dlt645_register_item((uint8_t)reg, &data_id)) continue;
        found++;
        dlt645_frame frame = {.address = {{1}}, .control = 0x91};
        for (int i = 0; i < 4; i++) frame.data[i] = (uint8_t)(data_id >> (8 * i));
        size_t fits = 0;
        for (uint8_t len = 5; len < 12; len++) {
            dlt645_message message;
            frame.len = len;
            if (dlt645_decode(&frame, &message) != DLT645_OK) continue;
            assert_int_equal(message.values[0].reg, reg);
            fits++;
        }
        assert_int_equal(fits, 1);
    }
    assert_int_equal(found, 25);
    uint32_t data_id = 0;
    assert_false(dlt645_register_item(REGISTER_WATER_VOLUME_TOTAL, &data_id));
    assert_false(dlt645_register_item(DLT645_NO_REGISTER, &data_id));
}

typedef struct told {
    char text[4096];
    size_t len;
} told;

static void add(told *self, const char *what, sv a) {
    size_t room = sizeof self->text - self->len;
    sv_copy_truncated(sv_of(what), self->text + self->len, room);
    self->len += strlen(self->text + self->len);
    sv_copy_truncated(a, self->text + self->len, sizeof self->text - self->len);
    self->len += strlen(self->text + self->len);
}

static void tell_frame(void *context, sv json) {
    assert_true(json.len > 20 && json.ptr[0] == '{' && json.ptr[json.len - 1] == '}');
    add(context, " frame", SV(""));
}
static void tell_skipped(void *context, uint64_t offset, uint64_t count, bool is_bad_frame, sv reason, sv detail) {
    assert_true(count > 0 && offset < 4096 && detail.len > 0);
    add(context, is_bad_frame ? " bad:" : " skip:", reason);
}
static void tell_refused(void *context, uint64_t offset, sv reason, sv detail) {
    assert_true(offset < 4096 && detail.len > 0);
    add(context, " refused:", reason);
}

static void recordings_are_told_in_order(void **state) {
    (void)state;
    static const char HEX[] =
        "01 02 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16 68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 55 16 "
        "68 61 10 01 30 12 15 68 91 08 33 33 34 33 FE FE FE FE F7 16 68 61 01 00 00";
    uint8_t bytes[512];
    size_t len = hex_bytes(HEX, bytes, sizeof bytes);
    told heard = {0};
    const protocol_sink sink = {&heard, tell_frame, tell_skipped, tell_refused};
    const protocol *found = protocol_find(SV("dlt645"));
    assert_non_null(found);
    assert_ptr_equal(found, protocol_at(0));
    assert_null(protocol_find(SV("dlt64")));
    assert_null(protocol_at(protocol_count()));
    found->decode(sv_slice(bytes, len), &sink);
    assert_string_equal(heard.text, " skip:garbage frame bad:checksum refused:not_bcd bad:truncated");
}

static void operations_have_names(void **state) {
    (void)state;
    dlt645_operation operation = DLT645_NO_OPERATION;
    assert_true(dlt645_operation_parse(SV("trip"), &operation));
    assert_int_equal(operation, 0x1A);
    assert_string_equal(dlt645_operation_text(DLT645_KEEP_POWER_RELEASE), "keep_power_release");
    assert_null(dlt645_operation_text(DLT645_NO_OPERATION));
    assert_false(dlt645_operation_parse(SV("clear"), &operation));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_mean_what_is_known_of_them),
        cmocka_unit_test(impossible_content_refuses_the_frame),
        cmocka_unit_test(fields_without_data_are_not_zero),
        cmocka_unit_test(blocks_give_all_their_registers),
        cmocka_unit_test(requests_are_the_published_bytes),
        cmocka_unit_test(written_values_come_back),
        cmocka_unit_test(meter_times_are_seconds),
        cmocka_unit_test(status_word_3_tells_the_supply),
        cmocka_unit_test(errors_name_the_first_known_reason),
        cmocka_unit_test(addresses_are_twelve_digits),
        cmocka_unit_test(registers_and_items_agree),
        cmocka_unit_test(recordings_are_told_in_order),
        cmocka_unit_test(operations_have_names),
        cmocka_unit_test(frames_survive_any_segmentation),
        cmocka_unit_test(two_cuts_anywhere_change_nothing),
        cmocka_unit_test(preambles_of_any_length_are_accepted),
        cmocka_unit_test(garbage_is_skipped_and_counted),
        cmocka_unit_test(broken_frames_are_named),
        cmocka_unit_test(silence_ends_a_truncated_frame),
        cmocka_unit_test(noise_is_bounded_and_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
