#include "tariff_store.h"

#include <stdio.h>

#include "ctl_sql.h"
#include "file.h"
#include "json/json.h"
#include "money/money.h"

typedef struct text_reading {
    json_reader reader;
    arena *memory;
    tariff_text *out;
} text_reading;

static sv read_number(text_reading *t, const json_node *node) {
    if (json_node_kind(node) == JSON_KIND_OBJECT) return SV("by index");
    char scratch[JSON_DECIMAL_TEXT_MAX], text[DECIMAL_TEXT_MAX];
    int64_t value = 0;
    if (decimal_parse(json_read_decimal_text(&t->reader, node, scratch), MONEY_SCALE, &value) != DECIMAL_OK) return SV_NONE;
    return arena_copy(t->memory, (sv){text, decimal_format(value, MONEY_SCALE, 0, text)});
}

static void add_number(text_reading *t, sv line, sv period, int64_t tier, const json_node *node) {
    tariff_number made = {line, period, tier, read_number(t, node)};
    vec_push(&t->out->numbers, made);
}

static void read_prices(text_reading *t, sv line, const json_node *prices) {
    json_node member = {0};
    while (json_next(&t->reader, prices, &member)) {
        sv period = arena_copy(t->memory, sv_of(member.key));
        bool is_list = json_node_kind(&member) == JSON_KIND_ARRAY;
        size_t count = is_list ? json_array_len(&t->reader, &member) : 1;
        for (size_t i = 0; i < count; i++) {
            json_node item = is_list ? json_item(&t->reader, &member, i) : member;
            add_number(t, line, period, count == 1 ? 0 : (int64_t)i + 1, &item);
        }
    }
}

static void read_lines(text_reading *t, const json_node *root) {
    static const char *const NUMBERS[] = {"amount", "rate", "price", "free_quantity"};
    json_node lines = json_member(&t->reader, root, "lines");
    size_t count = json_array_len(&t->reader, &lines);
    for (size_t i = 0; i < count; i++) {
        json_node line = json_item(&t->reader, &lines, i);
        json_node name = json_member(&t->reader, &line, "name");
        sv name_text = arena_copy(t->memory, json_read_text(&t->reader, &name));
        json_node prices = json_optional(&t->reader, &line, "prices");
        if (json_is_present(&prices)) read_prices(t, name_text, &prices);
        for (size_t k = 0; k < ARRAY_LEN(NUMBERS); k++) {
            json_node number = json_optional(&t->reader, &line, NUMBERS[k]);
            if (json_is_present(&number)) add_number(t, name_text, sv_of(NUMBERS[k]), 0, &number);
        }
    }
}

static void read_tiers(text_reading *t, const json_node *root) {
    json_node tiers = json_optional(&t->reader, root, "tiers");
    if (!json_is_present(&tiers)) return;
    json_node upper = json_member(&t->reader, &tiers, "upper");
    size_t count = json_array_len(&t->reader, &upper);
    for (size_t i = 0; i < count; i++) {
        json_node item = json_item(&t->reader, &upper, i);
        json_node base = json_node_kind(&item) == JSON_KIND_OBJECT ? json_member(&t->reader, &item, "base") : item;
        add_number(t, SV("tiers"), SV("upper edge"), (int64_t)i + 1, &base);
    }
}

static sv read_member(text_reading *t, const json_node *root, const char *key) {
    json_node member = json_member(&t->reader, root, key);
    return arena_copy(t->memory, json_read_text(&t->reader, &member));
}

// What is wrong with it is told by who reads the whole document.
static instant_ms own_effective_from(const json_doc *doc) {
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    json_node from = json_member(&r, &root, "effective_from");
    instant_ms at = json_read_instant(&r, &from);
    return json_reader_failed(&r) ? 0 : at;
}

err_t tariff_text_read(sv json, tariff_use use, zone_set *zones, const price_indices *indices, arena *memory, tariff_text *out_text,
                       fault *out_fault) {
    *out_text = (tariff_text){.json = arena_copy(memory, json)};
    AUTO_JSON doc = NULL;
    err_t err = json_parse(json, JSON_LIMITS_DOCUMENT, &doc, out_fault);
    if (err) return err;
    tariff_reading how = {.use = use, .zones = zones, .indices = indices, .index_at = own_effective_from(doc)};
    err = tariff_document_read(json, &how, &out_text->document, out_fault);
    if (err) return err;
    text_reading t = {.memory = memory, .out = out_text};
    json_reader_init(&t.reader);
    json_node root = json_root(doc);
    out_text->code = read_member(&t, &root, "code");
    out_text->utility = read_member(&t, &root, "utility");
    out_text->currency = read_member(&t, &root, "currency");
    out_text->zone = read_member(&t, &root, "time_zone");
    out_text->effective_from = tariff_effective_from(tariff_document_tariff(out_text->document));
    read_lines(&t, &root);
    read_tiers(&t, &root);
    return json_reader_fault(&t.reader, out_fault);
}

int tariff_text_read_file(const char *path, zone_set *zones, const price_indices *indices, arena *memory, tariff_text *out_text) {
    sv json;
    fault why = {0};
    if (!ctl_file_read(path, TARIFF_DOCUMENT_BYTES_MAX, memory, &json)) return CTL_BAD_INPUT;
    return tariff_text_read(json, TARIFF_FOR_CHARGING, zones, indices, memory, out_text, &why) ? ctl_fault(path, &why) : CTL_OK;
}

void tariff_text_done(tariff_text *self) {
    vec_done(&self->numbers);
    tariff_document_free(self->document);
    self->document = NULL;
}

void tariff_text_auto(tariff_text *self) { tariff_text_done(self); }

const tariff_number *tariff_text_find(const tariff_text *self, const tariff_number *like) {
    for (size_t i = 0; i < self->numbers.len; i++) {
        const tariff_number *each = &self->numbers.items[i];
        bool is_tier = each->tier == like->tier || each->tier == 0;
        if (is_tier && sv_equal(each->line, like->line) && sv_equal(each->period, like->period)) return each;
    }
    return NULL;
}

int tariff_company(db *conn, const char *code, bool locks, int32_t *out_company) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, locks ? &SQL_TARIFF_COMPANY_LOCK : &SQL_VERIFY_COMPANY, DB_PARAMS(DB_CSTR(code)), &row);
    if (err == ERR_NOT_FOUND) {
        ctl_say("--company: there is no company '%s'", code);
        return CTL_BAD_INPUT;
    }
    if (!err) *out_company = (int32_t)db_i64(&row, 0, 0);
    if (!err) err = db_set_company(conn, *out_company);
    return err ? ctl_db_fault(conn, "finding the company", err) : CTL_OK;
}

err_t tariff_find(db *conn, int32_t company, sv code, sv sha256, arena *memory, tariff_known *out_known) {
    AUTO(db_rows) rows = {0};
    *out_known = (tariff_known){0};
    err_t err = db_query(conn, &SQL_TARIFF_FIND, DB_PARAMS(DB_I32(company), DB_TEXT(code), DB_BYTES(sha256)), &rows);
    if (err || rows.len == 0) return err;
    *out_known = (tariff_known){.num = db_i64(&rows, 0, 0),
                                .id = db_uuid(&rows, 0, 1),
                                .name = arena_copy(memory, db_text(&rows, 0, 2)),
                                .utility = arena_copy(memory, db_text(&rows, 0, 3)),
                                .version = db_i64(&rows, 0, 4),
                                .document = arena_copy(memory, db_text(&rows, 0, 5)),
                                .last_from = db_time(&rows, 0, 6),
                                .first_from = db_time(&rows, 0, 7),
                                .is_assigned = db_bool(&rows, 0, 8),
                                .same_version = db_i64(&rows, 0, 9)};
    return ERR_OK;
}

const char *tariff_time(arena *memory, const zone *in_zone, instant_ms at) {
    char text[INSTANT_TEXT_MAX];
    size_t len = instant_format(at, zone_stretch_at(in_zone, at).offset_s, text);
    return arena_cstr(memory, (sv){text, len});
}

#define REFUSE(...) (snprintf(out_reason, TARIFF_REASON_MAX, __VA_ARGS__), true)

bool tariff_is_refused(const tariff_known *known, const tariff_text *next, zone_set *zones, const price_indices *indices, arena *memory,
                       instant_ms now, bool retroactive, char out_reason[TARIFF_REASON_MAX]) {
    if (known->num == 0) return false;
    const zone *in_zone = tariff_zone(tariff_document_tariff(next->document));
    if (known->same_version) return REFUSE("this document is published already: version %lld", (long long)known->same_version);
    if (!sv_equal(known->utility, next->utility)) return REFUSE("/utility: the tariff is for %.*s", SV_ARG(known->utility));
    AUTO(tariff_text) newest = {0};
    fault why = {0};
    if (tariff_text_read(known->document, TARIFF_FOR_CHARGING, zones, indices, memory, &newest, &why))
        return REFUSE("version %lld cannot be read: %.100s: %.130s", (long long)known->version, why.place, why.reason);
    if (!sv_equal(newest.currency, next->currency)) return REFUSE("/currency: the tariff's is %.*s", SV_ARG(newest.currency));
    if (!sv_equal(newest.zone, next->zone)) return REFUSE("/time_zone: the tariff's is %.*s", SV_ARG(newest.zone));
    if (retroactive) return false;
    if (next->effective_from <= known->last_from)
        return REFUSE("/effective_from: must lie after %s, where the newest version takes effect; or give --retroactive",
                      tariff_time(memory, in_zone, known->last_from));
    if (known->is_assigned && next->effective_from < now)
        return REFUSE("/effective_from: lies in the past, and the tariff is assigned; or give --retroactive");
    return false;
}
