// Any text of WeChat Pay behind a good signature: refused with a place and a reason, or a fact whose state and amounts go
// together. The first byte chooses the kind of text.
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "wechat_pay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static wechat_merchant merchant;
    if (merchant.memory == NULL) {
        merchant = (wechat_merchant){.memory = arena_new(65536), .merchant = SV("1900000001"), .app = SV("wx1111222233334444")};
        wechat_key secret = {.secret = SV("0123456789abcdef0123456789abcdef"), .valid_from = INSTANT_MIN, .valid_to = INSTANT_MAX};
        vec_push(&merchant.secrets, secret);
    }
    if (size == 0) return 0;
    arena *memory = arena_new(PROVIDER_MEMORY_MAX);
    sv text = sv_skip(sv_slice(data, size), 1);
    provider_fact fact = {0};
    provider_keys keys = {0};
    fault why = {0};
    wechat_fact_kind kind = (wechat_fact_kind)(data[0] % 4);
    if (wechat_read_fact(&merchant, kind, text, memory, &fact, &why) == ERR_OK) {
        bool is_payment = kind == WECHAT_PAYMENT_ANSWER || kind == WECHAT_PAYMENT_NOTICE;
        CHECK(provider_fact_kind_of(&fact) == (is_payment ? PROVIDER_FACT_PAYMENT : PROVIDER_FACT_REFUND));
        CHECK(fact.order_number.len > 0 && fact.channel_state.len > 0 && fact.amount_micro >= 0 && fact.amount_micro % 10000 == 0);
        if (fact.state == PROVIDER_STATE_PAID || !is_payment) CHECK(fact.amount_micro > 0 && fact.channel_id.len > 0);
        if (!is_payment) CHECK(fact.refund_number.len > 0 && fact.refund_channel_id.len > 0 && fact.order_micro > 0);
    } else {
        CHECK(why.reason[0] != '\0' && why.place[0] != '\0');
    }
    CHECK(wechat_read_certificates(&merchant, text, 1700000000000, memory, &keys) != NULL || keys.count <= 32);
    arena_free(memory);
    return 0;
}
