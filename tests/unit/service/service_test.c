// Settings and metrics: what is refused, what is shown, what is written.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "service/metrics.h"
#include "service/settings.h"

static const setting RULES[] = {
    {.name = "T_TEXT", .kind = SETTING_TEXT, .fallback = "abc", .min = 1, .max = 5, .help = "A text."},
    {.name = "T_INT", .kind = SETTING_INT, .fallback = "7", .min = -1, .max = 10, .help = "A number."},
    {.name = "T_BOOL", .kind = SETTING_BOOL, .fallback = "0", .help = "A switch."},
    {.name = "T_ADDRESS", .kind = SETTING_ADDRESS, .fallback = "127.0.0.1:80", .help = "An address."},
    {.name = "T_CHOICE", .kind = SETTING_CHOICE, .fallback = "red", .choices = "red|green", .help = "A colour."},
    {.name = "T_PATH", .kind = SETTING_PATH, .fallback = "", .help = "A file."},
    {.name = "T_SECRET", .kind = SETTING_TEXT, .fallback = "", .is_secret = true, .help = "A secret."},
    {.name = NULL},
};
static const setting *const TABLES[] = {RULES, NULL};

static void wrong_values_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        bool ok;
    } ROWS[] = {
        {"T_TEXT", "", false},          {"T_TEXT", "abcdef", false},    {"T_TEXT", "abcde", true},    {"T_INT", "11", false},
        {"T_INT", "-2", false},         {"T_INT", "1x", false},         {"T_INT", "", false},         {"T_INT", "10", true},
        {"T_BOOL", "maybe", false},     {"T_BOOL", "yes", true},        {"T_ADDRESS", "here", false}, {"T_ADDRESS", "host:70000", false},
        {"T_ADDRESS", "[::1]:1", true}, {"T_ADDRESS", "unix:/a", true}, {"T_CHOICE", "blue", false},  {"T_CHOICE", "green", true},
        {"T_CHOICE", "", false},        {"T_PATH", "/no/where", false}, {"T_PATH", "/dev/null", true}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        setenv(ROWS[i].name, ROWS[i].value, 1);
        settings *loaded = NULL;
        fault why = {0};
        err_t err = settings_load(TABLES, &loaded, &why);
        if (err != (ROWS[i].ok ? ERR_OK : ERR_BAD_INPUT)) fail_msg("%s=%s", ROWS[i].name, ROWS[i].value);
        if (err) assert_string_equal(why.place, ROWS[i].name);
        settings_free(loaded);
        unsetenv(ROWS[i].name);
    }
}

static void a_required_setting_must_be_there(void **state) {
    (void)state;
    static const setting REQUIRED[] = {{.name = "T_REQUIRED", .kind = SETTING_TEXT, .help = "x"}, {.name = NULL}};
    static const setting *const ONE[] = {REQUIRED, NULL};
    settings *loaded = NULL;
    fault why = {0};
    assert_int_equal(settings_load(ONE, &loaded, &why), ERR_BAD_INPUT);
    assert_string_equal(why.place, "T_REQUIRED");
}

static void secrets_come_from_files_and_are_not_shown(void **state) {
    (void)state;
    char path[] = "/tmp/penstock-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "s3cret\n", 7), 7);
    close(fd);
    setenv("T_SECRET_FILE", path, 1);
    settings *loaded = NULL;
    fault why = {0};
    assert_int_equal(settings_load(TABLES, &loaded, &why), ERR_OK);
    assert_string_equal(settings_text(loaded, "T_SECRET"), "s3cret");
    AUTO(buf) shown = {.max = 10000};
    settings_print(loaded, &shown);
    assert_non_null(strstr(buf_cstr(&shown), "T_SECRET=****\n"));
    assert_null(strstr(buf_cstr(&shown), "s3cret"));
    assert_non_null(strstr(buf_cstr(&shown), "T_INT=7\n"));
    settings_free(loaded);
    setenv("T_SECRET", "other", 1);
    assert_int_equal(settings_load(TABLES, &loaded, &why), ERR_BAD_INPUT);
    unsetenv("T_SECRET");
    unlink(path);
    assert_int_equal(settings_load(TABLES, &loaded, &why), ERR_BAD_INPUT);
    assert_string_equal(why.place, "T_SECRET");
    unsetenv("T_SECRET_FILE");
}

static void help_names_every_setting(void **state) {
    (void)state;
    AUTO(buf) text = {.max = 10000};
    settings_help(TABLES, &text);
    for (const setting *rule = RULES; rule->name; rule++) assert_non_null(strstr(buf_cstr(&text), rule->name));
    assert_non_null(strstr(buf_cstr(&text), "From -1 to 10."));
}

static int64_t forty_two(void *context) { return *(int64_t *)context; }

static void metrics_are_written_as_prometheus_text(void **state) {
    (void)state;
    metric *a = metric_counter("t_things_total", "Things", "kind=\"a\"");
    metric *gauge = metric_gauge("t_level", "Level", NULL);
    metric *b = metric_counter("t_things_total", "Things", "kind=\"b\"");
    assert_ptr_equal(a, metric_counter("t_things_total", "Things", "kind=\"a\""));
    metric_add(a, 2);
    metric_add(b, 3);
    metric_add(a, 1);
    metric_set(gauge, -5);
    int64_t value = 42;
    metric_gauge_read("t_read", "Read when asked", NULL, forty_two, &value);
    metric *histogram = metric_histogram("t_wait_seconds", "Waits", NULL);
    metric_observe_us(histogram, 500);
    metric_observe_us(histogram, 501);
    metric_observe_us(histogram, 70000000);
    AUTO(buf) page = {.max = 100000};
    metrics_write(&page);
    const char *text = buf_cstr(&page);
    static const char *const WANTED[] = {
        "# HELP t_things_total Things\n# TYPE t_things_total counter\nt_things_total{kind=\"a\"} 3\nt_things_total{kind=\"b\"} 3\n",
        "# TYPE t_level gauge\nt_level -5\n",
        "t_read 42\n",
        "# TYPE t_wait_seconds histogram\nt_wait_seconds_bucket{le=\"0.0005\"} 1\nt_wait_seconds_bucket{le=\"0.001\"} 2\n",
        "t_wait_seconds_bucket{le=\"60\"} 2\nt_wait_seconds_bucket{le=\"+Inf\"} 3\nt_wait_seconds_sum 70.001001\nt_wait_seconds_count 3\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(WANTED); i++)
        if (!strstr(text, WANTED[i])) fail_msg("missing:\n%s\nin:\n%s", WANTED[i], text);
    assert_true(text[page.len - 1] == '\n');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_values_are_refused_by_name),          cmocka_unit_test(a_required_setting_must_be_there),
        cmocka_unit_test(secrets_come_from_files_and_are_not_shown), cmocka_unit_test(help_names_every_setting),
        cmocka_unit_test(metrics_are_written_as_prometheus_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
