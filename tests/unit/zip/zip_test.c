// gzip in and out: whole, damaged, cut, bombs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/mem.h"
#include "zip/zip.h"

static void content_survives(void **state) {
    (void)state;
    static const size_t LENGTHS[] = {0, 1, 100, 16384, 100000};
    for (size_t i = 0; i < ARRAY_LEN(LENGTHS); i++) {
        AUTO_MEM uint8_t *bytes = mem_new(LENGTHS[i] + 1, 1);
        if (LENGTHS[i]) random_fill(bytes, LENGTHS[i]);
        AUTO(buf) packed;
        AUTO(buf) plain;
        buf_init(&packed, 200000);
        buf_init(&plain, LENGTHS[i]);
        assert_int_equal(zip_gzip(sv_slice(bytes, LENGTHS[i]), &packed), ERR_OK);
        assert_int_equal(zip_gunzip(buf_view(&packed), &plain, NULL), ERR_OK);
        assert_true(sv_equal(buf_view(&plain), sv_slice(bytes, LENGTHS[i])));
    }
}

// `printf hello | gzip -n` of another program.
static void foreign_gzip_is_read(void **state) {
    (void)state;
    static const uint8_t HELLO[] = {0x1f, 0x8b, 0x08, 0, 0,    0,    0,    0,    0, 0x03, 0xcb, 0x48, 0xcd,
                                    0xc9, 0xc9, 0x07, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0,    0,    0};
    AUTO(buf) plain;
    buf_init(&plain, 5);
    assert_int_equal(zip_gunzip(sv_slice(HELLO, sizeof HELLO), &plain, NULL), ERR_OK);
    assert_true(sv_equal(buf_view(&plain), SV("hello")));
}

static void a_bomb_stops_at_the_bound(void **state) {
    (void)state;
    AUTO_MEM char *zeros = mem_new(8u << 20, 1);
    AUTO(buf) packed;
    buf_init(&packed, 100000);
    assert_int_equal(zip_gzip((sv){zeros, 8u << 20}, &packed), ERR_OK);
    assert_true(packed.len < 10000);
    static const size_t BOUNDS[] = {0, 1, 16384, (8u << 20) - 1};
    for (size_t i = 0; i < ARRAY_LEN(BOUNDS); i++) {
        AUTO(buf) plain;
        fault why = {0};
        buf_init(&plain, BOUNDS[i]);
        assert_int_equal(zip_gunzip(buf_view(&packed), &plain, &why), ERR_TOO_LARGE);
        assert_int_equal(plain.len, 0);
        assert_non_null(strstr(why.reason, "inflates beyond"));
    }
}

static void damage_is_refused(void **state) {
    (void)state;
    AUTO(buf) packed;
    AUTO(buf) plain;
    buf_init(&packed, 1000);
    buf_init(&plain, 1000);
    assert_int_equal(zip_gzip(SV("{\"readings\":[]}"), &packed), ERR_OK);
    for (size_t cut = 0; cut < packed.len; cut++) assert_int_equal(zip_gunzip(sv_slice(packed.ptr, cut), &plain, NULL), ERR_MALFORMED);
    buf_add_byte(&packed, 0);
    assert_int_equal(zip_gunzip(buf_view(&packed), &plain, NULL), ERR_MALFORMED);
    packed.len--;
    packed.ptr[packed.len - 6] ^= 1;  // in the checksum
    assert_int_equal(zip_gunzip(buf_view(&packed), &plain, NULL), ERR_MALFORMED);
    assert_int_equal(zip_gunzip(SV("plain text"), &plain, NULL), ERR_MALFORMED);
    assert_int_equal(plain.len, 0);
    assert_false(buf_has_failed(&plain));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_survives),
        cmocka_unit_test(foreign_gzip_is_read),
        cmocka_unit_test(a_bomb_stops_at_the_bound),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
