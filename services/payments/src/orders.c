#include "orders.h"

#include "base/check.h"
#include "base/mem.h"

static const struct {
    const char *text;
    bool is_open;
} ORDER_STATES[] = {
#define ORDER_STATE(name, text, is_open, meaning) {text, is_open},
#include "order_states.def"
#undef ORDER_STATE
};

static const struct {
    const char *text;
    bool is_final;
} REFUND_STATES[] = {
#define REFUND_STATE(name, text, is_final, meaning) {text, is_final},
#include "refund_states.def"
#undef REFUND_STATE
};

static const struct {
    const char *text;
    bool is_received;
} REASONS[] = {
#define SUSPENSE_REASON(name, text, is_received, meaning) {text, is_received},
#include "suspense_reasons.def"
#undef SUSPENSE_REASON
};

const char *order_state_text(order_state state) { return ORDER_STATES[state].text; }
bool order_state_is_open(order_state state) { return ORDER_STATES[state].is_open; }
const char *refund_state_text(refund_state state) { return REFUND_STATES[state].text; }
bool refund_state_is_final(refund_state state) { return REFUND_STATES[state].is_final; }
const char *suspense_reason_text(suspense_reason reason) { return REASONS[reason].text; }
bool suspense_reason_is_received(suspense_reason reason) { return REASONS[reason].is_received; }

// The database's constraint allows only these texts.
static order_state order_state_of(sv text) {
    for (size_t i = 0; i < ARRAY_LEN(ORDER_STATES); i++)
        if (sv_equal(text, sv_of(ORDER_STATES[i].text))) return (order_state)i;
    BUG("a state of an order");
}

static refund_state refund_state_of(sv text) {
    for (size_t i = 0; i < ARRAY_LEN(REFUND_STATES); i++)
        if (sv_equal(text, sv_of(REFUND_STATES[i].text))) return (refund_state)i;
    BUG("a state of a refund");
}

static sv copy(const db_rows *rows, size_t row, int column, arena *memory) {
    return db_is_null(rows, row, column) ? SV("") : arena_copy(memory, db_text(rows, row, column));
}

void pay_order_read(const db_rows *rows, size_t row, arena *memory, pay_order *out) {
    *out = (pay_order){.company = (int32_t)db_i64(rows, row, 0),
                       .num = db_i64(rows, row, 1),
                       .id = db_uuid(rows, row, 2),
                       .number = copy(rows, row, 3, memory),
                       .account = db_i64(rows, row, 4),
                       .purse = db_i64(rows, row, 5),
                       .property = db_i64(rows, row, 6),
                       .purpose = copy(rows, row, 7, memory),
                       .legal_entity = db_i64(rows, row, 8),
                       .merchant = db_i64(rows, row, 9),
                       .channel = copy(rows, row, 10, memory),
                       .product = copy(rows, row, 11, memory),
                       .payer = copy(rows, row, 12, memory),
                       .client_ip = copy(rows, row, 13, memory),
                       .description = copy(rows, row, 14, memory),
                       .amount_micro = db_i64(rows, row, 15),
                       .currency = copy(rows, row, 16, memory),
                       .state = order_state_of(db_text(rows, row, 17)),
                       .version = db_i64(rows, row, 18),
                       .handle = copy(rows, row, 19, memory),
                       .handle_valid_to = db_time(rows, row, 20),
                       .channel_id = copy(rows, row, 21, memory),
                       .created_at = db_time(rows, row, 22),
                       .expires_at = db_time(rows, row, 23),
                       .cancelled_at = db_time(rows, row, 24),
                       .step = (int32_t)db_i64(rows, row, 25),
                       .attempts = (int32_t)db_i64(rows, row, 26),
                       .closed_at = db_time(rows, row, 27)};
}

void pay_refund_read(const db_rows *rows, size_t row, arena *memory, pay_refund *out) {
    *out = (pay_refund){.num = db_i64(rows, row, 0),
                        .id = db_uuid(rows, row, 1),
                        .number = copy(rows, row, 2, memory),
                        .order = db_i64(rows, row, 3),
                        .amount_micro = db_i64(rows, row, 4),
                        .currency = copy(rows, row, 5, memory),
                        .state = refund_state_of(db_text(rows, row, 6)),
                        .version = db_i64(rows, row, 7),
                        .reserve_transfer = db_i64(rows, row, 8),
                        .created_at = db_time(rows, row, 9),
                        .reason = copy(rows, row, 10, memory),
                        .step = (int32_t)db_i64(rows, row, 11),
                        .attempts = (int32_t)db_i64(rows, row, 12)};
}

provider_order pay_order_for_provider(const pay_order *self) {
    provider_product product = PROVIDER_PRODUCT_NATIVE;
    CHECK(provider_product_of(self->product, &product));
    return (provider_order){.number = self->number,
                            .created_at = self->created_at,
                            .expires_at = self->expires_at,
                            .product = product,
                            .amount_micro = self->amount_micro,
                            .currency = self->currency,
                            .description = self->description,
                            .payer = self->payer,
                            .client_ip = self->client_ip,
                            .channel_id = self->channel_id};
}

// By the place in providers.def, from 1 on: stored in transfers, so lines are only added at its end.
int16_t channel_item(sv channel) {
    static const char *const CHANNELS[] = {
#define PROVIDER(name, text) (text),
#include "providers/providers.def"
#undef PROVIDER
    };
    for (size_t i = 0; i < ARRAY_LEN(CHANNELS); i++)
        if (sv_equal(channel, sv_of(CHANNELS[i]))) return (int16_t)(i + 1);
    return 0;
}
