// Between the files of the WeChat Pay provider: wechat_pay.c makes calls, wechat_pay_keys.c holds a merchant's settings and
// keys and checks signatures, wechat_pay_read.c reads what a checked signature covers.
#pragma once

#include "base/vec.h"
#include "crypto/rsa.h"
#include "provider.h"

// The headers of a signed answer or notification, and their places in wechat_signed.
typedef enum wechat_header {
    WECHAT_TIMESTAMP,
    WECHAT_NONCE,
    WECHAT_SIGNATURE,
    WECHAT_SERIAL,
    WECHAT_SIGNATURE_TYPE,  // may be absent
    WECHAT_HEADER_COUNT
} wechat_header;

extern const char *const WECHAT_HEADERS[WECHAT_HEADER_COUNT + 1];

typedef struct wechat_key {
    int32_t version;
    sv serial;
    instant_ms valid_from;
    instant_ms valid_to;
    crypto_private_key *private_key;  // signers
    crypto_public_key *public_key;    // verifiers known as PUB_KEY_ID_…
    crypto_certificate *certificate;  // verifiers with a certificate, signers where one was given
    sv secret;                        // APIv3 keys
} wechat_key;

typedef struct wechat_merchant {
    arena *memory;
    provider_mode mode;
    sv merchant, sub_merchant, app, sub_app;
    sv base_url, standby_url, notify_url;
    VEC(wechat_key) signers;
    VEC(wechat_key) verifiers;
    VEC(wechat_key) secrets;
} wechat_merchant;

err_t wechat_open(const provider_settings *settings, provider_merchant **out_merchant, fault *out_fault) MUST_CHECK;
void wechat_close(provider_merchant *merchant);

// The newest signing key that is valid; NULL when none is.
const wechat_key *wechat_signer(const wechat_merchant *merchant, instant_ms at);
// The newest valid public key of WeChat Pay, or NULL.
const wechat_key *wechat_newest_public_key(const wechat_merchant *merchant, instant_ms at);
bool wechat_has_public_keys_only(const wechat_merchant *merchant);
// Letters, digits, '-' and '_' only: a part of the numbers WeChat Pay allows that needs no escaping in a path.
bool wechat_is_number(sv text, size_t min_len, size_t max_len);

#define WECHAT_NONCE_LEN 32
#define WECHAT_SIGNATURE_TEXT_MAX (CRYPTO_RSA_BITS_MAX / 8 * 4 / 3 + 4)

void wechat_make_nonce(char out[WECHAT_NONCE_LEN + 1]);
// Adds the signature as base64.
void wechat_sign(const wechat_key *signer, const sv *pieces, size_t count, buf *out);

typedef struct wechat_signed {
    sv headers[WECHAT_HEADER_COUNT];
    sv body;  // raw bytes
} wechat_signed;

typedef enum wechat_verdict {
    WECHAT_AUTHENTIC,
    WECHAT_INCOMPLETE,
    WECHAT_OTHER_TYPE,
    WECHAT_PROBE,
    WECHAT_TIME_MALFORMED,
    WECHAT_TIME_OFF,
    WECHAT_KEY_OWN,
    WECHAT_KEY_UNKNOWN,
    WECHAT_SIGNATURE_MALFORMED,
    WECHAT_FORGED
} wechat_verdict;

bool wechat_signed_is_complete(const wechat_signed *message);
wechat_signed wechat_signed_copy(const wechat_signed *message, arena *memory);
wechat_verdict wechat_verify(const wechat_merchant *merchant, const wechat_signed *message, instant_ms at);
bool wechat_verify_with(const crypto_public_key *key, const wechat_signed *message);
const char *wechat_verdict_text(wechat_verdict verdict);

// What a text of WeChat Pay is: the members differ.
typedef enum wechat_fact_kind { WECHAT_PAYMENT_ANSWER, WECHAT_REFUND_ANSWER, WECHAT_PAYMENT_NOTICE, WECHAT_REFUND_NOTICE } wechat_fact_kind;

err_t wechat_read_fact(const wechat_merchant *merchant, wechat_fact_kind kind, sv text, arena *memory, provider_fact *out_fact,
                       fault *out_fault) MUST_CHECK;
// NULL, or what is wrong with the answer.
const char *wechat_read_certificates(const wechat_merchant *merchant, sv text, instant_ms at, arena *memory, provider_keys *out_keys);
// Reads a notification whose signature holds.
void wechat_read_envelope(const wechat_merchant *merchant, const provider_notification *notification, arena *memory,
                          provider_reading *reading);
provider_reading wechat_read_notification(const provider_merchant *merchant, const provider_notification *notification, arena *memory);
