// Every event has an example with exactly its declared fields; streams and problems are well-formed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/buf.h"
#include "contracts/events.h"
#include "contracts/problems.h"
#include "contracts/streams.h"
#include "json/json.h"

static void read_example(const char *event, buf *out) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s.json", EXAMPLES_FOLDER, event);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("no example %s", path);
    char bytes[4096];
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    buf_add(out, sv_slice(bytes, len));
}

static bool has_type(json_reader *reader, const json_node *node, sv type) {
    int64_t number;
    instant_ms at;
    if (sv_equal(type, SV("int"))) return json_node_kind(node) == JSON_KIND_INTEGER;
    if (sv_equal(type, SV("micro"))) return json_node_kind(node) == JSON_KIND_TEXT && sv_to_i64(json_read_text(reader, node), &number);
    if (sv_equal(type, SV("time"))) return json_node_kind(node) == JSON_KIND_TEXT && instant_parse(json_read_text(reader, node), &at);
    if (sv_equal(type, SV("text"))) return json_node_kind(node) == JSON_KIND_TEXT;
    if (sv_equal(type, SV("object"))) return json_node_kind(node) == JSON_KIND_OBJECT;
    fail_msg("unknown type %.*s", SV_ARG(type));
    return false;
}

static void check_event(event_type type) {
    AUTO(buf) text = {.max = 10000};
    read_example(event_text(type), &text);
    AUTO_JSON doc = NULL;
    fault why = {0};
    if (json_parse(buf_view(&text), JSON_LIMITS_DOCUMENT, &doc, &why)) fail_msg("%s: %s", event_text(type), why.reason);
    json_reader reader;
    json_reader_init(&reader);
    json_node root = json_root(doc);
    sv rest = sv_of(event_fields(type)), field = SV_NONE;
    size_t count = 0;
    while (sv_next(&rest, ' ', &field)) {
        sv name = SV_NONE;
        assert_true(sv_next(&field, ':', &name));
        char key[64];
        sv_copy_truncated(name, key, sizeof key);
        bool may_be_null = field.len > 0 && field.ptr[field.len - 1] == '?';
        if (may_be_null) field.len--;
        json_node member = may_be_null ? json_optional(&reader, &root, key) : json_member(&reader, &root, key);
        count++;
        if (may_be_null && !json_is_present(&member)) continue;
        if (!has_type(&reader, &member, field)) fail_msg("%s: %s is not of type %.*s", event_text(type), key, SV_ARG(field));
    }
    if (json_reader_failed(&reader)) fail_msg("%s: %s", event_text(type), reader.fault.reason);
    assert_int_equal(json_object_len(&reader, &root), count);
}

static void every_event_has_its_example(void **state) {
    (void)state;
    for (int i = 0; i < EVENT_COUNT; i++) check_event((event_type)i);
}

static void names_are_unique_and_found(void **state) {
    (void)state;
    for (int i = 0; i < EVENT_COUNT; i++) {
        event_type found;
        assert_true(event_parse(sv_of(event_text((event_type)i)), &found));
        assert_int_equal(found, i);
        assert_true(event_meaning((event_type)i)[0] != '\0');
        assert_true(event_stream((event_type)i) < STREAM_COUNT);
    }
    event_type none;
    assert_false(event_parse(SV("nothing"), &none));
    for (int i = 0; i < STREAM_COUNT; i++) {
        assert_non_null(stream_producer(sv_of(stream_name((stream_id)i))));
        assert_true(stream_meaning((stream_id)i)[0] != '\0');
        for (int j = 0; j < i; j++) assert_string_not_equal(stream_name((stream_id)i), stream_name((stream_id)j));
    }
    assert_null(stream_producer(SV("nothing")));
    char name[STREAM_NAME_MAX];
    stream_partition_name(STREAM_READINGS, 17, name);
    assert_string_equal(name, "readings:17");
    for (int i = 0; i < PROBLEM_COUNT; i++) {
        assert_in_range(problem_http_status((problem)i), 400, 599);
        assert_true(problem_title((problem)i)[0] != '\0');
        for (int j = 0; j < i; j++) assert_string_not_equal(problem_type((problem)i), problem_type((problem)j));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_has_its_example),
        cmocka_unit_test(names_are_unique_and_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
