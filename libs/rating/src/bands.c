#include "bands.h"

#include "base/check.h"
#include "base/mem.h"
#include "tariff_compiled.h"

#define CACHE_ENTRIES_MAX 65536

struct rating_cache {
    uint64_t mask;
    band_table tables[];
};

rating_cache *rating_cache_new(size_t entries) {
    size_t count = 1;
    while (count < entries && count < CACHE_ENTRIES_MAX) count *= 2;
    rating_cache *self = mem_new(1, sizeof *self + count * sizeof self->tables[0]);
    self->mask = count - 1;
    return self;
}

void rating_cache_free(rating_cache *self) { mem_free(self); }

void rating_cache_free_variable(rating_cache **self) { rating_cache_free(*self); }

static int64_t floor_divide(int64_t value, int64_t by) { return value / by - (value % by < 0); }

static void push_segment(band_table *table, instant_ms from, uint32_t period) {
    if (table->count > 0 && table->period[table->count - 1] == period) return;
    CHECK(table->count < BAND_TABLE_MAX);
    table->from_ms[table->count] = (uint32_t)(from - table->from);
    table->period[table->count++] = (uint8_t)period;
}

// The bands of one local day that fall into [from, to), a stretch of one offset.
static void push_day(const tariff *self, band_table *table, int64_t day, int64_t offset_ms, instant_ms from, instant_ms to) {
    const compiled_row *row = tariff_row_of_day(self, day);
    instant_ms midnight = day * DAY_MS - offset_ms;
    for (size_t i = 0; i < row->segment_count; i++) {
        instant_ms begin = midnight + row->segments[i].from_minute * MINUTE_MS;
        instant_ms end = midnight + (i + 1 < row->segment_count ? row->segments[i + 1].from_minute * MINUTE_MS : DAY_MS);
        if (end <= from || begin >= to) continue;
        push_segment(table, begin > from ? begin : from, row->segments[i].period);
    }
}

// Civil time decides, also in an hour that comes twice; so each stretch of one offset is walked by itself.
static void build(const tariff *self, int64_t bucket, band_table *table) {
    table->bucket = bucket;
    table->from = bucket * DAY_MS - self->bucket_offset_ms;
    table->count = 0;
    instant_ms at = table->from;
    instant_ms end = at + DAY_MS;
    while (at < end) {
        zone_stretch stretch = zone_stretch_at(self->zone, at);
        int64_t offset_ms = stretch.offset_s * SECOND_MS;
        instant_ms to = stretch.to < end ? stretch.to : end;
        int64_t last_day = floor_divide(to - 1 + offset_ms, DAY_MS);
        for (int64_t day = floor_divide(at + offset_ms, DAY_MS); day <= last_day; day++) push_day(self, table, day, offset_ms, at, to);
        at = to;
    }
    table->fingerprint = self->band_fingerprint;
}

static const band_table *table_at(const tariff *self, rating_cache *cache, band_table *scratch, instant_ms at) {
    int64_t bucket = floor_divide(at + self->bucket_offset_ms, DAY_MS);
    band_table *table = scratch;
    if (cache) {
        uint64_t hash = (self->band_fingerprint ^ (uint64_t)bucket * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
        table = &cache->tables[hash >> 40 & cache->mask];
        if (table->fingerprint == self->band_fingerprint && table->bucket == bucket) return table;
    }
    build(self, bucket, table);
    return table;
}

uint32_t band_run(const tariff *self, rating_cache *cache, band_table *scratch, instant_ms at, instant_ms limit, instant_ms *out_until) {
    *out_until = limit;
    if (self->row_count == 0) return 0;
    const band_table *table = table_at(self, cache, scratch, at);
    uint32_t in_bucket_ms = (uint32_t)(at - table->from);
    uint32_t i = 0;
    while (i + 1 < table->count && table->from_ms[i + 1] <= in_bucket_ms) i++;
    uint32_t period = table->period[i];
    instant_ms until = table->from + (i + 1 < table->count ? (int64_t)table->from_ms[i + 1] : DAY_MS);
    // A period may run on through the following buckets.
    while (until < limit && until == table->from + DAY_MS) {
        table = table_at(self, cache, scratch, until);
        if (table->period[0] != period) break;
        until = table->from + (table->count > 1 ? (int64_t)table->from_ms[1] : DAY_MS);
    }
    if (until < limit) *out_until = until;
    return period;
}
