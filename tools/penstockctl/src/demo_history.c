// The demo's past: the readings the meters would have sent, put into the journal as ingest puts them, for billing to
// charge like any others. The same readings are charged here in memory with the setups billing will use, to know what
// must be paid in for each balance to end where the plan wishes it.
#include <stdlib.h>
#include <string.h>

#include "charging/point.h"
#include "ctl_sql.h"
#include "db/copy.h"
#include "demo_load.h"
#include "metering/block.h"
#include "metering/register.h"
#include "series.h"
#include "setups/setups.h"

#define REGISTER_COUNT_WH 10  // 0.01 kWh, what the display shows
#define RATING_CACHE_ENTRIES 1024
#define SALES_PER_UNIT 3
#define SALE_STEP_MICRO (10 * MONEY_MICRO)

typedef struct history_unit {
    demo_unit *unit;
    int64_t channel;
    int64_t usage_point;
    const charging_setup *setup;
    charging_point point;
    money_micro charged;
} history_unit;

typedef struct history {
    demo_load *load;
    num_series series;
    history_unit *units;  // in order of the plan
    int64_t partition[DEMO_PROPERTIES];
    setups *setups;
    rating_cache *cache;
    charging_outcome outcome;
    demo_history *told;
    fault *fault;
} history;

static err_t nums_read(history *self);
static err_t setups_read(history *self);
static err_t blocks_write(history *self);
static err_t sales_write(history *self, size_t company);

err_t demo_history_write(demo_load *load, demo_history *out_history, fault *out_fault) {
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_SETUPS all = setups_new(zones);
    AUTO_RATING_CACHE cache = rating_cache_new(RATING_CACHE_ENTRIES);
    *out_history = (demo_history){0};
    history self = {.load = load, .setups = all, .cache = cache, .told = out_history, .fault = out_fault};
    self.units = ARENA_ARRAY(load->memory, history_unit, load->plan->unit_count);
    err_t err = ctl_series_open(load->conn, &self.series);
    if (!err) err = nums_read(&self);
    if (!err) err = setups_read(&self);
    if (!err) err = blocks_write(&self);
    for (size_t c = 0; c < DEMO_COMPANIES && !err; c++) err = sales_write(&self, c);
    charging_outcome_done(&self.outcome);
    return err;
}

// The numbers the database gave.

typedef struct unit_by_channel {
    uuid channel;
    size_t at;
} unit_by_channel;

static int by_channel(const void *a, const void *b) {
    return memcmp(&((const unit_by_channel *)a)->channel, &((const unit_by_channel *)b)->channel, sizeof(uuid));
}

static db_param companies_param(demo_load *load) {
    int32_t *nums = DEMO_COLUMN(load->memory, int32_t, DEMO_COMPANIES, (int32_t)load->plan->companies[i].num);
    return DB_I32_ARRAY(nums, DEMO_COMPANIES);
}

static err_t partitions_read(history *self) {
    const demo_plan *plan = self->load->plan;
    uuid *ids = DEMO_COLUMN(self->load->memory, uuid, DEMO_PROPERTIES, plan->properties[i].id);
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->load->conn, &SQL_DEMO_PROPERTY_PARTITIONS,
                         DB_PARAMS(companies_param(self->load), DB_UUID_ARRAY(ids, DEMO_PROPERTIES)), &rows);
    for (size_t row = 0; row < rows.len && !err; row++)
        for (size_t p = 0; p < DEMO_PROPERTIES; p++) {
            uuid id = db_uuid(&rows, row, 0);
            if (memcmp(&id, &plan->properties[p].id, sizeof id) == 0) self->partition[p] = db_i64(&rows, row, 1);
        }
    return err;
}

static err_t nums_read(history *self) {
    demo_load *load = self->load;
    size_t count = load->plan->unit_count;
    err_t err = partitions_read(self);
    if (err) return err;
    unit_by_channel *index = ARENA_ARRAY(load->memory, unit_by_channel, count);
    uuid *ids = DEMO_COLUMN(load->memory, uuid, count, load->plan->units[i].channel);
    for (size_t i = 0; i < count; i++) index[i] = (unit_by_channel){ids[i], i};
    qsort(index, count, sizeof *index, by_channel);
    AUTO(db_rows) rows = {0};
    err = db_query(load->conn, &SQL_DEMO_CHANNEL_NUMS, DB_PARAMS(companies_param(load), DB_UUID_ARRAY(ids, count)), &rows);
    if (err) return err;
    for (size_t row = 0; row < rows.len; row++) {
        unit_by_channel key = {.channel = db_uuid(&rows, row, 0)};
        const unit_by_channel *found = bsearch(&key, index, count, sizeof *index, by_channel);
        if (!found) continue;
        self->units[found->at] =
            (history_unit){.unit = &load->plan->units[found->at], .channel = db_i64(&rows, row, 1), .usage_point = db_i64(&rows, row, 2)};
    }
    return rows.len == count ? ERR_OK : fault_set(self->fault, ERR_INTERNAL, "meters", "%zu of %zu were written", rows.len, count);
}

static int32_t company_num(const history *self, const demo_unit *unit) {
    const demo_plan *plan = self->load->plan;
    return (int32_t)plan->companies[plan->properties[unit->property].company].num;
}

static err_t setups_read(history *self) {
    size_t count = self->load->plan->unit_count;
    setups_key *keys = ARENA_ARRAY(self->load->memory, setups_key, count);
    for (size_t i = 0; i < count; i++) keys[i] = (setups_key){company_num(self, self->units[i].unit), self->units[i].usage_point};
    err_t err = setups_load(self->setups, self->load->conn, keys, count, self->load->now);
    if (err) return err;
    for (size_t i = 0; i < count; i++) {
        history_unit *unit = &self->units[i];
        unit->setup = setups_find(self->setups, unit->usage_point);
        charging_point_init(&unit->point);
        if (unit->setup) continue;
        const char *why = setups_fault(self->setups, unit->usage_point);
        return fault_set(self->fault, ERR_BAD_INPUT, unit->unit->address, "%s", why ? why : "has no setup");
    }
    return ERR_OK;
}

// Blocks.

static err_t unit_charge(history *self, history_unit *unit, const reading_record *record) {
    charging_poll poll = {
        .channel = record->channel, .at = record->at, .value = record->value, .quality = record->quality, .flags = record->flags};
    vec_clear(&self->outcome.pieces);
    charging_answer answer = charging_apply(unit->setup, self->cache, &unit->point, &poll, &self->outcome);
    if (answer != CHARGING_CHARGED && answer != CHARGING_IGNORED)
        return fault_set(self->fault, ERR_INTERNAL, unit->unit->address, "its history would not be charged: %s",
                         charging_answer_text(answer));
    for (size_t i = 0; i < self->outcome.pieces.len; i++)
        if (self->outcome.pieces.items[i].account) unit->charged += self->outcome.pieces.items[i].amount;
    return ERR_OK;
}

static void block_flush(history *self, db_copy *copy, int64_t partition, reading_record *records, size_t *count) {
    if (*count == 0) return;
    uint8_t packed[READING_BLOCK_BYTES_MAX];
    size_t len = reading_block_pack(records, *count, packed);
    db_copy_row(copy, 5);
    db_copy_i16(copy, (int16_t)partition);
    db_copy_i64(copy, num_next(&self->series, self->load->now));
    db_copy_time(copy, self->load->now);
    db_copy_i16(copy, (int16_t)*count);
    db_copy_text(copy, sv_slice(packed, len));
    self->told->blocks++;
    self->told->readings += (int64_t)*count;
    *count = 0;
}

// One property's readings in order of time, so that a transaction of billing holds many of one circuit.
static err_t property_write(history *self, db_copy *copy, size_t property) {
    const demo_plan *plan = self->load->plan;
    reading_record records[READING_BLOCK_MAX];
    size_t count = 0;
    size_t first = 0, last;
    while (first < plan->unit_count && plan->units[first].property != property) first++;
    for (last = first; last < plan->unit_count && plan->units[last].property == property;) last++;
    for (instant_ms at = plan->start_at + HOUR_MS; at <= plan->params.end_at; at += HOUR_MS) {
        for (size_t i = first; i < last; i++) {
            history_unit *unit = &self->units[i];
            reading_record *record = &records[count++];
            *record = (reading_record){.channel = unit->channel,
                                       .at = at,
                                       .value = fleet_display_counts(fleet_load_at(&unit->unit->load, at).total_wh) * REGISTER_COUNT_WH,
                                       .reg = REGISTER_ACTIVE_ENERGY_TOTAL,
                                       .quality = QUALITY_MEASURED,
                                       .flags = READING_HISTORY | READING_BACKFILL,
                                       .company = company_num(self, unit->unit)};
            err_t err = unit_charge(self, unit, record);
            if (err) return err;
            if (count == READING_BLOCK_MAX) block_flush(self, copy, self->partition[property], records, &count);
        }
    }
    block_flush(self, copy, self->partition[property], records, &count);
    return ERR_OK;
}

static err_t blocks_write(history *self) {
    AUTO(db_copy) copy = {0};
    err_t err = db_copy_open(self->load->conn, &SQL_DEMO_BLOCK_COPY, DB_NO_LEAF, &copy);
    for (size_t p = 0; p < DEMO_PROPERTIES && !err; p++) err = property_write(self, &copy, p);
    return err ? err : db_copy_close(&copy, NULL);
}

// Money.

static money_micro wished_balance(const demo_plan *plan, const demo_unit *unit) {
    const demo_property *property = &plan->properties[unit->property];
    int64_t share = (int64_t)(fleet_mix((uint64_t)plan->params.seed, unit->load.address) % 1000);  // permille
    switch (unit->wish) {
        case DEMO_NORMAL: return property->alarm_1 + property->alarm_1 / 1000 * (200 + 4 * share);
        case DEMO_ALARM_1: return property->alarm_2 + (property->alarm_1 - property->alarm_2) / 1000 * (400 + share / 2);
        case DEMO_ALARM_2: return property->alarm_2 / 1000 * (300 + share / 2);
        case DEMO_ARREARS: return -(property->alarm_2 / 1000 * (100 + share));
        case DEMO_NOT_OPENED: break;
    }
    return 0;
}

typedef struct sale_columns {
    int64_t *ids, *amounts;
    sv *keys;
    uuid *purses;
    instant_ms *effective;
    size_t len;
} sale_columns;

static void sale_add(history *self, sale_columns *sales, const demo_unit *unit, money_micro amount, int part) {
    const demo_plan *plan = self->load->plan;
    if (amount <= 0) return;
    size_t at = sales->len++;
    sales->ids[at] = num_next(&self->series, self->load->now);
    sales->amounts[at] = amount;
    sales->keys[at] = sv_of(arena_printf(self->load->memory, "demo-%s-%d", unit->address, part + 1));
    sales->purses[at] = unit->purse;
    sales->effective[at] = plan->start_at + plan->params.days * DAY_MS * part / SALES_PER_UNIT + 9 * HOUR_MS;
    self->told->sales++;
    self->told->sold += amount;
}

// Round amounts as a counter sells them; the last one makes the balance, to the yuan.
static err_t sales_write(history *self, size_t company) {
    demo_load *load = self->load;
    const demo_plan *plan = load->plan;
    size_t max = plan->unit_count * SALES_PER_UNIT;
    sale_columns sales = {.ids = ARENA_ARRAY(load->memory, int64_t, max),
                          .amounts = ARENA_ARRAY(load->memory, int64_t, max),
                          .keys = ARENA_ARRAY(load->memory, sv, max),
                          .purses = ARENA_ARRAY(load->memory, uuid, max),
                          .effective = ARENA_ARRAY(load->memory, instant_ms, max)};
    for (size_t i = 0; i < plan->unit_count; i++) {
        const history_unit *unit = &self->units[i];
        if (plan->properties[unit->unit->property].company != company || unit->unit->wish == DEMO_NOT_OPENED) continue;
        money_micro needed = unit->charged + wished_balance(plan, unit->unit);
        needed -= needed % MONEY_MICRO;
        money_micro part = needed / SALES_PER_UNIT / SALE_STEP_MICRO * SALE_STEP_MICRO;
        for (int p = 0; p + 1 < SALES_PER_UNIT; p++) sale_add(self, &sales, unit->unit, part, p);
        sale_add(self, &sales, unit->unit, needed - (SALES_PER_UNIT - 1) * part, SALES_PER_UNIT - 1);
    }
    err_t err = db_set_company(load->conn, (int32_t)plan->companies[company].num);
    AUTO(db_rows) posted = {0};
    if (!err)
        err = db_query_one(load->conn, &SQL_DEMO_SALES,
                           DB_PARAMS(DB_I64(plan->companies[company].num), DB_TIME(load->now), DB_I64_ARRAY(sales.ids, sales.len),
                                     DB_TEXT_ARRAY(sales.keys, sales.len), DB_UUID_ARRAY(sales.purses, sales.len),
                                     DB_I64_ARRAY(sales.amounts, sales.len), DB_TIME_ARRAY(sales.effective, sales.len)),
                           &posted);
    if (err) return err;
    if ((size_t)db_i64(&posted, 0, 0) == sales.len) return ERR_OK;
    return fault_set(self->fault, ERR_INTERNAL, "sales", "%lld of %zu were posted", (long long)db_i64(&posted, 0, 0), sales.len);
}
