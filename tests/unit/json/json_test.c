// JSON: what is refused and where the refusal points; what is written.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "json/json.h"
#include "json/json_writer.h"

static void texts_that_are_not_strict_json_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        err_t err;
        const char *place;
    } ROWS[] = {
        {"", ERR_MALFORMED, "line 1, column 0"},
        {"{\"a\": 1, \"a\": 2}", ERR_MALFORMED, "line 1, column 12"},
        {"{\"a\": 1} x", ERR_MALFORMED, "line 1, column 10"},
        {"{\n  \"a\": 01\n}", ERR_MALFORMED, "line 2, column 8"},
        {"[1,]", ERR_MALFORMED, "line 1, column 4"},
        {"{'a': 1}", ERR_MALFORMED, "line 1, column 2"},
        {"\"\xFF\"", ERR_MALFORMED, NULL},
        {"[9223372036854775808]", ERR_MALFORMED, NULL},
        {"[NaN]", ERR_MALFORMED, NULL},
        {"[[[[1]]]]", ERR_TOO_LARGE, "/"},
        {"\"0123456789012345678901234567890123456789\"", ERR_TOO_LARGE, "/"},
        {"[[[\"[[[[\\\"[[\"]]]", ERR_OK, NULL},
        {"7", ERR_OK, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_JSON doc = NULL;
        fault why = {0};
        err_t err = json_parse(sv_of(ROWS[i].text), (json_limits){40, 3}, &doc, &why);
        if (err != ROWS[i].err) fail_msg("%s: %s", ROWS[i].text, err_name(err));
        assert_int_equal(doc != NULL, err == ERR_OK);
        if (err) assert_true(why.reason[0] != 0 && why.err == err);
        if (ROWS[i].place) assert_string_equal(why.place, ROWS[i].place);
    }
    AUTO_JSON doc = NULL;
    assert_int_equal(json_parse((sv){"\"a\\u0000b\"", 10}, JSON_LIMITS_DOCUMENT, &doc, NULL), ERR_MALFORMED);
    assert_int_equal(json_parse((sv){"[1]\0", 4}, JSON_LIMITS_DOCUMENT, &doc, NULL), ERR_MALFORMED);
}

static const char DOCUMENT[] =
    "{\"name\": \"meter\", \"count\": 3, \"real\": 1.5, \"none\": null, \"on\": true, \"at\": \"2024-03-01T00:00:00+08:00\","
    " \"lines\": [{\"prices\": {\"peak\": \"0.617\", \"a/b~c\": []}}], \"empty\": \"\", \"amount\": -12}";

typedef void read_once(json_reader *r, const json_node *root);

static void read_missing(json_reader *r, const json_node *root) { (void)json_member(r, root, "nope"); }
static void read_null(json_reader *r, const json_node *root) { (void)json_member(r, root, "none"); }
static void read_wrong_kind(json_reader *r, const json_node *root) {
    json_node node = json_member(r, root, "name");
    (void)json_read_integer(r, &node, 0, 10);
}
static void read_deep(json_reader *r, const json_node *root) {
    json_node lines = json_member(r, root, "lines");
    json_node first = json_item(r, &lines, 0);
    json_node prices = json_member(r, &first, "prices");
    json_node peak = json_member(r, &prices, "peak");
    (void)json_read_boolean(r, &peak);
}
static void read_escaped(json_reader *r, const json_node *root) {
    json_node lines = json_member(r, root, "lines");
    json_node first = json_item(r, &lines, 0);
    json_node prices = json_member(r, &first, "prices");
    json_node odd = json_member(r, &prices, "a/b~c");
    (void)json_read_text(r, &odd);
}
static void read_past_the_end(json_reader *r, const json_node *root) {
    json_node lines = json_member(r, root, "lines");
    json_node second = json_item(r, &lines, 1);
    (void)json_read_text(r, &second);
}
static void read_real_as_decimal(json_reader *r, const json_node *root) {
    json_node node = json_member(r, root, "real");
    char scratch[JSON_DECIMAL_TEXT_MAX];
    (void)json_read_decimal_text(r, &node, scratch);
}
static void read_out_of_bounds(json_reader *r, const json_node *root) {
    json_node node = json_member(r, root, "count");
    (void)json_read_integer(r, &node, 4, 10);
}
static void read_not_a_time(json_reader *r, const json_node *root) {
    json_node node = json_member(r, root, "name");
    (void)json_read_instant(r, &node);
}
static void read_empty(json_reader *r, const json_node *root) {
    json_node node = json_member(r, root, "empty");
    (void)json_read_text_bounded(r, &node, 10);
}
static void read_too_long(json_reader *r, const json_node *root) {
    json_node node = json_member(r, root, "name");
    (void)json_read_text_bounded(r, &node, 4);
}
static void read_unknown_key(json_reader *r, const json_node *root) {
    static const char *const KEYS[] = {"name", "count", "real", "none", "on", "at", "empty", "amount", NULL};
    json_allow_only(r, root, KEYS);
}
static void read_two_faults(json_reader *r, const json_node *root) {
    read_missing(r, root);
    read_wrong_kind(r, root);
}

static void refusals_name_their_place(void **state) {
    (void)state;
    static const struct {
        read_once *read;
        const char *place, *reason;
    } ROWS[] = {
        {read_missing, "/", "\"nope\" is missing"},
        {read_null, "/", "\"none\" is missing"},
        {read_wrong_kind, "/name", "must be an integer"},
        {read_deep, "/lines/0/prices/peak", "must be true or false"},
        {read_escaped, "/lines/0/prices/a~1b~0c", "must be a string"},
        {read_past_the_end, "/lines/1", "missing"},
        {read_real_as_decimal, "/real", "write decimals as strings"},
        {read_out_of_bounds, "/count", "must be within 4 to 10"},
        {read_not_a_time, "/name", "not an RFC 3339 time with offset"},
        {read_empty, "/empty", "must not be empty"},
        {read_too_long, "/name", "longer than 4 bytes"},
        {read_unknown_key, "/lines", "unknown key"},
        {read_two_faults, "/", "\"nope\" is missing"},
    };
    AUTO_JSON doc = NULL;
    assert_int_equal(json_parse(sv_of(DOCUMENT), JSON_LIMITS_DOCUMENT, &doc, NULL), ERR_OK);
    json_node root = json_root(doc);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        json_reader r;
        fault why = {0};
        json_reader_init(&r);
        ROWS[i].read(&r, &root);
        assert_int_equal(json_reader_fault(&r, &why), ERR_BAD_INPUT);
        assert_string_equal(why.place, ROWS[i].place);
        assert_string_equal(why.reason, ROWS[i].reason);
    }
}

static void values_are_read(void **state) {
    (void)state;
    AUTO_JSON doc = NULL;
    json_reader r;
    json_reader_init(&r);
    assert_int_equal(json_parse(sv_of(DOCUMENT), JSON_LIMITS_DOCUMENT, &doc, NULL), ERR_OK);
    json_node root = json_root(doc);
    json_node name = json_member(&r, &root, "name");
    json_node count = json_member(&r, &root, "count");
    json_node on = json_member(&r, &root, "on");
    json_node at = json_member(&r, &root, "at");
    json_node amount = json_member(&r, &root, "amount");
    json_node none = json_optional(&r, &root, "none");
    char scratch[JSON_DECIMAL_TEXT_MAX];
    assert_true(sv_equal(json_read_text(&r, &name), SV("meter")));
    assert_true(json_read_integer(&r, &count, 0, 3) == 3);
    assert_true(json_read_boolean(&r, &on));
    assert_true(json_read_instant(&r, &at) == 1709222400000);
    assert_true(sv_equal(json_read_decimal_text(&r, &amount, scratch), SV("-12")));
    assert_false(json_is_present(&none));
    static const char *const ORDER[] = {"name", "count", "real", "none", "on", "at", "lines", "empty", "amount"};
    json_node member = {0};
    for (size_t i = 0; i < ARRAY_LEN(ORDER); i++) {
        assert_true(json_next(&r, &root, &member));
        assert_string_equal(member.key, ORDER[i]);
    }
    assert_false(json_next(&r, &root, &member));
    assert_false(json_reader_failed(&r));
}

static void the_writer_places_commas_and_escapes(void **state) {
    (void)state;
    AUTO(buf) out;
    buf_init(&out, 1024);
    json_writer w;
    json_writer_init(&w, &out);
    json_open_object(&w);
    json_put_text(&w, "a\"b", SV("1\n\xFF"));
    json_put_integer(&w, "n", INT64_MIN);
    json_key(&w, "list");
    json_open_array(&w);
    json_open_object(&w);
    json_close_object(&w);
    json_add_boolean(&w, false);
    json_add_raw(&w, SV("[1]"));
    json_open_array(&w);
    json_close_array(&w);
    json_close_array(&w);
    json_put_null(&w, "none");
    json_put_instant(&w, "at", 1709222400000, 8 * 3600);
    json_put_boolean(&w, "yes", true);
    json_close_object(&w);
    assert_false(buf_has_failed(&out));
    assert_string_equal(buf_cstr(&out),
                        "{\"a\\\"b\":\"1\\n\xEF\xBF\xBD\",\"n\":-9223372036854775808,\"list\":[{},false,[1],[]],\"none\":null,"
                        "\"at\":\"2024-03-01T00:00:00+08:00\",\"yes\":true}");
    AUTO_JSON doc = NULL;
    assert_int_equal(json_parse(buf_view(&out), JSON_LIMITS_DOCUMENT, &doc, NULL), ERR_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_not_strict_json_are_refused),
        cmocka_unit_test(refusals_name_their_place),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(the_writer_places_commas_and_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
