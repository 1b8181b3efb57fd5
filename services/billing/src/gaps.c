#include "gaps.h"

#include "base/check.h"
#include "base/mem.h"
#include "billing_sql.h"
#include "metering/day_row.h"
#include "metering/register.h"

#define HISTORY_DAYS 14  // two weeks: four days of weekend, ten others

static int64_t scaled(const charging_installation *inst, int64_t value) {
    return (int64_t)((int128)value * inst->ratio_num / inst->ratio_den);
}

static const charging_installation *installation_at(const charging_setup *setup, instant_ms at) {
    for (size_t i = setup->installation_count; i > 0; i--)
        if (setup->installations[i - 1].from <= at && at <= setup->installations[i - 1].to) return &setup->installations[i - 1];
    return NULL;
}

static bool is_total(uint8_t reg) {
    return reg == REGISTER_ACTIVE_ENERGY_TOTAL || reg == REGISTER_WATER_VOLUME_TOTAL || reg == REGISTER_GAS_VOLUME_TOTAL ||
           reg == REGISTER_HEAT_ENERGY_TOTAL;
}

// Readings are sorted by register, epoch and time: neighbours of one register and epoch are a stretch of use.
static void add_readings(charging_profile_sums *sums, const charging_setup *setup, const day_reading *readings, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const day_reading *from = &readings[i - 1], *to = &readings[i];
        if (!is_total(to->reg) || from->reg != to->reg || from->epoch != to->epoch) continue;
        if (!quality_is_billable(from->quality) || !quality_is_billable(to->quality)) continue;
        const charging_installation *inst = installation_at(setup, to->at);
        if (!inst || inst->from > from->at) continue;
        charging_profile_add(sums, setup->zone, from->at, to->at, scaled(inst, to->value) - scaled(inst, from->value));
    }
}

static err_t add_day(charging_profile_sums *sums, const charging_setup *setup, int32_t day, sv packed) {
    size_t count = 0;
    err_t err = day_row_count(packed, &count);
    if (err || count > DAY_ROW_READINGS_MAX) return ERR_MALFORMED;
    AUTO_MEM day_reading *readings = mem_new(count + 1, sizeof *readings);
    err = day_row_unpack(packed, zone_day_start(setup->zone, day), readings, count, &count);
    if (!err) add_readings(sums, setup, readings, count);
    return err;
}

typedef struct gap_columns {
    int32_t *ordinal, *company, *from_day, *to_day;
    int64_t *usage_point, *longer_than_ms;
    instant_ms *from, *to;
    sv *profile;
} gap_columns;

static void columns_fill(const worker *self, const charger_gap *gaps, size_t n, gap_columns *c) {
    arena *memory = self->memory;
    *c = (gap_columns){ARENA_ARRAY(memory, int32_t, n),    ARENA_ARRAY(memory, int32_t, n),    ARENA_ARRAY(memory, int32_t, n),
                       ARENA_ARRAY(memory, int32_t, n),    ARENA_ARRAY(memory, int64_t, n),    ARENA_ARRAY(memory, int64_t, n),
                       ARENA_ARRAY(memory, instant_ms, n), ARENA_ARRAY(memory, instant_ms, n), ARENA_ARRAY(memory, sv, n)};
    for (size_t i = 0; i < n; i++) {
        const charging_setup *setup = setups_find(self->setups, gaps[i].usage_point);
        CHECK(setup);  // it was just charged with
        int32_t day = (int32_t)zone_local_day(setup->zone, gaps[i].from);
        c->ordinal[i] = (int32_t)i;
        c->company[i] = setup->company;
        c->usage_point[i] = gaps[i].usage_point;
        c->from_day[i] = day - HISTORY_DAYS;
        c->to_day[i] = day - 1;
        c->longer_than_ms[i] = setup->gap_after_ms;
        c->from[i] = gaps[i].from;
        c->to[i] = gaps[i].to;
    }
}

static err_t make_profiles(worker *self, const db_rows *days, const charger_gap *gaps, size_t n, const gap_columns *c, gap_list *described,
                           fault *out_fault) {
    size_t row = 0;
    for (size_t i = 0; i < n; i++) {
        const charging_setup *setup = setups_find(self->setups, gaps[i].usage_point);
        charging_profile_sums sums = {0};
        for (; row < days->len && db_i64(days, row, 0) == (int64_t)i; row++)
            if (add_day(&sums, setup, db_date(days, row, 1), db_bytes(days, row, 2)))
                return fault_set(out_fault, ERR_INTERNAL, "day", "a packed day of usage point %lld cannot be read",
                                 (long long)gaps[i].usage_point);
        charging_profile made = {.from = gaps[i].from, .to = gaps[i].to, .longer_than_ms = c->longer_than_ms[i]};
        charging_profile_take(&made, &sums);
        uint8_t bytes[CHARGING_PROFILE_BYTES_MAX];
        c->profile[i] = arena_copy(self->memory, sv_slice(bytes, charging_profile_pack(&made, bytes)));
        vec_push(described, ((described_gap){gaps[i].usage_point, gaps[i].from, gaps[i].to}));
        setups_add_gap(self->setups, gaps[i].usage_point, &made);
    }
    return ERR_OK;
}

err_t gaps_describe(worker *self, db *conn, const charger_gap *gaps, size_t count, instant_ms now, gap_list *described, fault *out_fault) {
    gap_columns c;
    columns_fill(self, gaps, count, &c);
    AUTO(db_rows) days = {0};
    err_t err = db_query(conn, &SQL_GAP_DAYS,
                         DB_PARAMS(DB_I32_ARRAY(c.ordinal, count), DB_I64_ARRAY(c.usage_point, count), DB_DATE_ARRAY(c.from_day, count),
                                   DB_DATE_ARRAY(c.to_day, count)),
                         &days);
    if (err) return fault_set(out_fault, err, "gap", "%.180s", db_error_text(conn));
    err = make_profiles(self, &days, gaps, count, &c, described, out_fault);
    if (err) return err;
    err = db_exec(
        conn, &SQL_GAP_PUT,
        DB_PARAMS(DB_I32_ARRAY(c.company, count), DB_I64_ARRAY(c.usage_point, count), DB_TIME_ARRAY(c.from, count),
                  DB_TIME_ARRAY(c.to, count), DB_I64_ARRAY(c.longer_than_ms, count), DB_BYTES_ARRAY(c.profile, count), DB_TIME(now)),
        NULL);
    return err ? fault_set(out_fault, err, "gap", "%.180s", db_error_text(conn)) : ERR_OK;
}
