// WeChat Pay, API version 3: direct merchants and service providers with sub-merchants; Native, JSAPI and H5 orders; query,
// close, refund, notifications, certificates and public keys, mixed and rotated.
//
// What we send is signed over method, path, time, nonce and the body's bytes; what comes back, answer or notification, is
// signed over time, nonce and the body's bytes with a key that its serial names. Nothing is read before its signature
// holds, with one exception: an answer with an error status and no signature, or one of a key we do not have, is judged by its
// code, as TLS already tells who speaks. A wrong signature on an answer, deliberate probes included, makes the outcome
// unknown.
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/id.h"
#include "base/vec.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/rsa.h"
#include "json/json.h"
#include "json/json_writer.h"
#include "provider.h"
#include "wechat_pay.h"

#define ANSWER_MAX 65536
#define REQUEST_MAX 8192
#define AUTHORIZATION_MAX 2048
#define HANDLE_LIFE_MS (2 * HOUR_MS)
#define H5_LIFE_MS (5 * MINUTE_MS)
#define FEN_MICRO 10000LL

static const json_limits LIMITS = {ANSWER_MAX, 12};

// Error codes without their underscores: the spelling differs between generations of the documents.
static const struct {
    const char *code;
    provider_result result;
} CODES[] = {
    {"PARAMERROR", PROVIDER_MISCONFIGURED},
    {"INVALIDREQUEST", PROVIDER_MISCONFIGURED},
    {"APPIDMCHIDNOTMATCH", PROVIDER_MISCONFIGURED},
    {"MCHNOTEXISTS", PROVIDER_MISCONFIGURED},
    {"OPENIDMISMATCH", PROVIDER_MISCONFIGURED},
    {"SIGNERROR", PROVIDER_MISCONFIGURED},
    {"ORDERCLOSED", PROVIDER_CLOSED},
    {"ORDERPAID", PROVIDER_PAID},
    {"NOAUTH", PROVIDER_REFUSED},
    {"RULELIMIT", PROVIDER_REFUSED},
    {"TRADEERROR", PROVIDER_REFUSED},
    {"ACCOUNTERROR", PROVIDER_REFUSED},
    {"USERACCOUNTABNORMAL", PROVIDER_REFUSED},
    {"OUTTRADENOUSED", PROVIDER_UNKNOWN},
    {"NOTENOUGH", PROVIDER_NO_FUNDS},
    {"ORDERNOTEXIST", PROVIDER_NOT_FOUND},
    {"RESOURCENOTEXISTS", PROVIDER_NOT_FOUND},
    {"FREQUENCYLIMITED", PROVIDER_RETRY_LATER},
    {"FREQUENCYLIMIT", PROVIDER_RETRY_LATER},
    {"RATELIMITEXCEEDED", PROVIDER_RETRY_LATER},
    {"SYSTEMERROR", PROVIDER_UNKNOWN},
    {"BANKERROR", PROVIDER_UNKNOWN},
};

// One request and what came of it.
typedef struct exchange {
    const provider_call *call;
    const wechat_merchant *merchant;
    const wechat_key *signer;  // NULL: none is valid
    const char *method;
    const char *path;  // with its query
    sv body;
    bool is_for_certificates;  // the answer may be signed by a key that it brings itself
    provider_answer answer;
    sv text;                   // of an answer whose result is OK
    wechat_signed unverified;  // for is_for_certificates: checked by its caller
} exchange;

static exchange begin(const provider_call *call, const char *method, const char *path, sv body);
static void send_and_judge(exchange *self);
static provider_answer answer_of(provider_result result, const char *code, const char *message);
static const char *fault_of_order(const provider_order *order, instant_ms at, int64_t *out_fen);
static void write_order(const wechat_merchant *merchant, const provider_order *order, int64_t fen, json_writer *out);
static void make_handle(const provider_call *call, const provider_order *order, exchange *done, provider_handle *out_handle);
static provider_answer read_fact(exchange *done, wechat_fact_kind kind, provider_fact *out_fact);
static sv shorten(sv text, size_t max);
static const char *or_partner(const wechat_merchant *merchant, const char *direct, const char *partner);
static bool fen_of(int64_t micro, int64_t *out_fen);

static const wechat_merchant *merchant_of(const provider_call *call) { return (const wechat_merchant *)call->merchant; }

// --- Orders -------------------------------------------------------------------------------------------------------------

static provider_answer create(const provider_call *call, const provider_order *order, provider_handle *out_handle) {
    static const char *const PRODUCT_PATHS[] = {
        [PROVIDER_PRODUCT_NATIVE] = "native", [PROVIDER_PRODUCT_JSAPI] = "jsapi", [PROVIDER_PRODUCT_H5] = "h5"};
    const wechat_merchant *merchant = merchant_of(call);
    int64_t fen;
    const char *wrong = fault_of_order(order, clock_now(call->clock), &fen);
    if (wrong != NULL) return answer_of(PROVIDER_REFUSED, "invalid_order", wrong);
    AUTO(buf) body;
    buf_init(&body, REQUEST_MAX);
    json_writer out;
    json_writer_init(&out, &body);
    write_order(merchant, order, fen, &out);
    if (buf_has_failed(&body)) return answer_of(PROVIDER_REFUSED, "invalid_order", "the order's texts are too long");
    const char *path = arena_printf(call->memory, "%s/%s", or_partner(merchant, "/v3/pay/transactions", "/v3/pay/partner/transactions"),
                                    PRODUCT_PATHS[order->product]);
    exchange done = begin(call, "POST", path, buf_view(&body));
    send_and_judge(&done);
    if (done.answer.result == PROVIDER_OK) make_handle(call, order, &done, out_handle);
    return done.answer;
}

static provider_answer query(const provider_call *call, const provider_order *order, provider_fact *out_fact) {
    const wechat_merchant *merchant = merchant_of(call);
    if (!wechat_is_number(order->number, 6, 32))
        return answer_of(PROVIDER_REFUSED, "invalid_order", "the order's number is not one of WeChat Pay");
    const char *path = merchant->mode == PROVIDER_MODE_DIRECT
                           ? arena_printf(call->memory, "/v3/pay/transactions/out-trade-no/%.*s?mchid=%.*s", SV_ARG(order->number),
                                          SV_ARG(merchant->merchant))
                           : arena_printf(call->memory, "/v3/pay/partner/transactions/out-trade-no/%.*s?sp_mchid=%.*s&sub_mchid=%.*s",
                                          SV_ARG(order->number), SV_ARG(merchant->merchant), SV_ARG(merchant->sub_merchant));
    exchange done = begin(call, "GET", path, SV(""));
    send_and_judge(&done);
    if (done.answer.result != PROVIDER_OK) return done.answer;
    provider_answer answer = read_fact(&done, WECHAT_PAYMENT_ANSWER, out_fact);
    if (answer.result == PROVIDER_OK && !sv_equal(out_fact->order_number, order->number))
        return answer_of(PROVIDER_UNKNOWN, "other_order", "the answer is about another order");
    return answer;
}

static provider_answer close_order(const provider_call *call, const provider_order *order) {
    const wechat_merchant *merchant = merchant_of(call);
    if (!wechat_is_number(order->number, 6, 32))
        return answer_of(PROVIDER_REFUSED, "invalid_order", "the order's number is not one of WeChat Pay");
    AUTO(buf) body;
    buf_init(&body, REQUEST_MAX);
    json_writer out;
    json_writer_init(&out, &body);
    json_open_object(&out);
    json_put_text(&out, or_partner(merchant, "mchid", "sp_mchid"), merchant->merchant);
    if (merchant->mode == PROVIDER_MODE_PARTNER) json_put_text(&out, "sub_mchid", merchant->sub_merchant);
    json_close_object(&out);
    const char *path = arena_printf(call->memory, "%s/out-trade-no/%.*s/close",
                                    or_partner(merchant, "/v3/pay/transactions", "/v3/pay/partner/transactions"), SV_ARG(order->number));
    exchange done = begin(call, "POST", path, buf_view(&body));
    send_and_judge(&done);
    if (done.answer.result == PROVIDER_CLOSED) done.answer.result = PROVIDER_OK;
    return done.answer;
}

static const char *fault_of_order(const provider_order *order, instant_ms at, int64_t *out_fen) {
    if (!wechat_is_number(order->number, 6, 32)) return "the order's number is not one of WeChat Pay";
    if (!sv_equal(order->currency, SV("CNY"))) return "WeChat Pay takes CNY only";
    if (!fen_of(order->amount_micro, out_fen)) return "the amount is not a positive number of whole fen";
    if (order->expires_at <= at) return "the order has expired";
    if (order->description.len == 0 || !sv_is_utf8(order->description)) return "the description is empty or not UTF-8";
    if (order->product == PROVIDER_PRODUCT_JSAPI && (order->payer.len == 0 || order->payer.len > 128 || !sv_is_utf8(order->payer)))
        return "the payer's openid is missing";
    bool is_local = order->client_ip.len == 0 || order->client_ip.len > 45 || sv_starts_with(order->client_ip, SV("127."));
    if (order->product == PROVIDER_PRODUCT_H5 && (is_local || sv_equal(order->client_ip, SV("::1"))))
        return "the payer's public address is missing";
    return NULL;
}

// The same order always gives the same bytes: repeating it must be a re-entry, not another order under its number.
static void write_order(const wechat_merchant *merchant, const provider_order *order, int64_t fen, json_writer *out) {
    bool is_partner = merchant->mode == PROVIDER_MODE_PARTNER;
    json_open_object(out);
    json_put_text(out, is_partner ? "sp_appid" : "appid", merchant->app);
    json_put_text(out, is_partner ? "sp_mchid" : "mchid", merchant->merchant);
    if (is_partner && merchant->sub_app.len > 0) json_put_text(out, "sub_appid", merchant->sub_app);
    if (is_partner) json_put_text(out, "sub_mchid", merchant->sub_merchant);
    json_put_text(out, "description", shorten(order->description, 127));
    json_put_text(out, "out_trade_no", order->number);
    json_put_instant(out, "time_expire", order->expires_at / SECOND_MS * SECOND_MS, 8 * 3600);
    json_put_text(out, "notify_url", merchant->notify_url);
    json_key(out, "amount");
    json_open_object(out);
    json_put_integer(out, "total", fen);
    json_put_text(out, "currency", order->currency);
    json_close_object(out);
    if (order->product == PROVIDER_PRODUCT_JSAPI) {
        json_key(out, "payer");
        json_open_object(out);
        json_put_text(out, !is_partner ? "openid" : merchant->sub_app.len > 0 ? "sub_openid" : "sp_openid", order->payer);
        json_close_object(out);
    }
    if (order->product == PROVIDER_PRODUCT_H5) {
        json_key(out, "scene_info");
        json_open_object(out);
        json_put_text(out, "payer_client_ip", order->client_ip);
        json_key(out, "h5_info");
        json_open_object(out);
        json_put_text(out, "type", SV("Wap"));
        json_close_object(out);
        json_close_object(out);
    }
    json_close_object(out);
}

// What the page hands to WeChat's own payment call, signed with the key that signs requests: app, time, nonce and package.
static sv pay_parameters(const exchange *done, sv prepay_id) {
    const provider_call *call = done->call;
    const wechat_merchant *merchant = merchant_of(call);
    instant_ms at = clock_now(call->clock);
    char nonce[WECHAT_NONCE_LEN + 1];
    wechat_make_nonce(nonce);
    sv app = merchant->sub_app.len > 0 ? merchant->sub_app : merchant->app;
    char *time = arena_printf(call->memory, "%lld", at / SECOND_MS);
    char *package = arena_printf(call->memory, "prepay_id=%.*s", SV_ARG(prepay_id));
    const sv pieces[] = {app, SV("\n"), sv_of(time), SV("\n"), sv_of(nonce), SV("\n"), sv_of(package), SV("\n")};
    AUTO(buf) signature;
    buf_init(&signature, WECHAT_SIGNATURE_TEXT_MAX);
    wechat_sign(done->signer, pieces, ARRAY_LEN(pieces), &signature);
    AUTO(buf) text;
    buf_init(&text, REQUEST_MAX);
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "appId", app);
    json_put_text(&out, "timeStamp", sv_of(time));
    json_put_text(&out, "nonceStr", sv_of(nonce));
    json_put_text(&out, "package", sv_of(package));
    json_put_text(&out, "signType", SV("RSA"));
    json_put_text(&out, "paySign", buf_view(&signature));
    json_close_object(&out);
    CHECK(!buf_has_failed(&text));
    return arena_copy(call->memory, buf_view(&text));
}

static void make_handle(const provider_call *call, const provider_order *order, exchange *done, provider_handle *out_handle) {
    static const struct {
        const char *member;
        provider_handle_kind kind;
        int64_t life_ms;
    } HANDLES[] = {
        [PROVIDER_PRODUCT_NATIVE] = {"code_url", PROVIDER_HANDLE_QR, HANDLE_LIFE_MS},
        [PROVIDER_PRODUCT_JSAPI] = {"prepay_id", PROVIDER_HANDLE_PARAMETERS, HANDLE_LIFE_MS},
        [PROVIDER_PRODUCT_H5] = {"h5_url", PROVIDER_HANDLE_URL, H5_LIFE_MS},
    };
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    if (json_parse(done->text, LIMITS, &doc, NULL) != ERR_OK) {
        done->answer = answer_of(PROVIDER_UNKNOWN, "malformed_answer", "the answer to the order is not JSON");
        return;
    }
    json_node root = json_root(doc);
    json_node member = json_member(&reader, &root, HANDLES[order->product].member);
    sv text = json_read_text_bounded(&reader, &member, 1024);
    if (json_reader_failed(&reader)) {
        done->answer = answer_of(PROVIDER_UNKNOWN, "malformed_answer", "the answer to the order lacks its handle");
        return;
    }
    instant_ms valid_to = clock_now(call->clock) + HANDLES[order->product].life_ms;
    *out_handle = (provider_handle){
        .kind = HANDLES[order->product].kind,
        .text = order->product == PROVIDER_PRODUCT_JSAPI ? pay_parameters(done, text) : arena_copy(call->memory, text),
        .valid_to = valid_to < order->expires_at ? valid_to : order->expires_at,
    };
}

// --- Refunds --------------------------------------------------------------------------------------------------------------

static bool is_this_refund(const provider_refund *refund, const provider_fact *fact) {
    return sv_equal(fact->refund_number, refund->number) && sv_equal(fact->order_number, refund->order->number) &&
           fact->amount_micro == refund->amount_micro && fact->order_micro == refund->order->amount_micro;
}

static provider_answer read_refund(exchange *done, const provider_refund *refund, provider_fact *out_fact) {
    if (done->answer.result != PROVIDER_OK) return done->answer;
    provider_answer answer = read_fact(done, WECHAT_REFUND_ANSWER, out_fact);
    if (answer.result == PROVIDER_OK && !is_this_refund(refund, out_fact))
        return answer_of(PROVIDER_UNKNOWN, "other_refund", "the answer is about another refund or another amount");
    return answer;
}

// Repeating it with the same content never refunds twice; the order is named by our number, which never changes.
static provider_answer refund(const provider_call *call, const provider_refund *refund, provider_fact *out_fact) {
    const wechat_merchant *merchant = merchant_of(call);
    int64_t fen, total_fen;
    if (!wechat_is_number(refund->number, 1, 64) || !wechat_is_number(refund->order->number, 6, 32))
        return answer_of(PROVIDER_REFUSED, "invalid_refund", "the refund's or the order's number is not one of WeChat Pay");
    if (!fen_of(refund->amount_micro, &fen) || !fen_of(refund->order->amount_micro, &total_fen) || fen > total_fen)
        return answer_of(PROVIDER_REFUSED, "invalid_refund", "the amount is not a number of whole fen within the order's amount");
    AUTO(buf) body;
    buf_init(&body, REQUEST_MAX);
    json_writer out;
    json_writer_init(&out, &body);
    json_open_object(&out);
    if (merchant->mode == PROVIDER_MODE_PARTNER) json_put_text(&out, "sub_mchid", merchant->sub_merchant);
    json_put_text(&out, "out_trade_no", refund->order->number);
    json_put_text(&out, "out_refund_no", refund->number);
    if (refund->reason.len > 0) json_put_text(&out, "reason", shorten(refund->reason, 80));
    json_put_text(&out, "notify_url", merchant->notify_url);
    json_key(&out, "amount");
    json_open_object(&out);
    json_put_integer(&out, "refund", fen);
    json_put_integer(&out, "total", total_fen);
    json_put_text(&out, "currency", refund->order->currency);
    json_close_object(&out);
    json_close_object(&out);
    if (buf_has_failed(&body)) return answer_of(PROVIDER_REFUSED, "invalid_refund", "the refund's texts are too long");
    exchange done = begin(call, "POST", "/v3/refund/domestic/refunds", buf_view(&body));
    send_and_judge(&done);
    return read_refund(&done, refund, out_fact);
}

static provider_answer query_refund(const provider_call *call, const provider_refund *refund, provider_fact *out_fact) {
    const wechat_merchant *merchant = merchant_of(call);
    if (!wechat_is_number(refund->number, 1, 64))
        return answer_of(PROVIDER_REFUSED, "invalid_refund", "the refund's number is not one of WeChat Pay");
    const char *path = arena_printf(call->memory, "/v3/refund/domestic/refunds/%.*s", SV_ARG(refund->number));
    if (merchant->mode == PROVIDER_MODE_PARTNER)
        path = arena_printf(call->memory, "%s?sub_mchid=%.*s", path, SV_ARG(merchant->sub_merchant));
    exchange done = begin(call, "GET", path, SV(""));
    send_and_judge(&done);
    return read_refund(&done, refund, out_fact);
}

// --- Keys -----------------------------------------------------------------------------------------------------------------

// True when the certificates just fetched contain the one that signed the answer that brought them.
static bool is_signed_by_one(const wechat_signed *message, const provider_keys *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        if (!sv_equal(keys->items[i].serial, message->headers[WECHAT_SERIAL])) continue;
        crypto_certificate *certificate = NULL;
        if (crypto_certificate_parse(keys->items[i].material, &certificate, NULL) != ERR_OK) return false;
        bool valid = wechat_verify_with(crypto_certificate_key(certificate), message);
        crypto_certificate_free(certificate);
        return valid;
    }
    return false;
}

// A merchant that was given public keys and no certificate has none to fetch; asking would be an error there.
static provider_answer fetch_keys(const provider_call *call, provider_keys *out_keys) {
    const wechat_merchant *merchant = merchant_of(call);
    if (wechat_has_public_keys_only(merchant))
        return answer_of(PROVIDER_NOT_FOUND, "public_key_mode", "this merchant's keys are configured, not fetched");
    exchange done = begin(call, "GET", "/v3/certificates", SV(""));
    done.is_for_certificates = true;
    send_and_judge(&done);
    if (done.answer.result != PROVIDER_OK) return done.answer;
    provider_keys keys = {0};
    const char *wrong = wechat_read_certificates(merchant, done.text, clock_now(call->clock), call->memory, &keys);
    if (wrong != NULL) return answer_of(PROVIDER_UNKNOWN, "malformed_answer", wrong);
    if (done.unverified.headers[WECHAT_SERIAL].len > 0 && !is_signed_by_one(&done.unverified, &keys))
        return answer_of(PROVIDER_UNKNOWN, "unverified_answer", "the answer is signed by none of the certificates it brings");
    *out_keys = keys;
    return done.answer;
}

// --- Requests and answers ---------------------------------------------------------------------------------------------

static provider_answer answer_of(provider_result result, const char *code, const char *message) {
    return (provider_answer){.result = result, .code = sv_of(code), .message = sv_of(message)};
}

static exchange begin(const provider_call *call, const char *method, const char *path, sv body) {
    const wechat_merchant *merchant = merchant_of(call);
    const wechat_key *signer = wechat_signer(merchant, clock_now(call->clock));
    return (exchange){.call = call, .merchant = merchant, .signer = signer, .method = method, .path = path, .body = body};
}

static const char *or_partner(const wechat_merchant *merchant, const char *direct, const char *partner) {
    return merchant->mode == PROVIDER_MODE_PARTNER ? partner : direct;
}

// The Authorization header: a fresh time and nonce for each sending, also of the same body.
static sv authorize(const exchange *self, instant_ms at) {
    arena *memory = self->call->memory;
    char nonce[WECHAT_NONCE_LEN + 1];
    wechat_make_nonce(nonce);
    char *time = arena_printf(memory, "%lld", at / SECOND_MS);
    const sv pieces[] = {sv_of(self->method), SV("\n"), sv_of(self->path), SV("\n"), sv_of(time), SV("\n"),
                         sv_of(nonce),        SV("\n"), self->body,        SV("\n")};
    AUTO(buf) signature;
    buf_init(&signature, WECHAT_SIGNATURE_TEXT_MAX);
    wechat_sign(self->signer, pieces, ARRAY_LEN(pieces), &signature);
    return sv_of(arena_printf(
        memory, "WECHATPAY2-SHA256-RSA2048 mchid=\"%.*s\",nonce_str=\"%s\",signature=\"%.*s\",timestamp=\"%s\",serial_no=\"%.*s\"",
        SV_ARG(self->merchant->merchant), nonce, SV_ARG(buf_view(&signature)), time, SV_ARG(self->signer->serial)));
}

static err_t send_to(exchange *self, sv base, const httpc_response **out_response, fault *out_fault) {
    instant_ms at = clock_now(self->call->clock);
    httpc_header headers[4] = {{SV("Accept"), SV("application/json")}, {SV("Authorization"), authorize(self, at)}};
    size_t count = 2;
    if (self->body.len > 0) headers[count++] = (httpc_header){SV("Content-Type"), SV("application/json")};
    // Asks for an answer signed with the public key; without the header it is signed with a certificate.
    const wechat_key *expected = wechat_newest_public_key(self->merchant, at);
    if (expected != NULL && !self->is_for_certificates) headers[count++] = (httpc_header){SV("Wechatpay-Serial"), expected->serial};
    char *url = arena_printf(self->call->memory, "%.*s%s", SV_ARG(base), self->path);
    httpc_request request = {
        .method = sv_of(self->method), .url = sv_of(url), .headers = headers, .header_count = count, .body = self->body};
    return httpc_send(self->call->http, &request, out_response, out_fault);
}

static void judge(exchange *self, const httpc_response *response);

// The standby address is for what was certainly not sent.
static void send_and_judge(exchange *self) {
    if (self->signer == NULL) {
        self->answer = answer_of(PROVIDER_MISCONFIGURED, "no_signing_key", "no signing key of this merchant is valid now");
        return;
    }
    const httpc_response *response = NULL;
    fault why = {0};
    err_t err = send_to(self, self->merchant->base_url, &response, &why);
    if (err == ERR_UNAVAILABLE && self->merchant->standby_url.len > 0) err = send_to(self, self->merchant->standby_url, &response, &why);
    if (err == ERR_OK) {
        judge(self, response);
        return;
    }
    provider_result result = err_retry_class(err) == ERR_RETRY_LATER ? PROVIDER_RETRY_LATER : PROVIDER_UNKNOWN;
    if (err == ERR_BAD_INPUT || err == ERR_FORBIDDEN) result = PROVIDER_MISCONFIGURED;
    self->answer = (provider_answer){.result = result,
                                     .code = sv_of(arena_printf(self->call->memory, "%s", err_name(err))),
                                     .message = sv_of(arena_printf(self->call->memory, "%s: %s", why.place, why.reason))};
}

// Fills what is signed; false when a header of the four is missing or there twice.
static bool find_signature(const httpc_response *response, wechat_signed *out) {
    for (size_t i = 0; i < WECHAT_HEADER_COUNT; i++) {
        if (httpc_response_header_count(response, WECHAT_HEADERS[i]) > 1) return false;
        out->headers[i] = httpc_response_header(response, WECHAT_HEADERS[i]);
    }
    out->body = response->body;
    return wechat_signed_is_complete(out);
}

static provider_result result_of_code(sv code, int status) {
    char plain[64];
    size_t len = 0;
    for (size_t i = 0; i < code.len && len + 1 < sizeof plain; i++)
        if (code.ptr[i] != '_') plain[len++] = code.ptr[i];
    for (size_t i = 0; i < ARRAY_LEN(CODES); i++)
        if (sv_equal(sv_of(CODES[i].code), (sv){plain, len})) return CODES[i].result;
    if (status == 401) return PROVIDER_MISCONFIGURED;
    return status == 429 ? PROVIDER_RETRY_LATER : PROVIDER_UNKNOWN;
}

static void judge_error(exchange *self, const httpc_response *response) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    sv code = SV("");
    if (json_parse(response->body, LIMITS, &doc, NULL) == ERR_OK) {
        json_node root = json_root(doc);
        json_node code_node = json_member(&reader, &root, "code");
        json_node message_node = json_optional(&reader, &root, "message");
        code = arena_copy(self->call->memory, json_read_text_bounded(&reader, &code_node, 64));
        if (json_node_kind(&message_node) == JSON_KIND_TEXT)
            self->answer.message = arena_copy(self->call->memory, shorten(json_read_text(&reader, &message_node), 200));
        if (json_reader_failed(&reader)) code = SV("");
    }
    self->answer.code = code.len > 0 ? code : SV("no_code");
    self->answer.result = result_of_code(code, response->status);
}

static void judge(exchange *self, const httpc_response *response) {
    instant_ms at = clock_now(self->call->clock);
    bool is_success = response->status == 200 || response->status == 204;
    wechat_signed message = {0};
    bool is_complete = find_signature(response, &message);
    self->answer.http_status = response->status;
    self->answer.request_id = arena_copy(self->call->memory, shorten(httpc_response_header(response, "Request-ID"), 128));
    bool is_unsigned = httpc_response_header_count(response, WECHAT_HEADERS[WECHAT_SIGNATURE]) == 0;
    wechat_verdict verdict = is_complete ? wechat_verify(self->merchant, &message, at) : WECHAT_INCOMPLETE;
    bool brings_its_key = self->is_for_certificates && is_success && verdict == WECHAT_KEY_UNKNOWN;
    bool is_bare_error = !is_success && (is_unsigned || verdict == WECHAT_KEY_UNKNOWN);
    self->answer.key_unknown = verdict == WECHAT_KEY_UNKNOWN && !brings_its_key;
    if (self->answer.key_unknown) self->answer.key_serial = arena_copy(self->call->memory, shorten(message.headers[WECHAT_SERIAL], 128));
    if (brings_its_key) self->unverified = wechat_signed_copy(&message, self->call->memory);
    if (verdict != WECHAT_AUTHENTIC && !brings_its_key && !is_bare_error) {
        self->answer.result = PROVIDER_UNKNOWN;
        self->answer.code = SV("unverified_answer");
        self->answer.message = sv_of(wechat_verdict_text(verdict));
        return;
    }
    if (!is_success) {
        judge_error(self, response);
        return;
    }
    if (response->body.len > ANSWER_MAX) {
        self->answer.result = PROVIDER_UNKNOWN;
        self->answer.code = SV("malformed_answer");
        return;
    }
    self->answer.result = PROVIDER_OK;
    self->text = arena_copy(self->call->memory, response->body);
}

static provider_answer read_fact(exchange *done, wechat_fact_kind kind, provider_fact *out_fact) {
    fault why = {0};
    if (wechat_read_fact(done->merchant, kind, done->text, done->call->memory, out_fact, &why) == ERR_OK) return done->answer;
    provider_answer answer = done->answer;
    answer.result = PROVIDER_UNKNOWN;
    answer.code = SV("malformed_answer");
    answer.message = sv_of(arena_printf(done->call->memory, "%s: %s", why.place, why.reason));
    return answer;
}

// At most `max` bytes, cut between characters.
static sv shorten(sv text, size_t max) {
    if (text.len <= max) return text;
    size_t len = max;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80) len--;
    return (sv){text.ptr, len};
}

static bool fen_of(int64_t micro, int64_t *out_fen) {
    *out_fen = micro / FEN_MICRO;
    return micro > 0 && micro % FEN_MICRO == 0;
}

static provider_reply reply(provider_notice notice, bool stored) {
    int status = provider_notice_http_status(notice);
    if (status == 200 && stored)
        return (provider_reply){.status = 200, .content_type = "application/json", .body = SV("{\"code\":\"SUCCESS\"}")};
    return (provider_reply){.status = status == 200 ? 503 : status,
                            .content_type = "application/json",
                            .body = SV("{\"code\":\"FAIL\",\"message\":\"not accepted\"}")};
}

const provider PROVIDER_wechat_pay = {
    .name = "wechat",
    .currency = "CNY",
    .products = 1u << PROVIDER_PRODUCT_NATIVE | 1u << PROVIDER_PRODUCT_JSAPI | 1u << PROVIDER_PRODUCT_H5,
    .not_found_is_final = true,
    .notification_max = ANSWER_MAX,
    .notification_headers = WECHAT_HEADERS,
    .open = wechat_open,
    .close = wechat_close,
    .create = create,
    .query = query,
    .close_order = close_order,
    .refund = refund,
    .query_refund = query_refund,
    .fetch_keys = fetch_keys,
    .read_notification = wechat_read_notification,
    .reply = reply,
};
