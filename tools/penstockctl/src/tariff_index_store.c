#include "tariff_index_store.h"

#include <stdio.h>
#include <string.h>

#include "ctl_sql.h"
#include "json/json_writer.h"

#define MONTHS_A_YEAR 12
#define DETAIL_BYTES_MAX 4096

err_t tariff_indices_load(db *conn, price_indices *out_indices) {
    *out_indices = (price_indices){0};
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_TARIFF_INDEX_VALUES, DB_NO_PARAMS, &rows);
    for (size_t i = 0; i < rows.len; i++) {
        int32_t year, month, day;
        civil_from_days(db_date(&rows, i, 1), &year, &month, &day);
        price_index one = {
            .month = year * MONTHS_A_YEAR + month - 1, .value_micro = db_i64(&rows, i, 2), .is_provisional = db_bool(&rows, i, 3)};
        sv_copy_truncated(db_text(&rows, i, 0), one.name, sizeof one.name);
        vec_push(&out_indices->list, one);
    }
    return err;
}

static instant_ms month_start(const zone *in_zone, int32_t month) {
    return zone_day_start(in_zone, days_from_civil(month / MONTHS_A_YEAR, month % MONTHS_A_YEAR + 1, 1));
}

static err_t document_read(const index_making *self, sv json, instant_ms index_at, tariff_document **out, fault *out_fault) {
    tariff_reading how = {.use = TARIFF_FOR_CHARGING, .zones = self->zones, .indices = self->indices, .index_at = index_at};
    return tariff_document_read(json, &how, out, out_fault);
}

err_t index_values_put(db *conn, int32_t company, int64_t version, const tariff_document *document) {
    size_t count = tariff_document_index_count(document);
    sv names[TARIFF_INDICES_MAX];
    int32_t months[TARIFF_INDICES_MAX];
    int64_t values[TARIFF_INDICES_MAX];
    bool provisional[TARIFF_INDICES_MAX];
    if (count == 0) return ERR_OK;
    for (size_t i = 0; i < count; i++) {
        const price_index *index = tariff_document_index(document, i);
        names[i] = sv_of(index->name);
        months[i] = (int32_t)days_from_civil(index->month / MONTHS_A_YEAR, index->month % MONTHS_A_YEAR + 1, 1);
        values[i] = index->value_micro;
        provisional[i] = index->is_provisional;
    }
    return db_exec(conn, &SQL_TARIFF_VERSION_INDEX_PUT,
                   DB_PARAMS(DB_I32(company), DB_I64(version), DB_TEXT_ARRAY(names, count), DB_DATE_ARRAY(months, count),
                             DB_I64_ARRAY(values, count), DB_BOOL_ARRAY(provisional, count)),
                   NULL);
}

static err_t write_audit(const index_making *self, const index_tariff *owner, int64_t version, instant_ms from, int64_t replaced) {
    AUTO(buf) detail;
    buf_init(&detail, DETAIL_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &detail);
    json_open_object(&out);
    json_put_text(&out, "code", owner->code);
    json_put_integer(&out, "version", version);
    json_put_instant(&out, "effective_from", from, 0);
    if (replaced) json_put_integer(&out, "replaces", replaced);
    json_close_object(&out);
    if (buf_has_failed(&detail)) return ERR_TOO_LARGE;
    return db_exec(
        self->conn, &SQL_TARIFF_AUDIT,
        DB_PARAMS(DB_I32(owner->company), DB_TIME(self->now), DB_CSTR("tariff_index"), DB_UUID(owner->id), DB_TEXT(buf_view(&detail))),
        NULL);
}

static err_t version_put(index_making *self, const index_tariff *owner, const index_document *document, const tariff_document *compiled,
                         instant_ms from, int64_t replaced) {
    AUTO(db_rows) row = {0};
    err_t err =
        db_query_one(self->conn, &SQL_TARIFF_INDEX_VERSION_INSERT,
                     DB_PARAMS(DB_I32(owner->company), DB_UUID(uuid_v7_now()), DB_I64(owner->num), DB_TIME(from), DB_TEXT(document->json),
                               DB_BYTES(document->sha256), DB_TIME(self->now), replaced ? DB_I64(replaced) : DB_NULL),
                     &row);
    if (err) return err;
    int64_t version = db_i64(&row, 0, 1);
    err = index_values_put(self->conn, owner->company, db_i64(&row, 0, 0), compiled);
    if (!err) err = write_audit(self, owner, version, from, replaced);
    if (err) return err;
    char text[INSTANT_TEXT_MAX];
    instant_format(from, zone_stretch_at(tariff_zone(tariff_document_tariff(compiled)), from).offset_s, text);
    printf("%.*s %.*s version %lld, from %s\n", SV_ARG(owner->company_code), SV_ARG(owner->code), (long long)version, text);
    self->made++;
    return ERR_OK;
}

static err_t has_version(const index_making *self, const index_tariff *owner, const index_document *document, int32_t month,
                         bool *out_has) {
    AUTO(db_rows) row = {0};
    int32_t day = (int32_t)days_from_civil(month / MONTHS_A_YEAR, month % MONTHS_A_YEAR + 1, 1);
    err_t err = db_query_one(self->conn, &SQL_TARIFF_INDEX_HAS_VERSION,
                             DB_PARAMS(DB_I32(owner->company), DB_I64(owner->num), DB_BYTES(document->sha256), DB_DATE(day)), &row);
    if (!err) *out_has = db_bool(&row, 0, 0);
    return err;
}

err_t index_version_make(index_making *self, const index_tariff *owner, const index_document *document, int32_t month, fault *out_fault) {
    // The document's own zone says when the month begins; any instant of the month compiles it.
    AUTO_TARIFF_DOCUMENT compiled = NULL;
    instant_ms middle = days_from_civil(month / MONTHS_A_YEAR, month % MONTHS_A_YEAR + 1, 15) * DAY_MS;
    fault why = {0};
    err_t err = document_read(self, document->json, middle, &compiled, &why);
    if (err) {
        printf("%.*s %.*s waits: %s: %s\n", SV_ARG(owner->company_code), SV_ARG(owner->code), why.place, why.reason);
        return ERR_OK;
    }
    const zone *in_zone = tariff_zone(tariff_document_tariff(compiled));
    instant_ms from = month_start(in_zone, month), to = month_start(in_zone, month + 1);
    if (document->from > from) from = document->from;
    if (tariff_document_index_count(compiled) == 0 || from >= to || from >= document->until) return ERR_OK;
    bool has = false;
    err = has_version(self, owner, document, month, &has);
    if (!err && !has) err = version_put(self, owner, document, compiled, from, 0);
    return err && !out_fault->err ? fault_set(out_fault, err, "tariff_version", "%.180s", db_error_text(self->conn)) : err;
}

err_t index_version_replace(index_making *self, const index_tariff *owner, const index_document *document, int64_t replaced,
                            fault *out_fault) {
    AUTO_TARIFF_DOCUMENT compiled = NULL;
    err_t err = document_read(self, document->json, document->from, &compiled, out_fault);
    if (!err) err = version_put(self, owner, document, compiled, document->from, replaced);
    return err && !out_fault->err ? fault_set(out_fault, err, "tariff_version", "%.180s", db_error_text(self->conn)) : err;
}
