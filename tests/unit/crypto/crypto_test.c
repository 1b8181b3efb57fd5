// Published vectors (FIPS 180-4, RFC 4231, RFC 4648, libargon2's own tool), a sealed secret made by another
// implementation, and every single-bit change of a sealed secret.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "crypto/crypto.h"
#include "crypto/password.h"
#include "crypto/secret_box.h"

static void assert_hex(const uint8_t *bytes, size_t len, const char *hex) {
    AUTO(buf) text;
    buf_init(&text, 4096);
    buf_add_hex(&text, bytes, len);
    assert_string_equal(buf_cstr(&text), hex);
}

static void assert_text(buf *actual, const char *expected) { assert_string_equal(buf_cstr(actual), expected); }

static void sha256_matches_fips_180(void **state) {
    (void)state;
    static const struct {
        const char *text, *hash;
    } CASES[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        uint8_t hash[CRYPTO_SHA256_LEN];
        crypto_sha256(sv_of(CASES[i].text), hash);
        assert_hex(hash, sizeof hash, CASES[i].hash);
    }
}

static void hmac_matches_rfc_4231(void **state) {
    (void)state;
    char key_0b[20], key_aa[131], data_dd[50];
    memset(key_0b, 0x0b, sizeof key_0b);
    memset(key_aa, 0xaa, sizeof key_aa);
    memset(data_dd, 0xdd, sizeof data_dd);
    const struct {
        sv key, data;
        const char *mac;
    } cases[] = {
        {sv_slice(key_0b, 20), SV("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {SV("Jefe"), SV("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {sv_slice(key_aa, 20), sv_slice(data_dd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {sv_slice(key_aa, 131), SV("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t mac[CRYPTO_SHA256_LEN];
        crypto_hmac_sha256(cases[i].key, cases[i].data, mac);
        assert_hex(mac, sizeof mac, cases[i].mac);
        for (size_t cut = 0; cut <= cases[i].data.len; cut++) {
            sv pieces[2] = {{cases[i].data.ptr, cut}, sv_skip(cases[i].data, cut)};
            crypto_hmac_sha256_pieces(cases[i].key, pieces, 2, mac);
            assert_hex(mac, sizeof mac, cases[i].mac);
        }
    }
}

static void equal_compares_all_bytes(void **state) {
    (void)state;
    assert_true(crypto_equal(SV("secret"), SV("secret")));
    assert_true(crypto_equal(SV(""), SV_NONE));
    assert_false(crypto_equal(SV("secret"), SV("secreT")));
    assert_false(crypto_equal(SV("secret"), SV("Secret")));
    assert_false(crypto_equal(SV("secret"), SV("secret1")));
}

static void base64_matches_rfc_4648(void **state) {
    (void)state;
    static const struct {
        const char *plain, *standard, *url;
    } CASES[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                 {"\xfb\xff\xbf", "+/+/", "-_-_"}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        AUTO(buf) out;
        buf_init(&out, 256);
        crypto_base64_add(&out, sv_of(CASES[i].plain));
        assert_text(&out, CASES[i].standard);
        buf_clear(&out);
        crypto_base64url_add(&out, sv_of(CASES[i].plain));
        assert_text(&out, CASES[i].url);
        buf_clear(&out);
        assert_true(crypto_base64_decode(sv_of(CASES[i].standard), &out));
        assert_text(&out, CASES[i].plain);
        buf_clear(&out);
        assert_true(crypto_base64url_decode(sv_of(CASES[i].url), &out));
        assert_text(&out, CASES[i].plain);
    }
}

static void base64_refuses_what_no_encoder_writes(void **state) {
    (void)state;
    static const char *const STANDARD[] = {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "====", "Z===", "-_-_", "Zg==Zg=="};
    static const char *const URL[] = {"Z", "Zh", "Zm9", "Zg==", "+/+/", "Zm9vY", "Zm 8"};
    AUTO(buf) out;
    buf_init(&out, 256);
    buf_add(&out, SV("kept"));
    for (size_t i = 0; i < ARRAY_LEN(STANDARD); i++) assert_false(crypto_base64_decode(sv_of(STANDARD[i]), &out));
    for (size_t i = 0; i < ARRAY_LEN(URL); i++) assert_false(crypto_base64url_decode(sv_of(URL[i]), &out));
    assert_text(&out, "kept");
}

static void base64_round_trips_random_bytes(void **state) {
    (void)state;
    for (size_t len = 0; len < 200; len++) {
        char bytes[200];
        random_fill(bytes, sizeof bytes);
        AUTO(buf) text;
        AUTO(buf) back;
        buf_init(&text, 1024);
        buf_init(&back, 1024);
        crypto_base64url_add(&text, sv_slice(bytes, len));
        assert_true(crypto_base64url_decode(buf_view(&text), &back));
        assert_true(sv_equal(buf_view(&back), sv_slice(bytes, len)));
    }
}

static void tokens_are_long_and_differ(void **state) {
    (void)state;
    char first[64], second[64];
    crypto_token(32, first);
    crypto_token(32, second);
    assert_int_equal(strlen(first), 43);
    assert_string_not_equal(first, second);
}

static void password_verifies_the_reference_tool(void **state) {
    (void)state;
    sv one = SV("$argon2id$v=19$m=32768,t=2,p=1$c29tZXNhbHQ$XI8TkQ/K9Vf7vxfnzX73a5oi22rsz1dnaMYpfL+Ga8A");
    sv two = SV("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE");
    assert_true(crypto_password_verify(SV("password"), one));
    assert_true(crypto_password_verify(SV("password"), two));
    assert_false(crypto_password_verify(SV("Password"), one));
    assert_true(crypto_password_is_outdated(one));
}

static void password_round_trips(void **state) {
    (void)state;
    char first[CRYPTO_PASSWORD_HASH_MAX], second[CRYPTO_PASSWORD_HASH_MAX];
    assert_int_equal(crypto_password_hash(SV("corr3ct horse 电池"), first), ERR_OK);
    assert_int_equal(crypto_password_hash(SV("corr3ct horse 电池"), second), ERR_OK);
    assert_string_not_equal(first, second);
    assert_memory_equal(first, "$argon2id$v=19$m=65536,t=3,p=1$", 31);
    assert_true(crypto_password_verify(SV("corr3ct horse 电池"), sv_of(first)));
    assert_false(crypto_password_verify(SV("corr3ct horse"), sv_of(first)));
    assert_false(crypto_password_is_outdated(sv_of(first)));
    assert_int_equal(crypto_password_hash(SV(""), first), ERR_BAD_INPUT);
}

static void password_refuses_hostile_hashes(void **state) {
    (void)state;
    static const char *const HASHES[] = {
        "",
        "password",
        "$argon2i$v=19$m=32768,t=2,p=1$c29tZXNhbHQ$XI8TkQ/K9Vf7vxfnzX73a5oi22rsz1dnaMYpfL+Ga8A",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$XI8TkQ/K9Vf7vxfnzX73a5oi22rsz1dnaMYpfL+Ga8A",
        "$argon2id$v=19$m=32768,t=4294967295,p=1$c29tZXNhbHQ$XI8TkQ/K9Vf7vxfnzX73a5oi22rsz1dnaMYpfL+Ga8A",
        "$argon2id$v=19$m=32768,t=2,p=200$c29tZXNhbHQ$XI8TkQ/K9Vf7vxfnzX73a5oi22rsz1dnaMYpfL+Ga8A",
        "$argon2id$v=19$m=32768,t=2,p=1$",
        "$argon2id$v=19$m=32768,t=2",
    };
    for (size_t i = 0; i < ARRAY_LEN(HASHES); i++) assert_false(crypto_password_verify(SV("password"), sv_of(HASHES[i])));
}

static crypto_keyring *ring_of(const char *text) {
    crypto_keyring *ring = NULL;
    fault why = {0};
    if (crypto_keyring_parse(sv_of(text), &ring, &why) != ERR_OK) fail_msg("%s: %s", why.place, why.reason);
    return ring;
}

#define KEY_42 "4242424242424242424242424242424242424242424242424242424242424242"
#define KEY_43 "4343434343434343434343434343434343434343434343434343434343434343"

static void seal_opens_what_another_implementation_sealed(void **state) {
    (void)state;
    AUTO_KEYRING ring = ring_of("# first\n7 " KEY_42 "\n");
    sv hex = SV("503100000007000102030405060708090a0b64fefcb8c549802bed673760a6b2295f6ef794e8cda908c9d6dad2d2c05c98ab");
    uint8_t sealed[50];
    assert_true(sv_hex_decode(hex, sealed));
    AUTO(buf) out;
    buf_init(&out, 100);
    assert_int_equal(crypto_open(ring, 9, SV("core.gateway.secret/12"), sv_slice(sealed, sizeof sealed), &out), ERR_OK);
    assert_text(&out, "a meter password");
    assert_int_equal(crypto_sealed_key_id(sv_slice(sealed, sizeof sealed)), 7);
}

static void seal_binds_company_place_and_every_bit(void **state) {
    (void)state;
    AUTO_KEYRING ring = ring_of("1 " KEY_42 "\n2 " KEY_43);
    AUTO(buf) sealed;
    AUTO(buf) out;
    buf_init(&sealed, 200);
    buf_init(&out, 200);
    crypto_seal(ring, 5, SV("row/1"), SV("12345678"), &sealed);
    assert_int_equal(sealed.len, 8 + CRYPTO_SEAL_OVERHEAD);
    assert_int_equal(crypto_sealed_key_id(buf_view(&sealed)), 2);
    assert_int_equal(crypto_open(ring, 6, SV("row/1"), buf_view(&sealed), &out), ERR_UNAUTHENTIC);
    assert_int_equal(crypto_open(ring, 5, SV("row/2"), buf_view(&sealed), &out), ERR_UNAUTHENTIC);
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        sealed.ptr[bit / 8] = (char)(sealed.ptr[bit / 8] ^ (1 << bit % 8));
        assert_int_not_equal(crypto_open(ring, 5, SV("row/1"), buf_view(&sealed), &out), ERR_OK);
        sealed.ptr[bit / 8] = (char)(sealed.ptr[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_not_equal(crypto_open(ring, 5, SV("row/1"), (sv){sealed.ptr, len}, &out), ERR_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(crypto_open(ring, 5, SV("row/1"), buf_view(&sealed), &out), ERR_OK);
    assert_text(&out, "12345678");
}

static void seal_survives_rotation_and_empty_secrets(void **state) {
    (void)state;
    AUTO_KEYRING old_ring = ring_of("1 " KEY_42);
    AUTO_KEYRING new_ring = ring_of("2 " KEY_43 "\n1 " KEY_42);
    AUTO_KEYRING stranger = ring_of("2 " KEY_43);
    AUTO(buf) sealed;
    AUTO(buf) out;
    buf_init(&sealed, 200);
    buf_init(&out, 200);
    crypto_seal(old_ring, 1, SV("r"), SV(""), &sealed);
    assert_int_equal(crypto_open(new_ring, 1, SV("r"), buf_view(&sealed), &out), ERR_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(crypto_open(stranger, 1, SV("r"), buf_view(&sealed), &out), ERR_NOT_FOUND);
}

static void keyring_names_the_bad_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *place;
    } CASES[] = {{"", "key file"},
                 {"# nothing\n\n", "key file"},
                 {"1 " KEY_42 "\n0 " KEY_42, "line 2"},
                 {"1 " KEY_42 "\n\n1 " KEY_43, "line 3"},
                 {KEY_42 "\n" KEY_43, "line 2"},
                 {"1 4242", "line 1"},
                 {"4294967296 " KEY_42, "line 1"},
                 {"1 " KEY_42 "42", "line 1"},
                 {"1 zz" KEY_42, "line 1"}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        crypto_keyring *ring = NULL;
        fault why = {0};
        assert_int_not_equal(crypto_keyring_parse(sv_of(CASES[i].text), &ring, &why), ERR_OK);
        assert_string_equal(why.place, CASES[i].place);
        assert_null(strstr(why.reason, "4242"));
        assert_null(ring);
    }
}

static void keyring_file_must_be_private(void **state) {
    (void)state;
    char path[] = "/tmp/penstock-key-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "3 " KEY_42 "\n", 67), 67);
    fault why;
    crypto_keyring *ring = NULL;
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(crypto_keyring_load(path, &ring, &why), ERR_FORBIDDEN);
    assert_int_equal(fchmod(fd, 0400), 0);
    assert_int_equal(crypto_keyring_load(path, &ring, &why), ERR_OK);
    crypto_keyring_free(ring);
    close(fd);
    unlink(path);
    assert_int_equal(crypto_keyring_load(path, &ring, &why), ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_matches_fips_180),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(equal_compares_all_bytes),
        cmocka_unit_test(base64_matches_rfc_4648),
        cmocka_unit_test(base64_refuses_what_no_encoder_writes),
        cmocka_unit_test(base64_round_trips_random_bytes),
        cmocka_unit_test(tokens_are_long_and_differ),
        cmocka_unit_test(password_verifies_the_reference_tool),
        cmocka_unit_test(password_round_trips),
        cmocka_unit_test(password_refuses_hostile_hashes),
        cmocka_unit_test(seal_opens_what_another_implementation_sealed),
        cmocka_unit_test(seal_binds_company_place_and_every_bit),
        cmocka_unit_test(seal_survives_rotation_and_empty_secrets),
        cmocka_unit_test(keyring_names_the_bad_line),
        cmocka_unit_test(keyring_file_must_be_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
