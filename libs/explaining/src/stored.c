#include "explaining/stored.h"

#include <stdlib.h>

#include "base/buf.h"
#include "explaining_sql.h"
#include "metering/day_row.h"
#include "metering/register.h"

typedef struct stored_reading {
    int64_t channel;
    instant_ms at;
    int64_t value;
    uint8_t reg;
    uint8_t quality;
    uint16_t flags;
    bool is_packed;  // of two copies the hot one is taken first
} stored_reading;

typedef VEC(stored_reading) reading_list;

static err_t hot_load(db *conn, const charging_setup *setup, const stored_range *range, reading_list *list);
static err_t packed_load(db *conn, const charging_setup *setup, const stored_range *range, reading_list *list, fault *out_fault);
static void polls_form(const reading_list *list, stored_polls *out);

static int compare_i64(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int by_time(const void *left, const void *right) {
    const stored_reading *a = left, *b = right;
    int order = compare_i64(a->at, b->at);
    if (!order) order = compare_i64(a->channel, b->channel);
    if (!order) order = compare_i64(a->reg, b->reg);
    return order ? order : a->is_packed - b->is_packed;
}

err_t stored_polls_load(db *conn, const charging_setup *setup, stored_range range, stored_polls *out_polls, fault *out_fault) {
    *out_polls = (stored_polls){0};
    if (range.until <= range.after) return ERR_OK;
    reading_list list = {0};
    err_t err = hot_load(conn, setup, &range, &list);
    if (!err) err = packed_load(conn, setup, &range, &list, out_fault);
    if (!err) {
        if (list.len) qsort(list.items, list.len, sizeof *list.items, by_time);
        polls_form(&list, out_polls);
    }
    vec_done(&list);
    return err;
}

void stored_polls_done(stored_polls *self) { vec_done(&self->list); }

void stored_polls_auto(stored_polls *self) { stored_polls_done(self); }

static err_t hot_load(db *conn, const charging_setup *setup, const stored_range *range, reading_list *list) {
    int64_t *channels = mem_new(setup->installation_count + 1, sizeof *channels);
    for (size_t i = 0; i < setup->installation_count; i++) channels[i] = setup->installations[i].channel;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_STORED_HOT,
                         DB_PARAMS(DB_I64_ARRAY(channels, setup->installation_count), DB_TIME(range->after), DB_TIME(range->until),
                                   DB_TIME(range->booked_until)),
                         &rows);
    mem_free(channels);
    if (err) return err;
    vec_reserve(list, rows.len);
    for (size_t i = 0; i < rows.len; i++) {
        stored_reading one = {.channel = db_i64(&rows, i, 0),
                              .at = db_time(&rows, i, 1),
                              .reg = (uint8_t)db_i64(&rows, i, 2),
                              .value = db_i64(&rows, i, 3),
                              .quality = (uint8_t)db_i64(&rows, i, 4),
                              .flags = (uint16_t)db_i64(&rows, i, 5)};
        vec_push(list, one);
    }
    return ERR_OK;
}

// Packed rows do not say which channel measured: the installation at that time does.
static int64_t channel_at(const charging_setup *setup, instant_ms at) {
    int64_t channel = 0;
    for (size_t i = 0; i < setup->installation_count; i++) {
        const charging_installation *one = &setup->installations[i];
        if (one->from <= at && at <= one->to && (channel == 0 || at > one->from)) channel = one->channel;
    }
    return channel;
}

static err_t day_unpack(const charging_setup *setup, int32_t day, sv packed, const stored_range *range, instant_ms hot_from,
                        reading_list *list) {
    size_t count = 0;
    err_t err = day_row_count(packed, &count);
    if (err) return err;
    AUTO_MEM day_reading *readings = mem_new(count + 1, sizeof *readings);
    err = day_row_unpack(packed, zone_day_start(setup->zone, day), readings, count, &count);
    for (size_t i = 0; i < count && !err; i++) {
        const day_reading *from = &readings[i];
        if (from->at <= range->after || from->at > range->until || from->at >= hot_from) continue;
        stored_reading one = {channel_at(setup, from->at), from->at, from->value, from->reg, from->quality, from->flags, true};
        vec_push(list, one);
    }
    return err;
}

static err_t packed_load(db *conn, const charging_setup *setup, const stored_range *range, reading_list *list, fault *out_fault) {
    // A packed day does not tell when its readings were booked: where that matters, hot rows are believed alone.
    instant_ms hot_from = range->booked_until < INSTANT_MAX && list->len > 0 ? list->items[0].at : INSTANT_MAX;
    instant_ms until = range->until < INSTANT_MAX ? range->until : INSTANT_MAX - DAY_MS;
    instant_ms after = range->after > INSTANT_MIN ? range->after : INSTANT_MIN + DAY_MS;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_STORED_PACKED,
                         DB_PARAMS(DB_I32(setup->company), DB_I64(setup->usage_point), DB_DATE((int32_t)zone_local_day(setup->zone, after)),
                                   DB_DATE((int32_t)zone_local_day(setup->zone, until))),
                         &rows);
    for (size_t i = 0; i < rows.len && !err; i++) {
        int32_t day = db_date(&rows, i, 0);
        err = day_unpack(setup, day, db_bytes(&rows, i, 1), range, hot_from, list);
        if (err) {
            int32_t year, month, day_of_month;
            civil_from_days(day, &year, &month, &day_of_month);
            err = fault_set(out_fault, err, "billing.day", "the packed day %04d-%02d-%02d of usage point %lld cannot be read", year, month,
                            day_of_month, (long long)setup->usage_point);
        }
    }
    return err;
}

// The cumulative register a meter is billed by; which one depends on what it measures.
static bool is_total(uint8_t reg) {
    return reg == REGISTER_ACTIVE_ENERGY_TOTAL || reg == REGISTER_WATER_VOLUME_TOTAL || reg == REGISTER_GAS_VOLUME_TOTAL ||
           reg == REGISTER_HEAT_ENERGY_TOTAL;
}

static void polls_form(const reading_list *list, stored_polls *out) {
    bool has_total = false;
    charging_poll poll = {0};
    for (size_t i = 0; i < list->len; i++) {
        const stored_reading *one = &list->items[i];
        const stored_reading *before = i > 0 ? &list->items[i - 1] : NULL;
        bool is_same_poll = before && before->at == one->at && before->channel == one->channel;
        if (is_same_poll && before->reg == one->reg) {
            out->contradictions += before->value != one->value || before->quality != one->quality || before->flags != one->flags;
            continue;
        }
        if (!is_same_poll) {
            if (has_total) vec_push(&out->list, poll);
            poll = (charging_poll){.channel = one->channel, .at = one->at, .quality = one->quality, .flags = one->flags};
            has_total = false;
        }
        if (is_total(one->reg) && !has_total) {
            has_total = true;
            poll.value = one->value;
            poll.quality = one->quality;
            poll.flags = one->flags;
        }
        charging_poll_take(&poll, one->reg, one->value);
        int tariff_number = register_tariff_number(one->reg);
        if (tariff_number > 0 && (uint32_t)tariff_number == poll.register_count + 1) poll.registers[poll.register_count++] = one->value;
    }
    if (has_total) vec_push(&out->list, poll);
}
