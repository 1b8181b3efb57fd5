// Packed form, all integers LEB128 varints, signed ones zigzag:
//   version 1 · number of readings · number of groups · groups
// A group is one register of one epoch:
//   register byte · epoch · count · times · value unit · first value/unit · count-1 differences/unit · runs
//   times: unit in ms, 0 = "as in the group before" · first offset/unit · count-1 second differences/unit
//   runs until count is reached: length · quality byte · flags
// Units are greatest common divisors, so polls on whole seconds and counters of 10 Wh cost no needless digits; registers
// that are polled together share their times.
#include "metering/day_row.h"

#include <stdlib.h>
#include <string.h>

#include "metering/register.h"

#define DAY_ROW_VERSION 1

static int key_compare(const day_reading *a, const day_reading *b) {
    if (a->reg != b->reg) return a->reg < b->reg ? -1 : 1;
    if (a->epoch != b->epoch) return a->epoch < b->epoch ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static int reading_compare(const void *a, const void *b) { return key_compare(a, b); }

void day_row_sort(day_reading *readings, size_t count) {
    if (count > 1) qsort(readings, count, sizeof *readings, reading_compare);
}

static void put_unsigned(buf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) buf_add_byte(out, (char)(value | 0x80));
    buf_add_byte(out, (char)value);
}

static uint64_t zigzag(int64_t value) { return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63); }
static int64_t unzigzag(uint64_t value) { return (int64_t)(value >> 1) ^ -(int64_t)(value & 1); }
static void put_signed(buf *out, int64_t value) { put_unsigned(out, zigzag(value)); }

// Differences wrap modulo 2^64: every pair of int64 has one and adding it back restores the value.
static int64_t wrapping_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static int64_t wrapping_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

static uint64_t magnitude(int64_t value) { return value < 0 ? 0 - (uint64_t)value : (uint64_t)value; }

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// Length of the group that starts at sorted[0].
static size_t group_length(const day_reading *sorted, size_t count) {
    size_t len = 1;
    while (len < count && sorted[len].reg == sorted[0].reg && sorted[len].epoch == sorted[0].epoch) len++;
    return len;
}

static bool has_same_times(const day_reading *group, const day_reading *before, size_t before_len, size_t len) {
    if (!before || before_len != len) return false;
    for (size_t i = 0; i < len; i++)
        if (group[i].at != before[i].at) return false;
    return true;
}

static void pack_times(buf *out, const day_reading *group, size_t len, instant_ms day_start) {
    uint64_t unit = 0;
    for (size_t i = 0; i < len && unit != 1; i++) unit = common_divisor(unit, magnitude(wrapping_sub(group[i].at, day_start)));
    if (unit == 0 || unit > INT64_MAX) unit = 1;
    put_unsigned(out, unit);
    int64_t at = 0;
    int64_t step = 0;
    for (size_t i = 0; i < len; i++) {
        int64_t offset = wrapping_sub(group[i].at, day_start) / (int64_t)unit;
        int64_t next_step = wrapping_sub(offset, at);
        put_signed(out, i < 2 ? next_step : wrapping_sub(next_step, step));
        at = offset;
        step = next_step;
    }
}

static void pack_values(buf *out, const day_reading *group, size_t len) {
    uint64_t unit = 0;
    for (size_t i = 0; i < len && unit != 1; i++) unit = common_divisor(unit, magnitude(group[i].value));
    if (unit == 0 || unit > INT64_MAX) unit = 1;
    put_unsigned(out, unit);
    int64_t previous = 0;
    for (size_t i = 0; i < len; i++) {
        int64_t value = group[i].value / (int64_t)unit;
        put_signed(out, wrapping_sub(value, previous));
        previous = value;
    }
}

static void pack_runs(buf *out, const day_reading *group, size_t len) {
    for (size_t i = 0, run; i < len; i += run) {
        for (run = 1; i + run < len && group[i + run].quality == group[i].quality && group[i + run].flags == group[i].flags;) run++;
        put_unsigned(out, run);
        buf_add_byte(out, (char)group[i].quality);
        put_unsigned(out, group[i].flags);
    }
}

err_t day_row_pack(const day_reading *sorted, size_t count, instant_ms day_start, buf *out) {
    if (count > DAY_ROW_READINGS_MAX) return ERR_BAD_INPUT;
    size_t groups = count > 0;
    for (size_t i = 0; i < count; i++) {
        if (sorted[i].epoch < 0 || (i > 0 && key_compare(&sorted[i - 1], &sorted[i]) >= 0)) return ERR_BAD_INPUT;
        groups += i > 0 && (sorted[i].reg != sorted[i - 1].reg || sorted[i].epoch != sorted[i - 1].epoch);
    }
    buf_add_byte(out, DAY_ROW_VERSION);
    put_unsigned(out, count);
    put_unsigned(out, groups);
    const day_reading *before = NULL;
    size_t before_len = 0;
    for (size_t at = 0; at < count; at += before_len) {
        const day_reading *group = sorted + at;
        size_t len = group_length(group, count - at);
        buf_add_byte(out, (char)group->reg);
        put_unsigned(out, (uint64_t)group->epoch);
        put_unsigned(out, len);
        if (has_same_times(group, before, before_len, len))
            put_unsigned(out, 0);
        else
            pack_times(out, group, len, day_start);
        pack_values(out, group, len);
        pack_runs(out, group, len);
        before = group;
        before_len = len;
    }
    return buf_has_failed(out) ? ERR_TOO_LARGE : ERR_OK;
}

// Reads forward and remembers that something was wrong: the caller asks once per group.
typedef struct unpacker {
    sv rest;
    bool failed;
} unpacker;

static uint8_t take_byte(unpacker *self) {
    if (self->rest.len == 0) {
        self->failed = true;
        return 0;
    }
    uint8_t byte = (uint8_t)self->rest.ptr[0];
    self->rest = sv_skip(self->rest, 1);
    return byte;
}

static uint64_t take_unsigned(unpacker *self, uint64_t max) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = take_byte(self);
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte & 0x80) continue;
        if (value > max) break;
        return value;
    }
    self->failed = true;
    return 0;
}

static int64_t take_signed(unpacker *self) { return unzigzag(take_unsigned(self, UINT64_MAX)); }

static void unpack_times(unpacker *in, day_reading *group, size_t len, instant_ms day_start, size_t before_len) {
    uint64_t unit = take_unsigned(in, INT64_MAX);
    if (unit == 0 && before_len != len) in->failed = true;
    if (unit == 0 && !in->failed) {
        for (size_t i = 0; i < len; i++) group[i].at = (group - len)[i].at;
        return;
    }
    int64_t at = 0;
    int64_t step = 0;
    for (size_t i = 0; i < len && !in->failed; i++) {
        int64_t taken = take_signed(in);
        step = i < 2 ? taken : wrapping_add(step, taken);
        at = wrapping_add(at, step);
        int64_t offset = 0;
        if (__builtin_mul_overflow(at, (int64_t)unit, &offset)) in->failed = true;
        group[i].at = wrapping_add(day_start, offset);
    }
}

static void unpack_values(unpacker *in, day_reading *group, size_t len) {
    int64_t unit = (int64_t)take_unsigned(in, INT64_MAX);
    int64_t value = 0;
    if (unit == 0) in->failed = true;
    for (size_t i = 0; i < len && !in->failed; i++) {
        value = wrapping_add(value, take_signed(in));
        if (__builtin_mul_overflow(value, unit, &group[i].value)) in->failed = true;
    }
}

static void unpack_runs(unpacker *in, day_reading *group, size_t len) {
    for (size_t at = 0; at < len && !in->failed;) {
        size_t run = (size_t)take_unsigned(in, len - at);
        uint8_t quality = take_byte(in);
        uint16_t flags = (uint16_t)take_unsigned(in, UINT16_MAX);
        if (run == 0) in->failed = true;
        for (size_t i = 0; i < run && !in->failed; i++) {
            group[at + i].quality = quality;
            group[at + i].flags = flags;
        }
        at += run;
    }
}

// Version, number of readings, number of groups.
static void unpack_header(unpacker *in, size_t *out_count, size_t *out_groups) {
    if (take_byte(in) != DAY_ROW_VERSION) in->failed = true;
    *out_count = (size_t)take_unsigned(in, DAY_ROW_READINGS_MAX);
    *out_groups = (size_t)take_unsigned(in, *out_count);
}

err_t day_row_count(sv packed, size_t *out_count) {
    unpacker in = {packed, false};
    size_t count = 0;
    size_t groups = 0;
    unpack_header(&in, &count, &groups);
    if (in.failed) return ERR_MALFORMED;
    *out_count = count;
    return ERR_OK;
}

err_t day_row_unpack(sv packed, instant_ms day_start, day_reading *out, size_t capacity, size_t *out_count) {
    unpacker in = {packed, false};
    size_t count = 0;
    size_t groups = 0;
    size_t at = 0;
    size_t before_len = 0;
    unpack_header(&in, &count, &groups);
    if (!in.failed && count > capacity) return ERR_TOO_LARGE;
    for (size_t g = 0; g < groups && !in.failed; g++) {
        uint8_t reg = take_byte(&in);
        int32_t epoch = (int32_t)take_unsigned(&in, INT32_MAX);
        size_t len = (size_t)take_unsigned(&in, count - at);
        if (len == 0) in.failed = true;
        for (size_t i = 0; i < len && !in.failed; i++) out[at + i] = (day_reading){.reg = reg, .epoch = epoch};
        if (!in.failed) unpack_times(&in, out + at, len, day_start, before_len);
        if (!in.failed) unpack_values(&in, out + at, len);
        unpack_runs(&in, out + at, in.failed ? 0 : len);
        at += len;
        before_len = len;
    }
    for (size_t i = 1; i < at && !in.failed; i++) in.failed = key_compare(&out[i - 1], &out[i]) >= 0;
    if (in.failed || at != count || in.rest.len > 0) return ERR_MALFORMED;
    *out_count = count;
    return ERR_OK;
}

size_t day_row_merge(const day_reading *kept, size_t kept_count, const day_reading *late, size_t late_count, day_reading *out,
                     size_t *out_conflicts) {
    size_t len = 0;
    size_t k = 0;
    size_t conflicts = 0;
    for (size_t l = 0; l < late_count; l++) {
        while (k < kept_count && key_compare(&kept[k], &late[l]) < 0) out[len++] = kept[k++];
        if (k < kept_count && key_compare(&kept[k], &late[l]) == 0)
            conflicts += kept[k].value != late[l].value;
        else
            out[len++] = late[l];
    }
    while (k < kept_count) out[len++] = kept[k++];
    *out_conflicts = conflicts;
    return len;
}

static int64_t saturating_add(int64_t a, int64_t b) {
    int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

day_summary day_row_summarize(const day_reading *sorted, size_t count, uint8_t reg) {
    day_summary sum = {0};
    bool is_cumulative = register_is_cumulative(reg);
    const day_reading *previous = NULL;
    for (size_t i = 0; i < count; i++) {
        const day_reading *r = &sorted[i];
        if (r->reg != reg) continue;
        if (sum.count++ == 0) sum.first = sum.min = sum.max = r->value;
        sum.last = r->value;
        if (r->value < sum.min) sum.min = r->value;
        if (r->value > sum.max) sum.max = r->value;
        bool is_step = previous && previous->epoch == r->epoch && r->value > previous->value;
        if (!is_cumulative)
            sum.sum = saturating_add(sum.sum, r->value);
        else if (is_step)
            sum.sum = saturating_add(sum.sum, wrapping_sub(r->value, previous->value));
        previous = r;
    }
    return sum;
}
