// What a payment channel is to the payments service: one struct of functions per channel, in one file named in
// providers.def. A provider knows the channel's protocol and nothing of our database: it is handed a merchant's
// configuration and an order, and gives back a result or a fact. Facts from queries, closes and notifications are alike, so
// that the service has one place that applies them.
//
// Money is in micro-units of the currency; a provider that cannot express an amount exactly refuses it. Views in results
// live in the arena given with the call. Every function is safe on several threads with the same merchant; httpc handles
// and arenas are the calling thread's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"
#include "httpc/httpc.h"

typedef enum provider_product {
#define PRODUCT(name, text, meaning) PROVIDER_PRODUCT_##name,
#include "products.def"
#undef PRODUCT
    PROVIDER_PRODUCT_COUNT
} provider_product;

typedef enum provider_result {
#define RESULT(name, text, meaning) PROVIDER_##name,
#include "results.def"
#undef RESULT
    PROVIDER_RESULT_COUNT
} provider_result;

typedef enum provider_fact_kind { PROVIDER_FACT_PAYMENT, PROVIDER_FACT_REFUND } provider_fact_kind;

typedef enum provider_fact_state {
#define FACT_STATE(name, text, kind, meaning) PROVIDER_STATE_##name,
#include "states.def"
#undef FACT_STATE
    PROVIDER_STATE_COUNT
} provider_fact_state;

typedef enum provider_notice {
#define NOTICE(name, text, http_status, meaning) PROVIDER_NOTICE_##name,
#include "notices.def"
#undef NOTICE
    PROVIDER_NOTICE_COUNT
} provider_notice;

const char *provider_product_text(provider_product product);
bool provider_product_of(sv text, provider_product *out_product);
const char *provider_result_text(provider_result result);
const char *provider_state_text(provider_fact_state state);
provider_fact_kind provider_state_kind(provider_fact_state state);
const char *provider_notice_text(provider_notice notice);
int provider_notice_http_status(provider_notice notice);

// --- A merchant's configuration -----------------------------------------------------------------------------------

typedef enum provider_mode {
    PROVIDER_MODE_DIRECT,  // the company's own contract with the channel
    PROVIDER_MODE_PARTNER  // under a service provider's contract; the keys are the service provider's
} provider_mode;

// What a key is for. Several of each may be valid at once.
typedef enum provider_key_use {
    PROVIDER_KEY_SIGNING,              // PEM private key we sign with; `serial` is what the channel calls it
    PROVIDER_KEY_SIGNING_CERTIFICATE,  // PEM certificate of the signing key of the same version; gives its serial
    PROVIDER_KEY_CHANNEL_PUBLIC,       // PEM public key the channel signs with, known as `serial`
    PROVIDER_KEY_CHANNEL_CERTIFICATE,  // PEM certificate the channel signs with; its serial is its own
    PROVIDER_KEY_TRUST,                // PEM certificate of an authority that the channel's certificates lead to
    PROVIDER_KEY_SYMMETRIC,            // raw bytes shared with the channel (WeChat: the APIv3 key)
    PROVIDER_KEY_USE_COUNT
} provider_key_use;

const char *provider_key_use_text(provider_key_use use);  // "signing", "signing_certificate", …
bool provider_key_use_of(sv text, provider_key_use *out_use);

typedef struct provider_key {
    provider_key_use use;
    int32_t version;        // of one use, the highest valid one is used; verifying and decrypting use all that are valid
    sv serial;              // empty where the key itself tells it
    sv material;            // PEM text or raw bytes, unsealed
    instant_ms valid_from;  // INSTANT_MIN: always
    instant_ms valid_to;    // exclusive; INSTANT_MAX: without end
} provider_key;

typedef struct provider_settings {
    provider_mode mode;
    sv merchant;      // direct: mchid, PID, merId; partner: the service provider's (sp_mchid)
    sv sub_merchant;  // partner: the company's (sub_mchid); direct: empty
    sv app;           // direct: appid; partner: sp_appid
    sv sub_app;       // partner, optional: sub_appid; then payers are named in this app
    sv base_url;      // "https://api.mch.weixin.qq.com"; http only to a loopback address
    sv standby_url;   // used when base_url cannot be connected to; may be empty
    sv notify_url;    // the whole URL of this merchant's notifications, without a query
    const provider_key *keys;
    size_t key_count;
} provider_settings;

// A merchant ready for use: keys parsed and checked; each provider has its own shape behind it. Immutable; several threads may use it, and
// the service keeps it until the last of them is done (see `close`).
typedef struct provider_merchant provider_merchant;

// --- Orders and refunds ---------------------------------------------------------------------------------------------

typedef struct provider_order {
    sv number;  // ours; never reused with other content
    instant_ms created_at;
    instant_ms expires_at;  // the channel refuses payers after it
    provider_product product;
    int64_t amount_micro;
    sv currency;     // "CNY"
    sv description;  // shown to the payer; shortened to what the channel allows
    sv payer;        // JSAPI: the payer's id in sub_app, else in app; else empty
    sv client_ip;    // H5: the payer's address; else empty
    sv channel_id;   // the channel's transaction id, once known; else empty
} provider_order;

typedef struct provider_refund {
    const provider_order *order;  // with its channel_id
    sv number;                    // ours, for ever of this refund and this amount
    instant_ms created_at;
    int64_t amount_micro;  // of the order's amount
    sv reason;             // shown to the payer; may be empty
} provider_refund;

// How the payer gets from us to the channel. The text is for: QR: the code's content; URL: where to send the browser;
// PARAMETERS: a JSON object for the app's own payment call; FORM: a JSON object {"action":…,"fields":{…}} to be posted.
typedef enum provider_handle_kind {
    PROVIDER_HANDLE_QR,
    PROVIDER_HANDLE_URL,
    PROVIDER_HANDLE_PARAMETERS,
    PROVIDER_HANDLE_FORM
} provider_handle_kind;

const char *provider_handle_kind_text(provider_handle_kind kind);  // "qr", "url", "parameters", "form"

typedef struct provider_handle {
    provider_handle_kind kind;
    sv text;
    instant_ms valid_to;  // create again, with the same order, for a fresh one
} provider_handle;

// What the channel says, whoever asked. Empty or 0: the channel did not say.
typedef struct provider_fact {
    provider_fact_state state;
    sv channel_state;  // the channel's own word
    sv order_number;
    sv channel_id;  // of the payment
    sv refund_number;
    sv refund_channel_id;
    int64_t amount_micro;  // payment: what was asked for and is booked, coupons included; refund: what is returned
    int64_t order_micro;   // refund: the order's amount
    sv currency;           // not in WeChat's refund notifications
    sv merchant;           // the numbers the fact names
    sv sub_merchant;
    sv app;
    sv payer;
    instant_ms happened_at;  // of success; 0: none or not said
    bool has_refund;         // payment: something of it was refunded or is being refunded
    bool is_of_merchant;     // the numbers and apps it names are the merchant's; never apply a fact without this
} provider_fact;

provider_fact_kind provider_fact_kind_of(const provider_fact *fact);

// --- Calls ------------------------------------------------------------------------------------------------------------

// An arena for one call or one notification must offer so much.
#define PROVIDER_MEMORY_MAX (2 * 1024 * 1024)

typedef struct provider_call {
    const provider_merchant *merchant;
    httpc *http;
    const penstock_clock *clock;
    arena *memory;
} provider_call;

// Beside the result: for the log of attempts. No secrets, no personal data.
typedef struct provider_answer {
    provider_result result;
    int http_status;  // 0: no answer
    sv code;          // the channel's error code as sent, or our word for what went wrong
    sv message;
    sv request_id;     // the channel's, for its support
    bool key_unknown;  // the answer was signed with a key this merchant does not have: refresh keys, throttled
    sv key_serial;     // that key
} provider_answer;

#define PROVIDER_NOTIFICATION_HEADERS_MAX 8

typedef struct provider_notification {
    sv headers[PROVIDER_NOTIFICATION_HEADERS_MAX];  // values in the order of provider.notification_headers; SV_NONE: absent
    sv body;                                        // raw bytes
    instant_ms received_at;
} provider_notification;

typedef struct provider_reading {
    provider_notice notice;
    sv why;              // one English sentence; no secrets, no personal data
    sv event_id;         // the channel's id of the event, the same in every repetition; set for FACT, ASK and IGNORED
    sv event_type;       // likewise
    sv key_serial;       // the key it names; set for UNKNOWN_KEY and for what is authentic
    sv plaintext;        // what was signed or decrypted, for the inbox; set for FACT, ASK and IGNORED
    provider_fact fact;  // FACT; ASK: what could be read, with state OTHER or REFUND_OTHER
} provider_reading;

// A key fetched from the channel, to be stored (material in the call's arena).
typedef struct provider_keys {
    const provider_key *items;
    size_t count;
} provider_keys;

typedef struct provider_reply {
    int status;
    const char *content_type;  // NULL: no body
    sv body;
} provider_reply;

typedef struct provider {
    const char *name;  // of providers.def
    const char *currency;
    uint32_t products;  // bits 1 << provider_product
    // NOT_FOUND proves that an order cannot be paid before create is called again; a create that timed out may itself still be
    // under way, for a minute at most.
    bool not_found_is_final;
    size_t notification_max;                  // bytes of a notification's body
    const char *const *notification_headers;  // NULL-terminated

    // Checks everything that can be checked without asking the channel: keys, lengths, URLs. The fault's place names the
    // setting ("merchant", "base_url", "signing/2", "symmetric/1"). Copies what it needs.
    err_t (*open)(const provider_settings *settings, provider_merchant **out_merchant, fault *out_fault);
    void (*close)(provider_merchant *merchant);

    // Repeating create with the same order is safe and gives a fresh handle.
    provider_answer (*create)(const provider_call *call, const provider_order *order, provider_handle *out_handle);
    provider_answer (*query)(const provider_call *call, const provider_order *order, provider_fact *out_fact);
    // OK: closed, now or before. PAID: too late. NOT_FOUND: the channel never had it. UNKNOWN: query.
    provider_answer (*close_order)(const provider_call *call, const provider_order *order);
    // OK: accepted; the fact tells how far it is. UNKNOWN and RETRY_LATER: the same refund again.
    provider_answer (*refund)(const provider_call *call, const provider_refund *refund, provider_fact *out_fact);
    provider_answer (*query_refund)(const provider_call *call, const provider_refund *refund, provider_fact *out_fact);
    // Fetches the channel's verification keys. NOT_FOUND: this merchant's keys are not to be fetched, they are configured.
    provider_answer (*fetch_keys)(const provider_call *call, provider_keys *out_keys);

    // Verifies, then decrypts, then parses. Pure: no I/O, constant work on hostile input.
    provider_reading (*read_notification)(const provider_merchant *merchant, const provider_notification *notification, arena *memory);
    // What to answer the channel: `stored` says that the notification's effects, or its inbox row, are committed.
    provider_reply (*reply)(provider_notice notice, bool stored);
} provider;

#define PROVIDER(name, text) extern const provider PROVIDER_##name;
#include "providers.def"
#undef PROVIDER

// By the text of providers.def; NULL when there is none.
const provider *provider_find(sv name);
size_t provider_count(void);
const provider *provider_at(size_t index);
