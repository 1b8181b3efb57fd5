// What a channel is to the alerts service: one struct of functions per provider, in one file named in channels.def. A
// channel knows its provider's protocol and nothing of our database: it is handed an account's configuration and one
// message to one address, and says what became of it. Which message, when, how often, and what comes after a failure is
// the service's business.
//
// Views in results live in the arena given with the call. Every function is safe on several threads with the same
// account; httpc handles and arenas are the calling thread's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "base/instant.h"
#include "base/sv.h"
#include "httpc/httpc.h"

typedef enum channel_result {
#define RESULT(name, text, meaning) CHANNEL_##name,
#include "results.def"
#undef RESULT
    CHANNEL_RESULT_COUNT
} channel_result;

const char *channel_result_text(channel_result result);

// A named value of a message; templates of providers take them by name or in order.
typedef struct channel_parameter {
    sv name;
    sv value;
} channel_parameter;

typedef struct channel_message {
    uuid id;  // ours, the same at every attempt: Message-ID, webhook-id, OutId
    sv kind;  // of the alert, e.g. "arrears"
    sv address;
    sv locale;             // "zh-CN", "en"
    sv subject;            // one line; without control characters
    sv body;               // plain text
    sv provider_template;  // the provider's code of an approved template; empty where the channel takes free text
    const channel_parameter *parameters;
    size_t parameter_count;
    instant_ms queued_at;
    int32_t attempt;  // 1 for the first
} channel_message;

typedef struct channel_outcome {
    channel_result result;
    sv provider_id;         // of the accepted message, for its receipt; may be empty
    sv reason;              // the provider's code or words, without secrets and without the address
    instant_ms not_before;  // DEFER
    bool is_delivery;       // acceptance is all that will ever be known, and counts as delivery (SMTP, webhook)
    int32_t units;          // what the provider bills, e.g. parts of a long SMS
} channel_outcome;

typedef struct channel_receipt {
    sv provider_id;
    sv address;  // empty where the provider does not repeat it
    bool is_delivered;
    bool is_recipient_bad;
    sv reason;
    instant_ms at;
} channel_receipt;

// A push from a provider to our receipt address, as it came.
typedef struct channel_push {
    sv method;  // "GET", "POST"
    sv query;   // without '?'
    sv body;
    sv signature_header;  // the provider's own, where it has one
    instant_ms received_at;
} channel_push;

// What the service answers to a push.
typedef struct channel_push_answer {
    int status;
    sv content_type;
    sv body;
} channel_push_answer;

// An account's configuration, checked and ready; each channel has its own shape behind it. Immutable but for what the
// channel guards itself (a cached token).
typedef struct channel_account channel_account;

// Where channels that need a token shared by all replicas keep it; the service stores it sealed. ERR_NOT_FOUND: none.
typedef struct channel_store {
    void *owner;
    err_t (*read)(void *owner, sv key, arena *memory, sv *out_value, instant_ms *out_expires_at);
    // Runs `renew` in at most one replica at a time and stores what it gives; *out_value is the newest.
    err_t (*renew)(void *owner, sv key, sv stale_value, void *context,
                   err_t (*renew)(void *context, arena *memory, sv *out_value, instant_ms *out_expires_at), arena *memory, sv *out_value);
} channel_store;

typedef struct channel {
    const char *name;
    const char *kind;      // "sms", "mail", "wechat", "webhook"
    const char *provider;  // "aliyun", …
    // JSON of core.channel_account. ERR_BAD_INPUT with the JSON pointer of the offence.
    err_t (*open)(sv config, const channel_store *store, channel_account **out_account, fault *out_fault);
    void (*close)(channel_account *account);
    // Whether an address can be one at all: "it is no mobile number".
    bool (*is_address)(sv address, const char **out_why);
    void (*send)(channel_account *account, httpc *http, const channel_message *message, instant_ms now, arena *memory,
                 channel_outcome *out_outcome);
    // After AMBIGUOUS: what the provider knows. ERR_NOT_FOUND: nothing was sent; ERR_UNCERTAIN: it cannot tell. NULL:
    // the provider cannot be asked.
    err_t (*ask)(channel_account *account, httpc *http, const channel_message *message, instant_ms now, arena *memory,
                 channel_outcome *out_outcome);
    // Reads a push; ERR_UNAUTHENTIC when it is none of the provider's. NULL: the provider sends none.
    err_t (*read_push)(channel_account *account, const channel_push *push, arena *memory, channel_receipt **out_receipts, size_t *out_count,
                       channel_push_answer *out_answer, fault *out_fault);
} channel;

size_t channel_count(void);
const channel *channel_at(size_t index);
// NULL when there is none.
const channel *channel_find(sv kind, sv provider);
