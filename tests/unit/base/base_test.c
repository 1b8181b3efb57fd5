// The foundation: each table row is one promise of a header in libs/base.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "base/instant.h"
#include "base/json_text.h"
#include "base/num_map.h"
#include "base/sv.h"
#include "base/vec.h"

static void integers_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } ROWS[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"-0", false, 0},
        {"01", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1x", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t value = 0;
        assert_int_equal(sv_to_i64(sv_of(ROWS[i].text), &value), ROWS[i].ok);
        if (ROWS[i].ok) assert_true(value == ROWS[i].value);
    }
}

static void views_split_at_each_separator(void **state) {
    (void)state;
    sv rest = SV("a,,bc");
    sv part;
    static const char *const WANTED[] = {"a", "", "bc"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(sv_next(&rest, ',', &part));
        assert_true(sv_equal(part, sv_of(WANTED[i])));
    }
    assert_false(sv_next(&rest, ',', &part));
}

static void only_well_formed_utf8_passes(void **state) {
    (void)state;
    assert_true(sv_is_utf8(SV("电表 ok \xF0\x9F\x92\xA1")));
    static const char *const BAD[] = {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE4\xB8", "\xFF", "a\x80"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) assert_false(sv_is_utf8(sv_of(BAD[i])));
}

static void a_buffer_stops_at_its_maximum_and_stays_failed(void **state) {
    (void)state;
    AUTO(buf) b;
    buf_init(&b, 4);
    buf_add(&b, SV("abcd"));
    assert_false(buf_has_failed(&b));
    buf_add_byte(&b, 'e');
    assert_true(buf_has_failed(&b));
    assert_int_equal(b.len, 4);
    buf_clear(&b);
    buf_addf(&b, "%d", 12345);
    assert_true(buf_has_failed(&b));
}

static void json_strings_are_escaped_and_repaired(void **state) {
    (void)state;
    AUTO(buf) b;
    buf_init(&b, 100);
    json_text_add(&b, SV("a\"\\\n\x01\xFF表"));
    assert_string_equal(buf_cstr(&b), "\"a\\\"\\\\\\n\\u0001\xEF\xBF\xBD表\"");
}

static void arena_memory_is_zeroed_and_survives_growth(void **state) {
    (void)state;
    AUTO_ARENA memory = arena_new(1 << 20);
    char *first = arena_cstr(memory, SV("first"));
    for (int i = 0; i < 100; i++) {
        int64_t *numbers = ARENA_ARRAY(memory, int64_t, 1000);
        for (int j = 0; j < 1000; j++) assert_true(numbers[j] == 0);
        memset(numbers, 0xAB, 8000);
    }
    assert_string_equal(first, "first");
}

static void instants_follow_rfc_3339(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t ms;
    } ROWS[] = {
        {"1970-01-01T00:00:00Z", true, 0},
        {"2024-03-01T00:00:00+08:00", true, 1709222400000},
        {"2024-02-29T23:59:59.250Z", true, 1709251199250},
        {"2024-02-29T23:59:59.2500000Z", true, 1709251199250},
        {"2024-02-29T23:59:59.2501Z", false, 0},
        {"2023-02-29T00:00:00Z", false, 0},
        {"2024-01-01T24:00:00Z", false, 0},
        {"2024-01-01T23:59:60Z", false, 0},
        {"2024-01-01T00:00:00", false, 0},
        {"2024-01-01 00:00:00Z", false, 0},
        {"2024-01-01T00:00:00+24:00", false, 0},
        {"0000-01-01T00:00:00Z", false, 0},
        {"2024-01-01T00:00:00.Z", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        instant_ms at = 0;
        assert_int_equal(instant_parse(sv_of(ROWS[i].text), &at), ROWS[i].ok);
        if (ROWS[i].ok) assert_true(at == ROWS[i].ms);
    }
}

static void formatting_an_instant_reads_back(void **state) {
    (void)state;
    char text[INSTANT_TEXT_MAX];
    for (instant_ms at = -5000000000000; at < 5000000000000; at += 123456789012) {
        instant_ms back = 0;
        size_t len = instant_format(at, -12600, text);
        assert_true(instant_parse((sv){text, len}, &back));
        assert_true(back == at);
    }
    instant_format(1709222400000, 28800, text);
    assert_string_equal(text, "2024-03-01T00:00:00+08:00");
}

static void every_day_of_four_centuries_round_trips(void **state) {
    (void)state;
    for (int64_t day = -80000; day < 80000; day++) {
        int32_t y, m, d;
        civil_from_days(day, &y, &m, &d);
        assert_true(d >= 1 && d <= days_in_month(y, m));
        assert_true(days_from_civil(y, m, d) == day);
    }
}

static void uuids_carry_version_time_and_text(void **state) {
    (void)state;
    const uint8_t random[10] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uuid id = uuid_v7(0x0123456789AB, random);
    char text[UUID_TEXT_LEN + 1];
    uuid_format(id, text);
    assert_string_equal(text, "01234567-89ab-7fff-bfff-ffffffffffff");
    uuid back;
    assert_true(uuid_parse(sv_of(text), &back));
    assert_memory_equal(&id, &back, sizeof id);
    assert_false(uuid_parse(SV("01234567-89ab-7fff-bfff-fffffffffff"), &back));
    assert_false(uuid_parse(SV("0123456789ab-7fff-bfff-ffffffffffff-"), &back));
}

static void nums_rise_also_when_the_clock_steps_back(void **state) {
    (void)state;
    num_series series = {.replica = 7};
    int64_t previous = 0;
    instant_ms at = 1800000000000;
    for (int i = 0; i < 20000; i++) {
        if (i == 10000) at -= HOUR_MS;
        int64_t num = num_next(&series, at);
        assert_true(num > previous);
        previous = num;
    }
    assert_int_equal((previous >> 12) & 1023, 7);
}

static void a_num_map_agrees_with_a_plain_array(void **state) {
    (void)state;
    enum { NUMS = 500 };
    static char values[NUMS];
    void *plain[NUMS] = {0};
    num_map map;
    num_map_init(&map);
    uint64_t random = 88172645463325252u;
    for (int step = 0; step < 20000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t num = random % NUMS;
        if (random >> 40 & 1) {
            assert_ptr_equal(num_map_put(&map, (int64_t)num + 1, &values[num]), plain[num]);
            plain[num] = &values[num];
        } else {
            assert_ptr_equal(num_map_remove(&map, (int64_t)num + 1), plain[num]);
            plain[num] = NULL;
        }
    }
    size_t present = 0;
    for (size_t i = 0; i < NUMS; i++) {
        assert_ptr_equal(num_map_find(&map, (int64_t)i + 1), plain[i]);
        present += plain[i] != NULL;
    }
    assert_int_equal(map.len, present);
    size_t walked = 0;
    size_t at = 0;
    int64_t num;
    void *value;
    while (num_map_next(&map, &at, &num, &value)) {
        assert_ptr_equal(value, plain[num - 1]);
        walked++;
    }
    assert_int_equal(walked, present);
    num_map_done(&map);
}

static void each_error_has_text_and_class(void **state) {
    (void)state;
    for (int e = ERR_OK; e < ERR_COUNT; e++) {
        assert_true(strlen(err_text((err_t)e)) > 0);
        assert_true(err_http_status((err_t)e) >= 200);
    }
    assert_int_equal(err_retry_class(ERR_UNCERTAIN), ERR_RETRY_UNKNOWN);
    fault f;
    assert_int_equal(fault_set(&f, ERR_BAD_INPUT, "/a/0", "is %d", 5), ERR_BAD_INPUT);
    assert_string_equal(f.place, "/a/0");
    assert_string_equal(f.reason, "is 5");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_strictly),
        cmocka_unit_test(views_split_at_each_separator),
        cmocka_unit_test(only_well_formed_utf8_passes),
        cmocka_unit_test(a_buffer_stops_at_its_maximum_and_stays_failed),
        cmocka_unit_test(json_strings_are_escaped_and_repaired),
        cmocka_unit_test(arena_memory_is_zeroed_and_survives_growth),
        cmocka_unit_test(instants_follow_rfc_3339),
        cmocka_unit_test(formatting_an_instant_reads_back),
        cmocka_unit_test(every_day_of_four_centuries_round_trips),
        cmocka_unit_test(uuids_carry_version_time_and_text),
        cmocka_unit_test(nums_rise_also_when_the_clock_steps_back),
        cmocka_unit_test(a_num_map_agrees_with_a_plain_array),
        cmocka_unit_test(each_error_has_text_and_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
