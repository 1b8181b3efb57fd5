#include "documents/usage_document.h"

#include <stdio.h>

#include "base/mem.h"
#include "reading.h"

#define MILLI_SCALE 3
#define CSV_LINE_BYTES_MAX 256

// {"peak": "180", …}; a period that is not named has used nothing.
static void read_quantities(json_reader *r, const json_node *node, const tariff *tariff_of, int64_t *quantities) {
    json_node member = {0};
    while (json_next(r, node, &member)) {
        size_t period;
        if (!tariff_find_period(tariff_of, sv_of(member.key), &period)) {
            json_refuse(r, &member, "the tariff has no such period");
            return;
        }
        quantities[period] = read_positive_decimal(r, &member, MILLI_SCALE);
    }
}

// A plain number is used before in an unnamed period: it counts towards the tiers in the last one.
static void read_used_before(json_reader *r, const json_node *node, const tariff *tariff_of, int64_t *quantities) {
    if (!json_is_present(node)) return;
    if (json_node_kind(node) == JSON_KIND_OBJECT)
        read_quantities(r, node, tariff_of, quantities);
    else
        quantities[tariff_period_count(tariff_of) - 1] = read_positive_decimal(r, node, MILLI_SCALE);
}

err_t usage_document_read(sv json, const tariff *tariff_of, usage_document *out_usage, fault *out_fault) {
    static const char *const KEYS[] = {"from",           "to",           "quantities", "tier_used", "max_demand_kw",
                                       "contracted_kva", "power_factor", "heads",      "opened_at", NULL};
    AUTO_JSON doc = NULL;
    err_t err = json_parse(json, (json_limits){USAGE_DOCUMENT_BYTES_MAX, JSON_DEPTH_MAX}, &doc, out_fault);
    if (err) return err;
    json_reader reader;
    json_reader *r = &reader;
    json_reader_init(r);
    json_node root = json_root(doc);
    json_allow_only(r, &root, KEYS);
    json_node from = json_member(r, &root, "from");
    json_node to = json_member(r, &root, "to");
    json_node quantities = json_member(r, &root, "quantities");
    json_node used = json_optional(r, &root, "tier_used");
    json_node demand = json_optional(r, &root, "max_demand_kw");
    json_node contract = json_optional(r, &root, "contracted_kva");
    json_node factor = json_optional(r, &root, "power_factor");
    json_node heads = json_optional(r, &root, "heads");
    json_node opened = json_optional(r, &root, "opened_at");
    usage_document usage = {.from = json_read_instant(r, &from), .to = json_read_instant(r, &to)};
    if (!json_reader_failed(r) && usage.from >= usage.to) json_refuse(r, &to, "must be after \"from\"");
    read_quantities(r, &quantities, tariff_of, usage.quantity_milli);
    read_used_before(r, &used, tariff_of, usage.used_before_milli);
    if (json_is_present(&demand)) usage.max_demand_w = read_positive_decimal(r, &demand, MILLI_SCALE);
    if (json_is_present(&contract)) usage.contracted_va = read_positive_decimal(r, &contract, MILLI_SCALE);
    if (json_is_present(&factor)) usage.power_factor_micro = read_positive_decimal(r, &factor, 6);
    if (usage.power_factor_micro > 1000000) json_refuse(r, &factor, "must be within 0 and 1");
    if (json_is_present(&heads)) usage.heads = (int32_t)json_read_integer(r, &heads, 0, TARIFF_HEADS_MAX);
    if (json_is_present(&opened)) usage.opened_at = json_read_instant(r, &opened);
    err = json_reader_fault(r, out_fault);
    if (err) return err;
    *out_usage = usage;
    return ERR_OK;
}

err_t usage_document_from(sv json, instant_ms *out_from, fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(json, (json_limits){USAGE_DOCUMENT_BYTES_MAX, JSON_DEPTH_MAX}, &doc, out_fault);
    if (err) return err;
    json_reader reader;
    json_reader_init(&reader);
    json_node root = json_root(doc);
    json_node from = json_member(&reader, &root, "from");
    instant_ms at = json_read_instant(&reader, &from);
    err = json_reader_fault(&reader, out_fault);
    if (!err) *out_from = at;
    return err;
}

static err_t refuse_line(fault *out_fault, size_t line, const char *reason) {
    char place[32];
    snprintf(place, sizeof place, "line %zu", line);
    return fault_set(out_fault, ERR_BAD_INPUT, place, "%s", reason);
}

// One "read_at,value" row.
static const char *read_row(sv row, register_reading *out_reading) {
    sv rest = row;
    sv at, value, more;
    if (row.len > CSV_LINE_BYTES_MAX) return "the line is too long";
    if (!sv_next(&rest, ',', &at) || !sv_next(&rest, ',', &value) || sv_next(&rest, ',', &more))
        return "two fields are needed: read_at,value";
    if (!instant_parse(sv_trim(at), &out_reading->at)) return "read_at is not an RFC 3339 time with offset";
    decimal_answer answer = decimal_parse(sv_trim(value), MILLI_SCALE, &out_reading->value_milli);
    if (answer == DECIMAL_TOO_PRECISE) return "value has more than 3 decimals";
    if (answer != DECIMAL_OK) return "value is not a decimal number";
    return out_reading->value_milli < 0 ? "value must not be negative" : NULL;
}

// What is wrong with a reading behind the last one, or NULL.
static const char *check_order(const readings_csv *readings, const register_reading *next) {
    if (readings->list.len == 0) return NULL;
    const register_reading *last = &readings->list.items[readings->list.len - 1];
    if (next->at == last->at) return "a second reading of the same time";
    if (next->at < last->at) return "read_at must rise";
    return next->value_milli < last->value_milli ? "the register went backwards" : NULL;
}

err_t readings_csv_read(sv text, readings_csv *out_readings, fault *out_fault) {
    *out_readings = (readings_csv){0};
    if (text.len > READINGS_CSV_BYTES_MAX) return fault_set(out_fault, ERR_TOO_LARGE, "line 1", "more than 256 MiB");
    if (sv_starts_with(text, SV("\xEF\xBB\xBF"))) text = sv_skip(text, 3);
    sv row;
    const char *reason = NULL;
    size_t line = 1;
    if (!sv_next(&text, '\n', &row) || !sv_equal(sv_trim(row), SV("read_at,value"))) reason = "the header must be read_at,value";
    for (line = reason ? 1 : 2; !reason && sv_next(&text, '\n', &row); line++) {
        row = sv_trim(row);
        if (row.len == 0 && text.len == 0) break;  // the end of the last line
        register_reading next;
        reason = row.len == 0 ? "an empty line" : read_row(row, &next);
        if (!reason) reason = check_order(out_readings, &next);
        if (reason) break;
        vec_push(&out_readings->list, next);
    }
    if (!reason) return ERR_OK;
    readings_csv_done(out_readings);
    return refuse_line(out_fault, line, reason);
}

void readings_csv_done(readings_csv *self) { vec_done(&self->list); }

void readings_csv_auto(readings_csv *self) { readings_csv_done(self); }
