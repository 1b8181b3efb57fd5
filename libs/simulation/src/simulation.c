// Loads what each point of the property was read and stands on, compares it, and adds the shares up by account.
#include "simulation/simulation.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/num_map.h"
#include "documents/tariff_document.h"
#include "explaining/stored.h"
#include "json/json.h"
#include "setups/setups.h"
#include "simulation/compare.h"
#include "simulation_sql.h"

#define MEMORY_MAX (512UL << 20)
#define POINTS_PER_LOAD 256
#define RATING_CACHE_ENTRIES 4096

struct simulation {
    zone_set *zones;
    arena *memory;  // of the texts in `out`
    day_calendar *calendar;
    tariff_document *document;
    purpose item;
    num_map places;  // account num -> its place in out.accounts + 1
    setups *setups;
    rating_cache *cache;
    comparison comparison;
    simulated out;
};

simulation *simulation_new(zone_set *zones) {
    simulation *self = mem_new(1, sizeof *self);
    self->zones = zones;
    self->memory = arena_new(MEMORY_MAX);
    self->setups = setups_new(zones);
    self->cache = rating_cache_new(RATING_CACHE_ENTRIES);
    num_map_init(&self->places);
    return self;
}

void simulation_free(simulation *self) {
    if (!self) return;
    vec_done(&self->out.accounts);
    vec_done(&self->out.omissions);
    comparison_done(&self->comparison);
    rating_cache_free(self->cache);
    setups_free(self->setups);
    num_map_done(&self->places);
    tariff_document_free(self->document);
    day_calendar_free(self->calendar);
    arena_free(self->memory);
    mem_free(self);
}

void simulation_free_variable(simulation **self) { simulation_free(*self); }

const simulated *simulation_answer(const simulation *self) { return &self->out; }

err_t simulation_find(simulation *self, db *conn, int32_t company, sv property, fault *out_fault) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_SIMULATION_PROPERTY, DB_PARAMS(company ? DB_I32(company) : DB_NULL, DB_TEXT(property)), &rows);
    if (err) return err;
    if (rows.len == 0) return fault_set(out_fault, ERR_NOT_FOUND, "", "there is no property '%.*s'", SV_ARG(property));
    if (rows.len > 1) return fault_set(out_fault, ERR_CONFLICT, "", "several companies have a property '%.*s'", SV_ARG(property));
    simulated *out = &self->out;
    out->company = (int32_t)db_i64(&rows, 0, 0);
    out->property = db_i64(&rows, 0, 1);
    out->property_id = db_uuid(&rows, 0, 2);
    out->property_code = arena_copy(self->memory, db_text(&rows, 0, 3));
    out->property_name = arena_copy(self->memory, db_text(&rows, 0, 4));
    if (!currency_parse(db_text(&rows, 0, 6), &out->currency))
        return fault_set(out_fault, ERR_INTERNAL, "", "the property's currency is not known");
    return zone_set_find(self->zones, db_text(&rows, 0, 5), &out->zone, out_fault);
}

static err_t calendar_load(simulation *self, db *conn) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_SIMULATION_CALENDAR_DAYS, DB_PARAMS(DB_I32(self->out.company), DB_I64(self->out.property)), &rows);
    if (err) return err;
    AUTO_MEM dated_day *days = mem_new(rows.len, sizeof *days);
    for (size_t i = 0; i < rows.len; i++)
        days[i] = (dated_day){db_date(&rows, i, 0), sv_equal(db_text(&rows, i, 1), SV("holiday")) ? DAY_KIND_HOLIDAY : DAY_KIND_WORKDAY};
    day_calendar_free(self->calendar);
    self->calendar = day_calendar_new(days, rows.len);
    return ERR_OK;
}

// Which usage points a tariff can price stands in its document alone.
static err_t item_read(simulation *self, sv document, fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(document, JSON_LIMITS_DOCUMENT, &doc, out_fault);
    if (err) return err;
    json_reader reader;
    json_reader_init(&reader);
    json_node root = json_root(doc);
    json_node use = json_member(&reader, &root, "utility");
    sv text = json_read_text(&reader, &use);
    if (!json_reader_failed(&reader) && !purpose_parse(text, &self->item)) json_refuse(&reader, &use, "unknown utility");
    return json_reader_fault(&reader, out_fault);
}

err_t simulation_try(simulation *self, db *conn, sv document, fault *out_fault) {
    CHECK(self->out.property && !self->document);
    simulated *out = &self->out;
    err_t err = calendar_load(self, conn);
    if (err) return err;
    tariff_reading how = {.version = SIMULATION_VERSION, .use = TARIFF_FOR_CHARGING, .zones = self->zones, .calendar = self->calendar};
    err = tariff_document_read(document, &how, &self->document, out_fault);
    if (!err) err = item_read(self, document, out_fault);
    if (err) return err;
    const tariff *tried = tariff_document_tariff(self->document);
    if (!sv_equal(zone_name(tariff_zone(tried)), zone_name(out->zone)))
        return fault_set(out_fault, ERR_BAD_INPUT, "/time_zone", "the property's time zone is %.*s", SV_ARG(zone_name(out->zone)));
    if (tariff_currency(tried) != out->currency)
        return fault_set(out_fault, ERR_BAD_INPUT, "/currency", "the property's currency is %s", currency_code(out->currency));
    out->tariff_code = tariff_code(tried);
    out->unit = tariff_unit(tried);
    return ERR_OK;
}

static err_t points_run(simulation *self, db *conn, instant_ms known_at);
static err_t accounts_name(simulation *self, db *conn);
static void sums_make(simulated *out);

static int by_difference(const void *left, const void *right) {
    const simulated_account *a = left, *b = right;
    int128 x = a->then - a->now, y = b->then - b->now;
    if (x != y) return x < y ? 1 : -1;
    int order = sv_compare(a->number, b->number);
    return order ? order : (a->num > b->num) - (a->num < b->num);
}

err_t simulation_run(simulation *self, db *conn, instant_ms from, instant_ms to, instant_ms known_at, fault *out_fault) {
    CHECK(self->document);
    if (from >= to) return fault_set(out_fault, ERR_BAD_INPUT, "", "the time to compare is empty");
    self->out.from = from;
    self->out.to = to;
    err_t err = points_run(self, conn, known_at);
    if (!err) err = accounts_name(self, conn);
    if (err) return err;
    if (self->out.accounts.len) qsort(self->out.accounts.items, self->out.accounts.len, sizeof *self->out.accounts.items, by_difference);
    sums_make(&self->out);
    return ERR_OK;
}

static void omit(simulation *self, const db_rows *points, size_t row, const char *why) {
    simulated_omission left = {db_uuid(points, row, 1), arena_copy(self->memory, db_text(points, row, 2)),
                               arena_copy(self->memory, sv_of(why))};
    vec_push(&self->out.omissions, left);
}

// Why a point cannot be looked at; NULL when it can.
static const char *obstacle_of(const simulation *self, const db_rows *points, size_t row, const charging_setup **out_setup) {
    if (!sv_equal(db_text(points, row, 3), sv_of(purpose_name((int32_t)self->item)))) return "measures another utility";
    if (db_is_null(points, row, 4)) return "was never read";
    if (db_bool(points, row, 5)) return "waits for its charges to be corrected";
    *out_setup = setups_find(self->setups, db_i64(points, row, 0));
    const char *why = setups_fault(self->setups, db_i64(points, row, 0));
    return *out_setup ? NULL : why ? why : "has no setup";
}

static err_t point_run(simulation *self, db *conn, const db_rows *points, size_t row, const charging_setup *setup);

static err_t points_run(simulation *self, db *conn, instant_ms known_at) {
    AUTO(db_rows) points = {0};
    err_t err = db_query(conn, &SQL_SIMULATION_POINTS, DB_PARAMS(DB_I32(self->out.company), DB_I64(self->out.property)), &points);
    for (size_t first = 0; first < points.len && !err; first += POINTS_PER_LOAD) {
        setups_key keys[POINTS_PER_LOAD];
        size_t count = points.len - first < POINTS_PER_LOAD ? points.len - first : POINTS_PER_LOAD;
        for (size_t i = 0; i < count; i++) keys[i] = (setups_key){self->out.company, db_i64(&points, first + i, 0)};
        setups_forget_all(self->setups);
        err = setups_load(self->setups, conn, keys, count, known_at);
        for (size_t i = first; i < first + count && !err; i++) {
            const charging_setup *setup = NULL;
            const char *why = obstacle_of(self, &points, i, &setup);
            if (why)
                omit(self, &points, i, why);
            else
                err = point_run(self, conn, &points, i, setup);
        }
    }
    return err;
}

// The newest packed point that does not lie behind `from`; without one, a point that nothing was read of.
static err_t opening_load(simulation *self, db *conn, int64_t num, charging_point *out_point) {
    charging_point_init(out_point);
    AUTO(db_rows) rows = {0};
    err_t err =
        db_query(conn, &SQL_SIMULATION_CHECKPOINTS, DB_PARAMS(DB_I32(self->out.company), DB_I64(num), DB_TIME(self->out.from)), &rows);
    for (size_t i = 0; i < rows.len && !err; i++) {
        charging_point point;
        fault why = {0};
        if (charging_point_unpack(db_bytes(&rows, i, 0), &point, &why) || (point.channel != 0 && point.last_at > self->out.from)) continue;
        *out_point = point;
        break;
    }
    return err;
}

static void shares_take(simulation *self) {
    for (size_t i = 0; i < self->comparison.shares.len; i++) {
        const compare_share *share = &self->comparison.shares.items[i];
        uintptr_t place = (uintptr_t)num_map_find(&self->places, share->account);
        if (place == 0) {
            vec_push(&self->out.accounts, ((simulated_account){.num = share->account}));
            place = self->out.accounts.len;
            num_map_put(&self->places, share->account, (void *)place);
        }
        simulated_account *account = &self->out.accounts.items[place - 1];
        account->quantity += share->quantity;
        account->now += share->now;
        account->then += share->then;
    }
}

static err_t point_run(simulation *self, db *conn, const db_rows *points, size_t row, const charging_setup *setup) {
    charging_point opening;
    err_t err = opening_load(self, conn, setup->usage_point, &opening);
    if (err) return err;
    const compare_case what = {setup, tariff_document_tariff(self->document), self->out.from, self->out.to};
    instant_ms after = opening.channel ? opening.last_at : INSTANT_MIN, last = db_time(points, row, 4);
    // The reading behind `to` says what was used up to it: mostly it lies near, else all there are are read.
    instant_ms near = what.to + DAY_MS;
    const instant_ms ends[] = {last < near ? last : near, last};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        AUTO(stored_polls) polls = {0};
        fault why = {0};
        err = stored_polls_load(conn, setup, (stored_range){after, ends[i], INSTANT_MAX}, &polls, &why);
        if (err && !why.err) return err;
        if (err || !compare_point(&what, self->cache, &opening, polls.list.items, polls.list.len, &self->comparison)) {
            omit(self, points, row, err ? why.reason : self->comparison.why);
            return ERR_OK;
        }
        if (self->comparison.until >= what.to || ends[i] == last) break;
    }
    shares_take(self);
    self->out.points++;
    self->out.points_short += self->comparison.until < what.to;
    self->out.readings += self->comparison.readings;
    return ERR_OK;
}

static err_t accounts_name(simulation *self, db *conn) {
    simulated_accounts *accounts = &self->out.accounts;
    AUTO_MEM int64_t *nums = mem_new(accounts->len, sizeof *nums);
    for (size_t i = 0; i < accounts->len; i++) nums[i] = accounts->items[i].num;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_SIMULATION_ACCOUNTS, DB_PARAMS(DB_I32(self->out.company), DB_I64_ARRAY(nums, accounts->len)), &rows);
    for (size_t i = 0; i < rows.len && !err; i++) {
        uintptr_t place = (uintptr_t)num_map_find(&self->places, db_i64(&rows, i, 0));
        CHECK(place > 0);
        accounts->items[place - 1].number = arena_copy(self->memory, db_text(&rows, i, 1));
        accounts->items[place - 1].customer = arena_copy(self->memory, db_text(&rows, i, 2));
    }
    return err;
}

static void sums_make(simulated *out) {
    for (size_t i = 0; i < out->accounts.len; i++) {
        const simulated_account *account = &out->accounts.items[i];
        int128 difference = account->then - account->now;
        simulated_group *group = difference > 0 ? &out->more : difference < 0 ? &out->less : &out->same;
        group->accounts++;
        group->difference += difference;
        out->quantity += account->quantity;
        out->now += account->now;
        out->then += account->then;
    }
}
