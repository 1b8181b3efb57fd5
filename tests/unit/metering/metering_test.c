// Registers, journal blocks and the rules that decide whether a reading may be charged.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "day_row_test.h"
#include "metering/block.h"
#include "metering/plausible.h"
#include "metering/register.h"

static void values_are_read_in_their_unit(void **state) {
    (void)state;
    static const struct {
        uint8_t reg;
        const char *text;
        const char *unit;
        err_t err;
        int64_t value;
    } ROWS[] = {
        {REGISTER_ACTIVE_ENERGY_TOTAL, "1234.56", "kWh", ERR_OK, 1234560},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "1234560", "Wh", ERR_OK, 1234560},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "-0.5", "kWh", ERR_OK, -500},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "0.123", "kWh", ERR_OK, 123},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "0.1230", "kWh", ERR_OK, 123},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "0.1234", "kWh", ERR_BAD_INPUT, 0},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "0.5", "Wh", ERR_BAD_INPUT, 0},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "1", "MWh", ERR_BAD_INPUT, 0},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "1", "m3", ERR_BAD_INPUT, 0},
        {REGISTER_ACTIVE_ENERGY_TOTAL, "1", "", ERR_BAD_INPUT, 0},
        {REGISTER_WATER_VOLUME_TOTAL, "12.345", "m3", ERR_OK, 12345},
        {REGISTER_WATER_VOLUME_TOTAL, "12.345", "m³", ERR_OK, 12345},
        {REGISTER_VOLTAGE_A, "231.9", "V", ERR_OK, 231900},
        {REGISTER_ACTIVE_POWER_TOTAL, "0.2512", "kW", ERR_OK, 251200},
        {REGISTER_ACTIVE_POWER_TOTAL, "251.2", "W", ERR_OK, 251200},
        {REGISTER_POWER_FACTOR, "-0.501", "", ERR_OK, -501},
        {REGISTER_STATUS_WORD_3, "80", "", ERR_OK, 80},
        {REGISTER_STATUS_WORD_3, "80.5", "", ERR_BAD_INPUT, 0},
        {99, "1", "", ERR_BAD_INPUT, 0},
        {7, "1", "", ERR_BAD_INPUT, 0},
        {0, "", "kWh", ERR_BAD_INPUT, 0},
        {0, "-", "kWh", ERR_BAD_INPUT, 0},
        {0, ".5", "kWh", ERR_BAD_INPUT, 0},
        {0, "5.", "kWh", ERR_BAD_INPUT, 0},
        {0, "+5", "kWh", ERR_BAD_INPUT, 0},
        {0, "05", "kWh", ERR_BAD_INPUT, 0},
        {0, "1e3", "kWh", ERR_BAD_INPUT, 0},
        {0, "1.2.3", "kWh", ERR_BAD_INPUT, 0},
        {0, "12,5", "kWh", ERR_BAD_INPUT, 0},
        {0, "NaN", "kWh", ERR_BAD_INPUT, 0},
        {0, "Infinity", "kWh", ERR_BAD_INPUT, 0},
        {0, "１２", "kWh", ERR_BAD_INPUT, 0},
        {0, " 1", "kWh", ERR_BAD_INPUT, 0},
        {0, "999999999999999", "kWh", ERR_OK, 999999999999999000},
        {0, "999999999999999999", "kWh", ERR_OVERFLOW, 0},
        {0, "9999999999999999999", "kWh", ERR_OVERFLOW, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t value = 0;
        fault why = {0};
        err_t err = register_value_parse(ROWS[i].reg, sv_of(ROWS[i].text), sv_of(ROWS[i].unit), &value, &why);
        if (err != ROWS[i].err || value != ROWS[i].value) fail_msg("row %zu: \"%s\" %s", i, ROWS[i].text, err_name(err));
        assert_true(err == ERR_OK || why.reason[0] != '\0');
    }
}

static void values_are_written_in_full(void **state) {
    (void)state;
    static const struct {
        uint8_t reg;
        int64_t value;
        const char *text;
    } ROWS[] = {
        {REGISTER_ACTIVE_ENERGY_TOTAL, 1234560, "1234.560"},
        {REGISTER_ACTIVE_ENERGY_TOTAL, 5, "0.005"},
        {REGISTER_ACTIVE_ENERGY_TOTAL, 0, "0.000"},
        {REGISTER_ACTIVE_POWER_A, -251200, "-0.251200"},
        {REGISTER_STATUS_WORD_1, 80, "80"},
        {REGISTER_ACTIVE_ENERGY_TOTAL, INT64_MIN, "-9223372036854775.808"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char text[REGISTER_VALUE_TEXT_MAX];
        size_t len = register_value_format(ROWS[i].reg, ROWS[i].value, text);
        assert_string_equal(text, ROWS[i].text);
        assert_int_equal(len, strlen(text));
    }
}

static void every_register_is_found_by_its_text(void **state) {
    (void)state;
    int known = 0;
    for (unsigned i = 0; i < 256; i++) {
        if (!register_is_known((uint8_t)i)) continue;
        uint8_t found = 255;
        assert_true(register_parse(register_describe((uint8_t)i).text, &found));
        assert_int_equal(found, i);
        known++;
    }
    assert_int_equal(known, 31);
    assert_false(register_parse(SV("active_energy"), &(uint8_t){0}));
    assert_false(register_parse(SV(""), &(uint8_t){0}));
    assert_int_equal(register_tariff_number(REGISTER_ACTIVE_ENERGY_T3), 3);
    assert_int_equal(register_tariff_number(REGISTER_ACTIVE_ENERGY_TOTAL), 0);
    assert_int_equal(register_tariff_number(REGISTER_REVERSE_ACTIVE_ENERGY_TOTAL), 0);
}

static void blocks_have_a_fixed_layout(void **state) {
    (void)state;
    reading_record record = {.channel = 0x0102030405060708,
                             .at = 1763600000123,
                             .value = -2,
                             .reg = REGISTER_ACTIVE_POWER_TOTAL,
                             .quality = QUALITY_MANUAL,
                             .flags = READING_RECEIPT_TIME | READING_BACKFILL,
                             .company = 7};
    static const uint8_t WANTED[READING_RECORD_LEN] = {8,    7,    6,    5, 4,    3,    2,    1,    0x7B, 0x64, 0xC0,
                                                       0x9E, 0x9A, 0x01, 0, 0,    0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                       0xFF, 0xFF, 16,   1, 0x11, 0,    7,    0,    0,    0};
    uint8_t bytes[READING_RECORD_LEN];
    assert_int_equal(reading_block_pack(&record, 1, bytes), READING_RECORD_LEN);
    assert_memory_equal(bytes, WANTED, READING_RECORD_LEN);
    reading_record back[READING_BLOCK_MAX];
    size_t count = 0;
    assert_int_equal(reading_block_unpack(sv_slice(bytes, sizeof bytes), back, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_memory_equal(&back[0], &record, sizeof record);
    assert_true(reading_record_is_valid(&record));
}

static void blocks_of_a_wrong_length_are_refused(void **state) {
    (void)state;
    static uint8_t bytes[READING_BLOCK_BYTES_MAX + READING_RECORD_LEN];
    reading_record back[READING_BLOCK_MAX];
    size_t count = 0;
    assert_int_equal(reading_block_unpack(sv_slice(bytes, READING_BLOCK_BYTES_MAX), back, &count), ERR_OK);
    assert_int_equal(count, READING_BLOCK_MAX);
    static const size_t WRONG[] = {0, 1, 31, 33, READING_BLOCK_BYTES_MAX + 1, READING_BLOCK_BYTES_MAX + READING_RECORD_LEN};
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++)
        assert_int_equal(reading_block_unpack(sv_slice(bytes, WRONG[i]), back, &count), ERR_MALFORMED);
}

static void records_outside_the_vocabulary_are_invalid(void **state) {
    (void)state;
    const reading_record good = {.channel = 1, .at = 1763600000000, .value = 0, .company = 1};
    reading_record r = good;
    assert_true(reading_record_is_valid(&r));
    r.channel = 0;
    assert_false(reading_record_is_valid(&r));
    r = good, r.company = -1;
    assert_false(reading_record_is_valid(&r));
    r = good, r.reg = 200;
    assert_false(reading_record_is_valid(&r));
    r = good, r.quality = 77;
    assert_false(reading_record_is_valid(&r));
    r = good, r.at = 0;
    assert_false(reading_record_is_valid(&r));
    assert_true(quality_is_billable(QUALITY_MEASURED));
    assert_false(quality_is_billable(QUALITY_SUSPECT));
    assert_false(quality_is_billable(77));
}

#define T0 1763600000000LL

// 10 kW, six digits before and two behind the point.
static const reading_limits LIMITS = {.max_per_hour = 10000, .range = 1000000000, .resolution = 10};

static void readings_are_judged_by_the_one_before(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int64_t before;
        int64_t after_ms;
        int64_t value;
        reading_verdict verdict;
        int64_t usage;
    } ROWS[] = {
        {"a step", 1000, HOUR_MS, 6000, VERDICT_STEP, 5000},
        {"no use", 1000, HOUR_MS, 1000, VERDICT_STEP, 0},
        // (60 + 5) min × 10 kW × 1.2 + 2 counts = 13 020 Wh
        {"the most there can be", 1000, HOUR_MS, 14020, VERDICT_STEP, 13020},
        {"one more than that", 1000, HOUR_MS, 14021, VERDICT_IMPLAUSIBLE, 0},
        {"a spike of ten times", 100000, HOUR_MS, 1000000, VERDICT_IMPLAUSIBLE, 0},
        {"the same again", 1000, 0, 1000, VERDICT_DUPLICATE, 0},
        {"same time, other value", 1000, 0, 1010, VERDICT_CONFLICT, 0},
        {"an old one", 1000, -1, 990, VERDICT_LATE, 0},
        {"two counts back", 1020, HOUR_MS, 1000, VERDICT_BACKWARD_SMALL, 0},
        {"three counts back", 1030, HOUR_MS, 1000, VERDICT_BACKWARD, 0},
        {"zero after a reboot", 500000, HOUR_MS, 0, VERDICT_BACKWARD, 0},
        {"over the end", 999999000, HOUR_MS, 500, VERDICT_ROLLOVER, 1500},
        {"over the end, too much", 950000000, HOUR_MS, 500, VERDICT_BACKWARD, 0},
        {"fell from the middle", 500000000, HOUR_MS, 500, VERDICT_BACKWARD, 0},
        {"fell within the last tenth", 999999000, HOUR_MS, 990000000, VERDICT_BACKWARD, 0},
        {"fell to the second tenth", 999999990, 100000 * HOUR_MS, 100000001, VERDICT_BACKWARD, 0},
        {"edge of both tenths", 900000000, 100000 * HOUR_MS, 100000000, VERDICT_ROLLOVER, 200000000},
        {"below the last tenth", 899999999, 100000 * HOUR_MS, 100000000, VERDICT_BACKWARD, 0},
        {"beyond the end", 1000, HOUR_MS, 1000000000, VERDICT_OUT_OF_RANGE, 0},
        {"negative", 1000, HOUR_MS, -1, VERDICT_OUT_OF_RANGE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        reading_point before = {T0, ROWS[i].before};
        int64_t usage = -1;
        reading_verdict verdict = reading_judge(&LIMITS, &before, (reading_point){T0 + ROWS[i].after_ms, ROWS[i].value}, &usage);
        if (verdict != ROWS[i].verdict || usage != ROWS[i].usage)
            fail_msg("%s: %.*s, %lld", ROWS[i].what, SV_ARG(verdict_text(verdict)), (long long)usage);
    }
    int64_t usage = -1;
    assert_int_equal(reading_judge(&LIMITS, NULL, (reading_point){T0, 5}, &usage), VERDICT_FIRST);
    assert_int_equal(usage, 0);
}

static void unknown_limits_still_guard_the_counter(void **state) {
    (void)state;
    const reading_limits open = {.resolution = 1};
    reading_point before = {T0, 1000};
    int64_t usage = 0;
    assert_int_equal(reading_judge(&open, &before, (reading_point){T0 + 1, INT64_MAX}, &usage), VERDICT_STEP);
    assert_int_equal(reading_judge(&open, &before, (reading_point){T0 + 1, 0}, &usage), VERDICT_BACKWARD);
    const reading_limits huge = {.max_per_hour = INT64_MAX, .range = INT64_MAX, .resolution = 1};
    assert_true(reading_step_max(&huge, INSTANT_MIN, INSTANT_MAX) == INT64_MAX);
    assert_true(reading_step_max(&LIMITS, T0, T0 + HOUR_MS) == reading_step_max(&LIMITS, T0 + HOUR_MS, T0));
}

static void late_readings_are_judged_between_neighbours(void **state) {
    (void)state;
    const reading_point before = {T0, 1000};
    const reading_point after = {T0 + 2 * HOUR_MS, 9000};
    static const struct {
        int64_t after_ms;
        int64_t value;
        reading_verdict verdict;
    } ROWS[] = {
        {HOUR_MS, 5000, VERDICT_STEP},          {HOUR_MS, 1000, VERDICT_STEP},
        {HOUR_MS, 9000, VERDICT_STEP},          {HOUR_MS, 9001, VERDICT_BACKWARD},
        {HOUR_MS, 999, VERDICT_BACKWARD},       {HOUR_MS, 900, VERDICT_BACKWARD},
        {2 * HOUR_MS, 9000, VERDICT_DUPLICATE}, {2 * HOUR_MS, 1, VERDICT_CONFLICT},
        {0, 1000, VERDICT_DUPLICATE},           {0, 1001, VERDICT_CONFLICT},
        {60000, 9000, VERDICT_IMPLAUSIBLE},     {2 * HOUR_MS - 60000, 1000, VERDICT_IMPLAUSIBLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        reading_verdict verdict = reading_judge_between(&LIMITS, &before, &after, (reading_point){T0 + ROWS[i].after_ms, ROWS[i].value});
        if (verdict != ROWS[i].verdict) fail_msg("row %zu: %.*s", i, SV_ARG(verdict_text(verdict)));
    }
    assert_int_equal(reading_judge_between(&LIMITS, NULL, &after, (reading_point){T0, 8000}), VERDICT_STEP);
    assert_int_equal(reading_judge_between(&LIMITS, NULL, NULL, (reading_point){T0, 8000}), VERDICT_FIRST);
}

static void verdicts_have_distinct_texts(void **state) {
    (void)state;
    for (int a = 0; a < VERDICT_COUNT; a++) {
        assert_true(verdict_text((reading_verdict)a).len > 0);
        for (int b = 0; b < a; b++) assert_false(sv_equal(verdict_text((reading_verdict)a), verdict_text((reading_verdict)b)));
    }
    assert_true(verdict_is_accepted(VERDICT_STEP));
    assert_false(verdict_is_accepted(VERDICT_BACKWARD));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_in_their_unit),
        cmocka_unit_test(values_are_written_in_full),
        cmocka_unit_test(every_register_is_found_by_its_text),
        cmocka_unit_test(blocks_have_a_fixed_layout),
        cmocka_unit_test(blocks_of_a_wrong_length_are_refused),
        cmocka_unit_test(records_outside_the_vocabulary_are_invalid),
        cmocka_unit_test(readings_are_judged_by_the_one_before),
        cmocka_unit_test(unknown_limits_still_guard_the_counter),
        cmocka_unit_test(late_readings_are_judged_between_neighbours),
        cmocka_unit_test(verdicts_have_distinct_texts),
        cmocka_unit_test(day_rows_restore_every_reading),
        cmocka_unit_test(day_rows_hold_extreme_values),
        cmocka_unit_test(day_rows_are_small),
        cmocka_unit_test(day_rows_refuse_disorder_and_foreign_bytes),
        cmocka_unit_test(day_rows_merge_without_overwriting),
        cmocka_unit_test(day_rows_summarize_per_register),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
