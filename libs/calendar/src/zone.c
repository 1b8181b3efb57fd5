// A zone is a list of changes of offset in rising order, and a rule for what comes after the last one.
#include "calendar/zone.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "posix_tz.h"

#define TZIF_HEADER_LEN 44
#define TZIF_TYPE_LEN 6
#define TRANSITIONS_MAX 10000
#define CHANGE_DISTANCE_MS (12 * HOUR_MS)  // no zone of the world is busier; callers size tables by it
#define OFFSET_MAX_S (26 * 3600)           // RFC 9636 §3.2

typedef struct zone_change {
    instant_ms at;
    int32_t offset_s;
} zone_change;

struct zone {
    char name[ZONE_NAME_MAX];
    int32_t first_offset_s;  // before the first change
    bool has_rule;
    posix_tz rule;
    size_t count;
    zone_change changes[];  // neighbours differ in offset
};

typedef struct tzif_block {
    uint32_t isut_count, isstd_count, leap_count, time_count, type_count, char_count;
    const uint8_t *body;
    size_t body_len;
} tzif_block;

static err_t bad(fault *out_fault, size_t offset, const char *reason) {
    char place[32];
    snprintf(place, sizeof place, "offset %zu", offset);
    return fault_set(out_fault, ERR_MALFORMED, place, "%s", reason);
}

static uint32_t big32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static int64_t big64(const uint8_t *at) { return (int64_t)((uint64_t)big32(at) << 32 | big32(at + 4)); }

// Reads the header at `offset` and bounds the data block behind it; `time_len` is 4 in version 1, else 8.
static err_t read_block(sv bytes, size_t offset, size_t time_len, tzif_block *out_block, fault *out_fault) {
    sv rest = sv_skip(bytes, offset);
    if (rest.len < TZIF_HEADER_LEN || memcmp(rest.ptr, "TZif", 4) != 0) return bad(out_fault, offset, "not a TZif header");
    const uint8_t *header = (const uint8_t *)rest.ptr;
    if (header[4] < '2') return bad(out_fault, offset + 4, "version 1 files have no years after 2037");
    tzif_block block = {.isut_count = big32(header + 20),
                        .isstd_count = big32(header + 24),
                        .leap_count = big32(header + 28),
                        .time_count = big32(header + 32),
                        .type_count = big32(header + 36),
                        .char_count = big32(header + 40),
                        .body = header + TZIF_HEADER_LEN};
    if (block.time_count > TRANSITIONS_MAX || block.type_count < 1 || block.type_count > 256 || block.char_count > 4096 ||
        block.leap_count > 4096 || block.isut_count > 256 || block.isstd_count > 256)
        return bad(out_fault, offset + 20, "counts out of bounds");
    block.body_len = block.time_count * (time_len + 1) + block.type_count * (size_t)TZIF_TYPE_LEN + block.char_count +
                     block.leap_count * (time_len + 4) + block.isstd_count + block.isut_count;
    if (rest.len - TZIF_HEADER_LEN < block.body_len) return bad(out_fault, bytes.len, "the file ends early");
    *out_block = block;
    return ERR_OK;
}

static bool read_type_offset(const tzif_block *block, uint32_t type, int32_t *out_offset_s) {
    if (type >= block->type_count) return false;
    const uint8_t *types = block->body + block->time_count * 9u;
    int32_t offset_s = (int32_t)big32(types + (size_t)type * TZIF_TYPE_LEN);
    if (offset_s < -OFFSET_MAX_S || offset_s > OFFSET_MAX_S) return false;
    *out_offset_s = offset_s;
    return true;
}

static bool read_changes(const tzif_block *block, zone *self) {
    if (!read_type_offset(block, 0, &self->first_offset_s)) return false;
    int32_t current_s = self->first_offset_s;
    int64_t previous_s = INT64_MIN;
    for (uint32_t i = 0; i < block->time_count; i++) {
        int64_t at_s = big64(block->body + (size_t)i * 8);
        int32_t offset_s;
        if (i > 0 && at_s <= previous_s) return false;
        if (!read_type_offset(block, block->body[block->time_count * 8u + i], &offset_s)) return false;
        previous_s = at_s;
        if (at_s > INSTANT_MAX / 1000) return false;
        if (at_s < INSTANT_MIN / 1000) {  // "since the beginning of time", as some files write it
            self->first_offset_s = current_s = offset_s;
            continue;
        }
        if (offset_s == current_s) continue;
        if (self->count > 0 && at_s * 1000 - self->changes[self->count - 1].at < CHANGE_DISTANCE_MS) return false;
        self->changes[self->count++] = (zone_change){at_s * 1000, offset_s};
        current_s = offset_s;
    }
    return true;
}

static bool read_footer(sv footer, zone *self) {
    size_t end;
    if (footer.len == 0 || footer.ptr[0] != '\n' || !sv_find(sv_skip(footer, 1), '\n', &end)) return false;
    sv text = {footer.ptr + 1, end};
    if (text.len == 0) return true;
    self->has_rule = posix_tz_parse(text, &self->rule);
    return self->has_rule;
}

static zone *zone_alloc(sv name, size_t changes) {
    zone *self = mem_new(1, sizeof *self + changes * sizeof self->changes[0]);
    sv_copy_truncated(name, self->name, sizeof self->name);
    return self;
}

err_t zone_new(sv name, sv tzif, zone **out_zone, fault *out_fault) {
    if (name.len == 0 || name.len >= ZONE_NAME_MAX) return fault_set(out_fault, ERR_BAD_INPUT, "name", "zone name too long or empty");
    tzif_block first, block;
    err_t err = read_block(tzif, 0, 4, &first, out_fault);
    if (err) return err;
    size_t second_at = TZIF_HEADER_LEN + first.body_len;
    err = read_block(tzif, second_at, 8, &block, out_fault);
    if (err) return err;
    if (block.leap_count != 0) return bad(out_fault, second_at + 28, "files with leap seconds are not supported");
    AUTO_ZONE self = zone_alloc(name, block.time_count);
    if (!read_changes(&block, self)) return bad(out_fault, second_at + TZIF_HEADER_LEN, "transitions are not well-formed");
    size_t footer_at = second_at + TZIF_HEADER_LEN + block.body_len;
    if (!read_footer(sv_skip(tzif, footer_at), self)) return bad(out_fault, footer_at, "the footer is not a POSIX TZ rule");
    *out_zone = self;
    self = NULL;
    return ERR_OK;
}

zone *zone_new_fixed(sv name, int32_t offset_s) {
    zone *self = zone_alloc(name, 0);
    self->first_offset_s = offset_s;
    return self;
}

void zone_free(zone *self) { mem_free(self); }

void zone_free_variable(zone **self) { zone_free(*self); }

sv zone_name(const zone *self) { return sv_of(self->name); }

// After the last change: the rule's stretch that holds `at`, cut at `floor`, where the rule begins.
static zone_stretch rule_stretch_at(const posix_tz *rule, instant_ms at, instant_ms floor) {
    if (!rule->has_summer) return (zone_stretch){floor, INSTANT_MAX, rule->standard_offset_s};
    int32_t year, month, day;
    civil_from_days(at / DAY_MS - (at % DAY_MS < 0), &year, &month, &day);
    zone_stretch found = {floor, INSTANT_MAX, rule->standard_offset_s};
    for (int32_t y = year - 1; y <= year + 1; y++) {
        instant_ms edges[2];
        posix_tz_year(rule, y, &edges[0], &edges[1]);
        bool southern = edges[1] < edges[0];  // summer spans the new year
        for (int i = 0; i < 2; i++) {
            bool is_start = southern ? i == 1 : i == 0;
            instant_ms edge = edges[is_start ? 0 : 1];
            if (edge <= at) {
                if (edge > found.from) found.from = edge;
                found.offset_s = is_start ? rule->summer_offset_s : rule->standard_offset_s;
            } else if (edge < found.to) {
                found.to = edge;
            }
        }
    }
    return found;
}

zone_stretch zone_stretch_at(const zone *self, instant_ms at) {
    size_t low = 0;  // the number of changes at or before `at`
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->changes[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    instant_ms from = low > 0 ? self->changes[low - 1].at : INSTANT_MIN;
    if (low == self->count && self->has_rule && (low > 0 || self->rule.has_summer)) return rule_stretch_at(&self->rule, at, from);
    instant_ms to = low < self->count ? self->changes[low].at : INSTANT_MAX;
    return (zone_stretch){from, to, low > 0 ? self->changes[low - 1].offset_s : self->first_offset_s};
}

static int64_t floor_divide(int64_t value, int64_t by) { return value / by - (value % by < 0); }

local_time zone_local_time(const zone *self, instant_ms at) {
    int32_t offset_s = zone_stretch_at(self, at).offset_s;
    int64_t local_ms = at + offset_s * SECOND_MS;
    local_time now = {.day = floor_divide(local_ms, DAY_MS), .offset_s = offset_s};
    now.ms_of_day = (int32_t)(local_ms - now.day * DAY_MS);
    civil_from_days(now.day, &now.year, &now.month, &now.day_of_month);
    return now;
}

int64_t zone_local_day(const zone *self, instant_ms at) {
    return floor_divide(at + zone_stretch_at(self, at).offset_s * SECOND_MS, DAY_MS);
}

int64_t zone_begun_day(const zone *self, instant_ms at) {
    int64_t day = zone_local_day(self, at);
    return day + (zone_day_start(self, day + 1) <= at);
}

instant_ms zone_instant(const zone *self, int64_t day, int32_t ms_of_day) {
    int64_t local_ms = day * DAY_MS + ms_of_day;
    instant_ms at = local_ms - OFFSET_MAX_S * SECOND_MS;  // no later than the wanted instant
    for (;;) {
        zone_stretch stretch = zone_stretch_at(self, at);
        instant_ms wanted = local_ms - stretch.offset_s * SECOND_MS;
        if (wanted < stretch.from) return stretch.from;  // the clock skipped it
        if (wanted < stretch.to || stretch.to == INSTANT_MAX) return wanted;
        at = stretch.to;
    }
}

instant_ms zone_day_start(const zone *self, int64_t day) { return zone_instant(self, day, 0); }
