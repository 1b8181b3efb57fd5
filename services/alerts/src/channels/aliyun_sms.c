// Aliyun SMS (Dysmsapi 2017-05-25), signed by ACS3-HMAC-SHA256: business parameters in the query, an empty body, POST.
// What counts is the answer's Code, whatever the HTTP status. The provider has no idempotency: after a time-out it is
// asked (QuerySendDetails) and nothing is sent again unasked. Receipts come as a pushed JSON array without a signature;
// their path is the secret.
//
// Configuration: {"access_key_id", "access_key_secret", "sign_name", "endpoint"?: "https://dysmsapi.aliyuncs.com"}.
#include "channel.h"

#include <string.h>

#include "crypto/crypto.h"
#include "json/json.h"
#include "json/json_writer.h"
#include "json_config.h"

#define VERSION "2017-05-25"
#define ANSWER_LIMITS ((json_limits){262144, 8})
#define RECEIPTS_MAX 2000
#define PART_CHARS 67
#define ONE_PART_CHARS 70
#define CHINA_OFFSET_S (8 * 3600)
#define QUERY_MAX 16384

struct channel_account {
    arena *memory;
    sv key_id, key_secret, sign_name, endpoint, host;
};

static void aliyun_close(channel_account *self) {
    if (self->key_secret.len > 0) crypto_wipe((void *)self->key_secret.ptr, self->key_secret.len);
    arena_free(self->memory);
    mem_free(self);
}

static sv host_of(sv endpoint) {
    size_t at = 0;
    while (at + 1 < endpoint.len && !(endpoint.ptr[at] == '/' && endpoint.ptr[at + 1] == '/')) at++;
    sv rest = sv_slice(endpoint.ptr + at + 2, endpoint.len - at - 2);
    sv host = SV_NONE;
    return sv_next(&rest, '/', &host) ? host : SV("");
}

static err_t aliyun_open(sv config, const channel_store *store, channel_account **out_account, fault *out_fault) {
    static const char *const KEYS[] = {"access_key_id", "access_key_secret", "sign_name", "endpoint", NULL};
    (void)store;
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(config, (json_limits){8192, 2}, &doc, out_fault);
    if (err) return err;
    channel_account *self = mem_new(1, sizeof *self);
    self->memory = arena_new(65536);
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    self->key_id = config_text(&reader, &root, "access_key_id", 128, self->memory);
    self->key_secret = config_text(&reader, &root, "access_key_secret", 128, self->memory);
    self->sign_name = config_text(&reader, &root, "sign_name", 64, self->memory);
    self->endpoint = config_url(&reader, &root, "endpoint", "https://dysmsapi.aliyuncs.com", self->memory);
    err = json_reader_fault(&reader, out_fault);
    if (err) {
        aliyun_close(self);
        return err;
    }
    self->host = host_of(self->endpoint);
    *out_account = self;
    return ERR_OK;
}

// Mainland mobile numbers, as people write them; other countries as digits after '+'.
static bool aliyun_is_address(sv address, const char **out_why) {
    *out_why = "it is no mobile number";
    size_t digits = 0;
    for (size_t i = 0; i < address.len; i++) {
        if (i == 0 && address.ptr[0] == '+') continue;
        if (address.ptr[i] < '0' || address.ptr[i] > '9') return false;
        digits++;
    }
    return digits >= 8 && digits <= 15;
}

// ---- the signed request ----

typedef struct query_field {
    const char *name;
    sv value;
} query_field;

// RFC 3986: all but letters, digits, '-', '_', '.', '~' as %XX.
static void add_encoded(buf *out, sv text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (is_plain)
            buf_add_byte(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

// `fields` in ascending order of their names.
static void write_query(buf *out, const query_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_add_byte(out, '&');
        add_encoded(out, sv_of(fields[i].name));
        buf_add_byte(out, '=');
        add_encoded(out, fields[i].value);
    }
}

static sv hex_of(const uint8_t digest[CRYPTO_SHA256_LEN], arena *memory) {
    char *text = ARENA_ARRAY(memory, char, 2 * CRYPTO_SHA256_LEN);
    for (size_t i = 0; i < CRYPTO_SHA256_LEN; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return sv_slice(text, 2 * CRYPTO_SHA256_LEN);
}

static sv sha256_hex(sv bytes, arena *memory) {
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(bytes, digest);
    return hex_of(digest, memory);
}

typedef struct signed_call {
    sv action, query, date, nonce, body_sha256, authorization;
} signed_call;

static void sign(const channel_account *self, signed_call *call, arena *memory) {
    static const char SIGNED[] = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
    AUTO(buf) canonical = {0};
    uint8_t digest[CRYPTO_SHA256_LEN];
    buf_init(&canonical, 2 * QUERY_MAX);
    buf_addf(&canonical, "POST\n/\n%.*s\nhost:%.*s\nx-acs-action:%.*s\nx-acs-content-sha256:%.*s\nx-acs-date:%.*s\n", SV_ARG(call->query),
             SV_ARG(self->host), SV_ARG(call->action), SV_ARG(call->body_sha256), SV_ARG(call->date));
    buf_addf(&canonical, "x-acs-signature-nonce:%.*s\nx-acs-version:" VERSION "\n\n%s\n%.*s", SV_ARG(call->nonce), SIGNED,
             SV_ARG(call->body_sha256));
    sv to_sign = sv_of(arena_printf(memory, "ACS3-HMAC-SHA256\n%.*s", SV_ARG(sha256_hex(buf_view(&canonical), memory))));
    crypto_hmac_sha256(self->key_secret, to_sign, digest);
    call->authorization = sv_of(arena_printf(memory, "ACS3-HMAC-SHA256 Credential=%.*s,SignedHeaders=%s,Signature=%.*s",
                                             SV_ARG(self->key_id), SIGNED, SV_ARG(hex_of(digest, memory))));
}

static err_t call_api(channel_account *self, httpc *http, const char *action, const query_field *fields, size_t count, instant_ms now,
                      arena *memory, sv *out_body, fault *out_fault) {
    AUTO(buf) query = {0};
    char nonce[64];
    const httpc_response *answer = NULL;
    buf_init(&query, QUERY_MAX);
    write_query(&query, fields, count);
    if (buf_has_failed(&query)) return fault_set(out_fault, ERR_BAD_INPUT, "query", "the message is too long");
    crypto_token(16, nonce);
    int64_t days = now / DAY_MS;
    int64_t second = now % DAY_MS / SECOND_MS;
    int32_t year = 0, month = 0, day = 0;
    civil_from_days(days, &year, &month, &day);
    signed_call call = {.action = sv_of(action),
                        .query = buf_view(&query),
                        .nonce = sv_of(nonce),
                        .date = sv_of(arena_printf(memory, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day, (int)(second / 3600),
                                                   (int)(second / 60 % 60), (int)(second % 60))),
                        .body_sha256 = sha256_hex(SV(""), memory)};
    sign(self, &call, memory);
    const httpc_header headers[] = {{SV("x-acs-action"), call.action},
                                    {SV("x-acs-version"), SV(VERSION)},
                                    {SV("x-acs-date"), call.date},
                                    {SV("x-acs-signature-nonce"), call.nonce},
                                    {SV("x-acs-content-sha256"), call.body_sha256},
                                    {SV("Authorization"), call.authorization},
                                    {SV("Accept"), SV("application/json")}};
    httpc_request request = {.method = SV("POST"),
                             .url = sv_of(arena_printf(memory, "%.*s/?%.*s", SV_ARG(self->endpoint), SV_ARG(call.query))),
                             .headers = headers,
                             .header_count = ARRAY_LEN(headers),
                             .connect_timeout_ms = 3000,
                             .total_timeout_ms = 10000,
                             .once = true};
    err_t err = httpc_send(http, &request, &answer, out_fault);
    if (!err) *out_body = arena_copy(memory, answer->body);
    return err;
}

// ---- what the answer means ----

typedef struct code_class {
    const char *code;  // a prefix where it ends with '*'
    channel_result result;
} code_class;

static const code_class CLASSES[] = {{"OK", CHANNEL_ACCEPTED},
                                     {"isp.RAM_PERMISSION_DENY", CHANNEL_ACCOUNT_BAD},
                                     {"isp.*", CHANNEL_RETRY},
                                     {"ServiceUnavailable*", CHANNEL_RETRY},
                                     {"InternalError*", CHANNEL_RETRY},
                                     {"Throttling*", CHANNEL_RETRY},
                                     {"isv.BUSINESS_LIMIT_CONTROL", CHANNEL_DEFER},
                                     {"QPS_LIMIT_CONTROL", CHANNEL_DEFER},
                                     {"isv.MOBILE_NUMBER_ILLEGAL", CHANNEL_RECIPIENT_BAD},
                                     {"isv.DOMESTIC_NUMBER_NOT_SUPPORTED", CHANNEL_RECIPIENT_BAD},
                                     {"isv.OUT_OF_SERVICE", CHANNEL_ACCOUNT_BAD},
                                     {"isv.AMOUNT_NOT_ENOUGH", CHANNEL_ACCOUNT_BAD},
                                     {"isv.DAY_LIMIT_CONTROL", CHANNEL_ACCOUNT_BAD},
                                     {"isv.MONTH_LIMIT_CONTROL", CHANNEL_ACCOUNT_BAD},
                                     {"isv.ACCOUNT_*", CHANNEL_ACCOUNT_BAD},
                                     {"isv.PRODUCT_UN*", CHANNEL_ACCOUNT_BAD},
                                     {"isv.DENY_IP_RANGE", CHANNEL_ACCOUNT_BAD},
                                     {"InvalidAccessKeyId*", CHANNEL_ACCOUNT_BAD},
                                     {"SignatureDoesNotMatch", CHANNEL_ACCOUNT_BAD},
                                     {"IncompleteSignature", CHANNEL_ACCOUNT_BAD},
                                     {"InvalidTimeStamp*", CHANNEL_ACCOUNT_BAD},
                                     {"SignatureNonceUsed", CHANNEL_RETRY},
                                     {"isv.*", CHANNEL_CONTENT_BAD}};

static channel_result class_of(sv code) {
    for (size_t i = 0; i < ARRAY_LEN(CLASSES); i++) {
        sv pattern = sv_of(CLASSES[i].code);
        bool is_prefix = pattern.ptr[pattern.len - 1] == '*';
        if (is_prefix ? sv_starts_with(code, sv_slice(pattern.ptr, pattern.len - 1)) : sv_equal(code, pattern)) return CLASSES[i].result;
    }
    return CHANNEL_ACCOUNT_BAD;  // an unknown refusal: a person must look before more is sent
}

static int32_t parts_of(sv text) {
    int32_t chars = 0;
    for (size_t i = 0; i < text.len; i++) chars += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return chars <= ONE_PART_CHARS ? 1 : (chars + PART_CHARS - 1) / PART_CHARS;
}

// The level of the limit stands in the message: a minute, an hour, a day in China.
static instant_ms not_before(sv message, instant_ms now) {
    bool is_day = false;
    bool is_hour = false;
    for (size_t i = 0; i + 3 <= message.len; i++) {
        is_day = is_day || memcmp(message.ptr + i, "Day", 3) == 0 || memcmp(message.ptr + i, "\xE5\xA4\xA9", 3) == 0;
        is_hour = is_hour || (i + 4 <= message.len && memcmp(message.ptr + i, "Hour", 4) == 0) ||
                  (i + 6 <= message.len && memcmp(message.ptr + i, "\xE5\xB0\x8F\xE6\x97\xB6", 6) == 0);
    }
    int64_t china = now + CHINA_OFFSET_S * SECOND_MS;
    if (is_day) return (china / DAY_MS + 1) * DAY_MS - CHINA_OFFSET_S * SECOND_MS;
    return now + (is_hour ? HOUR_MS : MINUTE_MS);
}

static err_t read_answer(sv body, arena *memory, sv *out_code, sv *out_message, sv *out_id) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(body, ANSWER_LIMITS, &doc, NULL);
    if (err) return err;
    json_node root = json_root(doc);
    *out_code = config_text(&reader, &root, "Code", 200, memory);
    *out_message = config_text_or(&reader, &root, "Message", 1000, "", memory);
    *out_id = config_text_or(&reader, &root, "BizId", 100, "", memory);
    return json_reader_fault(&reader, NULL);
}

static sv template_parameters(const channel_message *message, arena *memory) {
    AUTO(buf) text = {0};
    json_writer out;
    buf_init(&text, QUERY_MAX / 4);
    json_writer_init(&out, &text);
    json_open_object(&out);
    for (size_t i = 0; i < message->parameter_count; i++) {
        char key[64];
        sv_copy_truncated(message->parameters[i].name, key, sizeof key);
        json_put_text(&out, key, message->parameters[i].value);
    }
    json_close_object(&out);
    return arena_copy(memory, buf_view(&text));
}

static void aliyun_send(channel_account *self, httpc *http, const channel_message *message, instant_ms now, arena *memory,
                        channel_outcome *out) {
    char id[UUID_TEXT_LEN + 1];
    sv body = SV_NONE;
    sv code = SV(""), text = SV(""), biz_id = SV("");
    fault why = {0};
    uuid_format(message->id, id);
    *out = (channel_outcome){.result = CHANNEL_CONTENT_BAD, .reason = SV("the kind has no approved template")};
    if (message->provider_template.len == 0) return;
    const query_field fields[] = {{"OutId", sv_of(id)},
                                  {"PhoneNumbers", message->address},
                                  {"SignName", self->sign_name},
                                  {"TemplateCode", message->provider_template},
                                  {"TemplateParam", template_parameters(message, memory)}};
    err_t err = call_api(self, http, "SendSms", fields, ARRAY_LEN(fields), now, memory, &body, &why);
    if (err == ERR_UNAVAILABLE || err == ERR_FORBIDDEN) {
        *out = (channel_outcome){.result = CHANNEL_RETRY, .reason = sv_of(arena_printf(memory, "%s: %s", why.place, why.reason))};
    } else if (err == ERR_BAD_INPUT) {
        *out = (channel_outcome){.result = CHANNEL_CONTENT_BAD, .reason = sv_of(arena_printf(memory, "%s", why.reason))};
    } else if (err || read_answer(body, memory, &code, &text, &biz_id) != ERR_OK) {
        *out = (channel_outcome){.result = CHANNEL_AMBIGUOUS, .reason = SV("no answer that could be read")};
    } else {
        *out = (channel_outcome){.result = class_of(code), .provider_id = biz_id, .reason = code, .units = parts_of(message->body)};
        if (out->result == CHANNEL_DEFER) out->not_before = not_before(text, now);
    }
}

// ---- asking afterwards ----

static sv china_day(instant_ms at, arena *memory) {
    int32_t year = 0, month = 0, day = 0;
    civil_from_days((at + CHINA_OFFSET_S * SECOND_MS) / DAY_MS, &year, &month, &day);
    return sv_of(arena_printf(memory, "%04d%02d%02d", year, month, day));
}

static err_t find_detail(sv body, sv wanted, arena *memory, channel_outcome *out) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    if (json_parse(body, ANSWER_LIMITS, &doc, NULL)) return ERR_UNCERTAIN;
    json_node root = json_root(doc);
    json_node code = json_member(&reader, &root, "Code");
    if (!sv_equal(json_read_text(&reader, &code), SV("OK"))) return ERR_UNCERTAIN;
    json_node outer = json_member(&reader, &root, "SmsSendDetailDTOs");
    json_node list = json_member(&reader, &outer, "SmsSendDetailDTO");
    size_t count = json_array_len(&reader, &list);
    if (json_reader_failed(&reader)) return ERR_UNCERTAIN;
    for (size_t i = 0; i < count; i++) {
        json_node each = json_item(&reader, &list, i);
        if (!sv_equal(config_text_or(&reader, &each, "OutId", 100, "", memory), wanted)) continue;
        json_node status = json_optional(&reader, &each, "SendStatus");
        int64_t state = json_is_present(&status) ? json_read_integer(&reader, &status, 0, 100) : 1;
        *out = (channel_outcome){.result = state == 2 ? CHANNEL_RECIPIENT_BAD : CHANNEL_ACCEPTED,
                                 .is_delivery = state == 3,
                                 .reason = config_text_or(&reader, &each, "ErrCode", 100, "", memory),
                                 .units = 1};
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

static err_t aliyun_ask(channel_account *self, httpc *http, const channel_message *message, instant_ms now, arena *memory,
                        channel_outcome *out) {
    char id[UUID_TEXT_LEN + 1];
    sv body = SV_NONE;
    fault why = {0};
    uuid_format(message->id, id);
    const query_field fields[] = {{"CurrentPage", SV("1")},
                                  {"PageSize", SV("50")},
                                  {"PhoneNumber", message->address},
                                  {"SendDate", china_day(message->queued_at, memory)}};
    err_t err = call_api(self, http, "QuerySendDetails", fields, ARRAY_LEN(fields), now, memory, &body, &why);
    return err ? ERR_UNCERTAIN : find_detail(body, sv_of(id), memory, out);
}

// ---- receipts ----

static instant_ms china_time(sv text, instant_ms fallback, arena *memory) {
    instant_ms at = 0;
    if (text.len != 19) return fallback;
    sv rfc = sv_of(arena_printf(memory, "%.*sT%.*s+08:00", 10, text.ptr, 8, text.ptr + 11));
    return instant_parse(rfc, &at) ? at : fallback;
}

static err_t aliyun_read_push(channel_account *self, const channel_push *push, arena *memory, channel_receipt **out_receipts,
                              size_t *out_count, channel_push_answer *out_answer, fault *out_fault) {
    (void)self;
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    *out_count = 0;
    err_t err = json_parse(push->body, ANSWER_LIMITS, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    size_t count = json_array_len(&reader, &root);
    if (!json_reader_failed(&reader) && count > RECEIPTS_MAX) json_refuse(&reader, &root, "at most %d receipts", RECEIPTS_MAX);
    *out_receipts = ARENA_ARRAY(memory, channel_receipt, count + 1);
    for (size_t i = 0; i < count && !json_reader_failed(&reader); i++) {
        json_node each = json_item(&reader, &root, i);
        json_node success = json_member(&reader, &each, "success");
        channel_receipt *next = &(*out_receipts)[i];
        *next = (channel_receipt){.provider_id = config_text(&reader, &each, "biz_id", 100, memory),
                                  .address = config_text(&reader, &each, "phone_number", 32, memory),
                                  .is_delivered = json_read_boolean(&reader, &success),
                                  .reason = config_text_or(&reader, &each, "err_code", 100, "", memory)};
        next->at = china_time(config_text_or(&reader, &each, "report_time", 32, "", memory), push->received_at, memory);
        next->is_recipient_bad = sv_equal(next->reason, SV("MI:0210"));  // an empty number
        *out_count = i + 1;
    }
    *out_answer = (channel_push_answer){200, SV("application/json"), SV("{\"code\":0,\"msg\":\"ok\"}")};
    return json_reader_fault(&reader, out_fault);
}

const channel CHANNEL_aliyun_sms = {.name = "aliyun_sms",
                                    .kind = "sms",
                                    .provider = "aliyun",
                                    .open = aliyun_open,
                                    .close = aliyun_close,
                                    .is_address = aliyun_is_address,
                                    .send = aliyun_send,
                                    .ask = aliyun_ask,
                                    .read_push = aliyun_read_push};
