// The pure parts: every head and body, also cut at every byte, gives the same verdict; paths, queries and cookies.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../../../libs/httpd/src/reader.h"
#include "../../../libs/httpd/src/routes.h"
#include "../../../libs/httpd/src/uri.h"

#define HOST "Host: a\r\n"

// Feeds `text` in pieces of `piece` bytes; returns REFUSAL_NONE when a whole request came out.
static refusal read_in_pieces(sv text, size_t piece, buf *out_body) {
    reader in;
    reader_init(&in, (reader_limits){.head_max = 300, .fields_max = 6, .arena_max = 1024});
    refusal why = REFUSAL_DEADLINE;
    for (size_t at = 0; at < text.len && why == REFUSAL_DEADLINE; at += piece) {
        sv bytes = {text.ptr + at, text.len - at < piece ? text.len - at : piece};
        reader_step step = READER_MORE;
        do {
            step = reader_feed(&in, &bytes);
            if (step == READER_HEAD) {
                reader_accept_body(&in, 64);
                step = reader_feed(&in, &bytes);
            }
        } while (step == READER_MORE && bytes.len > 0);
        if (step == READER_REFUSED) why = in.why;
        if (step == READER_COMPLETE) why = REFUSAL_NONE;
    }
    buf_clear(out_body);
    if (why == REFUSAL_NONE) buf_add(out_body, buf_view(&in.body));
    reader_done(&in);
    return why;
}

static void check_verdict(const char *text, size_t len, refusal expected, const char *body) {
    AUTO(buf) got;
    buf_init(&got, 1000);
    for (size_t piece = 1; piece <= len; piece += piece < 8 ? 1 : len) {
        refusal why = read_in_pieces(sv_slice(text, len), piece, &got);
        if (why != expected) fail_msg("in pieces of %zu: %d instead of %d: %s", piece, (int)why, (int)expected, text);
        if (expected == REFUSAL_NONE) assert_string_equal(buf_cstr(&got), body);
    }
}

static void heads_are_judged_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        refusal why;
    } CASES[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", REFUSAL_NONE},
        {"GET / HTTP/1.0\r\n\r\n", REFUSAL_NONE},
        {"GET /?a=b HTTP/1.1\r\nhOsT: [::1]:80\r\nx: \t y z \t\r\nE:\r\n\r\n", REFUSAL_NONE},
        {"GET / HTTP/1.1\r\n\r\n", REFUSAL_HOST},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", REFUSAL_HOST},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", REFUSAL_HOST},
        {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", REFUSAL_HOST},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", REFUSAL_HOST},
        {"GET / HTTP/1.1\n" HOST "\r\n", REFUSAL_BARE_LF},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", REFUSAL_BARE_LF},
        {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", REFUSAL_BARE_LF},
        {"GET / HTTP/1.1\r\n" HOST "\r\r\n", REFUSAL_BARE_LF},
        {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", REFUSAL_FOLDED_HEADER},
        {"GET / HTTP/1.1\r\n" HOST "\tfolded\r\n\r\n", REFUSAL_FOLDED_HEADER},
        {"GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n", REFUSAL_HEADER},
        {"GET / HTTP/1.1\r\n" HOST ": y\r\n\r\n", REFUSAL_HEADER},
        {"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", REFUSAL_HEADER},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", REFUSAL_HEADER},
        {"GET / HTTP/1.1\r\n" HOST "X\xe4: a\r\n\r\n", REFUSAL_HEADER},
        {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"GET /\r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"GET\r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"G@T / HTTP/1.1\r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"GET / http/1.1\r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"GET / HTTP/1.10\r\n" HOST "\r\n", REFUSAL_REQUEST_LINE},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", REFUSAL_VERSION},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", REFUSAL_VERSION},
        {"GET http://a/ HTTP/1.1\r\n" HOST "\r\n", REFUSAL_TARGET},
        {"GET * HTTP/1.1\r\n" HOST "\r\n", REFUSAL_TARGET},
        {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", REFUSAL_TARGET},
        {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", REFUSAL_TARGET},
        {"TRACE / HTTP/1.1\r\n" HOST "\r\n", REFUSAL_METHOD},
        {"get / HTTP/1.1\r\n" HOST "\r\n", REFUSAL_METHOD},
        {"GET / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n", REFUSAL_EXPECTATION},
        {"GET / HTTP/1.1\r\n" HOST "a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\n\r\n", REFUSAL_HEAD_TOO_LARGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) check_verdict(CASES[i].text, strlen(CASES[i].text), CASES[i].why, "");
    check_verdict("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 39, REFUSAL_HEADER, "");
    char large[400] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    memset(large + strlen(large), 'x', sizeof large - strlen(large));
    check_verdict(large, sizeof large, REFUSAL_HEAD_TOO_LARGE, "");
}

#define POST "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static void bodies_are_framed_one_way_only(void **state) {
    (void)state;
    static const struct {
        const char *text;
        refusal why;
        const char *body;
    } CASES[] = {
        {POST "Content-Length: 5\r\n\r\nhello", REFUSAL_NONE, "hello"},
        {POST "Content-Length: 0\r\n\r\n", REFUSAL_NONE, ""},
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length: 5, 5\r\n\r\nhello", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length: +5\r\n\r\nhello", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length: -5\r\n\r\nhello", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length: 0x5\r\n\r\nhello", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length:\r\n\r\nhello", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length: 18446744073709551616\r\n\r\n", REFUSAL_CONTENT_LENGTH, ""},
        {POST "Content-Length: 65\r\n\r\n", REFUSAL_BODY_TOO_LARGE, ""},
        {POST "Content-Length: 18446744073709551615\r\n\r\n", REFUSAL_BODY_TOO_LARGE, ""},
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", REFUSAL_AMBIGUOUS, ""},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", REFUSAL_CODING, ""},
        {POST "Transfer-Encoding: chunked, identity\r\n\r\n", REFUSAL_CODING, ""},
        {POST "Transfer-Encoding: xchunked\r\n\r\n", REFUSAL_CODING, ""},
        {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", REFUSAL_CODING, ""},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", REFUSAL_CODING, ""},
        {POST "Transfer-Encoding:\r\n\r\n", REFUSAL_CODING, ""},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", REFUSAL_CODING, ""},
        {CHUNKED "5\r\nhello\r\n0\r\n\r\n", REFUSAL_NONE, "hello"},
        {POST "Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", REFUSAL_NONE, "hello!"},
        {CHUNKED "00A;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", REFUSAL_NONE, "0123456789"},
        {CHUNKED "5\nhello\r\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "5\r\nhello\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "5\r\nhello!\r\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "\r\nhello\r\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "-5\r\nhello\r\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "5 \r\nhello\r\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "5;\nhello\r\n0\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "0000000000000000\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "0\r\n folded\r\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "0\r\nTrailer: x\n\r\n", REFUSAL_CHUNK, ""},
        {CHUNKED "0\r\n\rx", REFUSAL_CHUNK, ""},
        {CHUNKED "41\r\n", REFUSAL_BODY_TOO_LARGE, ""},
        {CHUNKED "fffffffffffffff\r\n", REFUSAL_BODY_TOO_LARGE, ""},
        {CHUNKED "1\r\nx\r\n40\r\n", REFUSAL_BODY_TOO_LARGE, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) check_verdict(CASES[i].text, strlen(CASES[i].text), CASES[i].why, CASES[i].body);
}

static void trailers_are_bounded(void **state) {
    (void)state;
    char text[1000] = CHUNKED "0\r\nTrailer: ";
    memset(text + strlen(text), 'x', sizeof text - strlen(text));
    check_verdict(text, sizeof text, REFUSAL_CHUNK, "");
}

static void behind_a_request_stands_the_next(void **state) {
    (void)state;
    sv bytes = SV(POST "Content-Length: 2\r\n\r\nhiGET /next HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n");
    reader in;
    reader_init(&in, (reader_limits){.head_max = 300, .fields_max = 6, .arena_max = 1024});
    assert_int_equal(reader_feed(&in, &bytes), READER_HEAD);
    reader_accept_body(&in, 64);
    assert_false(in.head.wants_close);
    assert_int_equal(reader_feed(&in, &bytes), READER_COMPLETE);
    reader_next(&in);
    assert_int_equal(reader_feed(&in, &bytes), READER_HEAD);
    assert_true(sv_equal(in.head.path, SV("/next")));
    assert_true(in.head.wants_close);
    assert_int_equal(bytes.len, 0);
    reader_done(&in);
}

static void decoding_refuses_what_is_no_text(void **state) {
    (void)state;
    AUTO_ARENA memory = arena_new(100000);
    static const struct {
        const char *text, *plain;
    } CASES[] = {{"", ""},         {"a%20b+c", "a b+c"}, {"%E6%88%BF", "\xe6\x88\xbf"},
                 {"%2f%2F", "//"}, {"%", NULL},          {"%4", NULL},
                 {"%zz", NULL},    {"%00", NULL},        {"%ff", NULL},
                 {"%c0%af", NULL}, {"%ed%a0%80", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        sv plain = SV_NONE;
        assert_int_equal(uri_decode(sv_of(CASES[i].text), false, memory, &plain), CASES[i].plain != NULL);
        if (CASES[i].plain != NULL) assert_true(sv_equal(plain, sv_of(CASES[i].plain)));
    }
}

static void queries_and_cookies_are_found_by_name(void **state) {
    (void)state;
    AUTO_ARENA memory = arena_new(100000);
    sv value;
    sv query = SV("a=1&&b=x+y%26&c&%64=4&a=2&e=%zz&=9");
    assert_true(uri_query_find(query, SV("a"), memory, &value) && sv_equal(value, SV("1")));
    assert_true(uri_query_find(query, SV("b"), memory, &value) && sv_equal(value, SV("x y&")));
    assert_true(uri_query_find(query, SV("c"), memory, &value) && value.len == 0);
    assert_true(uri_query_find(query, SV("d"), memory, &value) && sv_equal(value, SV("4")));
    assert_true(uri_query_find(query, SV("e"), memory, &value) && sv_equal(value, SV("%zz")));
    assert_false(uri_query_find(query, SV("f"), memory, &value));
    assert_false(uri_query_find(SV_NONE, SV("a"), memory, &value));
    sv cookies = SV("xsession=1; session=\"2.ab=\" ;other; session=3");
    assert_true(uri_cookie_find(cookies, SV("session"), &value) && sv_equal(value, SV("2.ab=")));
    assert_false(uri_cookie_find(cookies, SV("other"), &value));
    assert_false(uri_cookie_find(cookies, SV("sess"), &value));
}

static void no_handler(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)response;
    (void)context;
}

static void routes_choose_by_path_then_method(void **state) {
    (void)state;
    static const httpd_route ROUTES[] = {{HTTPD_GET, "/a/{id}", no_handler, 0},
                                         {HTTPD_POST, "/a/{id}", no_handler, 0},
                                         {HTTPD_GET, "/a/{id}/b/{n}", no_handler, 0},
                                         {HTTPD_GET, "/", no_handler, 0}};
    static const struct {
        httpd_method method;
        const char *path;
        int route;
        size_t allowed;
    } CASES[] = {
        {HTTPD_GET, "/a/1", 0, 3},     {HTTPD_HEAD, "/a/1", 0, 3},  {HTTPD_POST, "/a/1", 1, 3}, {HTTPD_PUT, "/a/1", -1, 3},
        {HTTPD_GET, "/a/1/b/2", 2, 2}, {HTTPD_GET, "/", 3, 2},      {HTTPD_GET, "/a/", -1, 0},  {HTTPD_GET, "/a", -1, 0},
        {HTTPD_GET, "/a/1/", -1, 0},   {HTTPD_GET, "//a/1", -1, 0}, {HTTPD_GET, "/A/1", -1, 0}, {HTTPD_POST, "/", -1, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        route_match match = routes_find(ROUTES, ARRAY_LEN(ROUTES), CASES[i].method, sv_of(CASES[i].path));
        assert_ptr_equal(match.route, CASES[i].route < 0 ? NULL : &ROUTES[CASES[i].route]);
        assert_int_equal(match.allow_count, CASES[i].allowed);
    }
}

static void route_tables_are_checked(void **state) {
    (void)state;
    fault why;
    const httpd_route good = {HTTPD_GET, "/a/{id}", no_handler, 0};
    assert_int_equal(routes_check(&good, 1, &why), ERR_OK);
    static const char *const BAD[] = {"a/b", "", "/a/{id", "/a/x{id}", "/a/{}"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        httpd_route bad = {HTTPD_GET, BAD[i], no_handler, 0};
        assert_int_equal(routes_check(&bad, 1, &why), ERR_BAD_INPUT);
        assert_string_equal(why.place, BAD[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_judged_strictly),
        cmocka_unit_test(bodies_are_framed_one_way_only),
        cmocka_unit_test(trailers_are_bounded),
        cmocka_unit_test(behind_a_request_stands_the_next),
        cmocka_unit_test(decoding_refuses_what_is_no_text),
        cmocka_unit_test(queries_and_cookies_are_found_by_name),
        cmocka_unit_test(routes_choose_by_path_then_method),
        cmocka_unit_test(route_tables_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
