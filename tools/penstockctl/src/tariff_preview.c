// penstockctl tariff preview: what publishing a document would change in a property, without writing anything.
#include <stdio.h>

#include "base/clock.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "tariff_index_store.h"

#define POINTS_SHOWN_MAX 20
#define QUARTERS_OF_A_YEAR (365 * 96)

typedef struct preview_request {
    const char *company;
    const char *file;
    const char *property;
} preview_request;

static int preview(const preview_request *request);

int ctl_tariff_preview(int argc, char **argv) {
    preview_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose tariff it is", &request.company, NULL},
                                  {"--file", "T.json", "the tariff document (\"-\": stdin)", &request.file, NULL},
                                  {"--property", "CODE", "where", &request.property, NULL},
                                  {0}};
    const ctl_usage usage = {"tariff preview", NULL,
                             "Says which usage points of the property the document would price from its effective_from on, and each\n"
                             "price, amount, rate and tier edge that changes, old and new. Nothing is written.\n"
                             "Exit 1: it would be refused.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (request.company && request.file && request.property) return preview(&request);
    ctl_say("tariff preview: --company, --file and --property are needed");
    return CTL_BAD_INPUT;
}

static void print_points(const db_rows *points, const tariff_text *next, const char *from, const char *property) {
    printf("%zu usage points of %s are priced by %.*s from %s on\n", points->len, property, SV_ARG(next->code), from);
    for (size_t i = 0; i < points->len && i < POINTS_SHOWN_MAX; i++) {
        char id[UUID_TEXT_LEN + 1];
        uuid_format(db_uuid(points, i, 0), id);
        printf("  %s  %.*s\n", id, SV_ARG(db_text(points, i, 1)));
    }
    if (points->len > POINTS_SHOWN_MAX) printf("  and %zu more\n", points->len - POINTS_SHOWN_MAX);
}

static void print_number(const tariff_number *number, const tariff_number *old, const tariff_number *new) {
    char tier[32] = "";
    if (number->tier) snprintf(tier, sizeof tier, " tier %lld", (long long)number->tier);
    sv before = old ? old->value : SV("none"), after = new ? new->value : SV("none");
    printf("  %.*s, %.*s%s: %.*s -> %.*s%s\n", SV_ARG(number->line), SV_ARG(number->period), tier, SV_ARG(before), SV_ARG(after),
           sv_equal(before, after) ? "" : "  changed");
}

static bool is_same_price(const tariff_number *a, const tariff_number *b) {
    return sv_equal(a->line, b->line) && sv_equal(a->period, b->period);
}

// One price for all tiers stands beside each of several.
static void print_numbers(const tariff_text *old, const tariff_text *new) {
    for (size_t i = 0; i < new->numbers.len; i++) {
        const tariff_number *each = &new->numbers.items[i];
        const tariff_number *before = tariff_text_find(old, each);
        bool has_tiers_before = false;
        for (size_t k = 0; each->tier == 0 && k < old->numbers.len; k++) {
            const tariff_number *tier = &old->numbers.items[k];
            if (tier->tier == 0 || !is_same_price(tier, each)) continue;
            has_tiers_before = true;
            print_number(tier, tier, each);
        }
        if (!has_tiers_before) print_number(each, before, each);
    }
    for (size_t i = 0; i < old->numbers.len; i++) {
        const tariff_number *each = &old->numbers.items[i];
        bool is_printed = tariff_text_find(new, each) != NULL;
        for (size_t k = 0; each->tier == 0 && k < new->numbers.len; k++) is_printed |= is_same_price(&new->numbers.items[k], each);
        if (!is_printed) print_number(each, each, NULL);
    }
}

// The periods of a whole year, quarter hour by quarter hour; holidays of a dated calendar count as their weekday.
static void print_periods(const tariff_text *old, const tariff_text *new) {
    const tariff *before = tariff_document_tariff(old->document), *after = tariff_document_tariff(new->document);
    int64_t changed = 0;
    for (int64_t i = 0; i < QUARTERS_OF_A_YEAR; i++) {
        instant_ms at = new->effective_from + i * 15 * MINUTE_MS;
        sv from = tariff_period_name(before, tariff_period_at(before, at)), to = tariff_period_name(after, tariff_period_at(after, at));
        changed += !sv_equal(from, to);
    }
    printf("periods: %lld of the %d quarter hours of the year after change theirs\n", (long long)changed, QUARTERS_OF_A_YEAR);
}

typedef struct previewing {
    db *conn;
    arena *memory;
    zone_set *zones;
    const price_indices *indices;
    const preview_request *request;
    const tariff_text *next;
    int32_t company;
    tariff_known known;
} previewing;

static int print_change(const previewing *self, int64_t property) {
    const tariff_text *next = self->next;
    db_param company = DB_I32(self->company), whose = DB_I64(self->known.num), at = DB_TIME(next->effective_from);
    AUTO(db_rows) points = {0};
    AUTO(db_rows) version = {0};
    err_t err = db_query(self->conn, &SQL_TARIFF_POINTS_AT, DB_PARAMS(company, DB_I64(property), whose, at), &points);
    if (!err) err = db_query(self->conn, &SQL_TARIFF_VERSION_AT, DB_PARAMS(company, whose, at), &version);
    if (err) return ctl_db_fault(self->conn, "reading the tariff", err);
    const zone *in_zone = tariff_zone(tariff_document_tariff(next->document));
    print_points(&points, next, tariff_time(self->memory, in_zone, next->effective_from), self->request->property);
    AUTO(tariff_text) old = {0};
    fault why = {0};
    if (version.len > 0 &&
        tariff_text_read(db_text(&version, 0, 1), TARIFF_FOR_CHARGING, self->zones, self->indices, self->memory, &old, &why))
        return ctl_fault(self->request->file, &why);
    if (version.len > 0)
        printf("%.*s version %lld -> version %lld\n", SV_ARG(next->code), (long long)db_i64(&version, 0, 0),
               (long long)self->known.version + 1);
    else
        printf("%.*s version %lld, with none in force before\n", SV_ARG(next->code), (long long)self->known.version + 1);
    print_numbers(&old, next);
    if (version.len > 0) print_periods(&old, next);
    return CTL_OK;
}

static int preview(const preview_request *request) {
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO(price_indices) indices = {0};
    AUTO(tariff_text) next = {0};
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/tariff", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    previewing self = {.conn = conn, .memory = memory, .zones = zones, .indices = &indices, .request = request, .next = &next};
    err_t err = db_begin_repeatable(conn, &tx);
    if (!err) err = tariff_indices_load(conn, &indices);
    if (err) return ctl_db_fault(conn, "previewing the tariff", err);
    int end = tariff_text_read_file(request->file, zones, &indices, memory, &next);
    if (end != CTL_OK) return end;
    end = tariff_company(conn, request->company, false, &self.company);
    if (end != CTL_OK) return end;
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(next.json, digest);
    AUTO(db_rows) property = {0};
    err = db_query_one(conn, &SQL_TARIFF_PROPERTY, DB_PARAMS(DB_I32(self.company), DB_CSTR(request->property), DB_TEXT(next.utility)),
                       &property);
    if (err == ERR_NOT_FOUND) {
        ctl_say("--property: there is no property '%s'", request->property);
        return CTL_BAD_INPUT;
    }
    if (!err) err = tariff_find(conn, self.company, next.code, sv_slice(digest, sizeof digest), memory, &self.known);
    if (err) return ctl_db_fault(conn, "previewing the tariff", err);
    end = print_change(&self, db_i64(&property, 0, 0));
    penstock_clock clock = clock_system();
    char reason[TARIFF_REASON_MAX];
    if (end != CTL_OK || !tariff_is_refused(&self.known, &next, zones, &indices, memory, clock_now(&clock), false, reason)) return end;
    ctl_say("%s: would be refused: %s", request->file, reason);
    return CTL_NO;
}
