// Orders and refunds as rows, and the vocabularies of their states.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/instant.h"
#include "base/sv.h"
#include "db/db.h"
#include "providers/provider.h"

typedef enum order_state {
#define ORDER_STATE(name, text, is_open, meaning) ORDER_##name,
#include "order_states.def"
#undef ORDER_STATE
    ORDER_STATE_COUNT
} order_state;

typedef enum refund_state {
#define REFUND_STATE(name, text, is_final, meaning) REFUND_##name,
#include "refund_states.def"
#undef REFUND_STATE
    REFUND_STATE_COUNT
} refund_state;

typedef enum suspense_reason {
#define SUSPENSE_REASON(name, text, is_received, meaning) SUSPENSE_##name,
#include "suspense_reasons.def"
#undef SUSPENSE_REASON
    SUSPENSE_REASON_COUNT
} suspense_reason;

const char *order_state_text(order_state state);
bool order_state_is_open(order_state state);
const char *refund_state_text(refund_state state);
bool refund_state_is_final(refund_state state);
const char *suspense_reason_text(suspense_reason reason);
bool suspense_reason_is_received(suspense_reason reason);

// Views live in the arena they were read into.
typedef struct pay_order {
    int32_t company;
    int64_t num, account, purse, property, legal_entity, merchant;
    uuid id;
    sv number, purpose, channel, product, payer, client_ip, description, currency;
    sv handle, channel_id;  // empty: none
    int64_t amount_micro;
    order_state state;
    int64_t version;
    instant_ms handle_valid_to, created_at, expires_at, cancelled_at, closed_at;  // 0: none
    int32_t step, attempts;                                                       // attempts: with the running one
} pay_order;

typedef struct pay_refund {
    int64_t num, order;
    uuid id;
    sv number, currency, reason;
    int64_t amount_micro;
    refund_state state;
    int64_t version;
    int64_t reserve_transfer;  // 0: none was made
    instant_ms created_at;
    int32_t step, attempts;
} pay_refund;

// The columns of orders_lock and refunds_lock, in their order.
void pay_order_read(const db_rows *rows, size_t row, arena *memory, pay_order *out);
void pay_refund_read(const db_rows *rows, size_t row, arena *memory, pay_refund *out);

// As the provider wants it; borrows from the order.
provider_order pay_order_for_provider(const pay_order *self);

// The item of ledger accounts of a channel (clearing, suspense); 0 for a channel nobody declared.
int16_t channel_item(sv channel);
