// Calendar: zones read from the system's files, against facts of their history; windows and days by tables and
// properties. The expected instants were worked out from the tz database's text.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "calendar/window.h"

#define FILE_BYTES_MAX 65536

static zone *load(const char *name) {
    char path[256];
    static char bytes[FILE_BYTES_MAX];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("no %s", path);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    zone *loaded = NULL;
    fault why = {0};
    if (zone_new(sv_of(name), (sv){bytes, len}, &loaded, &why)) fail_msg("%s: %s: %s", name, why.place, why.reason);
    return loaded;
}

static instant_ms at(const char *text) {
    instant_ms value = 0;
    if (!instant_parse(sv_of(text), &value)) fail_msg("not an instant: %s", text);
    return value;
}

static int64_t day(const char *text) {
    int64_t value = 0;
    if (!local_date_parse(sv_of(text), &value)) fail_msg("not a date: %s", text);
    return value;
}

static void offsets_follow_history(void **state) {
    (void)state;
    static const struct {
        const char *zone, *at;
        int32_t offset_s;
    } ROWS[] = {
        {"Asia/Kathmandu", "1985-12-31T18:29:59Z", 19800},      {"Asia/Kathmandu", "1985-12-31T18:30:00Z", 20700},
        {"Asia/Kathmandu", "2100-06-01T00:00:00Z", 20700},      {"Asia/Shanghai", "1986-05-03T17:59:59Z", 28800},
        {"Asia/Shanghai", "1986-05-03T18:00:00Z", 32400},       {"Asia/Shanghai", "1986-09-13T16:59:59Z", 32400},
        {"Asia/Shanghai", "1986-09-13T17:00:00Z", 28800},       {"Asia/Shanghai", "1991-09-14T17:00:00Z", 28800},
        {"Asia/Shanghai", "2024-07-01T00:00:00Z", 28800},       {"Australia/Lord_Howe", "2024-01-15T00:00:00Z", 39600},
        {"Australia/Lord_Howe", "2024-07-15T00:00:00Z", 37800}, {"Australia/Lord_Howe", "2090-01-15T00:00:00Z", 39600},
        {"Europe/Berlin", "2024-03-31T00:59:59Z", 3600},        {"Europe/Berlin", "2024-03-31T01:00:00Z", 7200},
        {"Europe/Berlin", "2150-07-01T00:00:00Z", 7200},        {"Europe/Berlin", "2150-12-01T00:00:00Z", 3600},
        {"America/New_York", "2099-11-01T05:59:59Z", -14400},   {"America/New_York", "2099-11-01T06:00:00Z", -18000},
        {"America/Santiago", "2070-01-01T00:00:00Z", -10800},   {"UTC", "1900-01-01T00:00:00Z", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ZONE loaded = load(ROWS[i].zone);
        int32_t offset_s = zone_stretch_at(loaded, at(ROWS[i].at)).offset_s;
        if (offset_s != ROWS[i].offset_s) fail_msg("%s %s: %d", ROWS[i].zone, ROWS[i].at, offset_s);
    }
}

static void days_have_as_many_minutes_as_their_zone_says(void **state) {
    (void)state;
    static const struct {
        const char *zone, *day;
        int64_t minutes;
    } ROWS[] = {
        {"Europe/Berlin", "2024-03-31", 23 * 60},
        {"Europe/Berlin", "2024-10-27", 25 * 60},
        {"Europe/Berlin", "2024-02-29", 24 * 60},
        {"Australia/Lord_Howe", "2024-04-07", 24 * 60 + 30},
        {"Australia/Lord_Howe", "2024-10-06", 23 * 60 + 30},
        {"Asia/Shanghai", "1986-05-04", 23 * 60},
        {"Asia/Shanghai", "1986-09-14", 25 * 60},
        {"Asia/Shanghai", "2024-05-04", 24 * 60},
        {"Asia/Kathmandu", "1986-01-01", 24 * 60 - 15},
        {"America/Santiago", "2024-09-08", 23 * 60},
        {"Pacific/Apia", "2011-12-30", 0},
        {"America/St_Johns", "2024-03-10", 23 * 60},
        {"Asia/Pyongyang", "2015-08-14", 24 * 60 + 30},
        {"Europe/Dublin", "2024-10-27", 25 * 60},
        {"Antarctica/Troll", "2024-03-31", 22 * 60},
        {"Pacific/Chatham", "2024-04-07", 25 * 60},
        {"Asia/Shanghai", "2100-02-28", 24 * 60},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ZONE loaded = load(ROWS[i].zone);
        int64_t local = day(ROWS[i].day);
        int64_t minutes = (zone_day_start(loaded, local + 1) - zone_day_start(loaded, local)) / MINUTE_MS;
        if (minutes != ROWS[i].minutes) fail_msg("%s %s: %lld", ROWS[i].zone, ROWS[i].day, (long long)minutes);
    }
}

static void civil_times_that_are_skipped_or_come_twice(void **state) {
    (void)state;
    AUTO_ZONE berlin = load("Europe/Berlin");
    int32_t half_past_two = (int32_t)(150 * MINUTE_MS);
    assert_true(zone_instant(berlin, day("2024-03-31"), half_past_two) == at("2024-03-31T01:00:00Z"));
    assert_true(zone_instant(berlin, day("2024-10-27"), half_past_two) == at("2024-10-27T00:30:00Z"));
    assert_true(zone_instant(berlin, day("2024-07-01"), half_past_two) == at("2024-07-01T00:30:00Z"));
    local_time now = zone_local_time(berlin, at("2024-10-27T01:30:00.250Z"));
    assert_int_equal(now.ms_of_day, half_past_two + 250);
    assert_int_equal(now.offset_s, 3600);
    assert_int_equal(now.month, 10);
    assert_int_equal(now.day_of_month, 27);
}

static void each_system_zone_is_read_and_its_stretches_tile_time(void **state) {
    (void)state;
    static const char *const FOLDERS[] = {"Africa",    "America", "Antarctica", "Asia",   "Atlantic",
                                          "Australia", "Europe",  "Indian",     "Pacific"};
    int zones = 0;
    for (size_t i = 0; i < ARRAY_LEN(FOLDERS); i++) {
        char path[300];
        snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", FOLDERS[i]);
        DIR *folder = opendir(path);
        assert_non_null(folder);
        for (const struct dirent *entry; (entry = readdir(folder));) {
            if (entry->d_name[0] == '.' || entry->d_type == DT_DIR) continue;
            char name[300];
            snprintf(name, sizeof name, "%s/%s", FOLDERS[i], entry->d_name);
            AUTO_ZONE loaded = load(name);
            zones++;
            instant_ms cursor = at("1850-01-01T00:00:00Z");
            while (cursor < at("2120-01-01T00:00:00Z")) {
                zone_stretch stretch = zone_stretch_at(loaded, cursor);
                if (!(stretch.from <= cursor && cursor < stretch.to)) fail_msg("%s: hole at %lld", name, (long long)cursor);
                assert_true(zone_stretch_at(loaded, stretch.to - 1).offset_s == stretch.offset_s);
                cursor = stretch.to;
            }
        }
        closedir(folder);
    }
    assert_true(zones > 300);
}

static void bytes_that_are_no_zone_are_refused(void **state) {
    (void)state;
    zone *none = NULL;
    fault why = {0};
    assert_int_equal(zone_new(SV("x"), SV(""), &none, &why), ERR_MALFORMED);
    assert_string_equal(why.place, "offset 0");
    assert_int_equal(zone_new(SV("x"), SV("TZif is not enough of a header, however long it is"), &none, &why), ERR_MALFORMED);
    assert_null(none);
    // Every prefix of a good file, and every file with one byte turned over: read or refused, never a crash.
    static char bytes[FILE_BYTES_MAX];
    FILE *file = fopen("/usr/share/zoneinfo/Australia/Lord_Howe", "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t cut = 0; cut < len; cut++) assert_int_equal(zone_new(SV("x"), (sv){bytes, cut}, &none, &why), ERR_MALFORMED);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)~bytes[i];
        AUTO_ZONE odd = NULL;
        if (zone_new(SV("x"), (sv){bytes, len}, &odd, &why) == ERR_OK) {
            zone_stretch stretch = zone_stretch_at(odd, at("2024-06-01T00:00:00Z"));
            assert_true(stretch.from < stretch.to);
        }
        bytes[i] = (char)~bytes[i];
    }
}

static void windows_begin_and_end_at_local_midnight(void **state) {
    (void)state;
    static const window_rule SEASONS = {.kind = WINDOW_SEASON, .season_count = 2, .seasons = {{5, 1}, {11, 15}}};
    static const struct {
        const char *zone;
        window_rule rule;
        const char *at, *from, *to;
    } ROWS[] = {
        {"Asia/Shanghai", {.kind = WINDOW_MONTH}, "2024-02-29T15:59:59Z", "2024-01-31T16:00:00Z", "2024-02-29T16:00:00Z"},
        {"Asia/Shanghai", {.kind = WINDOW_MONTH}, "2024-02-29T16:00:00Z", "2024-02-29T16:00:00Z", "2024-03-31T16:00:00Z"},
        {"Asia/Shanghai", {.kind = WINDOW_YEAR}, "2024-12-31T15:59:59Z", "2023-12-31T16:00:00Z", "2024-12-31T16:00:00Z"},
        {"Europe/Berlin", {.kind = WINDOW_MONTH}, "2024-03-15T00:00:00Z", "2024-02-29T23:00:00Z", "2024-03-31T22:00:00Z"},
        {"Asia/Shanghai",
         {.kind = WINDOW_BILLING_PERIOD, .billing_day = 25},
         "2024-01-24T15:59:59Z",
         "2023-12-24T16:00:00Z",
         "2024-01-24T16:00:00Z"},
        {"Asia/Shanghai",
         {.kind = WINDOW_MONTH, .billing_day = 25},
         "2024-12-31T00:00:00Z",
         "2024-12-24T16:00:00Z",
         "2025-01-24T16:00:00Z"},
        {"UTC", SEASONS, "2024-01-01T00:00:00Z", "2023-11-15T00:00:00Z", "2024-05-01T00:00:00Z"},
        {"UTC", SEASONS, "2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z", "2024-11-15T00:00:00Z"},
        {"UTC", SEASONS, "2024-12-31T00:00:00Z", "2024-11-15T00:00:00Z", "2025-05-01T00:00:00Z"},
        {"Europe/Berlin", {.kind = WINDOW_DAY}, "2024-03-31T12:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ZONE loaded = load(ROWS[i].zone);
        time_window window = window_at(loaded, &ROWS[i].rule, at(ROWS[i].at));
        if (window.from != at(ROWS[i].from) || window.to != at(ROWS[i].to)) fail_msg("row %zu", i);
    }
}

// At 00:01 the clock of Newfoundland used to go back to 23:01, and Apia went over the date line.
static void a_day_that_has_begun_does_not_begin_again(void **state) {
    (void)state;
    static const struct {
        const char *zone, *at, *local, *begun;
    } ROWS[] = {
        {"America/St_Johns", "1991-10-27T02:29:59Z", "1991-10-26", "1991-10-26"},
        {"America/St_Johns", "1991-10-27T02:30:00Z", "1991-10-27", "1991-10-27"},
        {"America/St_Johns", "1991-10-27T02:31:00Z", "1991-10-26", "1991-10-27"},
        {"America/St_Johns", "1991-10-27T03:30:00Z", "1991-10-27", "1991-10-27"},
        {"Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29", "2011-12-29"},
        {"Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31"},
        {"Asia/Shanghai", "2024-02-29T16:00:00Z", "2024-03-01", "2024-03-01"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ZONE loaded = load(ROWS[i].zone);
        instant_ms now = at(ROWS[i].at);
        if (zone_local_day(loaded, now) != day(ROWS[i].local) || zone_begun_day(loaded, now) != day(ROWS[i].begun)) fail_msg("row %zu", i);
    }
}

// In zones whose clock goes back over midnight, too: the window of an instant holds it, and the next one begins where it ends.
static void windows_tile_time(void **state) {
    (void)state;
    static const char *const ZONES[] = {"Asia/Shanghai",     "America/Havana", "America/Sao_Paulo",   "Asia/Amman",
                                        "America/Goose_Bay", "Pacific/Apia",   "Australia/Lord_Howe", "America/St_Johns"};
    static const window_kind KINDS[] = {WINDOW_DAY, WINDOW_MONTH, WINDOW_YEAR, WINDOW_SEASON};
    for (size_t i = 0; i < ARRAY_LEN(ZONES) * ARRAY_LEN(KINDS); i++) {
        AUTO_ZONE loaded = load(ZONES[i / ARRAY_LEN(KINDS)]);
        window_rule rule = {.kind = KINDS[i % ARRAY_LEN(KINDS)], .season_count = 2, .seasons = {{2, 29}, {10, 1}}};
        instant_ms cursor = at("1985-01-01T00:00:00Z");
        time_window window = window_at(loaded, &rule, cursor);
        while (cursor < at("2030-01-01T00:00:00Z")) {
            if (!(window.from <= cursor && cursor < window.to))
                fail_msg("%s: hole at %lld", ZONES[i / ARRAY_LEN(KINDS)], (long long)cursor);
            time_window last = window_at(loaded, &rule, window.to - 1);
            assert_true(last.from == window.from && last.to == window.to);
            cursor = window.to;
            window = window_at(loaded, &rule, cursor);
            assert_true(window.from == cursor);
        }
    }
}

static void dated_days_win_over_weekdays(void **state) {
    (void)state;
    const dated_day DAYS[] = {
        {day("2024-10-01"), DAY_KIND_HOLIDAY}, {day("2024-09-29"), DAY_KIND_WORKDAY}, {day("2024-10-01"), DAY_KIND_HOLIDAY}};
    day_calendar *dated = day_calendar_new(DAYS, 3);
    assert_non_null(dated);
    assert_int_equal(day_calendar_kind(dated, day("2024-10-01")), DAY_KIND_HOLIDAY);
    assert_int_equal(day_calendar_kind(dated, day("2024-09-29")), DAY_KIND_WORKDAY);
    assert_int_equal(day_calendar_kind(dated, day("2024-10-02")), DAY_KIND_WED);
    assert_int_equal(day_calendar_kind(NULL, day("1969-12-28")), DAY_KIND_SUN);
    const dated_day TWICE[] = {{5, DAY_KIND_HOLIDAY}, {5, DAY_KIND_WORKDAY}};
    assert_null(day_calendar_new(TWICE, 2));
    day_calendar *same = day_calendar_new(DAYS, 2);
    assert_true(day_calendar_fingerprint(same) == day_calendar_fingerprint(dated));
    day_calendar_free(same);
    day_calendar_free(dated);
}

static void dates_are_read_strictly(void **state) {
    (void)state;
    int64_t read;
    month_day read_md;
    static const char *const BAD_DATES[] = {"2023-02-29", "2024-2-9", "2024-13-01",  "2024-00-10",
                                            "2024-04-31", "20240101", "2024-01-01x", ""};
    for (size_t i = 0; i < ARRAY_LEN(BAD_DATES); i++) assert_false(local_date_parse(sv_of(BAD_DATES[i]), &read));
    assert_true(local_date_parse(SV("2024-02-29"), &read));
    assert_true(month_day_parse(SV("02-29"), &read_md));
    assert_false(month_day_parse(SV("02-30"), &read_md));
    assert_false(month_day_parse(SV("2-3"), &read_md));
    assert_true(month_day_is_within((month_day){1, 5}, (month_day){11, 15}, (month_day){3, 15}));
    assert_true(month_day_is_within((month_day){3, 15}, (month_day){11, 15}, (month_day){3, 15}));
    assert_false(month_day_is_within((month_day){3, 16}, (month_day){11, 15}, (month_day){3, 15}));
    assert_false(month_day_is_within((month_day){11, 14}, (month_day){11, 15}, (month_day){3, 15}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_follow_history),
        cmocka_unit_test(days_have_as_many_minutes_as_their_zone_says),
        cmocka_unit_test(civil_times_that_are_skipped_or_come_twice),
        cmocka_unit_test(each_system_zone_is_read_and_its_stretches_tile_time),
        cmocka_unit_test(bytes_that_are_no_zone_are_refused),
        cmocka_unit_test(windows_begin_and_end_at_local_midnight),
        cmocka_unit_test(a_day_that_has_begun_does_not_begin_again),
        cmocka_unit_test(windows_tile_time),
        cmocka_unit_test(dated_days_win_over_weekdays),
        cmocka_unit_test(dates_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
