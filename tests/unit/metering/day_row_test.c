#include "day_row_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/mem.h"
#include "metering/day_row.h"
#include "metering/register.h"

#define DAY 1763568000000LL
#define CAPACITY 4096

// xorshift64*: the seed is printed, so a failure can be run again.
typedef struct dice {
    uint64_t state;
} dice;

static uint64_t dice_roll(dice *self) {
    self->state ^= self->state >> 12;
    self->state ^= self->state << 25;
    self->state ^= self->state >> 27;
    return self->state * 2685821657736338717ULL;
}

static int64_t dice_below(dice *self, int64_t bound) { return (int64_t)(dice_roll(self) % (uint64_t)bound); }

static size_t random_day(dice *d, day_reading *out) {
    size_t len = 0;
    for (int64_t g = dice_below(d, 6); g >= 0; g--) {
        int64_t value = dice_below(d, 1000000000);
        instant_ms at = DAY + dice_below(d, HOUR_MS);
        int64_t unit = dice_below(d, 2) ? 1 : 1000;
        for (int64_t n = dice_below(d, 100); n > 0; n--) {
            at += (1 + dice_below(d, 100)) * unit;
            value += dice_below(d, 3) ? dice_below(d, 500) : -dice_below(d, 500);
            out[len++] = (day_reading){.at = at,
                                       .value = value,
                                       .epoch = (int32_t)g,
                                       .reg = (uint8_t)dice_below(d, 21),
                                       .quality = (uint8_t)(dice_below(d, 10) == 0),
                                       .flags = (uint16_t)(dice_below(d, 20) == 0 ? dice_below(d, 65536) : 4)};
        }
    }
    day_row_sort(out, len);
    return len;
}

static void assert_round_trip(const day_reading *readings, size_t count, instant_ms day_start) {
    static day_reading back[CAPACITY];
    AUTO(buf) packed;
    buf_init(&packed, DAY_ROW_BYTES_MAX);
    assert_int_equal(day_row_pack(readings, count, day_start, &packed), ERR_OK);
    size_t len = 0;
    assert_int_equal(day_row_count(buf_view(&packed), &len), ERR_OK);
    assert_int_equal(len, count);
    assert_int_equal(day_row_unpack(buf_view(&packed), day_start, back, CAPACITY, &len), ERR_OK);
    assert_int_equal(len, count);
    if (count) assert_memory_equal(back, readings, count * sizeof *back);
}

void day_rows_restore_every_reading(void **state) {
    (void)state;
    static day_reading readings[CAPACITY];
    dice d = {0};
    random_fill(&d.state, sizeof d.state);
    print_message("# day row seed %llu\n", (unsigned long long)d.state);
    for (int run = 0; run < 300; run++) assert_round_trip(readings, random_day(&d, readings), DAY);
    assert_round_trip(readings, 0, DAY);
}

void day_rows_hold_extreme_values(void **state) {
    (void)state;
    const day_reading readings[] = {
        {.at = INSTANT_MIN, .value = INT64_MIN, .epoch = INT32_MAX, .reg = 0, .quality = 255, .flags = 65535},
        {.at = 0, .value = INT64_MAX, .epoch = INT32_MAX, .reg = 0},
        {.at = INSTANT_MAX, .value = INT64_MIN, .epoch = INT32_MAX, .reg = 0, .quality = 1},
        {.at = DAY, .value = INT64_MIN, .epoch = 0, .reg = 1},
        {.at = DAY, .value = 0, .epoch = 0, .reg = 255},
    };
    assert_round_trip(readings, ARRAY_LEN(readings), DAY);
    for (size_t i = 0; i < ARRAY_LEN(readings); i++) assert_round_trip(readings + i, 1, 0);
}

// 48 polls of total and four period registers with a jitter of seconds, counters of 10 Wh.
void day_rows_are_small(void **state) {
    (void)state;
    static day_reading readings[CAPACITY];
    dice d = {42};
    int64_t energy[5] = {123456780, 0, 45678900, 23456780, 54321100};
    size_t len = 0;
    for (int poll = 0; poll < 48; poll++) {
        instant_ms at = DAY + poll * 30 * MINUTE_MS + dice_below(&d, 20) * SECOND_MS;
        int64_t step = dice_below(&d, 300) * 10;
        energy[0] += step;
        energy[1 + poll % 4] += step;
        for (uint8_t r = 0; r < 5; r++) readings[len++] = (day_reading){.at = at, .value = energy[r], .reg = r};
    }
    day_row_sort(readings, len);
    AUTO(buf) packed;
    buf_init(&packed, DAY_ROW_BYTES_MAX);
    assert_int_equal(day_row_pack(readings, len, DAY, &packed), ERR_OK);
    print_message("# %zu readings in %zu bytes\n", len, packed.len);
    assert_true(packed.len <= 2 * len);
    buf_clear(&packed);
    assert_int_equal(day_row_pack(readings, 48, DAY, &packed), ERR_OK);
    print_message("# one register: 48 readings in %zu bytes\n", packed.len);
    assert_true(packed.len <= 48 * 4);
}

void day_rows_refuse_disorder_and_foreign_bytes(void **state) {
    (void)state;
    static day_reading back[CAPACITY];
    const day_reading twice[] = {{.at = DAY, .value = 1}, {.at = DAY, .value = 1}};
    const day_reading backward[] = {{.at = DAY + 1}, {.at = DAY}};
    const day_reading negative_epoch[] = {{.at = DAY, .epoch = -1}};
    AUTO(buf) packed;
    buf_init(&packed, DAY_ROW_BYTES_MAX);
    assert_int_equal(day_row_pack(twice, 2, DAY, &packed), ERR_BAD_INPUT);
    assert_int_equal(day_row_pack(backward, 2, DAY, &packed), ERR_BAD_INPUT);
    assert_int_equal(day_row_pack(negative_epoch, 1, DAY, &packed), ERR_BAD_INPUT);

    const day_reading good[] = {{.at = DAY, .value = 10}, {.at = DAY + 60000, .value = 20}, {.at = DAY, .value = 7, .reg = 10}};
    buf_clear(&packed);
    assert_int_equal(day_row_pack(good, 3, DAY, &packed), ERR_OK);
    size_t len = 0;
    assert_int_equal(day_row_unpack(buf_view(&packed), DAY, back, 2, &len), ERR_TOO_LARGE);
    for (size_t cut = 0; cut < packed.len; cut++)
        assert_int_equal(day_row_unpack(sv_slice(packed.ptr, cut), DAY, back, CAPACITY, &len), ERR_MALFORMED);
    buf_add_byte(&packed, 0);
    assert_int_equal(day_row_unpack(buf_view(&packed), DAY, back, CAPACITY, &len), ERR_MALFORMED);
    packed.ptr[0] = 2;
    assert_int_equal(day_row_count(buf_view(&packed), &len), ERR_MALFORMED);

    AUTO(buf) narrow;
    buf_init(&narrow, 8);
    assert_int_equal(day_row_pack(good, 3, DAY, &narrow), ERR_TOO_LARGE);
}

void day_rows_merge_without_overwriting(void **state) {
    (void)state;
    const day_reading kept[] = {{.at = DAY, .value = 10}, {.at = DAY + 3, .value = 30}, {.at = DAY, .value = 5, .reg = 1}};
    const day_reading late[] = {
        {.at = DAY, .value = 10}, {.at = DAY + 1, .value = 20}, {.at = DAY + 3, .value = 31}, {.at = DAY + 9, .value = 6, .reg = 1}};
    day_reading out[7];
    size_t conflicts = 0;
    size_t len = day_row_merge(kept, 3, late, 4, out, &conflicts);
    assert_int_equal(len, 5);
    assert_int_equal(conflicts, 1);
    static const int64_t WANTED[] = {10, 20, 30, 5, 6};
    for (size_t i = 0; i < len; i++) assert_true(out[i].value == WANTED[i]);
    assert_int_equal(day_row_merge(NULL, 0, late, 4, out, &conflicts), 4);
    assert_int_equal(day_row_merge(kept, 3, NULL, 0, out, &conflicts), 3);
    assert_int_equal(conflicts, 0);
}

void day_rows_summarize_per_register(void **state) {
    (void)state;
    const day_reading readings[] = {
        {.at = DAY, .value = 100},
        {.at = DAY + 1, .value = 130},
        {.at = DAY + 2, .value = 125},
        {.at = DAY, .value = 5, .epoch = 1},
        {.at = DAY + 5, .value = 9, .epoch = 1},
        {.at = DAY, .value = 230, .reg = 10},
        {.at = DAY + 1, .value = 220, .reg = 10},
    };
    day_summary energy = day_row_summarize(readings, ARRAY_LEN(readings), REGISTER_ACTIVE_ENERGY_TOTAL);
    assert_true(energy.count == 5 && energy.first == 100 && energy.last == 9 && energy.min == 5 && energy.max == 130);
    assert_true(energy.sum == 30 + 4);
    day_summary voltage = day_row_summarize(readings, ARRAY_LEN(readings), REGISTER_VOLTAGE_A);
    assert_true(voltage.count == 2 && voltage.sum == 450 && voltage.min == 220 && voltage.max == 230);
    assert_true(day_row_summarize(readings, ARRAY_LEN(readings), REGISTER_POWER_FACTOR).count == 0);
}
