// Setups against a real server: what a usage point is charged with, as known at an instant, and what makes it unusable.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/db.h"
#include "rating/tariff.h"
#include "setups/setups.h"
#include "setups_test_sql.h"

#define HERE 8001
#define ELSEWHERE 8002
#define OK(call) assert_int_equal((call), ERR_OK)

static instant_ms at(const char *text) {
    instant_ms found = 0;
    assert_true(instant_parse(sv_of(text), &found));
    return found;
}

// One transaction per test, rolled back with everything it made; setups are read as billing reads them.
typedef struct bench {
    db *conn;
    db_tx tx;
    zone_set *zones;
    setups *all;
} bench;

static void make(const bench *self, const db_statement *what) {
    OK(db_exec(self->conn, &SQL_TEST_AS_OWNER, DB_NO_PARAMS, NULL));
    err_t err = db_exec(self->conn, what, DB_NO_PARAMS, NULL);
    if (err) fail_msg("%s: %s", what->name, db_error_text(self->conn));
    OK(db_exec(self->conn, &SQL_TEST_AS_BILLING, DB_NO_PARAMS, NULL));
}

static int setup(void **state) {
    bench *self = calloc(1, sizeof *self);
    const char *conninfo = getenv("PENSTOCK_OWNER_DATABASE");
    assert_non_null(conninfo);
    db_options options = db_options_default(conninfo, NULL, "setups-test");
    fault why = {0};
    if (db_open(&options, &self->conn, &why)) fail_msg("%s", why.reason);
    OK(db_begin(self->conn, &self->tx));
    self->zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    self->all = setups_new(self->zones);
    make(self, &SQL_TEST_SITE);
    *state = self;
    return 0;
}

static int teardown(void **state) {
    bench *self = *state;
    setups_free(self->all);
    zone_set_free(self->zones);
    db_rollback(&self->tx);
    db_close(self->conn);
    free(self);
    return 0;
}

static void load(bench *self, int32_t company, int64_t point, const char *known_at) {
    setups_key key = {company, point};
    OK(setups_load(self->all, self->conn, &key, 1, at(known_at)));
}

static const charging_setup *found(const bench *self, int64_t point) {
    const charging_setup *setup = setups_find(self->all, point);
    if (!setup)
        fail_msg("point %lld: %s", (long long)point, setups_fault(self->all, point) ? setups_fault(self->all, point) : "is not loaded");
    return setup;
}

static int64_t version_at(const bench *self, int64_t point, const char *when) {
    const charging_version *version = charging_version_at(found(self, point), at(when));
    return version ? version->num : 0;
}

static void a_point_is_read_whole(void **state) {
    bench *self = *state;
    load(self, HERE, 111, "2026-05-01T00:00:00Z");
    const charging_setup *setup = found(self, 111);
    assert_null(setups_fault(self->all, 111));
    assert_int_equal(setup->company, HERE);
    assert_int_equal(setup->usage_point, 111);
    assert_int_equal(setup->property, 11);
    assert_int_equal(setup->partition, 5);
    assert_int_equal(setup->legal_entity, HERE);
    assert_int_equal(setup->installation_count, 1);
    const charging_installation *inst = &setup->installations[0];
    assert_int_equal(inst->channel, 511);
    assert_true(inst->from == at("2026-01-01T00:00:00Z"));
    assert_true(inst->to == INSTANT_MAX);
    assert_int_equal(inst->opening_value, 1000);
    assert_int_equal(inst->closing_value, -1);
    assert_int_equal(inst->period_count, 0);
    assert_int_equal(setup->holder_count, 1);
    assert_int_equal(setup->holders[0].account, 311);
    assert_int_equal(setup->holders[0].purse, 411);
    assert_true(setup->holders[0].to == INSTANT_MAX);
    assert_int_equal(setup->version_count, 1);
    assert_int_equal(setup->versions[0].num, 211);
    assert_true(tariff_version(setup->versions[0].tariff) == 211);
}

static void assignments_and_versions_cross(void **state) {
    bench *self = *state;
    make(self, &SQL_TEST_TARIFFS);
    load(self, HERE, 111, "2026-05-31T00:00:00Z");
    load(self, HERE, 1111, "2026-05-31T00:00:00Z");
    static const struct {
        const char *when;
        int64_t property_wide, own;
    } CASES[] = {
        {"2025-12-31T23:59:59Z", 0, 0},                                              // before anything is assigned
        {"2026-01-01T00:00:00Z", 211, 211},                                          // the property's tariff serves both
        {"2026-01-31T23:59:59.999Z", 211, 211}, {"2026-02-01T00:00:00Z", 292, 292},  // its next version
        {"2026-02-15T00:00:00Z", 292, 292},                                          // the point's own assignment names the same tariff
        {"2026-03-01T00:00:00Z", 251, 292},  // the property changes, a later assignment wins; the point's own stays
        {"2026-03-20T00:00:00Z", 251, 292},  // the other utility's assignment changes nothing
        {"2026-04-01T00:00:00Z", 252, 292},     {"2026-05-02T00:00:00Z", 252, 292},  // what came in June is not known in May
        {"2036-01-01T00:00:00Z", 252, 292},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        int64_t wide = version_at(self, 111, CASES[i].when);
        int64_t own = version_at(self, 1111, CASES[i].when);
        if (wide != CASES[i].property_wide || own != CASES[i].own) fail_msg("%s: %d, %d", CASES[i].when, (int)wide, (int)own);
    }
}

static void what_is_known_later_counts_later(void **state) {
    bench *self = *state;
    make(self, &SQL_TEST_TARIFFS);
    load(self, HERE, 111, "2025-12-31T00:00:00Z");
    assert_int_equal(found(self, 111)->version_count, 0);
    load(self, HERE, 111, "2026-05-31T23:59:59Z");
    assert_int_equal(version_at(self, 111, "2026-04-02T00:00:00Z"), 252);
    assert_int_equal(version_at(self, 111, "2026-05-02T00:00:00Z"), 252);
    load(self, HERE, 111, "2026-06-01T00:00:00Z");
    assert_int_equal(version_at(self, 111, "2026-04-02T00:00:00Z"), 253);  // a later version of the same instant
    assert_int_equal(version_at(self, 111, "2026-05-02T00:00:00Z"), 292);  // assigned back
    load(self, HERE, 111, "2026-05-31T23:59:59Z");
    assert_int_equal(version_at(self, 111, "2026-04-02T00:00:00Z"), 252);  // a replay under what was known then
}

static void load_as(bench *self, setups_knowledge how) {
    static const setups_key KEY = {HERE, 111};
    OK(setups_load_as(self->all, self->conn, &KEY, 1, &how));
}

// Charged until 15 April. What is known in May: 211 from January, 292 from February, 251 from March, 252 from April on.
static void what_was_decided_stays_decided(void **state) {
    bench *self = *state;
    make(self, &SQL_TEST_TARIFFS);
    make(self, &SQL_TEST_DECIDED);
    instant_ms may = at("2026-05-01T00:00:00Z"), ever = INSTANT_MAX;
    setups_knowledge hows[] = {
        {may, ever, false, ever},                        // as decided
        {may, ever, true, ever},                         // with final values
        {may, at("2026-03-15T00:00:00Z"), false, ever},  // recharged from there on
        {may, ever, false, at("2026-04-01T00:00:00Z")},  // before the recharge
    };
    static const struct {
        const char *when;
        int64_t nums[4];
    } CASES[] = {
        {"2026-01-15T00:00:00Z", {211, 211, 211, 211}}, {"2026-02-15T00:00:00Z", {292, 292, 292, 292}},
        {"2026-03-05T00:00:00Z", {251, 251, 251, 251}}, {"2026-03-10T00:00:00Z", {292, 292, 292, 251}},
        {"2026-03-20T00:00:00Z", {292, 292, 251, 251}}, {"2026-04-01T00:00:00Z", {292, 292, 252, 251}},
        {"2026-04-14T23:59:59Z", {294, 295, 252, 251}}, {"2026-04-15T00:00:00Z", {252, 252, 252, 252}},  // from there on as known
        {"2026-05-15T00:00:00Z", {252, 252, 252, 252}},
    };
    static const int64_t NEWEST[] = {294, 295, 294, 251};
    for (size_t h = 0; h < ARRAY_LEN(hows); h++) {
        load_as(self, hows[h]);
        assert_int_equal(found(self, 111)->rated_version, NEWEST[h]);
        for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
            if (version_at(self, 111, CASES[i].when) != CASES[i].nums[h])
                fail_msg("%s, %zu: %d", CASES[i].when, h, (int)version_at(self, 111, CASES[i].when));
    }
    load(self, HERE, 1111, "2026-05-01T00:00:00Z");  // never charged: all as known
    assert_int_equal(found(self, 1111)->rated_version, -1);
    assert_int_equal(version_at(self, 1111, "2026-05-01T00:00:00Z"), 295);
}

static void a_replaced_meter_and_a_new_holder(void **state) {
    bench *self = *state;
    make(self, &SQL_TEST_REPLACEMENT);
    load(self, HERE, 111, "2026-05-01T00:00:00Z");
    const charging_setup *setup = found(self, 111);
    assert_int_equal(setup->installation_count, 2);
    const charging_installation *before = &setup->installations[0];
    const charging_installation *after = &setup->installations[1];
    assert_int_equal(before->channel, 511);
    assert_true(before->to == at("2026-03-01T00:00:00Z"));
    assert_int_equal(before->closing_value, 5000);
    assert_true(before->limits.max_per_hour == 20000);
    assert_true(before->limits.range == 1000000000);
    assert_int_equal(after->channel, 591);
    assert_int_equal(after->opening_value, 70);
    assert_int_equal(after->ratio_num, 30);
    assert_true(after->limits.max_per_hour == 20000 / 30);
    assert_true(after->limits.range == 100000000);
    assert_int_equal(after->period_count, 3);
    assert_true(sv_equal(after->periods[0], SV("peak")) && sv_equal(after->periods[1], SV("flat")) &&
                sv_equal(after->periods[2], SV("valley")));
    assert_int_equal(setup->holder_count, 2);
    assert_int_equal(charging_holder_at(setup, at("2026-02-28T23:59:59Z"))->account, 311);
    assert_null(charging_holder_at(setup, at("2026-03-01T12:00:00Z")));  // a day without anybody
    assert_int_equal(charging_holder_at(setup, at("2026-03-02T00:00:00Z"))->purse, 491);

    static const setups_key CHANNELS[] = {{HERE, 591}, {HERE, 511}, {HERE, 999999}, {ELSEWHERE, 511}, {ELSEWHERE, 521}};
    setups_channel_points pairs = {0};
    OK(setups_channels(self->conn, CHANNELS, ARRAY_LEN(CHANNELS), &pairs));
    static const setups_channel_point WANTED[] = {{511, 111}, {521, 121}, {591, 111}};
    assert_int_equal(pairs.len, ARRAY_LEN(WANTED));
    for (size_t i = 0; i < pairs.len; i++) {
        assert_int_equal(pairs.items[i].channel, WANTED[i].channel);
        assert_int_equal(pairs.items[i].usage_point, WANTED[i].usage_point);
    }
    vec_done(&pairs);
}

static bool is_feast(const bench *self, int64_t point, const char *noon) {
    const tariff *priced = charging_version_at(found(self, point), at(noon))->tariff;
    return sv_equal(tariff_period_name(priced, tariff_period_at(priced, at(noon))), SV("feast"));
}

static void a_property_keeps_its_own_calendar(void **state) {
    bench *self = *state;
    static const setups_key POINTS[] = {{HERE, 117}, {HERE, 118}};
    OK(setups_load(self->all, self->conn, POINTS, 2, at("2026-04-01T00:00:00Z")));
    static const struct {
        const char *noon;
        bool platform, own;
    } CASES[] = {
        {"2026-04-30T04:00:00Z", false, false}, {"2026-05-01T04:00:00Z", true, false},   // a normal day there
        {"2026-05-04T04:00:00Z", true, true},   {"2026-05-05T04:00:00Z", false, true},   // a holiday of its own
        {"2026-05-09T04:00:00Z", false, true},                                           // over the platform's working day
        {"2026-05-03T16:30:00Z", true, true},   {"2026-05-03T15:30:00Z", false, false},  // days are local
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
        if (is_feast(self, 117, CASES[i].noon) != CASES[i].platform || is_feast(self, 118, CASES[i].noon) != CASES[i].own)
            fail_msg("%s: %d, %d", CASES[i].noon, is_feast(self, 117, CASES[i].noon), is_feast(self, 118, CASES[i].noon));
}

static void what_cannot_be_used_tells_why(void **state) {
    bench *self = *state;
    static const struct {
        int64_t point;
        const char *reason;
    } CASES[] = {
        {112, "currency"}, {113, "lines\" is missing"}, {114, "time zone"}, {115, "seller"}, {116, "its currency is not the property's"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        load(self, HERE, CASES[i].point, "2026-05-01T00:00:00Z");
        assert_null(setups_find(self->all, CASES[i].point));
        const char *why = setups_fault(self->all, CASES[i].point);
        assert_non_null(why);
        if (!strstr(why, CASES[i].reason)) fail_msg("point %d: %s", (int)CASES[i].point, why);
    }
    load(self, HERE, 119, "2026-05-01T00:00:00Z");
    assert_int_equal(found(self, 119)->version_count, 0);  // no tariff yet is no fault
    assert_null(charging_version_at(found(self, 119), at("2026-05-01T00:00:00Z")));
}

static void one_bad_point_harms_no_other(void **state) {
    bench *self = *state;
    static const setups_key POINTS[] = {{HERE, 114}, {ELSEWHERE, 121}, {HERE, 113}, {HERE, 111}, {HERE, 117}, {HERE, 112}, {HERE, 111}};
    OK(setups_load(self->all, self->conn, POINTS, ARRAY_LEN(POINTS), at("2026-05-01T00:00:00Z")));
    static const int64_t GOOD[] = {121, 111, 117};
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        const charging_setup *setup = found(self, GOOD[i]);
        assert_int_equal(setup->usage_point, GOOD[i]);
        assert_int_equal(setup->installation_count, 1);
        assert_int_equal(setup->installations[0].channel, GOOD[i] + 400);
        assert_int_equal(setup->holder_count, 1);
        assert_int_equal(setup->holders[0].account, GOOD[i] + 200);
        assert_int_equal(setup->version_count, 1);
        assert_int_equal(setup->versions[0].num, GOOD[i] + 100);
    }
    for (int64_t bad = 112; bad <= 114; bad++) assert_non_null(setups_fault(self->all, bad));
}

static void unknown_points_stay_unknown(void **state) {
    bench *self = *state;
    static const setups_key POINTS[] = {{HERE, 4242}, {ELSEWHERE, 111}, {HERE, 121}};
    OK(setups_load(self->all, self->conn, POINTS, ARRAY_LEN(POINTS), at("2026-05-01T00:00:00Z")));
    for (size_t i = 0; i < ARRAY_LEN(POINTS); i++) {
        assert_null(setups_find(self->all, POINTS[i].num));
        assert_null(setups_fault(self->all, POINTS[i].num));
    }
    OK(setups_load(self->all, self->conn, POINTS, 0, at("2026-05-01T00:00:00Z")));
}

static void forgetting_reads_anew(void **state) {
    bench *self = *state;
    static const setups_key POINTS[] = {{HERE, 111}, {HERE, 115}, {ELSEWHERE, 121}};
    OK(setups_load(self->all, self->conn, POINTS, ARRAY_LEN(POINTS), at("2026-05-01T00:00:00Z")));
    assert_non_null(setups_fault(self->all, 115));
    make(self, &SQL_TEST_MEND);
    assert_non_null(setups_fault(self->all, 115));  // nothing changes by itself
    setups_forget(self->all, HERE);
    assert_null(setups_find(self->all, 111));
    assert_null(setups_fault(self->all, 115));
    assert_non_null(setups_find(self->all, 121));  // the other company's stays
    load(self, HERE, 115, "2026-05-01T00:00:00Z");
    assert_int_equal(found(self, 115)->legal_entity, HERE);
    load(self, ELSEWHERE, 121, "2026-05-01T00:00:00Z");  // loaded anew over a usable one
    assert_null(setups_find(self->all, 121));
    assert_non_null(strstr(setups_fault(self->all, 121), "seller"));
    setups_forget_all(self->all);
    assert_null(setups_find(self->all, 115));
    assert_null(setups_fault(self->all, 121));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_point_is_read_whole),          TEST(assignments_and_versions_cross),    TEST(what_is_known_later_counts_later),
        TEST(what_was_decided_stays_decided), TEST(a_replaced_meter_and_a_new_holder), TEST(a_property_keeps_its_own_calendar),
        TEST(what_cannot_be_used_tells_why),  TEST(one_bad_point_harms_no_other),      TEST(unknown_points_stay_unknown),
        TEST(forgetting_reads_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
