// RSA and AES-256-GCM as other people's protocols use them: published vectors, every kind of key that must be refused, and
// changes of every byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/rsa.h"
#include "rsa_vectors.h"

static sv decoded(buf *bytes, const char *text) {
    buf_init(bytes, 8192);
    assert_true(crypto_base64_decode(sv_of(text), bytes));
    return buf_view(bytes);
}

static crypto_private_key *private_key(const char *pem) {
    crypto_private_key *key = NULL;
    assert_int_equal(crypto_private_key_parse(sv_of(pem), &key, NULL), ERR_OK);
    return key;
}

static crypto_public_key *public_key(const char *pem) {
    crypto_public_key *key = NULL;
    assert_int_equal(crypto_public_key_parse(sv_of(pem), &key, NULL), ERR_OK);
    return key;
}

static void signature_is_the_published_one(void **state) {
    (void)state;
    const char *const forms[] = {PRIVATE_KEY, PRIVATE_KEY_PKCS1};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        crypto_private_key *key = private_key(forms[i]);
        for (size_t cut = 0; cut <= 6; cut++) {
            sv pieces[2] = {{"source", cut}, sv_skip(SV("source"), cut)};
            AUTO(buf) signature;
            AUTO(buf) text;
            buf_init(&signature, 256);
            buf_init(&text, 1024);
            crypto_rsa_sign(key, pieces, 2, &signature);
            crypto_base64_add(&text, buf_view(&signature));
            assert_string_equal(buf_cstr(&text), SIGNATURE_OF_SOURCE);
        }
        crypto_private_key_free(key);
    }
}

static void signature_without_room_fails_the_buffer(void **state) {
    (void)state;
    crypto_private_key *key = private_key(PRIVATE_KEY);
    AUTO(buf) signature;
    buf_init(&signature, 255);
    crypto_rsa_sign(key, &SV("source"), 1, &signature);
    assert_true(buf_has_failed(&signature));
    crypto_private_key_free(key);
}

static void verification_holds_for_the_very_bytes_and_key(void **state) {
    (void)state;
    crypto_public_key *key = public_key(PUBLIC_KEY);
    crypto_public_key *other = public_key(OTHER_PUBLIC_KEY);
    AUTO(buf) bytes;
    sv signature = decoded(&bytes, SIGNATURE_OF_SOURCE);
    assert_int_equal(crypto_public_key_len(key), 256);
    assert_true(crypto_rsa_verify(key, &SV("source"), 1, signature));
    assert_false(crypto_rsa_verify(other, &SV("source"), 1, signature));
    assert_false(crypto_rsa_verify(key, &SV("sourcE"), 1, signature));
    assert_false(crypto_rsa_verify(key, &SV("source\n"), 1, signature));
    assert_false(crypto_rsa_verify(key, NULL, 0, signature));
    for (size_t i = 0; i < signature.len; i++) {
        bytes.ptr[i] ^= 1;
        assert_false(crypto_rsa_verify(key, &SV("source"), 1, signature));
        bytes.ptr[i] ^= 1;
    }
    for (size_t len = 0; len < signature.len; len++) assert_false(crypto_rsa_verify(key, &SV("source"), 1, (sv){signature.ptr, len}));
    char longer[258] = {0};
    memcpy(longer, signature.ptr, signature.len);
    assert_false(crypto_rsa_verify(key, &SV("source"), 1, sv_slice(longer, 257)));
    assert_false(crypto_rsa_verify(key, &SV("source"), 1, sv_slice(longer, 258)));
    assert_false(crypto_rsa_verify(key, &SV("source"), 1, SV_NONE));
    crypto_public_key_free(key);
    crypto_public_key_free(other);
}

static void certificate_tells_serial_times_and_key(void **state) {
    (void)state;
    crypto_certificate *certificate = NULL;
    assert_int_equal(crypto_certificate_parse(sv_of(CERTIFICATE), &certificate, NULL), ERR_OK);
    assert_true(sv_equal(crypto_certificate_serial(certificate), SV("D7CE59D1F522D701")));
    instant_ms from, to;
    assert_true(instant_parse(SV("2021-04-27T08:55:23Z"), &from) && instant_parse(SV("2031-04-25T08:55:23Z"), &to));
    assert_int_equal(crypto_certificate_valid_from(certificate), from);
    assert_int_equal(crypto_certificate_valid_to(certificate), to);
    crypto_private_key *key = private_key(PRIVATE_KEY);
    crypto_private_key *other = private_key(OTHER_PRIVATE_KEY);
    assert_true(crypto_keys_match(key, crypto_certificate_key(certificate)));
    assert_false(crypto_keys_match(other, crypto_certificate_key(certificate)));
    AUTO(buf) bytes;
    assert_true(crypto_rsa_verify(crypto_certificate_key(certificate), &SV("source"), 1, decoded(&bytes, SIGNATURE_OF_SOURCE)));
    crypto_private_key_free(key);
    crypto_private_key_free(other);
    crypto_certificate_free(certificate);
    assert_int_equal(crypto_certificate_parse(sv_of(LONG_SERIAL_CERTIFICATE), &certificate, NULL), ERR_OK);
    // Longer than any machine number.
    assert_true(sv_equal(crypto_certificate_serial(certificate), SV("ABCDEF0123456789ABCDEF")));
    crypto_certificate_free(certificate);
}

static void keys_of_other_kinds_are_refused(void **state) {
    (void)state;
    static const char TRUNCATED[] = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n";
    const char *const wrong[] = {"", "x", PUBLIC_KEY, CERTIFICATE, ENCRYPTED_KEY, SMALL_KEY, EC_KEY, TRUNCATED};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        crypto_private_key *key = NULL;
        fault why = {0};
        assert_int_equal(crypto_private_key_parse(sv_of(wrong[i]), &key, &why), ERR_BAD_INPUT);
        assert_null(key);
        assert_string_equal(why.place, "key");
        assert_true(strlen(why.reason) > 10);
    }
    const char *const not_public[] = {"", PRIVATE_KEY, CERTIFICATE, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"};
    for (size_t i = 0; i < ARRAY_LEN(not_public); i++) {
        crypto_public_key *key = NULL;
        assert_int_equal(crypto_public_key_parse(sv_of(not_public[i]), &key, NULL), ERR_BAD_INPUT);
    }
    const char *const not_certificate[] = {"", PRIVATE_KEY, PUBLIC_KEY, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < ARRAY_LEN(not_certificate); i++) {
        crypto_certificate *certificate = NULL;
        assert_int_equal(crypto_certificate_parse(sv_of(not_certificate[i]), &certificate, NULL), ERR_BAD_INPUT);
    }
    AUTO(buf) huge;
    buf_init(&huge, 100000);
    for (size_t i = 0; i < 100; i++) buf_addf(&huge, "%0999d\n", 1);
    crypto_private_key *key = NULL;
    assert_int_equal(crypto_private_key_parse(buf_view(&huge), &key, NULL), ERR_BAD_INPUT);
}

static void every_cut_of_a_key_is_refused_or_whole(void **state) {
    (void)state;
    // Without its last line end a PEM block is still whole.
    for (size_t len = 1; len + 1 < strlen(PUBLIC_KEY); len++) {
        crypto_public_key *key = NULL;
        assert_int_equal(crypto_public_key_parse((sv){PUBLIC_KEY, len}, &key, NULL), ERR_BAD_INPUT);
    }
}

static void oaep_opens_what_another_program_encrypted(void **state) {
    (void)state;
    crypto_private_key *key = private_key(PRIVATE_KEY);
    crypto_private_key *other = private_key(OTHER_PRIVATE_KEY);
    crypto_public_key *public_half = public_key(PUBLIC_KEY);
    AUTO(buf) bytes;
    AUTO(buf) secret;
    buf_init(&secret, 1024);
    sv encrypted = decoded(&bytes, OAEP_OF_NAME);
    assert_int_equal(crypto_rsa_oaep_decrypt(key, encrypted, &secret), ERR_OK);
    assert_string_equal(buf_cstr(&secret), "张三 13800000000");
    assert_int_equal(crypto_rsa_oaep_decrypt(other, encrypted, &secret), ERR_UNAUTHENTIC);
    bytes.ptr[17] ^= 4;
    assert_int_equal(crypto_rsa_oaep_decrypt(key, encrypted, &secret), ERR_UNAUTHENTIC);
    assert_int_equal(crypto_rsa_oaep_decrypt(key, (sv){encrypted.ptr, 255}, &secret), ERR_UNAUTHENTIC);
    char longest[256 - 42 + 1] = {0};
    for (size_t len = 0; len <= sizeof longest; len += 43) {
        AUTO(buf) sealed;
        AUTO(buf) opened;
        buf_init(&sealed, 256);
        buf_init(&opened, 256);
        size_t used = len < sizeof longest - 1 ? len : sizeof longest - 1;
        assert_int_equal(crypto_rsa_oaep_encrypt(public_half, sv_slice(longest, used), &sealed), ERR_OK);
        assert_int_equal(crypto_rsa_oaep_decrypt(key, buf_view(&sealed), &opened), ERR_OK);
        assert_int_equal(opened.len, used);
    }
    assert_int_equal(crypto_rsa_oaep_encrypt(public_half, sv_slice(longest, sizeof longest), &secret), ERR_TOO_LARGE);
    crypto_private_key_free(key);
    crypto_private_key_free(other);
    crypto_public_key_free(public_half);
}

static const struct {
    const char *key, *nonce, *additional, *plain, *sealed;
} GCM[] = {
    {"a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb", "uluk4a9R25RW", "associatedData", "message", "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI="},
    {"0123456789abcdef0123456789abcdef", "0123456789abcdef", "", "", "GvpmmdtYwexXIPhySs9Tlg=="},
    {"0123456789abcdef0123456789abcdef", "0123456789abcdef", "world", "hello", "APoZlYpivU3HjbAiB4CvW1rAFr8J"},
};

static void gcm_matches_published_vectors_both_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GCM); i++) {
        AUTO(buf) bytes;
        AUTO(buf) plain;
        AUTO(buf) sealed;
        AUTO(buf) text;
        buf_init(&plain, 64);
        buf_init(&sealed, 64);
        buf_init(&text, 128);
        sv expected = decoded(&bytes, GCM[i].sealed);
        assert_int_equal(crypto_aes_256_gcm_open(sv_of(GCM[i].key), sv_of(GCM[i].nonce), sv_of(GCM[i].additional), expected, &plain),
                         ERR_OK);
        assert_string_equal(buf_cstr(&plain), GCM[i].plain);
        assert_int_equal(
            crypto_aes_256_gcm_seal(sv_of(GCM[i].key), sv_of(GCM[i].nonce), sv_of(GCM[i].additional), sv_of(GCM[i].plain), &sealed),
            ERR_OK);
        crypto_base64_add(&text, buf_view(&sealed));
        assert_string_equal(buf_cstr(&text), GCM[i].sealed);
    }
}

static void gcm_refuses_every_change(void **state) {
    (void)state;
    AUTO(buf) bytes;
    AUTO(buf) plain;
    buf_init(&plain, 64);
    sv key = sv_of(GCM[0].key), nonce = sv_of(GCM[0].nonce), additional = sv_of(GCM[0].additional);
    sv sealed = decoded(&bytes, GCM[0].sealed);
    buf_add(&plain, SV("kept"));
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(crypto_aes_256_gcm_open(key, nonce, additional, sealed, &plain), ERR_UNAUTHENTIC);
        bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ 1 << bit % 8);
    }
    for (size_t len = 0; len < CRYPTO_GCM_TAG_LEN; len++)
        assert_int_equal(crypto_aes_256_gcm_open(key, nonce, additional, (sv){sealed.ptr, len}, &plain), ERR_MALFORMED);
    for (size_t len = CRYPTO_GCM_TAG_LEN; len < sealed.len; len++)
        assert_int_equal(crypto_aes_256_gcm_open(key, nonce, additional, (sv){sealed.ptr, len}, &plain), ERR_UNAUTHENTIC);
    assert_int_equal(crypto_aes_256_gcm_open(sv_of(GCM[1].key), nonce, additional, sealed, &plain), ERR_UNAUTHENTIC);
    assert_int_equal(crypto_aes_256_gcm_open(key, SV("uluk4a9R25RX"), additional, sealed, &plain), ERR_UNAUTHENTIC);
    assert_int_equal(crypto_aes_256_gcm_open(key, nonce, SV(""), sealed, &plain), ERR_UNAUTHENTIC);
    assert_int_equal(crypto_aes_256_gcm_open(SV("testMchAPIv3Key0"), nonce, additional, sealed, &plain), ERR_BAD_INPUT);
    assert_int_equal(crypto_aes_256_gcm_open(key, SV(""), additional, sealed, &plain), ERR_MALFORMED);
    char long_nonce[CRYPTO_GCM_NONCE_MAX + 1] = {0};
    assert_int_equal(crypto_aes_256_gcm_open(key, sv_slice(long_nonce, sizeof long_nonce), additional, sealed, &plain), ERR_MALFORMED);
    assert_string_equal(buf_cstr(&plain), "kept");
    AUTO(buf) small;
    buf_init(&small, 3);
    assert_int_equal(crypto_aes_256_gcm_open(key, nonce, additional, sealed, &small), ERR_TOO_LARGE);
    assert_int_equal(small.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_is_the_published_one),
        cmocka_unit_test(signature_without_room_fails_the_buffer),
        cmocka_unit_test(verification_holds_for_the_very_bytes_and_key),
        cmocka_unit_test(certificate_tells_serial_times_and_key),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(every_cut_of_a_key_is_refused_or_whole),
        cmocka_unit_test(oaep_opens_what_another_program_encrypted),
        cmocka_unit_test(gcm_matches_published_vectors_both_ways),
        cmocka_unit_test(gcm_refuses_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
