// From JSON to a tariff spec; rating then checks the rules that span the document.
#include "documents/tariff_document.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "reading.h"
#include "tariff_lines.h"

#define SPEC_BYTES_MAX (8UL * 1024 * 1024)
#define HOLIDAYS_MAX 2000

struct tariff_document {
    tariff *tariff;
    day_calendar *own_calendar;
    size_t index_count;
    const price_index *indices[TARIFF_INDICES_MAX];
};

typedef struct document_reading {
    const tariff_reading *how;
    json_reader *reader;
    arena *arena;
    tariff_spec *spec;
    tariff_document *out;
    fault *fault;
} document_reading;

static void read_periods(document_reading *d, const json_node *root) {
    json_node periods = json_optional(d->reader, root, "periods");
    if (!json_is_present(&periods)) return;
    d->spec->period_count = read_array_len(d->reader, &periods, 1, TARIFF_PERIODS_MAX);
    for (size_t i = 0; i < d->spec->period_count; i++) {
        json_node item = json_item(d->reader, &periods, i);
        d->spec->periods[i] = json_read_text_bounded(d->reader, &item, TARIFF_NAME_MAX);
    }
}

// "HH:MM", 24:00 included.
static int32_t read_minute(json_reader *r, const json_node *node) {
    sv text = json_read_text(r, node);
    if (json_reader_failed(r)) return 0;
    bool shaped = text.len == 5 && text.ptr[2] == ':';
    for (size_t i = 0; shaped && i < 5; i++) shaped = i == 2 || (text.ptr[i] >= '0' && text.ptr[i] <= '9');
    int32_t hour = shaped ? (text.ptr[0] - '0') * 10 + (text.ptr[1] - '0') : 99;
    int32_t minute = shaped ? (text.ptr[3] - '0') * 10 + (text.ptr[4] - '0') : 0;
    if (minute > 59 || hour > 24 || (hour == 24 && minute > 0)) json_refuse(r, node, "not a time of day (HH:MM)");
    return hour * 60 + minute;
}

static month_day read_month_day(json_reader *r, const json_node *node) {
    month_day read = {1, 1};
    sv text = json_read_text(r, node);
    if (!json_reader_failed(r) && !month_day_parse(text, &read)) json_refuse(r, node, "not a month-day (MM-DD)");
    return read;
}

static tariff_band read_band(document_reading *d, const json_node *node) {
    static const char *const KEYS[] = {"from", "to", "period", NULL};
    json_reader *r = d->reader;
    json_allow_only(r, node, KEYS);
    json_node from = json_member(r, node, "from");
    json_node to = json_member(r, node, "to");
    json_node period = json_member(r, node, "period");
    tariff_band band = {.from_minute = read_minute(r, &from), .to_minute = read_minute(r, &to)};
    if (!json_reader_failed(r) && band.from_minute == 1440) json_refuse(r, &from, "a band begins before 24:00");
    sv name = json_read_text(r, &period);
    if (json_reader_failed(r)) return band;
    if (d->spec->period_count == 0 && sv_equal(name, SV("flat"))) return band;
    for (size_t i = 0; i < d->spec->period_count; i++) {
        if (!sv_equal(d->spec->periods[i], name)) continue;
        band.period = (uint32_t)i;
        return band;
    }
    json_refuse(r, &period, "unknown period");
    return band;
}

static uint32_t read_days(json_reader *r, const json_node *node) {
    uint32_t days = 0;
    size_t count = read_array_len(r, node, 1, DAY_KIND_COUNT);
    for (size_t i = 0; i < count; i++) {
        json_node item = json_item(r, node, i);
        sv text = json_read_text(r, &item);
        day_kind kind;
        if (json_reader_failed(r)) return 0;
        if (!day_kind_parse(text, &kind))
            json_refuse(r, &item, "not a kind of day");
        else if (days & DAY_KIND_BIT(kind))
            json_refuse(r, &item, "day named twice");
        else
            days |= DAY_KIND_BIT(kind);
    }
    return days;
}

static int32_t read_flag(document_reading *d, const json_node *node) {
    if (!json_is_present(node)) return -1;
    sv name = json_read_text(d->reader, node);
    for (size_t i = 0; i < d->spec->flag_count; i++)
        if (sv_equal(d->spec->flags[i].name, name)) return (int32_t)i;
    json_refuse(d->reader, node, "no \"flagged_days\" of this name");
    return -1;
}

static tariff_row read_row(document_reading *d, const json_node *node) {
    static const char *const KEYS[] = {"from", "to", "days", "flag", "bands", NULL};
    json_reader *r = d->reader;
    json_allow_only(r, node, KEYS);
    json_node from = json_member(r, node, "from");
    json_node to = json_member(r, node, "to");
    json_node days = json_member(r, node, "days");
    json_node flag = json_optional(r, node, "flag");
    json_node bands = json_member(r, node, "bands");
    tariff_row row = {
        .from = read_month_day(r, &from), .to = read_month_day(r, &to), .days = read_days(r, &days), .flag = read_flag(d, &flag)};
    row.band_count = read_array_len(r, &bands, 1, TARIFF_BANDS_MAX);
    tariff_band *list = ARENA_ARRAY(d->arena, tariff_band, row.band_count);
    for (size_t i = 0; i < row.band_count; i++) {
        json_node item = json_item(r, &bands, i);
        list[i] = read_band(d, &item);
    }
    row.bands = list;
    return row;
}

static void read_calendar(document_reading *d, const json_node *root) {
    json_node calendar = json_optional(d->reader, root, "calendar");
    if (!json_is_present(&calendar)) return;
    size_t count = read_array_len(d->reader, &calendar, 1, TARIFF_ROWS_MAX);
    tariff_row *rows = ARENA_ARRAY(d->arena, tariff_row, count);
    for (size_t i = 0; i < count; i++) {
        json_node item = json_item(d->reader, &calendar, i);
        rows[i] = read_row(d, &item);
    }
    d->spec->row_count = count;
    d->spec->rows = rows;
}

static void read_flagged_days(document_reading *d, const json_node *root) {
    json_reader *r = d->reader;
    json_node flagged = json_optional(r, root, "flagged_days");
    if (!json_is_present(&flagged)) return;
    json_node member = {0};
    while (json_next(r, &flagged, &member)) {
        if (d->spec->flag_count == TARIFF_FLAGS_MAX) json_refuse(r, &flagged, "more than %d flags", TARIFF_FLAGS_MAX);
        size_t count = read_array_len(r, &member, 0, TARIFF_FLAGGED_DAYS_MAX);
        if (json_reader_failed(r)) return;
        int64_t *days = ARENA_ARRAY(d->arena, int64_t, count);
        for (size_t i = 0; i < count; i++) {
            json_node item = json_item(r, &member, i);
            days[i] = read_date(r, &item);
        }
        d->spec->flags[d->spec->flag_count++] = (tariff_flag){sv_of(member.key), count, days};
    }
}

// Dates of one of the two lists, added behind `count` others.
static size_t read_dates(document_reading *d, const json_node *root, const char *key, day_kind kind, dated_day *days, size_t count) {
    json_node list = json_optional(d->reader, root, key);
    size_t len = json_is_present(&list) ? read_array_len(d->reader, &list, 0, HOLIDAYS_MAX) : 0;
    for (size_t i = 0; i < len; i++) {
        json_node item = json_item(d->reader, &list, i);
        days[count++] = (dated_day){read_date(d->reader, &item), kind};
    }
    return count;
}

// A loaded calendar wins over the lists inside the document.
static void read_holidays(document_reading *d, const json_node *root) {
    dated_day *days = ARENA_ARRAY(d->arena, dated_day, 2UL * HOLIDAYS_MAX);
    size_t count = read_dates(d, root, "holidays", DAY_KIND_HOLIDAY, days, 0);
    count = read_dates(d, root, "workdays", DAY_KIND_WORKDAY, days, count);
    json_node name = json_optional(d->reader, root, "calendar_name");
    if (json_is_present(&name)) (void)json_read_text_bounded(d->reader, &name, TARIFF_NAME_MAX);
    if (json_reader_failed(d->reader)) return;
    d->out->own_calendar = day_calendar_new(days, count);
    json_node workdays = json_optional(d->reader, root, "workdays");
    if (!d->out->own_calendar) json_refuse(d->reader, &workdays, "a day is both holiday and workday");
    d->spec->calendar = json_is_present(&name) && d->how->calendar ? d->how->calendar : d->out->own_calendar;
}

// "3120", or {"base": "2520", "per_head": "360", "heads_above": 4}.
static void read_edge(document_reading *d, const json_node *node, size_t at) {
    static const char *const KEYS[] = {"base", "per_head", "heads_above", NULL};
    json_reader *r = d->reader;
    if (json_node_kind(node) != JSON_KIND_OBJECT) {
        d->spec->upper_milli[at] = read_positive_decimal(r, node, 3);
        return;
    }
    json_allow_only(r, node, KEYS);
    json_node base = json_member(r, node, "base");
    json_node per_head = json_member(r, node, "per_head");
    json_node above = json_optional(r, node, "heads_above");
    d->spec->upper_milli[at] = read_positive_decimal(r, &base, 3);
    d->spec->per_head_milli[at] = read_positive_decimal(r, &per_head, 3);
    if (json_is_present(&above)) d->spec->heads_above[at] = (int32_t)json_read_integer(r, &above, 0, TARIFF_HEADS_MAX);
}

static void read_window(document_reading *d, const json_node *tiers) {
    json_reader *r = d->reader;
    window_rule *rule = &d->spec->over;
    json_node over = json_member(r, tiers, "over");
    sv text = json_read_text(r, &over);
    if (json_reader_failed(r)) return;
    if (!window_kind_parse(text, &rule->kind) || rule->kind == WINDOW_DAY || rule->kind == WINDOW_LIFE)
        json_refuse(r, &over, "must be month, year, season or billing_period");
    json_node billing_day = json_optional(r, tiers, "billing_day");
    if (json_is_present(&billing_day)) rule->billing_day = (int32_t)json_read_integer(r, &billing_day, 1, 28);
    json_node starts = json_optional(r, tiers, "season_starts");
    if (!json_is_present(&starts)) {
        if (rule->kind == WINDOW_SEASON) json_refuse(r, tiers, "\"season_starts\" is missing");
        return;
    }
    if (rule->kind != WINDOW_SEASON) json_refuse(r, &starts, "only seasons have starts");
    rule->season_count = read_array_len(r, &starts, 1, WINDOW_SEASONS_MAX);
    for (size_t i = 0; i < rule->season_count; i++) {
        json_node item = json_item(r, &starts, i);
        rule->seasons[i] = read_month_day(r, &item);
    }
}

static void read_tiers(document_reading *d, const json_node *root) {
    static const char *const KEYS[] = {"over", "kind", "upper", "billing_day", "season_starts", "prorate_opening", NULL};
    json_reader *r = d->reader;
    json_node tiers = json_optional(r, root, "tiers");
    if (!json_is_present(&tiers)) return;
    json_allow_only(r, &tiers, KEYS);
    d->spec->has_tiers = true;
    read_window(d, &tiers);
    json_node kind = json_optional(r, &tiers, "kind");
    sv text = json_is_present(&kind) ? json_read_text(r, &kind) : SV("graduated");
    if (!json_reader_failed(r) && !tier_kind_parse(text, &d->spec->tier_kind)) json_refuse(r, &kind, "must be graduated or volume");
    json_node opening = json_optional(r, &tiers, "prorate_opening");
    d->spec->prorates_opening = json_is_present(&opening) && json_read_boolean(r, &opening);
    json_node upper = json_member(r, &tiers, "upper");
    d->spec->upper_count = read_array_len(r, &upper, 1, TARIFF_TIERS_MAX - 1);
    for (size_t i = 0; i < d->spec->upper_count; i++) {
        json_node item = json_item(r, &upper, i);
        read_edge(d, &item, i);
    }
}

static void read_rounding(document_reading *d, const json_node *root) {
    static const char *const KEYS[] = {"mode", "scale", "at", NULL};
    json_reader *r = d->reader;
    json_node rounding = json_member(r, root, "rounding");
    json_allow_only(r, &rounding, KEYS);
    json_node mode = json_member(r, &rounding, "mode");
    json_node scale = json_member(r, &rounding, "scale");
    json_node at = json_member(r, &rounding, "at");
    sv mode_text = json_read_text(r, &mode);
    if (!json_reader_failed(r) && !rounding_mode_parse(mode_text, &d->spec->rounding))
        json_refuse(r, &mode, "must be half_up, half_even, truncate or ceil");
    d->spec->rounding_scale = (int32_t)json_read_integer(r, &scale, 0, MONEY_SCALE);
    sv at_text = json_read_text(r, &at);
    d->spec->rounds_each_line = sv_equal(at_text, SV("line"));
    if (!d->spec->rounds_each_line && !sv_equal(at_text, SV("total"))) json_refuse(r, &at, "must be total or line");
}

static void read_head(document_reading *d, const json_node *root) {
    json_reader *r = d->reader;
    json_node code = json_member(r, root, "code");
    json_node use = json_member(r, root, "utility");
    json_node unit = json_member(r, root, "unit");
    json_node money = json_member(r, root, "currency");
    json_node place = json_member(r, root, "time_zone");
    json_node from = json_member(r, root, "effective_from");
    d->spec->code = json_read_text_bounded(r, &code, TARIFF_NAME_MAX);
    sv utility_text = json_read_text(r, &use);
    d->spec->unit = json_read_text(r, &unit);
    sv currency_text = json_read_text(r, &money);
    sv zone_text = json_read_text_bounded(r, &place, ZONE_NAME_MAX - 1);
    d->spec->effective_from = json_read_instant(r, &from);
    if (json_reader_failed(r)) return;
    if (!utility_parse(utility_text, &d->spec->utility)) json_refuse(r, &use, "unknown utility");
    if (!currency_parse(currency_text, &d->spec->currency)) json_refuse(r, &money, "unknown currency");
    fault why = {0};
    if (zone_set_find(d->how->zones, zone_text, &d->spec->zone, &why)) json_refuse(r, &place, "%s", why.reason);
}

static void read_root(document_reading *d, const json_node *root) {
    static const char *const KEYS[] = {
        "code",          "utility",      "unit",     "currency", "time_zone", "effective_from", "periods",  "calendar",
        "calendar_name", "flagged_days", "holidays", "workdays", "tiers",     "lines",          "rounding", NULL};
    json_allow_only(d->reader, root, KEYS);
    read_head(d, root);
    read_periods(d, root);
    read_flagged_days(d, root);
    read_calendar(d, root);
    read_holidays(d, root);
    read_tiers(d, root);
    read_rounding(d, root);
    if (json_reader_failed(d->reader)) return;
    index_reading indices = {.indices = d->how->indices, .month = price_index_month(d->spec->zone, d->how->index_at)};
    tariff_lines_read(d->reader, d->arena, root, d->spec, &indices);
    d->out->index_count = indices.used_count;
    memcpy(d->out->indices, indices.used, indices.used_count * sizeof indices.used[0]);
}

err_t tariff_document_read(sv json, const tariff_reading *how, tariff_document **out_document, fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(json, (json_limits){TARIFF_DOCUMENT_BYTES_MAX, JSON_DEPTH_MAX}, &doc, out_fault);
    if (err) return err;
    AUTO_ARENA memory = arena_new(SPEC_BYTES_MAX);
    AUTO_TARIFF_DOCUMENT self = mem_new(1, sizeof *self);
    json_reader reader;
    json_reader_init(&reader);
    tariff_spec spec = {.version = how->version ? how->version : 1};
    document_reading d = {.how = how, .reader = &reader, .arena = memory, .spec = &spec, .out = self, .fault = out_fault};
    json_node root = json_root(doc);
    read_root(&d, &root);
    err = json_reader_fault(&reader, out_fault);
    if (!err) err = tariff_new(&spec, how->use, &self->tariff, out_fault);
    if (err) return err;
    *out_document = self;
    self = NULL;
    return ERR_OK;
}

void tariff_document_free(tariff_document *self) {
    if (!self) return;
    tariff_free(self->tariff);
    day_calendar_free(self->own_calendar);
    mem_free(self);
}

void tariff_document_free_variable(tariff_document **self) { tariff_document_free(*self); }

const tariff *tariff_document_tariff(const tariff_document *self) { return self->tariff; }

size_t tariff_document_index_count(const tariff_document *self) { return self->index_count; }

const price_index *tariff_document_index(const tariff_document *self, size_t at) {
    CHECK(at < self->index_count);
    return self->indices[at];
}

bool tariff_document_is_provisional(const tariff_document *self) {
    for (size_t i = 0; i < self->index_count; i++)
        if (self->indices[i]->is_provisional) return true;
    return false;
}
