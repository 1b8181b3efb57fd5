// Applies what channels say, in one transaction: locks the orders and refunds it speaks of, decides (facts.h), writes rows
// and events, and posts to the ledger as the last statement. The same path for notifications and for answers to queries.
#pragma once

#include "facts.h"

// What a notification brought, for the inbox. `headers` is a JSON object.
typedef struct apply_notice {
    sv event_id, event_type, headers, body, plaintext;
    instant_ms received_at;
} apply_notice;

typedef struct apply_entry {
    int32_t company;
    int64_t merchant, legal_entity;
    sv channel;
    const provider_fact *fact;   // NULL: there is none to apply, only a notification to store
    const apply_notice *notice;  // NULL: it is the answer to a call
    fact_outcome fallback;       // of an entry without a fact
    bool is_error;               // the fact could not be applied: store the notification as such, ask about the order
    fact_outcome outcome;        // out
} apply_entry;

#define APPLY_ENTRIES_MAX 64

// For the connections that apply facts: a plan made while the tables were small must not outlive that. Everything is found by
// index.
#define APPLY_SESSION_OPTIONS "-c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off"

// Runs in an open transaction on `conn`, which the caller commits at once. All entries are of one company, and no two
// speak of the same order, refund or event. With ERR_SERIALIZATION the whole transaction is to be run again.
err_t apply_facts(db *conn, apply_entry *const *entries, size_t count, instant_ms now, arena *memory) MUST_CHECK;

// One event of the outbox. `payload` is a JSON object.
typedef struct outgoing {
    const char *type;
    int64_t subject, version;
    sv payload;
} outgoing;
err_t outbox_add(db *conn, int32_t company, const outgoing *events, size_t count, instant_ms now) MUST_CHECK;

// One transfer of one posting; an empty list posts nothing.
typedef struct posting {
    const char *source;
    sv key;
    int64_t id;  // 0: a new number
    int16_t kind;
    int16_t debit_class, credit_class, debit_item, credit_item;
    int64_t debit_num, credit_num;
    sv currency;
    int64_t amount_micro, source_num, corrects;
    instant_ms effective_at;
} posting;
// Sorts by purse, so that purses are locked in ascending order; nothing may follow it but the commit.
err_t postings_add(db *conn, int32_t company, posting *postings, size_t count, instant_ms now) MUST_CHECK;

sv order_changed_payload(arena *memory, const pay_order *order, order_state state);
sv refund_changed_payload(arena *memory, uuid refund, uuid order, int64_t account, int64_t property, const char *state,
                          int64_t amount_micro, sv unit);
