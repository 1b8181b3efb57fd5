// Any headers and body of a WeChat Pay notification: never a fact without a signature, and behind one never a fact without
// its numbers. The input is five header lines, then the body.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "wechat_pay.h"

static const char PUBLIC_KEY[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzq0eE8/SHzNF5kHoDcUl\n"
    "8Gn9EzpcYvc4xyybY9+BkJI2FrylXkePcyd5gA7Ih/IXzEjqX7FGgzOGWFuUQeQa\n"
    "2eaDl51tYliR9FSHR6XDv7hQxLbrhHqOM0cWiNiJbIOMQdbKe2b5mOdEdr4D4bwd\n"
    "EkX0EjzMSXNMcqUXY/esO4lYK75ZQ17jobzipv48nkBOaeUa5MONPfZJrs1kxYTy\n"
    "XnPqJLUPYzWQXwOdQWiWw1jU6ev80C5PPcLXzjvj+s4qe2W5YjvEpv2V76hhf/jC\n"
    "J+SUuqaNbWhg6z7TeSwsJU6L+z/vyVcu3KlfbO5lcQnUpBwvO6+tDLyiNX2WGMW8\n"
    "cQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static wechat_merchant merchant;
    if (merchant.memory == NULL) {
        merchant = (wechat_merchant){.memory = arena_new(65536), .merchant = SV("1900000001"), .app = SV("wx1111222233334444")};
        wechat_key verifier = {.serial = SV("PUB_KEY_ID_1"), .valid_from = INSTANT_MIN, .valid_to = INSTANT_MAX};
        CHECK(crypto_public_key_parse(sv_of(PUBLIC_KEY), &verifier.public_key, NULL) == ERR_OK);
        vec_push(&merchant.verifiers, verifier);
        wechat_key secret = {.secret = SV("0123456789abcdef0123456789abcdef"), .valid_from = INSTANT_MIN, .valid_to = INSTANT_MAX};
        vec_push(&merchant.secrets, secret);
    }
    arena *memory = arena_new(PROVIDER_MEMORY_MAX);
    sv rest = sv_slice(data, size);
    provider_notification notification = {.received_at = 1700000000000};
    for (size_t i = 0; i < WECHAT_HEADER_COUNT; i++)
        if (!sv_next(&rest, '\n', &notification.headers[i])) break;
    notification.body = rest;
    provider_reading reading = wechat_read_notification((const provider_merchant *)&merchant, &notification, memory);
    CHECK(reading.notice != PROVIDER_NOTICE_FACT && reading.notice != PROVIDER_NOTICE_ASK && reading.notice != PROVIDER_NOTICE_IGNORED);
    CHECK(reading.why.len > 0 && provider_notice_http_status(reading.notice) >= 400);
    provider_reading behind = {0};
    wechat_read_envelope(&merchant, &notification, memory, &behind);
    CHECK(behind.notice == PROVIDER_NOTICE_UNREADABLE ||
          (behind.event_id.len > 0 && behind.event_id.len <= 64 && behind.plaintext.len > 0));
    arena_free(memory);
    return 0;
}
