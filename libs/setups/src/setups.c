// One load is eight statements for any number of points. Rows come ordered by usage point, so that each point takes its
// run of every answer.
#include "setups/setups.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/num_map.h"
#include "documents/tariff_document.h"
#include "setups_sql.h"
#include "timeline.h"

typedef struct entry {
    charging_setup setup;
    bool is_usable;
    char fault[240];
} entry;

// A compiled version; its calendar is the property's, therefore the key holds both.
typedef struct compiled {
    int32_t company;
    int64_t version_num;
    int64_t property;
    price_indices indices;      // that its prices were made of
    tariff_document *document;  // NULL when it does not compile
    char fault[240];
} compiled;

typedef struct property_calendar {
    int32_t company;
    int64_t property;
    day_calendar *calendar;
} property_calendar;

struct setups {
    zone_set *zones;
    num_map entries;
    VEC(compiled *) compiled;
    VEC(property_calendar) calendars;
};

setups *setups_new(zone_set *zones) {
    setups *self = mem_new(1, sizeof *self);
    self->zones = zones;
    num_map_init(&self->entries);
    return self;
}

static void entry_free(entry *each) {
    if (!each) return;
    mem_free((void *)(uintptr_t)each->setup.installations);
    mem_free((void *)(uintptr_t)each->setup.holders);
    mem_free((void *)(uintptr_t)each->setup.versions);
    mem_free((void *)(uintptr_t)each->setup.profiles);
    mem_free(each);
}

#define EVERY_COMPANY 0

static bool is_of(int32_t company, int32_t wanted) { return wanted == EVERY_COMPANY || company == wanted; }

static void forget_entries(setups *self, int32_t company) {
    VEC(int64_t) gone = {0};
    size_t at = 0;
    int64_t num;
    void *value;
    while (num_map_next(&self->entries, &at, &num, &value))
        if (is_of(((const entry *)value)->setup.company, company)) vec_push(&gone, num);
    for (size_t i = 0; i < gone.len; i++) entry_free(num_map_remove(&self->entries, gone.items[i]));
    vec_done(&gone);
}

static void forget_documents(setups *self, int32_t company) {
    size_t kept = 0;
    for (size_t i = 0; i < self->compiled.len; i++) {
        compiled *each = self->compiled.items[i];
        if (!is_of(each->company, company)) {
            self->compiled.items[kept++] = each;
            continue;
        }
        tariff_document_free(each->document);
        price_indices_done(&each->indices);
        mem_free(each);
    }
    self->compiled.len = kept;
    kept = 0;
    for (size_t i = 0; i < self->calendars.len; i++) {
        if (is_of(self->calendars.items[i].company, company))
            day_calendar_free(self->calendars.items[i].calendar);
        else
            self->calendars.items[kept++] = self->calendars.items[i];
    }
    self->calendars.len = kept;
}

void setups_forget(setups *self, int32_t company) {
    forget_entries(self, company);  // first: they borrow from the documents
    forget_documents(self, company);
}

void setups_forget_all(setups *self) { setups_forget(self, EVERY_COMPANY); }

void setups_free(setups *self) {
    if (!self) return;
    setups_forget_all(self);
    num_map_done(&self->entries);
    vec_done(&self->compiled);
    vec_done(&self->calendars);
    mem_free(self);
}

void setups_free_variable(setups **self) { setups_free(*self); }

const charging_setup *setups_find(const setups *self, int64_t usage_point) {
    const entry *found = num_map_find(&self->entries, usage_point);
    return found && found->is_usable ? &found->setup : NULL;
}

const char *setups_fault(const setups *self, int64_t usage_point) {
    const entry *found = num_map_find(&self->entries, usage_point);
    return found && !found->is_usable ? found->fault : NULL;
}

// The answers of one load, each ordered by usage point, and how far each was taken.
typedef struct answers {
    db_rows points, installations, holders, gaps, assignments, rated, versions;
    size_t installation, holder, gap, assignment, decision;
    const setups_knowledge *how;
} answers;

static void answers_auto(answers *self) {
    db_rows_done(&self->points);
    db_rows_done(&self->installations);
    db_rows_done(&self->holders);
    db_rows_done(&self->gaps);
    db_rows_done(&self->assignments);
    db_rows_done(&self->rated);
    db_rows_done(&self->versions);
}

static void refuse(entry *each, const char *what, const char *why) {
    each->is_usable = false;
    snprintf(each->fault, sizeof each->fault, "%s: %s", what, why);
}

static instant_ms time_or(const db_rows *rows, size_t row, int column, instant_ms fallback) {
    return db_is_null(rows, row, column) ? fallback : db_time(rows, row, column);
}

// What a point may use in an hour by its rated power, in register units.
static int64_t most_per_hour(int64_t rated_w, const charging_installation *inst) {
    int64_t most = rated_w * inst->ratio_den / inst->ratio_num;
    return most > 0 ? most : 1;
}

static void take_installations(answers *all, int64_t point, int64_t rated_w, entry *each) {
    const db_rows *rows = &all->installations;
    size_t first = all->installation;
    while (all->installation < rows->len && db_i64(rows, all->installation, 0) == point) all->installation++;
    size_t count = all->installation - first;
    size_t text_bytes = 0;
    for (size_t i = first; i < first + count; i++) text_bytes += db_text(rows, i, 10).len + 1;
    charging_installation *list = mem_new(1, count * sizeof *list + text_bytes);
    char *text = (char *)(list + count);
    for (size_t i = 0; i < count; i++) {
        size_t row = first + i;
        charging_installation *inst = &list[i];
        *inst = (charging_installation){.channel = db_i64(rows, row, 1),
                                        .from = db_time(rows, row, 2),
                                        .to = time_or(rows, row, 3, INSTANT_MAX),
                                        .opening_value = db_i64(rows, row, 4),
                                        .closing_value = db_is_null(rows, row, 5) ? -1 : db_i64(rows, row, 5),
                                        .ratio_num = (int32_t)db_i64(rows, row, 6),
                                        .ratio_den = (int32_t)db_i64(rows, row, 7),
                                        .has_estimated_close = db_bool(rows, row, 11)};
        bool is_dlt645 = sv_equal(db_text(rows, row, 9), SV("dlt645_2007"));  // its display ends at 0.01 kWh
        inst->limits = (reading_limits){most_per_hour(rated_w, inst), db_i64(rows, row, 8), is_dlt645 ? 10 : 1};
        sv names = db_text(rows, row, 10);
        if (names.len) memcpy(text, names.ptr, names.len);
        sv rest = names.len ? (sv){text, names.len} : SV_NONE;
        while (inst->period_count < CHARGING_REGISTERS_MAX && sv_next(&rest, ',', &inst->periods[inst->period_count])) inst->period_count++;
        text += names.len + 1;
    }
    each->setup.installations = list;
    each->setup.installation_count = count;
}

#define HEADS_MAX 64  // changes of one agreement

static void take_heads(const db_rows *rows, size_t row, charging_heads *room, charging_holder *out, entry *each) {
    int64_t from[HEADS_MAX], number[HEADS_MAX];
    size_t count = db_i64_items(rows, row, 7, from, HEADS_MAX);
    if (count > HEADS_MAX || db_i64_items(rows, row, 8, number, HEADS_MAX) != count) {
        refuse(each, "heads", "changed more often than can be kept");
        return;
    }
    for (size_t i = 0; i < count; i++) room[i] = (charging_heads){from[i], (int32_t)number[i]};
    out->heads = room;
    out->heads_count = count;
}

static void take_holders(answers *all, int64_t point, entry *each) {
    const db_rows *rows = &all->holders;
    size_t first = all->holder, heads_total = 0;
    int64_t ignored;
    for (; all->holder < rows->len && db_i64(rows, all->holder, 0) == point; all->holder++)
        heads_total += db_i64_items(rows, all->holder, 7, &ignored, 1);
    size_t count = all->holder - first;
    charging_holder *list = mem_new(1, count * sizeof *list + heads_total * sizeof(charging_heads));
    charging_heads *heads = (charging_heads *)(list + count);
    for (size_t i = 0; i < count; i++) {
        size_t row = first + i;
        list[i] = (charging_holder){.account = db_i64(rows, row, 1),
                                    .purse = db_i64(rows, row, 2),
                                    .from = db_time(rows, row, 3),
                                    .to = time_or(rows, row, 4, INSTANT_MAX),
                                    .opened_at = db_time(rows, row, 5),
                                    .contracted_va = db_is_null(rows, row, 6) ? 0 : db_i64(rows, row, 6)};
        take_heads(rows, row, heads, &list[i], each);
        heads += list[i].heads_count;
    }
    each->setup.holders = list;
    each->setup.holder_count = count;
}

static void take_gaps(answers *all, int64_t point, entry *each) {
    const db_rows *rows = &all->gaps;
    size_t first = all->gap;
    while (all->gap < rows->len && db_i64(rows, all->gap, 0) == point) all->gap++;
    size_t count = all->gap - first;
    if (count == 0) return;
    charging_profile *list = mem_new(count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        size_t row = first + i;
        list[i] = (charging_profile){.from = db_time(rows, row, 1), .to = db_time(rows, row, 2), .longer_than_ms = db_i64(rows, row, 3)};
        fault why = {0};
        if (charging_profile_unpack(db_bytes(rows, row, 4), &list[i], &why)) refuse(each, "gap", why.reason);
    }
    each->setup.profiles = list;
    each->setup.profile_count = count;
}

static err_t calendar_of(setups *self, db *conn, int32_t company, int64_t property, sv name, const day_calendar **out_calendar) {
    for (size_t i = 0; i < self->calendars.len; i++) {
        if (self->calendars.items[i].property != property) continue;
        *out_calendar = self->calendars.items[i].calendar;
        return ERR_OK;
    }
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_SETUP_CALENDAR_DAYS, DB_PARAMS(DB_I32(company), DB_I64(property), DB_TEXT(name)), &rows);
    if (err) return err;
    dated_day *days = mem_new(rows.len, sizeof *days);
    for (size_t i = 0; i < rows.len; i++)
        days[i] = (dated_day){db_date(&rows, i, 0), sv_equal(db_text(&rows, i, 1), SV("holiday")) ? DAY_KIND_HOLIDAY : DAY_KIND_WORKDAY};
    property_calendar made = {company, property, day_calendar_new(days, rows.len)};
    mem_free(days);
    vec_push(&self->calendars, made);
    *out_calendar = made.calendar;
    return ERR_OK;
}

enum { VERSION_COMPANY, VERSION_TARIFF, VERSION_NUM, VERSION_FROM, VERSION_DOCUMENT, VERSION_INDICES, VERSION_IS_KNOWN };

static const compiled *compile(setups *self, const charging_setup *point, const db_rows *versions, size_t row,
                               const day_calendar *calendar) {
    int64_t num = db_i64(versions, row, VERSION_NUM);
    for (size_t i = 0; i < self->compiled.len; i++)
        if (self->compiled.items[i]->version_num == num && self->compiled.items[i]->property == point->property)
            return self->compiled.items[i];
    compiled *made = mem_new(1, sizeof *made);
    made->company = point->company;
    made->version_num = num;
    made->property = point->property;
    tariff_reading how = {.version = (uint64_t)num,
                          .use = TARIFF_FOR_CHARGING,
                          .zones = self->zones,
                          .calendar = calendar,
                          .index_at = db_time(versions, row, VERSION_FROM)};
    fault why = {0};
    err_t err = ERR_OK;
    if (!db_is_null(versions, row, VERSION_INDICES)) {
        err = price_indices_read(db_text(versions, row, VERSION_INDICES), &made->indices, &why);
        how.indices = &made->indices;
    }
    if (!err) err = tariff_document_read(db_text(versions, row, VERSION_DOCUMENT), &how, &made->document, &why);
    if (err) snprintf(made->fault, sizeof made->fault, "%.100s: %.130s", why.place, why.reason);
    vec_push(&self->compiled, made);
    return made;
}

// False when the version is not among the rows: it was never of this company.
static bool version_row(const db_rows *versions, int32_t company, int64_t num, size_t *out_row) {
    for (size_t i = 0; i < versions->len; i++) {
        if (db_i64(versions, i, VERSION_NUM) != num || db_i64(versions, i, VERSION_COMPANY) != company) continue;
        *out_row = i;
        return true;
    }
    return false;
}

// What was decided about the point's usage; returns from where on what is known counts.
static instant_ms take_decisions(answers *all, entry *each, timeline *line) {
    const db_rows *rows = &all->rated;
    const setups_knowledge *how = all->how;
    instant_ms boundary = INSTANT_MIN;
    each->setup.rated_version = -1;
    for (; all->decision < rows->len && db_i64(rows, all->decision, 0) == each->setup.usage_point; all->decision++) {
        int64_t num = db_i64(rows, all->decision, 3), final = db_i64(rows, all->decision, 4);
        if (how->takes_final_indices && final) num = final;
        size_t row = 0;
        if (num && !version_row(&all->versions, each->setup.company, num, &row)) refuse(each, "tariff version", "it was rated by is gone");
        timeline_decide(line, num, db_time(rows, all->decision, 2), row);
        each->setup.rated_version = num;
        boundary = db_time(rows, all->decision, 1);
    }
    return boundary < how->recharged_from ? boundary : how->recharged_from;
}

// The versions that price the point over time, compiled; it cannot be used when one does not compile.
static err_t take_versions(setups *self, db *conn, answers *all, size_t point_row, entry *each) {
    const db_rows *rows = &all->assignments, *versions = &all->versions;
    int64_t point = each->setup.usage_point;
    timeline line = {0};
    for (; all->assignment < rows->len && db_i64(rows, all->assignment, 0) == point; all->assignment++)
        timeline_assign(&line, db_i64(rows, all->assignment, 1), db_time(rows, all->assignment, 2), db_bool(rows, all->assignment, 3));
    for (size_t i = 0; i < versions->len; i++)
        if (db_i64(versions, i, VERSION_COMPANY) == each->setup.company && db_bool(versions, i, VERSION_IS_KNOWN))
            timeline_publish(&line, db_i64(versions, i, VERSION_TARIFF), db_i64(versions, i, VERSION_NUM),
                             db_time(versions, i, VERSION_FROM), i);
    timeline_resolve(&line, take_decisions(all, each, &line));

    const day_calendar *calendar = NULL;
    err_t err = calendar_of(self, conn, each->setup.company, each->setup.property, db_text(&all->points, point_row, 8), &calendar);
    charging_version *list = mem_new(line.spans.len, sizeof *list);
    for (size_t i = 0; !err && i < line.spans.len; i++) {
        const timeline_span *span = &line.spans.items[i];
        list[i] = (charging_version){.from = span->from, .num = span->version_num};
        if (span->version_num == 0) continue;
        const compiled *version = compile(self, &each->setup, versions, span->row, calendar);
        if (version->document)
            list[i].tariff = tariff_document_tariff(version->document);
        else
            refuse(each, "tariff version", version->fault);
        if (list[i].tariff && tariff_currency(list[i].tariff) != each->setup.currency)
            refuse(each, "tariff version", "its currency is not the property's");
    }
    each->setup.versions = list;
    each->setup.version_count = line.spans.len;
    timeline_done(&line);
    return err;
}

static err_t build(setups *self, db *conn, answers *all, size_t row) {
    const db_rows *rows = &all->points;
    entry *each = mem_new(1, sizeof *each);
    each->is_usable = true;
    each->setup = (charging_setup){.company = (int32_t)db_i64(rows, row, 0),
                                   .usage_point = db_i64(rows, row, 1),
                                   .property = db_i64(rows, row, 2),
                                   .partition = (int32_t)db_i64(rows, row, 5),
                                   .legal_entity = db_i64(rows, row, 9),
                                   .gap_after_ms = charging_gap_after_ms(db_i64(rows, row, 10) * SECOND_MS)};
    fault why = {0};
    if (!purpose_parse(db_text(rows, row, 3), &each->setup.item)) refuse(each, "utility", "is none that can be sold");
    if (!currency_parse(db_text(rows, row, 7), &each->setup.currency)) refuse(each, "currency", "is not known");
    if (zone_set_find(self->zones, db_text(rows, row, 6), &each->setup.zone, &why)) refuse(each, "time zone", why.reason);
    take_installations(all, each->setup.usage_point, db_i64(rows, row, 4), each);
    take_holders(all, each->setup.usage_point, each);
    take_gaps(all, each->setup.usage_point, each);
    if (each->setup.holder_count > 0 && each->setup.legal_entity == 0) refuse(each, "seller", "nobody sells this utility in the property");
    err_t err = take_versions(self, conn, all, row, each);
    if (err) {
        entry_free(each);
        return err;
    }
    entry_free(num_map_put(&self->entries, each->setup.usage_point, each));
    return ERR_OK;
}

typedef struct key_arrays {
    int32_t *companies;
    int64_t *nums;
    size_t len;
} key_arrays;

static key_arrays key_arrays_of(const setups_key *keys, size_t count) {
    key_arrays made = {mem_new(count, sizeof(int32_t)), mem_new(count, sizeof(int64_t)), count};
    for (size_t i = 0; i < count; i++) {
        made.companies[i] = keys[i].company;
        made.nums[i] = keys[i].num;
    }
    return made;
}

static void key_arrays_auto(key_arrays *self) {
    mem_free(self->companies);
    mem_free(self->nums);
}

// Each tariff that an assignment names, once.
static key_arrays tariffs_of(const answers *all) {
    const db_rows *rows = &all->assignments;
    key_arrays made = {mem_new(rows->len, sizeof(int32_t)), mem_new(rows->len, sizeof(int64_t)), 0};
    num_map seen;
    num_map_init(&seen);
    for (size_t i = 0, point = 0; i < rows->len; i++) {
        while (db_i64(&all->points, point, 1) != db_i64(rows, i, 0)) point++;
        int64_t num = db_i64(rows, i, 1);
        if (num_map_put(&seen, num, &made)) continue;
        made.companies[made.len] = (int32_t)db_i64(&all->points, point, 0);
        made.nums[made.len++] = num;
    }
    num_map_done(&seen);
    return made;
}

// The versions that decisions name, or that took their place.
static key_arrays decided_of(const answers *all) {
    const db_rows *rows = &all->rated;
    key_arrays made = {mem_new(2 * rows->len, sizeof(int32_t)), mem_new(2 * rows->len, sizeof(int64_t)), 0};
    for (size_t i = 0, point = 0; i < rows->len; i++) {
        while (db_i64(&all->points, point, 1) != db_i64(rows, i, 0)) point++;
        for (int column = 3; column <= 4; column++) {
            if (!db_i64(rows, i, column)) continue;
            made.companies[made.len] = (int32_t)db_i64(&all->points, point, 0);
            made.nums[made.len++] = db_i64(rows, i, column);
        }
    }
    return made;
}

static err_t load_versions(db *conn, answers *all) {
    AUTO(key_arrays) tariffs = tariffs_of(all);
    AUTO(key_arrays) decided = decided_of(all);
    return db_query(
        conn, &SQL_SETUP_VERSIONS,
        DB_PARAMS(DB_I32_ARRAY(tariffs.companies, tariffs.len), DB_I64_ARRAY(tariffs.nums, tariffs.len), DB_TIME(all->how->known_at),
                  DB_I32_ARRAY(decided.companies, decided.len), DB_I64_ARRAY(decided.nums, decided.len)),
        &all->versions);
}

err_t setups_load_as(setups *self, db *conn, const setups_key *points, size_t count, const setups_knowledge *how) {
    AUTO(key_arrays) keys = key_arrays_of(points, count);
    db_param companies = DB_I32_ARRAY(keys.companies, keys.len);
    db_param nums = DB_I64_ARRAY(keys.nums, keys.len);
    AUTO(answers) all = {.how = how};
    err_t err = db_query(conn, &SQL_SETUP_POINTS, DB_PARAMS(companies, nums), &all.points);
    if (!err) err = db_query(conn, &SQL_SETUP_INSTALLATIONS, DB_PARAMS(companies, nums), &all.installations);
    if (!err) err = db_query(conn, &SQL_SETUP_HOLDERS, DB_PARAMS(companies, nums), &all.holders);
    if (!err) err = db_query(conn, &SQL_SETUP_GAPS, DB_PARAMS(companies, nums), &all.gaps);
    if (!err) err = db_query(conn, &SQL_SETUP_ASSIGNMENTS, DB_PARAMS(companies, nums, DB_TIME(how->known_at)), &all.assignments);
    if (!err) err = db_query(conn, &SQL_SETUP_RATED, DB_PARAMS(companies, nums, DB_TIME(how->decided_until)), &all.rated);
    if (!err) err = load_versions(conn, &all);
    for (size_t row = 0; !err && row < all.points.len; row++) err = build(self, conn, &all, row);
    return err;
}

err_t setups_load(setups *self, db *conn, const setups_key *points, size_t count, instant_ms known_at) {
    setups_knowledge how = {.known_at = known_at, .recharged_from = INSTANT_MAX, .decided_until = INSTANT_MAX};
    return setups_load_as(self, conn, points, count, &how);
}

void setups_add_gap(setups *self, int64_t usage_point, const charging_profile *gap) {
    entry *found = num_map_find(&self->entries, usage_point);
    if (!found) return;
    charging_setup *setup = &found->setup;
    charging_profile *list = (charging_profile *)(uintptr_t)setup->profiles;
    list = mem_grow(list, setup->profile_count + 1, sizeof *list);
    list[setup->profile_count++] = *gap;
    setup->profiles = list;
}

void setups_drop_gap(setups *self, int64_t usage_point, instant_ms from, instant_ms to) {
    entry *found = num_map_find(&self->entries, usage_point);
    if (!found) return;
    charging_profile *list = (charging_profile *)(uintptr_t)found->setup.profiles;
    size_t kept = 0;
    for (size_t i = 0; i < found->setup.profile_count; i++)
        if (list[i].from != from || list[i].to != to) list[kept++] = list[i];
    found->setup.profile_count = kept;
}

err_t setups_channels(db *conn, const setups_key *channels, size_t count, setups_channel_points *out) {
    AUTO(key_arrays) keys = key_arrays_of(channels, count);
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_SETUP_CHANNEL_POINTS,
                         DB_PARAMS(DB_I32_ARRAY(keys.companies, keys.len), DB_I64_ARRAY(keys.nums, keys.len)), &rows);
    for (size_t i = 0; !err && i < rows.len; i++) {
        setups_channel_point pair = {db_i64(&rows, i, 0), db_i64(&rows, i, 1)};
        vec_push(out, pair);
    }
    return err;
}
