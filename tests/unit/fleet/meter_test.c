// What a simulated meter answers and how its relay changes what it counts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backoff.h"
#include "base/mem.h"
#include "base/sv.h"
#include "config.h"
#include "histogram.h"
#include "meter.h"
#include "push_body.h"
#include "relay.h"

#define NOW 1795190430000LL  // 2026-11-21T00:00:30+08:00

static fleet_time at_noon(void) { return (fleet_time){NOW + 12 * HOUR_MS, NOW + 12 * HOUR_MS}; }

static fleet_time later(fleet_time time, int64_t ms) { return (fleet_time){time.wall + ms, time.load + ms}; }

static fleet_meter a_meter(void) {
    fleet_meter meter = {.load = {.seed = 7, .address = 151230011061u, .profile = FLEET_PROFILE_SHOP, .start_wh = 1234567, .start_at = NOW},
                         .number = 151230011061u,
                         .phases = 3,
                         .password = {0x02, 0, 0, 0}};
    fleet_address_parse("151230011061", 12, meter.address);
    fleet_address_format(meter.address, meter.address_text);
    return meter;
}

static fleet_frame request_of(const fleet_meter *meter, uint8_t control, uint32_t data_id) {
    fleet_frame frame = {.control = control, .len = 4};
    memcpy(frame.address, meter->address, 6);
    fleet_data_id_put(frame.data, data_id);
    return frame;
}

static uint64_t read_number(fleet_meter *meter, uint32_t data_id, fleet_time now, size_t *out_len) {
    fleet_frame request = request_of(meter, 0x11, data_id), answer;
    assert_true(fleet_meter_answer(meter, &request, now, &answer));
    assert_int_equal(answer.control, 0x91);
    assert_memory_equal(answer.data, request.data, 4);
    uint64_t value;
    assert_true(fleet_bcd_get(answer.data + 4, answer.len - 4u <= 6 ? answer.len - 4u : 4, &value));
    *out_len = answer.len - 4u;
    return value;
}

static void reads_have_the_width_of_the_standard(void **state) {
    (void)state;
    static const struct {
        uint32_t data_id;
        size_t len;
    } ROWS[] = {
        {0x00010000, 4}, {0x00010100, 4}, {0x00010400, 4}, {0x0001FF00, 20}, {0x00000000, 4}, {0x0000FF00, 20}, {0x00020000, 4},
        {0x02010100, 2}, {0x0201FF00, 6}, {0x02020300, 3}, {0x0202FF00, 9},  {0x02030000, 3}, {0x0203FF00, 12}, {0x02060000, 2},
        {0x0206FF00, 8}, {0x04000101, 4}, {0x04000102, 3}, {0x0400010C, 7},  {0x04000401, 6}, {0x04000402, 6},
    };
    fleet_meter meter = a_meter();
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        size_t len;
        read_number(&meter, ROWS[i].data_id, at_noon(), &len);
        assert_int_equal(len, ROWS[i].len);
    }
}

static void unknown_data_are_answered_with_error_02(void **state) {
    (void)state;
    static const uint32_t IDS[] = {0x00010500, 0x00030000, 0x00010001, 0x02010000, 0x02010400,
                                   0x02040000, 0x04000500, 0x04000508, 0x070104FF};
    fleet_meter meter = a_meter();
    for (size_t i = 0; i < ARRAY_LEN(IDS); i++) {
        fleet_frame request = request_of(&meter, 0x11, IDS[i]), answer;
        assert_true(fleet_meter_answer(&meter, &request, at_noon(), &answer));
        assert_int_equal(answer.control, 0xD1);
        assert_int_equal(answer.len, 1);
        assert_int_equal(answer.data[0], 0x02);
    }
}

static void registers_are_shown_at_ten_watt_hours(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    size_t len;
    fleet_time start = {NOW, NOW};
    assert_int_equal(read_number(&meter, 0x00010000, start, &len), 123456);
    uint64_t sum = 0;
    for (uint32_t tariff = 1; tariff <= 4; tariff++) sum += read_number(&meter, 0x00010000 | tariff << 8, at_noon(), &len);
    uint64_t total = read_number(&meter, 0x00010000, at_noon(), &len);
    assert_in_range(total - sum, 0, 3);
    assert_true(total > 123456);
}

static fleet_frame relay_command(const fleet_meter *meter, uint8_t operation, const uint8_t deadline[6]) {
    fleet_frame frame = {.control = 0x1C, .len = 16};
    memcpy(frame.address, meter->address, 6);
    memcpy(frame.data, (const uint8_t[4]){0x02, 0, 0, 0}, 4);
    frame.data[4] = 0x01;
    frame.data[8] = operation;
    memcpy(frame.data + 10, deadline, 6);
    return frame;
}

// 2026-11-21 12:10:00, ten minutes after noon's half minute.
static const uint8_t IN_TIME[6] = {0x00, 0x10, 0x12, 0x21, 0x11, 0x26};
static const uint8_t TOO_LATE[6] = {0x00, 0x55, 0x11, 0x21, 0x11, 0x26};
static const uint8_t NEVER[6] = {0};
static const uint8_t HOUR_30[6] = {0x00, 0x15, 0x30, 0x21, 0x11, 0x26};

static void relay_commands_are_checked(void **state) {
    (void)state;
    static const struct {
        uint8_t operation;
        const uint8_t *deadline;
        uint8_t password;  // first byte after the level
        bool was_open, keeps_power;
        uint8_t error;  // 0: accepted
        bool is_open;
    } ROWS[] = {
        {0x1A, IN_TIME, 0, false, false, 0, true},  {0x1A, NEVER, 0, false, false, 0, true},    {0x1A, TOO_LATE, 0, false, false, 1, false},
        {0x1A, HOUR_30, 0, false, false, 1, false}, {0x1A, IN_TIME, 1, false, false, 4, false}, {0x1A, IN_TIME, 0, false, true, 1, false},
        {0x1C, IN_TIME, 0, true, false, 0, false},  {0x1C, TOO_LATE, 0, true, false, 1, true},  {0x1B, IN_TIME, 0, true, false, 0, true},
        {0x3A, IN_TIME, 0, false, false, 0, false}, {0x3B, IN_TIME, 0, false, true, 0, false},  {0x2A, IN_TIME, 0, false, false, 0, false},
        {0x77, IN_TIME, 0, false, false, 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        fleet_meter meter = a_meter();
        if (ROWS[i].was_open) fleet_meter_trip(&meter, at_noon().load);
        meter.keep_power = ROWS[i].keeps_power;
        fleet_frame request = relay_command(&meter, ROWS[i].operation, ROWS[i].deadline), answer;
        request.data[1] = ROWS[i].password;
        assert_true(fleet_meter_answer(&meter, &request, at_noon(), &answer));
        assert_int_equal(answer.control, ROWS[i].error ? 0xDC : 0x9C);
        assert_int_equal(answer.len, ROWS[i].error ? 1 : 0);
        if (ROWS[i].error) assert_int_equal(answer.data[0], ROWS[i].error);
        assert_int_equal(meter.relay_open, ROWS[i].is_open);
    }
}

static void an_open_relay_delivers_nothing_ever(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    fleet_time noon = at_noon();
    fleet_registers before = fleet_meter_registers(&meter, noon.load);
    fleet_meter_trip(&meter, noon.load);
    fleet_time evening = later(noon, 7 * HOUR_MS);
    fleet_registers during = fleet_meter_registers(&meter, evening.load);
    assert_memory_equal(&during, &before, sizeof before);
    fleet_electrical dark = fleet_meter_electrical(&meter, evening);
    assert_true(dark.power_dw == 0 && dark.current_ma[0] == 0 && dark.voltage_dv[0] > 2000);
    assert_int_equal(fleet_meter_status_word_3(&meter), 0x50);
    fleet_meter_close(&meter, evening.load);
    fleet_registers after = fleet_meter_registers(&meter, evening.load);
    assert_memory_equal(&after, &before, sizeof before);
    fleet_registers next = fleet_meter_registers(&meter, later(evening, HOUR_MS).load);
    assert_true(next.total_wh - after.total_wh == fleet_load_used_wh(&meter.load, evening.load, later(evening, HOUR_MS).load));
    assert_true(next.total_wh > after.total_wh);
    assert_int_equal(fleet_meter_status_word_3(&meter), 0);
}

static void an_allowed_close_waits_for_the_key(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    assert_false(fleet_meter_press_key(&meter, at_noon()));
    fleet_meter_trip(&meter, at_noon().load);
    assert_false(fleet_meter_press_key(&meter, at_noon()));
    fleet_frame request = relay_command(&meter, 0x1B, IN_TIME), answer;
    assert_true(fleet_meter_answer(&meter, &request, at_noon(), &answer));
    assert_int_equal(fleet_meter_status_word_3(&meter), 0x10);
    assert_true(fleet_meter_press_key(&meter, at_noon()));
    assert_false(meter.relay_open);
}

// Writes what a meter keeps; the answer's control code and its error byte, 0 for none.
static unsigned write_setting(fleet_meter *meter, uint32_t data_id, const char *hex, fleet_time now) {
    fleet_frame request = request_of(meter, 0x14, data_id), answer;
    size_t len = strlen(hex) / 2;
    request.len = (uint8_t)(12 + len);
    assert_true(sv_hex_decode(sv_of(hex), request.data + 12));
    assert_true(fleet_meter_answer(meter, &request, now, &answer));
    return answer.control == 0x94 ? 0 : answer.data[0];
}

static void settings_are_kept_and_shown(void **state) {
    (void)state;
    static const struct {
        uint32_t data_id;
        const char *hex;
        unsigned error;
    } ROWS[] = {
        {0x04001001, "00500000", 0}, {0x04001002, "00200000", 0}, {0x04090B01, "005003", 0},   {0x04FE0101, "03", 0},
        {0x04FE0102, "000001", 0},   {0x04FE0201, "013008", 0},   {0x04FE0208, "020022", 0},   {0x04FE0208, "000000", 0},
        {0x04FE0201, "033008", 1},   {0x04FE0201, "016008", 1},   {0x04FE0201, "013024", 1},   {0x04090B01, "0050A3", 1},
        {0x04090B01, "00500300", 2}, {0x04FE0209, "013008", 2},   {0x04050101, "50680000", 2},
    };
    fleet_meter meter = a_meter();
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        unsigned error = write_setting(&meter, ROWS[i].data_id, ROWS[i].hex, at_noon());
        if (error != ROWS[i].error) fail_msg("row %zu: %u", i, error);
        if (error) continue;
        fleet_frame request = request_of(&meter, 0x11, ROWS[i].data_id), answer;
        uint8_t wanted[8];
        assert_true(sv_hex_decode(sv_of(ROWS[i].hex), wanted));
        assert_true(fleet_meter_answer(&meter, &request, at_noon(), &answer));
        assert_int_equal(answer.len, 4 + strlen(ROWS[i].hex) / 2);
        assert_memory_equal(answer.data + 4, wanted, answer.len - 4u);
    }
    meter.password[2] = 9;
    assert_int_equal(write_setting(&meter, 0x04FE0101, "04", at_noon()), 4);
    meter.password[2] = 0;
    meter.faults.orders[FLEET_FAULT_IGNORE_COMMAND] = (fleet_fault_order){true, 0, 1000, INT64_MAX};
    assert_int_equal(write_setting(&meter, 0x04FE0101, "09", at_noon()), 0);
    assert_int_equal(meter.settings.recoveries[0], 0x03);
}

static void a_valve_takes_its_time_and_may_stick(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    meter.travel_ms = 20 * SECOND_MS;
    fleet_frame request = relay_command(&meter, 0x1A, IN_TIME), answer;
    assert_true(fleet_meter_answer(&meter, &request, at_noon(), &answer));
    assert_int_equal(answer.control, 0x9C);
    assert_int_equal(fleet_meter_status_word_3(&meter), 0x40);
    assert_false(fleet_relay_live(&meter, later(at_noon(), 19 * SECOND_MS)));
    assert_true(fleet_relay_live(&meter, later(at_noon(), 20 * SECOND_MS)));
    assert_int_equal(fleet_meter_status_word_3(&meter), 0x50);
    assert_false(fleet_relay_live(&meter, later(at_noon(), 21 * SECOND_MS)));
    meter.faults.orders[FLEET_FAULT_STUCK] = (fleet_fault_order){true, 0, 1000, INT64_MAX};
    request = relay_command(&meter, 0x1C, IN_TIME);
    assert_true(fleet_meter_answer(&meter, &request, later(at_noon(), MINUTE_MS), &answer));
    assert_false(fleet_relay_live(&meter, later(at_noon(), HOUR_MS)));
    assert_int_equal(fleet_meter_status_word_3(&meter), 0x10);
    fleet_faults_clear(&meter.faults);
    assert_true(fleet_relay_live(&meter, later(at_noon(), HOUR_MS)));
    assert_int_equal(fleet_meter_status_word_3(&meter), 0);
}

static void an_overload_trips_and_recovers_as_often_as_allowed(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    fleet_time now = at_noon();
    assert_int_equal(write_setting(&meter, 0x04090B01, "000080", now), 0);  // 80 kW
    assert_int_equal(write_setting(&meter, 0x04FE0101, "02", now), 0);
    assert_false(fleet_relay_live(&meter, now));
    meter.faults.orders[FLEET_FAULT_EXTRA_LOAD] = (fleet_fault_order){true, 90000, 1000, INT64_MAX};
    int trips = 0, recoveries = 0;
    for (int s = 0; s < 600; s++) {
        bool was_open = meter.relay_open;
        if (!fleet_relay_live(&meter, later(now, s * SECOND_MS))) continue;
        trips += !was_open;
        recoveries += was_open;
        assert_int_equal(meter.cause, was_open ? FLEET_CAUSE_RECOVERY : FLEET_CAUSE_OVERLOAD);
        assert_int_equal(fleet_meter_status_word_4(&meter), was_open ? 0 : 0x20);
    }
    assert_int_equal(trips, 3);
    assert_int_equal(recoveries, 2);
    assert_true(meter.relay_open);
    fleet_faults_clear(&meter.faults);
    fleet_relay_tell(&meter, false, FLEET_CAUSE_COMMAND, later(now, HOUR_MS));
    assert_true(fleet_relay_live(&meter, later(now, HOUR_MS)));
    assert_int_equal(fleet_meter_status_word_4(&meter), 0);
    meter.faults.orders[FLEET_FAULT_EXTRA_LOAD] = (fleet_fault_order){true, 90000, 1000, INT64_MAX};
    meter.keep_power = true;
    assert_false(fleet_relay_live(&meter, later(now, 2 * HOUR_MS)));
}

static void a_heater_trips_for_good(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    fleet_time now = at_noon();
    assert_int_equal(write_setting(&meter, 0x04FE0102, "000001", now), 0);  // 1 kW
    meter.faults.orders[FLEET_FAULT_MALICIOUS_LOAD] = (fleet_fault_order){true, 900, 1000, INT64_MAX};
    assert_false(fleet_relay_live(&meter, now));
    meter.faults.orders[FLEET_FAULT_MALICIOUS_LOAD].value = 1500;
    assert_true(fleet_relay_live(&meter, later(now, SECOND_MS)));
    assert_int_equal(meter.cause, FLEET_CAUSE_MALICIOUS_LOAD);
    assert_int_equal(fleet_meter_status_word_4(&meter), 0x200);
    assert_true(fleet_meter_electrical(&meter, now).power_dw == 0);
    assert_false(fleet_relay_live(&meter, later(now, HOUR_MS)));
}

static void the_schedule_follows_the_meters_clock(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    fleet_time now = at_noon();  // 12:00:30
    meter.clock_offset_ms = -MINUTE_MS;
    assert_int_equal(write_setting(&meter, 0x04FE0201, "020112", now), 0);  // off at 12:01
    assert_int_equal(write_setting(&meter, 0x04FE0203, "010312", now), 0);  // on at 12:03
    int64_t off_s = 0, on_s = 0;
    for (int s = 0; s < 400; s++) {
        if (!fleet_relay_live(&meter, later(now, s * SECOND_MS))) continue;
        assert_int_equal(meter.cause, FLEET_CAUSE_SCHEDULE);
        *(meter.relay_open ? &off_s : &on_s) = s;
    }
    assert_int_equal(off_s, 90);
    assert_int_equal(on_s, 210);
}

static void the_clock_is_read_set_and_synchronised(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    fleet_frame request = request_of(&meter, 0x11, 0x0400010C), answer;
    assert_true(fleet_meter_answer(&meter, &request, at_noon(), &answer));
    static const uint8_t NOON[7] = {0x30, 0x00, 0x12, 0x06, 0x21, 0x11, 0x26};  // a Saturday
    assert_memory_equal(answer.data + 4, NOON, sizeof NOON);
    meter.clock_offset_ms = 2 * MINUTE_MS;
    fleet_frame sync = {
        .address = {0x99, 0x99, 0x99, 0x99, 0x99, 0x99}, .control = 0x08, .len = 6, .data = {0x30, 0x00, 0x12, 0x21, 0x11, 0x26}};
    assert_false(fleet_meter_answer(&meter, &sync, at_noon(), &answer));
    assert_true(meter.clock_offset_ms == 0);
    meter.clock_offset_ms = 10 * MINUTE_MS;  // beyond what a broadcast may correct
    assert_false(fleet_meter_answer(&meter, &sync, at_noon(), &answer));
    assert_true(meter.clock_offset_ms == 10 * MINUTE_MS);
    fleet_frame write = request_of(&meter, 0x14, 0x0400010C);
    write.len = 19;
    memcpy(write.data + 12, NOON, sizeof NOON);
    assert_true(fleet_meter_answer(&meter, &write, at_noon(), &answer));
    assert_int_equal(answer.control, 0x94);
    assert_true(meter.clock_offset_ms == 0);
}

static void only_the_addressed_meter_answers(void **state) {
    (void)state;
    static const struct {
        const char *wire_hex;
        bool answers;
    } ROWS[] = {
        {"611001301215", true},  {"AAAAAAAAAAAA", true},  {"6110013012AA", true},  {"611001AAAAAA", true},
        {"621001301215", false}, {"AA1001301215", false}, {"999999999999", false}, {"6210AAAAAAAA", false},
    };
    fleet_meter meter = a_meter();
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        fleet_frame request = {.control = 0x13}, answer;
        assert_true(sv_hex_decode(sv_of(ROWS[i].wire_hex), request.address));
        assert_int_equal(fleet_meter_answer(&meter, &request, at_noon(), &answer), ROWS[i].answers);
        if (!ROWS[i].answers) continue;
        assert_int_equal(answer.control, 0x93);
        assert_memory_equal(answer.data, meter.address, 6);
        assert_memory_equal(answer.address, meter.address, 6);
    }
    fleet_frame echo = request_of(&meter, 0x91, 0x00010000), answer;
    assert_false(fleet_meter_answer(&meter, &echo, at_noon(), &answer));
}

static void a_replaced_meter_starts_anew(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    fleet_meter_trip(&meter, at_noon().load);
    fleet_meter_replace(&meter, 7, 999999900, at_noon().load);
    size_t len;
    assert_int_equal(read_number(&meter, 0x04000402, at_noon(), &len), 7);
    assert_int_equal(read_number(&meter, 0x00010000, at_noon(), &len), 99999990);
    assert_false(meter.relay_open);
    assert_true(read_number(&meter, 0x00010000, later(at_noon(), 5 * HOUR_MS), &len) < 5000000);  // rolled over
}

static const char CONFIG[] =
    "{\"seed\":3,\"tcp\":\"127.0.0.1:1\",\"http\":\"127.0.0.1:2\",\"start_at\":\"2026-11-21T00:00:00+08:00\",\"gateways\":["
    "{\"kind\":\"dtu\",\"registration\":\"dtu-0001-abcdefgh\",\"meters\":[{\"address\":\"123456789012\",\"profile\":\"flat\",\"start_wh\":"
    "5}]},"
    "{\"kind\":\"http\",\"key\":\"k1\",\"secret\":\"0b0b\",\"registers\":[\"active_energy_total\",\"active_energy_t4\"],"
    "\"meters\":[{\"address\":\"000000000002\",\"profile\":\"office\",\"phases\":3}]}],"
    "\"faults\":[{\"fault\":\"slow\",\"meter\":\"123456789012\",\"value\":2500,\"permille\":0}]}";

static void a_configuration_is_read_whole(void **state) {
    (void)state;
    fleet_config config;
    fault why;
    if (fleet_config_parse(sv_of(CONFIG), NOW, &config, &why)) fail_msg("%s: %s", why.place, why.reason);
    assert_int_equal(config.gateway_count, 2);
    fleet_meter *meter = fleet_config_meter(&config, SV("123456789012"));
    assert_true(meter && meter->load.start_wh == 5 && meter->load.seed == 3 && meter->load.start_at == 1795190400000LL);
    assert_true(meter->faults.orders[FLEET_FAULT_SLOW].active);
    assert_int_equal(config.gateways[1].registers, 1u << FLEET_REGISTER_TOTAL | 1u << FLEET_REGISTER_T4);
    assert_int_equal(config.gateways[1].secret_len, 2);
    fleet_config_done(&config);
}

static void wrong_configurations_name_the_place(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *place;
    } ROWS[] = {
        {"123456789012\",\"profile", "12345678901\",\"profile", "/gateways/0/meters/0/address"},
        {"\"flat\"", "\"palace\"", "/gateways/0/meters/0/profile"},
        {"\"0b0b\"", "\"0b0\"", "/gateways/1/secret"},
        {"active_energy_t4", "active_energy_t9", "/gateways/1/registers/1"},
        {"\"slow\"", "\"slower\"", "/faults/0/fault"},
        {"\"kind\":\"dtu\"", "\"kind\":\"lora\"", "/gateways/0/kind"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char text[2048];
        const char *at = strstr(CONFIG, ROWS[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - CONFIG), CONFIG, ROWS[i].to, at + strlen(ROWS[i].from));
        fleet_config config;
        fault why;
        assert_int_not_equal(fleet_config_parse(sv_of(text), NOW, &config, &why), ERR_OK);
        assert_string_equal(why.place, ROWS[i].place);
    }
}

static void decimals_are_exact(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        int decimals;
        const char *text;
    } ROWS[] = {{123456, 2, "1234.56"}, {5, 2, "0.05"}, {0, 2, "0.00"}, {0, 0, "0"}, {80, 0, "80"}, {-5, 1, "-0.5"}, {12345, 4, "1.2345"}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char text[FLEET_DECIMAL_MAX];
        assert_int_equal(fleet_decimal_format(ROWS[i].value, ROWS[i].decimals, text), strlen(ROWS[i].text));
        assert_string_equal(text, ROWS[i].text);
    }
}

static void quantiles_stay_within_a_sixty_fourth(void **state) {
    (void)state;
    static fleet_histogram histogram;
    for (int64_t value = 1; value <= 100000; value++) fleet_histogram_add(&histogram, value, 1);
    static const uint64_t PERMILLE[] = {1, 10, 500, 900, 990, 999, 1000};
    for (size_t i = 0; i < ARRAY_LEN(PERMILLE); i++) {
        int64_t exact = (int64_t)PERMILLE[i] * 100, got = fleet_histogram_quantile(&histogram, PERMILLE[i]);
        assert_true(got >= exact && (got - exact) * 64 <= exact);
    }
    fleet_histogram_add(&histogram, INT64_MAX, 1);
    assert_true(fleet_histogram_quantile(&histogram, 1000) == INT64_MAX);
}

static void faults_strike_by_chance_and_end(void **state) {
    (void)state;
    fleet_faults faults = {.seed = 1};
    faults.orders[FLEET_FAULT_CUT] = (fleet_fault_order){.active = true, .value = 9, .permille = 250, .until = NOW};
    int64_t value, hits = 0;
    for (int i = 0; i < 4000; i++) hits += fleet_fault_strikes(&faults, FLEET_FAULT_CUT, NOW - 1, &value);
    assert_in_range((uint64_t)hits, 850, 1150);
    assert_false(fleet_fault_strikes(&faults, FLEET_FAULT_CUT, NOW, &value));
    assert_false(fleet_fault_strikes(&faults, FLEET_FAULT_CUT, NOW - 1, &value));
}

// The HMAC was computed with another implementation (openssl dgst -sha256 -mac HMAC).
static void a_push_is_signed_as_promised(void **state) {
    (void)state;
    fleet_meter meter = a_meter();
    fleet_gateway gateway = {.name = "key-1", .meters = &meter, .meter_count = 1, .secret = {0x0b, 0x0b}, .secret_len = 2};
    fleet_sample sample = {.reg = FLEET_REGISTER_TOTAL, .value = 123456, .read_at = NOW};
    AUTO(buf) body;
    buf_init(&body, 1000);
    fleet_push_body_add(&body, &gateway, &sample, 1);
    assert_string_equal(
        buf_cstr(&body),
        "{\"readings\":[{\"meter\":\"151230011061\",\"register\":\"active_energy_total\",\"value\":\"1234.56\",\"unit\":\"kWh\","
        "\"read_at\":\"2026-11-21T00:00:30+08:00\"}]}");
    char signature[FLEET_SIGNATURE_LEN + 1];
    fleet_push_sign(&gateway, SV("1795190430"), SV("17"), buf_view(&body), signature);
    assert_string_equal(signature, "ff232af4cee9a2a90c3f07771934998217790f6cfa888d5619473366a01485b9");
}

static void pauses_grow_to_a_bound(void **state) {
    (void)state;
    fleet_backoff backoff = {.seed = 5};
    for (int i = 0; i < 20; i++) {
        int64_t whole_ms = i < 5 ? 200 << i : 5000;
        assert_in_range((uint64_t)fleet_backoff_next_ms(&backoff), (uint64_t)whole_ms / 2, (uint64_t)whole_ms);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_have_the_width_of_the_standard),
        cmocka_unit_test(unknown_data_are_answered_with_error_02),
        cmocka_unit_test(registers_are_shown_at_ten_watt_hours),
        cmocka_unit_test(relay_commands_are_checked),
        cmocka_unit_test(an_open_relay_delivers_nothing_ever),
        cmocka_unit_test(an_allowed_close_waits_for_the_key),
        cmocka_unit_test(settings_are_kept_and_shown),
        cmocka_unit_test(a_valve_takes_its_time_and_may_stick),
        cmocka_unit_test(an_overload_trips_and_recovers_as_often_as_allowed),
        cmocka_unit_test(a_heater_trips_for_good),
        cmocka_unit_test(the_schedule_follows_the_meters_clock),
        cmocka_unit_test(the_clock_is_read_set_and_synchronised),
        cmocka_unit_test(only_the_addressed_meter_answers),
        cmocka_unit_test(a_replaced_meter_starts_anew),
        cmocka_unit_test(a_configuration_is_read_whole),
        cmocka_unit_test(wrong_configurations_name_the_place),
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(quantiles_stay_within_a_sixty_fourth),
        cmocka_unit_test(faults_strike_by_chance_and_end),
        cmocka_unit_test(a_push_is_signed_as_promised),
        cmocka_unit_test(pauses_grow_to_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
