#include "points.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "charging/point.h"

typedef struct channel_entry {
    int32_t company;
    size_t count;
    int64_t *usage_points;
} channel_entry;

struct points {
    setups *setups;
    num_map by_num;      // usage point → point_entry
    num_map by_channel;  // channel → channel_entry
};

points *points_new(setups *borrowed_setups) {
    points *self = mem_new(1, sizeof *self);
    self->setups = borrowed_setups;
    num_map_init(&self->by_num);
    num_map_init(&self->by_channel);
    return self;
}

static void free_entry(point_entry *entry) {
    mem_free(entry->state);
    mem_free(entry);
}

static void free_channel(channel_entry *entry) {
    mem_free(entry->usage_points);
    mem_free(entry);
}

void points_clear(points *self) {
    size_t at = 0;
    int64_t num = 0;
    void *value = NULL;
    while (num_map_next(&self->by_num, &at, &num, &value)) free_entry(value);
    for (at = 0; num_map_next(&self->by_channel, &at, &num, &value);) free_channel(value);
    num_map_done(&self->by_num);
    num_map_done(&self->by_channel);
    num_map_init(&self->by_num);
    num_map_init(&self->by_channel);
    setups_forget_all(self->setups);
}

void points_free(points *self) {
    if (!self) return;
    points_clear(self);
    num_map_done(&self->by_num);
    num_map_done(&self->by_channel);
    mem_free(self);
}

void points_forget_company(points *self, int32_t company) {
    VEC(int64_t) gone = {0};
    size_t at = 0;
    int64_t num = 0;
    void *value = NULL;
    while (num_map_next(&self->by_channel, &at, &num, &value))
        if (((channel_entry *)value)->company == company) vec_push(&gone, num);
    for (size_t i = 0; i < gone.len; i++) free_channel(num_map_remove(&self->by_channel, gone.items[i]));
    vec_done(&gone);
    setups_forget(self->setups, company);
}

void points_forget_channel(points *self, int64_t channel) {
    channel_entry *gone = num_map_remove(&self->by_channel, channel);
    if (gone) free_channel(gone);
}

err_t points_reload(points *self, db *conn, const setups_key *nums, size_t count) {
    VEC(setups_key) known = {0};
    for (size_t i = 0; i < count; i++)
        if (setups_find(self->setups, nums[i].num) || setups_fault(self->setups, nums[i].num)) vec_push(&known, nums[i]);
    err_t err = known.len ? setups_load(self->setups, conn, known.items, known.len, INSTANT_MAX) : ERR_OK;
    vec_done(&known);
    return err;
}

point_entry *points_find(const points *self, int64_t usage_point) { return num_map_find(&self->by_num, usage_point); }

size_t points_count(const points *self) { return self->by_num.len; }

void point_entry_keep(point_entry *self, sv state) {
    if (state.len != self->state_len) self->state = mem_grow(self->state, state.len, 1);
    self->state_len = state.len;
    memcpy(self->state, state.ptr, state.len);
}

// ---- loading ----

// What the row's own columns say is taken from the state, which holds them all.
static err_t take_row(point_entry *entry, const db_rows *rows, size_t row, fault *out_fault) {
    sv state = db_bytes(rows, row, 1);
    charging_point point;
    err_t err = charging_point_unpack(state, &point, out_fault);
    if (err) return ERR_INTERNAL;
    point_entry_keep(entry, state);
    entry->is_stored = true;
    entry->day_start = db_time(rows, row, 2);
    entry->day_quantity = db_i64(rows, row, 3);
    entry->day_amount = db_i64(rows, row, 4);
    entry->is_stopped = db_bool(rows, row, 5);
    entry->channel = point.channel;
    entry->account = point.account;
    entry->purse = point.purse;
    entry->epoch = point.epoch;
    entry->estimated_since = point.estimated_since;
    entry->rated_version = POINT_RATED_UNKNOWN;
    return ERR_OK;
}

static void add_fresh(points *self, const setups_key *key) {
    point_entry *entry = mem_new(1, sizeof *entry);
    *entry = (point_entry){.num = key->num, .company = key->company, .day_start = INSTANT_MIN, .rated_version = POINT_RATED_UNKNOWN};
    charging_point fresh;
    charging_point_init(&fresh);
    uint8_t bytes[CHARGING_POINT_BYTES_MAX];
    point_entry_keep(entry, sv_slice(bytes, charging_point_pack(&fresh, bytes)));
    num_map_put(&self->by_num, key->num, entry);
}

static err_t load_states(points *self, db *conn, const setups_key *keys, size_t count, fault *out_fault) {
    VEC(int64_t) nums = {0};
    for (size_t i = 0; i < count; i++) {
        if (points_find(self, keys[i].num)) continue;
        vec_push(&nums, keys[i].num);
    }
    AUTO(db_rows) rows = {0};
    err_t err = nums.len ? db_query(conn, &SQL_POINT_LOAD, DB_PARAMS(DB_I64_ARRAY(nums.items, nums.len)), &rows) : ERR_OK;
    vec_done(&nums);
    if (err) return fault_set(out_fault, err, "database", "%.150s", db_error_text(conn));
    for (size_t i = 0; i < count; i++)
        if (!points_find(self, keys[i].num)) add_fresh(self, &keys[i]);
    for (size_t i = 0; !err && i < rows.len; i++) err = take_row(points_find(self, db_i64(&rows, i, 0)), &rows, i, out_fault);
    return err;
}

static int compare_keys(const void *left, const void *right) {
    const setups_key *a = left, *b = right;
    return a->num < b->num ? -1 : a->num > b->num;
}

err_t points_load_nums(points *self, db *conn, const setups_key *nums, size_t count, fault *out_fault) {
    VEC(setups_key) missing = {0};
    for (size_t i = 0; i < count; i++)
        if (!setups_find(self->setups, nums[i].num) && !setups_fault(self->setups, nums[i].num)) vec_push(&missing, nums[i]);
    if (missing.len > 0) qsort(missing.items, missing.len, sizeof *missing.items, compare_keys);
    size_t kept = 0;
    for (size_t i = 0; i < missing.len; i++)
        if (kept == 0 || missing.items[kept - 1].num != missing.items[i].num) missing.items[kept++] = missing.items[i];
    missing.len = kept;
    err_t err = missing.len ? setups_load(self->setups, conn, missing.items, missing.len, INSTANT_MAX) : ERR_OK;
    vec_done(&missing);
    if (err) return fault_set(out_fault, err, "database", "%.150s", db_error_text(conn));
    return load_states(self, conn, nums, count, out_fault);
}

static void add_channel_point(points *self, int32_t company, int64_t channel, int64_t usage_point) {
    channel_entry *entry = num_map_find(&self->by_channel, channel);
    if (!entry) {
        entry = mem_new(1, sizeof *entry);
        entry->company = company;
        num_map_put(&self->by_channel, channel, entry);
    }
    if (!usage_point) return;
    entry->usage_points = mem_grow(entry->usage_points, entry->count + 1, sizeof *entry->usage_points);
    entry->usage_points[entry->count++] = usage_point;
}

static err_t load_channels(points *self, db *conn, const setups_key *missing, size_t count) {
    setups_channel_points pairs = {0};
    err_t err = count ? setups_channels(conn, missing, count, &pairs) : ERR_OK;
    for (size_t i = 0; !err && i < count; i++) add_channel_point(self, missing[i].company, missing[i].num, 0);
    for (size_t i = 0; !err && i < pairs.len; i++) {
        const channel_entry *entry = num_map_find(&self->by_channel, pairs.items[i].channel);
        CHECK(entry);  // nothing was asked about other channels
        add_channel_point(self, entry->company, pairs.items[i].channel, pairs.items[i].usage_point);
    }
    vec_done(&pairs);
    return err;
}

err_t points_load(points *self, db *conn, const setups_key *channels, size_t count, fault *out_fault) {
    VEC(setups_key) missing = {0};
    for (size_t i = 0; i < count; i++)
        if (!num_map_find(&self->by_channel, channels[i].num)) vec_push(&missing, channels[i]);
    err_t err = load_channels(self, conn, missing.items, missing.len);
    vec_done(&missing);
    if (err) return fault_set(out_fault, err, "database", "%.150s", db_error_text(conn));
    VEC(setups_key) nums = {0};
    for (size_t i = 0; i < count; i++) {
        const channel_entry *entry = num_map_find(&self->by_channel, channels[i].num);
        for (size_t k = 0; entry && k < entry->count; k++) vec_push(&nums, ((setups_key){channels[i].company, entry->usage_points[k]}));
    }
    err = points_load_nums(self, conn, nums.items, nums.len, out_fault);
    vec_done(&nums);
    return err;
}

point_entry *points_of_channel(const points *self, int64_t channel, instant_ms at) {
    const channel_entry *entry = num_map_find(&self->by_channel, channel);
    if (!entry || entry->count == 0) return NULL;
    for (size_t i = 0; i < entry->count; i++) {
        const charging_setup *setup = setups_find(self->setups, entry->usage_points[i]);
        if (setup && charging_installation_at(setup, channel, at)) return points_find(self, entry->usage_points[i]);
    }
    return points_find(self, entry->usage_points[entry->count - 1]);
}
