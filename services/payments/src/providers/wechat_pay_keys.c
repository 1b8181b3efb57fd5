// A merchant of WeChat Pay: its settings checked once, its keys parsed once, and the signatures made and checked with them.
// Which key checks a signature is told by the serial that comes with it, as an exact text; there is no "current" one.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/id.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "wechat_pay.h"

#define MERCHANT_MEMORY_MAX 65536
#define KEYS_MAX 64
#define SETTING_MAX 256
#define WINDOW_S 300
#define SIGNED_HEADER_MAX 2048

const char *const WECHAT_HEADERS[WECHAT_HEADER_COUNT + 1] = {"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature",
                                                             "Wechatpay-Serial", "Wechatpay-Signature-Type"};

static err_t check_texts(const provider_settings *settings, fault *out_fault);
static err_t add_key(wechat_merchant *self, const provider_settings *settings, const provider_key *key, fault *out_fault);
static err_t check_keys(const wechat_merchant *self, fault *out_fault);
static void free_keys(wechat_key *keys, size_t count);
static bool is_valid(const wechat_key *key, instant_ms at);

// --- Settings -----------------------------------------------------------------------------------------------------------

static void free_merchant(wechat_merchant *self) {
    free_keys(self->signers.items, self->signers.len);
    free_keys(self->verifiers.items, self->verifiers.len);
    for (size_t i = 0; i < self->secrets.len; i++)
        crypto_wipe((char *)(uintptr_t)self->secrets.items[i].secret.ptr, self->secrets.items[i].secret.len);
    vec_done(&self->signers);
    vec_done(&self->verifiers);
    vec_done(&self->secrets);
    arena_free(self->memory);
    mem_free(self);
}

err_t wechat_open(const provider_settings *settings, provider_merchant **out_merchant, fault *out_fault) {
    err_t err = check_texts(settings, out_fault);
    if (err != ERR_OK) return err;
    wechat_merchant *self = mem_new(1, sizeof *self);
    self->memory = arena_new(MERCHANT_MEMORY_MAX);
    self->mode = settings->mode;
    self->merchant = arena_copy(self->memory, settings->merchant);
    self->sub_merchant = arena_copy(self->memory, settings->sub_merchant);
    self->app = arena_copy(self->memory, settings->app);
    self->sub_app = arena_copy(self->memory, settings->sub_app);
    self->base_url = arena_copy(self->memory, settings->base_url);
    self->standby_url = arena_copy(self->memory, settings->standby_url);
    self->notify_url = arena_copy(self->memory, settings->notify_url);
    for (size_t i = 0; i < settings->key_count && err == ERR_OK; i++) err = add_key(self, settings, &settings->keys[i], out_fault);
    if (err == ERR_OK) err = check_keys(self, out_fault);
    if (err != ERR_OK) {
        free_merchant(self);
        return err;
    }
    *out_merchant = (provider_merchant *)self;
    return ERR_OK;
}

void wechat_close(provider_merchant *merchant) {
    if (merchant != NULL) free_merchant((wechat_merchant *)merchant);
}

static void free_keys(wechat_key *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        crypto_private_key_free(keys[i].private_key);
        crypto_public_key_free(keys[i].public_key);
        crypto_certificate_free(keys[i].certificate);
    }
}

bool wechat_is_number(sv text, size_t min_len, size_t max_len) {
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!is_letter && !(byte >= '0' && byte <= '9') && byte != '-' && byte != '_') return false;
    }
    return text.len >= min_len && text.len <= max_len;
}

static bool is_printable(sv text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= 0x20 || (unsigned char)text.ptr[i] >= 0x7f) return false;
    return true;
}

// https, or http to this very machine, where the tests' counterpart listens.
static bool is_allowed_url(sv url) {
    static const char *const LOOPBACKS[] = {"http://127.0.0.1:", "http://127.0.0.1/",
                                            "http://[::1]:", "http://localhost:", "http://localhost/"};
    if (!is_printable(url) || url.len > SETTING_MAX - 1) return false;
    if (sv_starts_with(url, SV("https://"))) return url.len > 8;
    for (size_t i = 0; i < ARRAY_LEN(LOOPBACKS); i++)
        if (sv_starts_with(url, sv_of(LOOPBACKS[i]))) return true;
    return false;
}

static bool is_base_url(sv url) {
    size_t at;
    sv host;
    if (!is_allowed_url(url) || !sv_find(url, '/', &at)) return false;
    host = sv_skip(url, at + 2);
    return !sv_find(host, '/', &at) && !sv_find(host, '?', &at) && !sv_find(host, '#', &at) && !sv_find(host, '@', &at);
}

static err_t check_texts(const provider_settings *settings, fault *out_fault) {
    bool is_partner = settings->mode == PROVIDER_MODE_PARTNER;
    size_t at;
    if (!wechat_is_number(settings->merchant, 6, 32)) return fault_set(out_fault, ERR_BAD_INPUT, "merchant", "it is no merchant number");
    if (is_partner && !wechat_is_number(settings->sub_merchant, 6, 32))
        return fault_set(out_fault, ERR_BAD_INPUT, "sub_merchant", "a service provider's merchant needs a sub-merchant number");
    if (!is_partner && settings->sub_merchant.len > 0)
        return fault_set(out_fault, ERR_BAD_INPUT, "sub_merchant", "a direct merchant has no sub-merchant");
    if (!wechat_is_number(settings->app, 6, 32)) return fault_set(out_fault, ERR_BAD_INPUT, "app", "it is no app id");
    if (settings->sub_app.len > 0 && (!is_partner || !wechat_is_number(settings->sub_app, 6, 32)))
        return fault_set(out_fault, ERR_BAD_INPUT, "sub_app",
                         is_partner ? "it is no app id" : "a direct merchant has no sub-merchant's app");
    if (!is_base_url(settings->base_url))
        return fault_set(out_fault, ERR_BAD_INPUT, "base_url", "it must be https (or http to a loopback address) and end with the host");
    if (settings->standby_url.len > 0 && !is_base_url(settings->standby_url))
        return fault_set(out_fault, ERR_BAD_INPUT, "standby_url", "it must be https (or http to a loopback address) and end with the host");
    if (!is_allowed_url(settings->notify_url) || sv_find(settings->notify_url, '?', &at) || sv_find(settings->notify_url, '#', &at))
        return fault_set(out_fault, ERR_BAD_INPUT, "notify_url",
                         "it must be https (or http to a loopback address), of at most 255 bytes, without a query");
    if (settings->key_count > KEYS_MAX) return fault_set(out_fault, ERR_TOO_LARGE, "keys", "more than %d", KEYS_MAX);
    return ERR_OK;
}

// --- Keys ---------------------------------------------------------------------------------------------------------------

static err_t refuse_key(const provider_key *key, const char *reason, fault *out_fault) {
    char place[48];
    snprintf(place, sizeof place, "%s/%" PRId32, provider_key_use_text(key->use), key->version);
    return fault_set(out_fault, ERR_BAD_INPUT, place, "%s", reason);
}

// A signing key's serial: as given, or that of the certificate of the same version, which must then be its own.
static err_t add_signer(wechat_merchant *self, const provider_settings *settings, const provider_key *key, wechat_key *added,
                        fault *out_fault) {
    fault why;
    if (crypto_private_key_parse(key->material, &added->private_key, &why) != ERR_OK) return refuse_key(key, why.reason, out_fault);
    for (size_t i = 0; i < settings->key_count && added->certificate == NULL; i++) {
        const provider_key *other = &settings->keys[i];
        if (other->use != PROVIDER_KEY_SIGNING_CERTIFICATE || other->version != key->version) continue;
        if (crypto_certificate_parse(other->material, &added->certificate, &why) != ERR_OK) return refuse_key(other, why.reason, out_fault);
        if (!crypto_keys_match(added->private_key, crypto_certificate_key(added->certificate)))
            return refuse_key(other, "it is not the certificate of the signing key of this version", out_fault);
        if (key->serial.len > 0 && !sv_equal_nocase(key->serial, crypto_certificate_serial(added->certificate)))
            return refuse_key(key, "its serial is not its certificate's", out_fault);
        added->serial = arena_copy(self->memory, crypto_certificate_serial(added->certificate));
    }
    if (added->serial.len > 0) return ERR_OK;
    if (!wechat_is_number(key->serial, 8, 64))
        return refuse_key(key, "neither a serial number nor a certificate of this version is given", out_fault);
    added->serial = arena_copy(self->memory, key->serial);
    return ERR_OK;
}

static err_t add_verifier(wechat_merchant *self, const provider_key *key, wechat_key *added, fault *out_fault) {
    fault why;
    if (key->use == PROVIDER_KEY_CHANNEL_PUBLIC) {
        if (!sv_starts_with(key->serial, SV("PUB_KEY_ID_")) || !wechat_is_number(key->serial, 12, 64))
            return refuse_key(key, "a public key's id begins with PUB_KEY_ID_", out_fault);
        if (crypto_public_key_parse(key->material, &added->public_key, &why) != ERR_OK) return refuse_key(key, why.reason, out_fault);
        added->serial = arena_copy(self->memory, key->serial);
    } else {
        if (crypto_certificate_parse(key->material, &added->certificate, &why) != ERR_OK) return refuse_key(key, why.reason, out_fault);
        sv serial = crypto_certificate_serial(added->certificate);
        if (key->serial.len > 0 && !sv_equal(key->serial, serial)) return refuse_key(key, "its serial is not its certificate's", out_fault);
        if (serial.len > 64) return refuse_key(key, "its serial number is too long", out_fault);
        added->serial = arena_copy(self->memory, serial);
        if (added->valid_from < crypto_certificate_valid_from(added->certificate))
            added->valid_from = crypto_certificate_valid_from(added->certificate);
        if (added->valid_to > crypto_certificate_valid_to(added->certificate))
            added->valid_to = crypto_certificate_valid_to(added->certificate);
    }
    for (size_t i = 0; i < self->verifiers.len; i++)
        if (sv_equal(self->verifiers.items[i].serial, added->serial)) return refuse_key(key, "its serial is given twice", out_fault);
    return ERR_OK;
}

static err_t add_key(wechat_merchant *self, const provider_settings *settings, const provider_key *key, fault *out_fault) {
    wechat_key added = {.version = key->version, .valid_from = key->valid_from, .valid_to = key->valid_to};
    err_t err = ERR_OK;
    switch (key->use) {
        case PROVIDER_KEY_SIGNING:
            err = add_signer(self, settings, key, &added, out_fault);
            if (err == ERR_OK) vec_push(&self->signers, added);
            break;
        case PROVIDER_KEY_SIGNING_CERTIFICATE: break;
        case PROVIDER_KEY_CHANNEL_PUBLIC:
        case PROVIDER_KEY_CHANNEL_CERTIFICATE:
            err = add_verifier(self, key, &added, out_fault);
            if (err == ERR_OK) vec_push(&self->verifiers, added);
            break;
        case PROVIDER_KEY_TRUST: err = refuse_key(key, "WeChat Pay's keys lead to no authority", out_fault); break;
        case PROVIDER_KEY_SYMMETRIC:
            if (key->material.len != CRYPTO_AES_256_KEY_LEN) return refuse_key(key, "an APIv3 key has exactly 32 bytes", out_fault);
            added.secret = arena_copy(self->memory, key->material);
            vec_push(&self->secrets, added);
            break;
        case PROVIDER_KEY_USE_COUNT: BUG("a use of a key");
    }
    if (err != ERR_OK) free_keys(&added, 1);
    return err;
}

// What can never work is refused now; what was valid once or will be is not.
static err_t check_keys(const wechat_merchant *self, fault *out_fault) {
    if (self->signers.len == 0) return fault_set(out_fault, ERR_BAD_INPUT, "signing", "there is no signing key");
    if (self->secrets.len == 0)
        return fault_set(out_fault, ERR_BAD_INPUT, "symmetric", "there is no APIv3 key: WeChat Pay would send no notifications");
    return ERR_OK;
}

static bool is_valid(const wechat_key *key, instant_ms at) { return at >= key->valid_from && at < key->valid_to; }

const wechat_key *wechat_signer(const wechat_merchant *merchant, instant_ms at) {
    const wechat_key *best = NULL;
    for (size_t i = 0; i < merchant->signers.len; i++) {
        const wechat_key *key = &merchant->signers.items[i];
        if (is_valid(key, at) && (best == NULL || key->version > best->version)) best = key;
    }
    return best;
}

const wechat_key *wechat_newest_public_key(const wechat_merchant *merchant, instant_ms at) {
    const wechat_key *best = NULL;
    for (size_t i = 0; i < merchant->verifiers.len; i++) {
        const wechat_key *key = &merchant->verifiers.items[i];
        if (key->public_key != NULL && is_valid(key, at) && (best == NULL || key->version > best->version)) best = key;
    }
    return best;
}

bool wechat_has_public_keys_only(const wechat_merchant *merchant) {
    for (size_t i = 0; i < merchant->verifiers.len; i++)
        if (merchant->verifiers.items[i].public_key == NULL) return false;
    return merchant->verifiers.len > 0;
}

// --- Signatures ----------------------------------------------------------------------------------------------------------

void wechat_make_nonce(char out[WECHAT_NONCE_LEN + 1]) {
    static const char DIGITS[] = "0123456789ABCDEF";
    uint8_t bytes[WECHAT_NONCE_LEN / 2];
    random_fill(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        out[2 * i] = DIGITS[bytes[i] >> 4];
        out[2 * i + 1] = DIGITS[bytes[i] & 15];
    }
    out[WECHAT_NONCE_LEN] = '\0';
}

void wechat_sign(const wechat_key *signer, const sv *pieces, size_t count, buf *out) {
    AUTO(buf) signature;
    buf_init(&signature, CRYPTO_RSA_BITS_MAX / 8);
    crypto_rsa_sign(signer->private_key, pieces, count, &signature);
    crypto_base64_add(out, buf_view(&signature));
    CHECK(!buf_has_failed(&signature) && !buf_has_failed(out));
}

bool wechat_signed_is_complete(const wechat_signed *message) {
    for (size_t i = 0; i < WECHAT_SIGNATURE_TYPE; i++) {
        if (sv_trim(message->headers[i]).len == 0 || message->headers[i].len > SIGNED_HEADER_MAX) return false;
        for (size_t k = 0; k < message->headers[i].len; k++)
            if (message->headers[i].ptr[k] == '\0') return false;
    }
    return true;
}

wechat_signed wechat_signed_copy(const wechat_signed *message, arena *memory) {
    wechat_signed copy = {.body = arena_copy(memory, message->body)};
    for (size_t i = 0; i < WECHAT_HEADER_COUNT; i++) copy.headers[i] = arena_copy(memory, message->headers[i]);
    return copy;
}

// Ten digits last until the year 2286.
static bool read_seconds(sv text, int64_t *out_seconds) {
    if (text.len == 0 || text.len > 10) return false;
    *out_seconds = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        *out_seconds = *out_seconds * 10 + (text.ptr[i] - '0');
    }
    return true;
}

static bool has_serial(const wechat_key *keys, size_t count, sv serial) {
    for (size_t i = 0; i < count; i++)
        if (sv_equal_nocase(keys[i].serial, serial)) return true;
    return false;
}

wechat_verdict wechat_verify(const wechat_merchant *merchant, const wechat_signed *message, instant_ms at) {
    if (!wechat_signed_is_complete(message)) return WECHAT_INCOMPLETE;
    sv type = message->headers[WECHAT_SIGNATURE_TYPE];
    if (type.len > 0 && !sv_equal(type, SV("WECHATPAY2-SHA256-RSA2048"))) return WECHAT_OTHER_TYPE;
    if (sv_starts_with(message->headers[WECHAT_SIGNATURE], SV("WECHATPAY/SIGNTEST/"))) return WECHAT_PROBE;
    int64_t seconds;
    if (!read_seconds(message->headers[WECHAT_TIMESTAMP], &seconds)) return WECHAT_TIME_MALFORMED;
    int64_t off_s = at / SECOND_MS - seconds;
    if (off_s >= WINDOW_S || off_s <= -WINDOW_S) return WECHAT_TIME_OFF;
    sv serial = message->headers[WECHAT_SERIAL];
    const wechat_key *key = NULL;
    for (size_t i = 0; i < merchant->verifiers.len; i++)
        if (is_valid(&merchant->verifiers.items[i], at) && sv_equal(merchant->verifiers.items[i].serial, serial))
            key = &merchant->verifiers.items[i];
    if (key == NULL) return has_serial(merchant->signers.items, merchant->signers.len, serial) ? WECHAT_KEY_OWN : WECHAT_KEY_UNKNOWN;
    const crypto_public_key *public_key = key->public_key != NULL ? key->public_key : crypto_certificate_key(key->certificate);
    AUTO(buf) signature;
    buf_init(&signature, SIGNED_HEADER_MAX);
    if (!crypto_base64_decode(message->headers[WECHAT_SIGNATURE], &signature) || signature.len != crypto_public_key_len(public_key))
        return WECHAT_SIGNATURE_MALFORMED;
    return wechat_verify_with(public_key, message) ? WECHAT_AUTHENTIC : WECHAT_FORGED;
}

bool wechat_verify_with(const crypto_public_key *key, const wechat_signed *message) {
    const sv pieces[] = {message->headers[WECHAT_TIMESTAMP], SV("\n"), message->headers[WECHAT_NONCE], SV("\n"), message->body, SV("\n")};
    AUTO(buf) signature;
    buf_init(&signature, SIGNED_HEADER_MAX);
    return crypto_base64_decode(message->headers[WECHAT_SIGNATURE], &signature) &&
           crypto_rsa_verify(key, pieces, ARRAY_LEN(pieces), buf_view(&signature));
}

const char *wechat_verdict_text(wechat_verdict verdict) {
    static const char *const TEXTS[] = {
        [WECHAT_AUTHENTIC] = "the signature holds",
        [WECHAT_INCOMPLETE] = "a header of the signature is missing, repeated or too long",
        [WECHAT_OTHER_TYPE] = "the type of the signature is not WECHATPAY2-SHA256-RSA2048",
        [WECHAT_PROBE] = "the signature is WeChat Pay's own test of our check",
        [WECHAT_TIME_MALFORMED] = "the time is not a number of seconds",
        [WECHAT_TIME_OFF] = "the time is five minutes or more from ours",
        [WECHAT_KEY_OWN] = "the serial is that of our own key",
        [WECHAT_KEY_UNKNOWN] = "no valid key of this merchant has the serial",
        [WECHAT_SIGNATURE_MALFORMED] = "the signature is not base64 of the key's length",
        [WECHAT_FORGED] = "the signature does not hold",
    };
    return TEXTS[verdict];
}
