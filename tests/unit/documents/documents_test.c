// Documents: every rule of the tariff document from tests/scenarios/tariff_refusals.txt, usage documents, readings, zones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "documents/tariff_document.h"
#include "documents/usage_document.h"

#define FILE_BYTES_MAX (64 * 1024)

static bool split(sv text, sv by, sv *out_head, sv *out_tail) {
    for (size_t i = 0; i + by.len <= text.len; i++) {
        if (memcmp(text.ptr + i, by.ptr, by.len) != 0) continue;
        *out_head = sv_trim((sv){text.ptr, i});
        *out_tail = sv_trim(sv_skip(text, i + by.len));
        return true;
    }
    return false;
}

static void replace(sv text, sv from, sv to, buf *out) {
    sv head, tail;
    if (!split(text, from, &head, &tail)) fail_msg("not in the document: %.*s", SV_ARG(from));
    size_t at = (size_t)(tail.ptr - text.ptr);
    for (at = 0; memcmp(text.ptr + at, from.ptr, from.len) != 0;) at++;
    buf_add(out, (sv){text.ptr, at});
    buf_add(out, to);
    buf_add(out, sv_skip(text, at + from.len));
}

static err_t read_tariff(zone_set *zones, sv json, tariff_use use, tariff_document **out, fault *why) {
    tariff_reading how = {.use = use, .zones = zones};
    return tariff_document_read(json, &how, out, why);
}

static void run_row(zone_set *zones, sv good, sv row) {
    sv from, to, wanted;
    bool is_refused = split(row, SV("!"), &row, &wanted);
    if (!is_refused && !split(row, SV("=> OK"), &row, &wanted)) fail_msg("what is expected? %.*s", SV_ARG(row));
    if (!split(row, SV("=>"), &from, &to)) fail_msg("no \"=>\": %.*s", SV_ARG(row));
    AUTO(buf) changed;
    buf_init(&changed, FILE_BYTES_MAX);
    replace(good, from, to, &changed);
    AUTO_TARIFF_DOCUMENT document = NULL;
    fault why = {0};
    char found[400] = "";
    if (read_tariff(zones, buf_view(&changed), TARIFF_FOR_CHARGING, &document, &why))
        snprintf(found, sizeof found, "%s: %s", why.place, why.reason);
    if (!sv_equal(sv_of(found), is_refused ? wanted : SV(""))) fail_msg("%.*s => %.*s\n  gives %s", SV_ARG(from), SV_ARG(to), found);
}

static void each_rule_of_the_tariff_document_is_enforced(void **state) {
    (void)state;
    AUTO_MEM char *bytes = mem_new(1, FILE_BYTES_MAX);
    FILE *file = fopen(SCENARIO_FOLDER "/tariff_refusals.txt", "rb");
    assert_non_null(file);
    sv rest = {bytes, fread(bytes, 1, FILE_BYTES_MAX, file)};
    fclose(file);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    sv row, good = SV_NONE;
    int rows = 0;
    while (sv_next(&rest, '\n', &row)) {
        if (good.len == 0 && sv_starts_with(row, SV("{"))) good.ptr = row.ptr;
        if (row.len == 0 && good.ptr && good.len == 0) {
            good.len = (size_t)(row.ptr - good.ptr);
            AUTO_TARIFF_DOCUMENT document = NULL;
            fault why = {0};
            if (read_tariff(zones, good, TARIFF_FOR_CHARGING, &document, &why)) fail_msg("%s: %s", why.place, why.reason);
        } else if (good.len > 0 && row.len > 0 && row.ptr[0] != '#') {
            run_row(zones, good, row);
            rows++;
        }
    }
    printf("# %d rules\n", rows);
    assert_true(rows > 60);
}

static const char PLAIN[] =
    "{\"code\": \"t\", \"utility\": \"electricity\", \"unit\": \"kWh\", \"currency\": \"CNY\", \"time_zone\": \"Asia/Shanghai\","
    "\"effective_from\": \"2024-01-01T00:00:00+08:00\", \"periods\": [\"peak\", \"valley\"], \"calendar_name\": \"cn\", \"calendar\":"
    "[{\"from\": \"01-01\", \"to\": \"12-31\", \"days\": [\"holiday\"], \"bands\": [{\"from\": \"00:00\", \"to\": \"24:00\", \"period\": "
    "\"valley\"}]},"
    "{\"from\": \"01-01\", \"to\": \"12-31\", \"days\": [\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\"], \"bands\":"
    "[{\"from\": \"00:00\", \"to\": \"24:00\", \"period\": \"peak\"}]}], \"holidays\": [\"2024-10-01\"],"
    "\"lines\": [{\"name\": \"e\", \"kind\": \"quantity\", \"prices\": {\"*\": \"1\"}}],"
    "\"rounding\": {\"mode\": \"half_up\", \"scale\": 2, \"at\": \"total\"}}";

static void a_loaded_calendar_replaces_the_lists_of_the_document(void **state) {
    (void)state;
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    const dated_day LOADED[] = {{days_from_civil(2024, 5, 1), DAY_KIND_HOLIDAY}};
    day_calendar *loaded = day_calendar_new(LOADED, 1);
    for (int round = 0; round < 2; round++) {
        AUTO_TARIFF_DOCUMENT document = NULL;
        fault why = {0};
        tariff_reading how = {.use = TARIFF_FOR_CHARGING, .zones = zones, .calendar = round ? loaded : NULL};
        if (tariff_document_read(sv_of(PLAIN), &how, &document, &why)) fail_msg("%s: %s", why.place, why.reason);
        const tariff *rated = tariff_document_tariff(document);
        instant_ms october_noon = days_from_civil(2024, 10, 1) * DAY_MS + 4 * HOUR_MS;
        instant_ms may_noon = days_from_civil(2024, 5, 1) * DAY_MS + 4 * HOUR_MS;
        assert_int_equal(tariff_period_at(rated, october_noon), round ? 0 : 1);
        assert_int_equal(tariff_period_at(rated, may_noon), round ? 1 : 0);
    }
    day_calendar_free(loaded);
}

static void usage_documents_are_read_strictly(void **state) {
    (void)state;
#define SPAN "\"from\": \"2024-03-01T00:00:00+08:00\", \"to\": \"2024-04-01T00:00:00+08:00\""
    static const struct {
        const char *json, *refusal;  // NULL: read
        int64_t peak_milli, before_milli;
    } ROWS[] = {
        {"{" SPAN ", \"quantities\": {\"peak\": \"180\", \"valley\": 120}, \"tier_used\": \"7.5\"}", NULL, 180000, 7500},
        {"{" SPAN ", \"quantities\": {\"peak\": \"180\"}, \"tier_used\": {\"peak\": 3}}", NULL, 180000, 3000},
        {"{" SPAN ", \"quantities\": {}, \"max_demand_kw\": \"1.5\", \"contracted_kva\": \"2\"}", NULL, 0, 0},
        {"{" SPAN "}", "/: \"quantities\" is missing", 0, 0},
        {"{" SPAN ", \"quantities\": {\"flat\": \"1\"}}", "/quantities/flat: the tariff has no such period", 0, 0},
        {"{" SPAN ", \"quantities\": {\"peak\": \"-1\"}}", "/quantities/peak: must not be negative", 0, 0},
        {"{" SPAN ", \"quantities\": {\"peak\": \"1.0001\"}}", "/quantities/peak: more than 3 decimals", 0, 0},
        {"{" SPAN ", \"quantities\": {\"peak\": 1.5}}", "/quantities/peak: write decimals as strings", 0, 0},
        {"{" SPAN ", \"quantities\": {}, \"tier_used\": {\"x\": 3}}", "/tier_used/x: the tariff has no such period", 0, 0},
        {"{" SPAN ", \"quantities\": {}, \"height\": 3}", "/height: unknown key", 0, 0},
        {"{" SPAN ", \"quantities\": {}, \"heads\": -1}", "/heads: must be within 0 to 1000", 0, 0},
        {"{" SPAN ", \"quantities\": {}, \"power_factor\": \"1.1\"}", "/power_factor: must be within 0 and 1", 0, 0},
        {"{" SPAN ", \"quantities\": {}, \"opened_at\": \"today\"}", "/opened_at: not an RFC 3339 time with offset", 0, 0},
        {"{\"from\": \"2024-03-01T00:00:00Z\", \"to\": \"2024-03-01T00:00:00Z\", \"quantities\": {}}", "/to: must be after \"from\"", 0, 0},
        {"[]", "/: must be an object", 0, 0},
    };
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_TARIFF_DOCUMENT document = NULL;
    assert_int_equal(read_tariff(zones, sv_of(PLAIN), TARIFF_FOR_QUOTE, &document, NULL), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        usage_document usage;
        fault why = {0};
        char found[400] = "";
        if (usage_document_read(sv_of(ROWS[i].json), tariff_document_tariff(document), &usage, &why))
            snprintf(found, sizeof found, "%s: %s", why.place, why.reason);
        assert_string_equal(found, ROWS[i].refusal ? ROWS[i].refusal : "");
        if (ROWS[i].refusal) continue;
        assert_true(usage.quantity_milli[0] == ROWS[i].peak_milli);
        assert_true(usage.used_before_milli[0] + usage.used_before_milli[1] == ROWS[i].before_milli);
    }
}

static void readings_are_read_strictly(void **state) {
    (void)state;
#define ONE "2024-03-01T00:00:00+08:00"
#define TWO "2024-03-02T00:00:00+08:00"
    static const struct {
        const char *csv, *refusal;
        size_t count;
    } ROWS[] = {
        {"read_at,value\n" ONE ",0\n" TWO ",1.5\n", "", 2},
        {"\xEF\xBB\xBFread_at,value\r\n" ONE ",0\r\n" TWO ",1.5", "", 2},
        {"read_at,value\n", "", 0},
        {"", "line 1: the header must be read_at,value", 0},
        {"time,value\n", "line 1: the header must be read_at,value", 0},
        {"read_at,value\n" ONE ",0\n\n" TWO ",1\n", "line 3: an empty line", 0},
        {"read_at,value\n" ONE "\n", "line 2: two fields are needed: read_at,value", 0},
        {"read_at,value\n" ONE ",1,2\n", "line 2: two fields are needed: read_at,value", 0},
        {"read_at,value\n2024-03-01,1\n", "line 2: read_at is not an RFC 3339 time with offset", 0},
        {"read_at,value\n" ONE ",1e3\n", "line 2: value is not a decimal number", 0},
        {"read_at,value\n" ONE ",1.0001\n", "line 2: value has more than 3 decimals", 0},
        {"read_at,value\n" ONE ",-1\n", "line 2: value must not be negative", 0},
        {"read_at,value\n" TWO ",1\n" ONE ",2\n", "line 3: read_at must rise", 0},
        {"read_at,value\n" ONE ",1\n" ONE ",1\n", "line 3: a second reading of the same time", 0},
        {"read_at,value\n" ONE ",2\n" TWO ",1\n", "line 3: the register went backwards", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO(readings_csv) readings = {0};
        fault why = {0};
        char found[400] = "";
        if (readings_csv_read(sv_of(ROWS[i].csv), &readings, &why)) snprintf(found, sizeof found, "%s: %s", why.place, why.reason);
        assert_string_equal(found, ROWS[i].refusal);
        assert_int_equal(readings.list.len, ROWS[i].count);
    }
}

static void zones_are_found_by_name_only(void **state) {
    (void)state;
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    static const struct {
        const char *name;
        err_t err;
    } ROWS[] = {
        {"Asia/Shanghai", ERR_OK},
        {"America/Argentina/Buenos_Aires", ERR_OK},
        {"Etc/GMT+8", ERR_OK},
        {"UTC", ERR_OK},
        {"Asia", ERR_NOT_FOUND},
        {"Asia/Atlantis", ERR_NOT_FOUND},
        {"tzdata", ERR_NOT_FOUND},
        {"", ERR_BAD_INPUT},
        {"../zoneinfo/UTC", ERR_BAD_INPUT},
        {"Asia/../UTC", ERR_BAD_INPUT},
        {"/etc/passwd", ERR_BAD_INPUT},
        {"Asia//Shanghai", ERR_BAD_INPUT},
        {"Asia/", ERR_BAD_INPUT},
        {"a.b", ERR_BAD_INPUT},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        const zone *found = NULL;
        fault why = {0};
        err_t err = zone_set_find(zones, sv_of(ROWS[i].name), &found, &why);
        if (err != ROWS[i].err) fail_msg("%s: %s", ROWS[i].name, err_name(err));
        assert_int_equal(found != NULL, err == ERR_OK);
        const zone *again = NULL;
        if (err == ERR_OK) assert_true(zone_set_find(zones, sv_of(ROWS[i].name), &again, NULL) == ERR_OK && again == found);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_of_the_tariff_document_is_enforced),
        cmocka_unit_test(a_loaded_calendar_replaces_the_lists_of_the_document),
        cmocka_unit_test(usage_documents_are_read_strictly),
        cmocka_unit_test(readings_are_read_strictly),
        cmocka_unit_test(zones_are_found_by_name_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
