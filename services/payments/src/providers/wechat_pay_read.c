// What WeChat Pay says, once its signature holds: payments, refunds, certificates, and the envelope of notifications.
#include <string.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "wechat_pay.h"

#define TEXT_MAX 65536
#define AMOUNT_FEN_MAX (INT64_MAX / FEN_MICRO)
#define FEN_MICRO 10000LL
#define CERTIFICATES_MAX 32
#define CERTIFICATE_MAX 8192

static const json_limits LIMITS = {TEXT_MAX, 12};

// Reads members of one object of one text; the first refusal stays in the reader.
typedef struct fact_reading {
    const wechat_merchant *merchant;
    arena *memory;
    json_reader reader;
    json_node root;
    provider_fact fact;
} fact_reading;

typedef struct sealed_text {
    sv algorithm, nonce, additional, ciphertext;
} sealed_text;

static void read_payment(fact_reading *self);
static void read_refund(fact_reading *self, bool is_notice);
static void read_belonging(fact_reading *self, bool must_name);
static const char *decrypt(const wechat_merchant *merchant, const sealed_text *sealed, instant_ms at, buf *out);
static sealed_text read_sealed(json_reader *reader, const json_node *object);

// --- Facts --------------------------------------------------------------------------------------------------------------

err_t wechat_read_fact(const wechat_merchant *merchant, wechat_fact_kind kind, sv text, arena *memory, provider_fact *out_fact,
                       fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(text, LIMITS, &doc, out_fault);
    if (err != ERR_OK) return err;
    fact_reading reading = {.merchant = merchant, .memory = memory};
    json_reader_init(&reading.reader);
    reading.root = json_root(doc);
    if (kind == WECHAT_PAYMENT_ANSWER || kind == WECHAT_PAYMENT_NOTICE) {
        read_payment(&reading);
        read_belonging(&reading, true);
    } else {
        read_refund(&reading, kind == WECHAT_REFUND_NOTICE);
        read_belonging(&reading, kind == WECHAT_REFUND_NOTICE);
    }
    if (json_reader_failed(&reading.reader)) return json_reader_fault(&reading.reader, out_fault);
    *out_fact = reading.fact;
    return ERR_OK;
}

static sv required_text(fact_reading *self, const char *key) {
    json_node node = json_member(&self->reader, &self->root, key);
    return arena_copy(self->memory, json_read_text_bounded(&self->reader, &node, 128));
}

// Empty when absent.
static sv optional_text(fact_reading *self, const json_node *object, const char *key) {
    json_node node = json_optional(&self->reader, object, key);
    if (!json_is_present(&node)) return SV("");
    sv text = json_read_text(&self->reader, &node);
    if (text.len > 128) json_refuse(&self->reader, &node, "longer than 128 bytes");
    return json_reader_failed(&self->reader) ? SV("") : arena_copy(self->memory, text);
}

// In fen, an integer in JSON; text, fractions and exponents are refused.
static int64_t read_amount(fact_reading *self, const json_node *amount, const char *key) {
    json_node node = json_member(&self->reader, amount, key);
    return json_read_integer(&self->reader, &node, 1, AMOUNT_FEN_MAX) * FEN_MICRO;
}

// The time of success informs; a time that cannot be read must not cost the money's entry.
static instant_ms read_success_time(fact_reading *self) {
    sv text = optional_text(self, &self->root, "success_time");
    instant_ms at = 0;
    return text.len > 0 && instant_parse(text, &at) ? at : 0;
}

static const struct {
    const char *word;
    provider_fact_state state;
} PAYMENT_STATES[] = {
    {"SUCCESS", PROVIDER_STATE_PAID},      {"REFUND", PROVIDER_STATE_PAID},   {"NOTPAY", PROVIDER_STATE_UNPAID},
    {"USERPAYING", PROVIDER_STATE_UNPAID}, {"CLOSED", PROVIDER_STATE_CLOSED}, {"PAYERROR", PROVIDER_STATE_FAILED},
};

static const struct {
    const char *word;
    provider_fact_state state;
} REFUND_STATES[] = {
    {"SUCCESS", PROVIDER_STATE_REFUNDED},
    {"CLOSED", PROVIDER_STATE_REFUND_CLOSED},
    {"PROCESSING", PROVIDER_STATE_REFUND_PENDING},
    {"ABNORMAL", PROVIDER_STATE_REFUND_ABNORMAL},
};

static void read_payment(fact_reading *self) {
    provider_fact *fact = &self->fact;
    fact->order_number = required_text(self, "out_trade_no");
    fact->channel_state = required_text(self, "trade_state");
    fact->state = PROVIDER_STATE_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(PAYMENT_STATES); i++)
        if (sv_equal(fact->channel_state, sv_of(PAYMENT_STATES[i].word))) fact->state = PAYMENT_STATES[i].state;
    fact->has_refund = sv_equal(fact->channel_state, SV("REFUND"));
    bool is_paid = fact->state == PROVIDER_STATE_PAID;
    fact->channel_id = is_paid ? required_text(self, "transaction_id") : optional_text(self, &self->root, "transaction_id");
    json_node amount = is_paid ? json_member(&self->reader, &self->root, "amount") : json_optional(&self->reader, &self->root, "amount");
    if (json_is_present(&amount)) {
        fact->amount_micro = fact->order_micro = read_amount(self, &amount, "total");
        fact->currency = optional_text(self, &amount, "currency");
    }
    json_node payer = json_optional(&self->reader, &self->root, "payer");
    if (json_is_present(&payer)) {
        static const char *const NAMES[] = {"openid", "sub_openid", "sp_openid"};
        for (size_t i = 0; i < ARRAY_LEN(NAMES) && fact->payer.len == 0; i++) fact->payer = optional_text(self, &payer, NAMES[i]);
    }
    fact->happened_at = read_success_time(self);
}

static void read_refund(fact_reading *self, bool is_notice) {
    provider_fact *fact = &self->fact;
    fact->order_number = required_text(self, "out_trade_no");
    fact->channel_id = required_text(self, "transaction_id");
    fact->refund_number = required_text(self, "out_refund_no");
    fact->refund_channel_id = required_text(self, "refund_id");
    fact->channel_state = required_text(self, is_notice ? "refund_status" : "status");
    fact->state = PROVIDER_STATE_REFUND_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(REFUND_STATES); i++)
        if (sv_equal(fact->channel_state, sv_of(REFUND_STATES[i].word))) fact->state = REFUND_STATES[i].state;
    json_node amount = json_member(&self->reader, &self->root, "amount");
    fact->amount_micro = read_amount(self, &amount, "refund");
    fact->order_micro = read_amount(self, &amount, "total");
    fact->currency = optional_text(self, &amount, "currency");
    fact->happened_at = read_success_time(self);
}

static bool fits(sv named, sv own, bool must_name) { return named.len == 0 ? !must_name : sv_equal(named, own); }

// An answer about a refund names no merchant: it is signed for the merchant that asked.
static void read_belonging(fact_reading *self, bool must_name) {
    const wechat_merchant *merchant = self->merchant;
    provider_fact *fact = &self->fact;
    bool is_partner = merchant->mode == PROVIDER_MODE_PARTNER;
    fact->merchant = optional_text(self, &self->root, is_partner ? "sp_mchid" : "mchid");
    fact->sub_merchant = optional_text(self, &self->root, "sub_mchid");
    fact->app = optional_text(self, &self->root, is_partner ? "sp_appid" : "appid");
    sv sub_app = optional_text(self, &self->root, "sub_appid");
    fact->is_of_merchant = fits(fact->merchant, merchant->merchant, must_name) &&
                           fits(fact->sub_merchant, merchant->sub_merchant, must_name && is_partner) &&
                           fits(fact->app, merchant->app, false) && fits(sub_app, merchant->sub_app, false);
}

// --- Encrypted texts ------------------------------------------------------------------------------------------------------

static sealed_text read_sealed(json_reader *reader, const json_node *object) {
    json_node algorithm = json_member(reader, object, "algorithm");
    json_node nonce = json_member(reader, object, "nonce");
    json_node additional = json_optional(reader, object, "associated_data");
    json_node ciphertext = json_member(reader, object, "ciphertext");
    return (sealed_text){json_read_text(reader, &algorithm), json_read_text(reader, &nonce),
                         json_is_present(&additional) ? json_read_text(reader, &additional) : SV(""), json_read_text(reader, &ciphertext)};
}

// A key that was replaced between sending and receipt is still tried while it is valid.
static const char *decrypt(const wechat_merchant *merchant, const sealed_text *sealed, instant_ms at, buf *out) {
    if (!sv_equal(sealed->algorithm, SV("AEAD_AES_256_GCM"))) return "the algorithm of the encrypted part is not AEAD_AES_256_GCM";
    AUTO(buf) bytes;
    buf_init(&bytes, TEXT_MAX);
    if (!crypto_base64_decode(sealed->ciphertext, &bytes)) return "the encrypted part is not base64";
    for (size_t i = 0; i < merchant->secrets.len; i++) {
        const wechat_key *key = &merchant->secrets.items[i];
        if (at < key->valid_from || at >= key->valid_to) continue;
        if (crypto_aes_256_gcm_open(key->secret, sealed->nonce, sealed->additional, buf_view(&bytes), out) == ERR_OK) return NULL;
    }
    return "the encrypted part opens with no valid APIv3 key";
}

const char *wechat_read_certificates(const wechat_merchant *merchant, sv text, instant_ms at, arena *memory, provider_keys *out_keys) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    if (json_parse(text, LIMITS, &doc, NULL) != ERR_OK) return "the list of certificates is not JSON";
    json_node root = json_root(doc);
    json_node data = json_member(&reader, &root, "data");
    size_t count = json_array_len(&reader, &data);
    if (json_reader_failed(&reader) || count > CERTIFICATES_MAX) return "the list of certificates is malformed or too long";
    provider_key *keys = ARENA_ARRAY(memory, provider_key, count + 1);
    for (size_t i = 0; i < count; i++) {
        AUTO(buf) pem;
        buf_init(&pem, CERTIFICATE_MAX);
        json_node item = json_item(&reader, &data, i);
        json_node serial_node = json_member(&reader, &item, "serial_no");
        sv serial = json_read_text_bounded(&reader, &serial_node, 64);
        json_node sealed_node = json_member(&reader, &item, "encrypt_certificate");
        sealed_text sealed = read_sealed(&reader, &sealed_node);
        if (json_reader_failed(&reader)) return "an entry of the list of certificates is malformed";
        const char *wrong = decrypt(merchant, &sealed, at, &pem);
        if (wrong != NULL) return wrong;
        crypto_certificate *certificate = NULL;
        if (crypto_certificate_parse(buf_view(&pem), &certificate, NULL) != ERR_OK) return "an entry of the list is no RSA certificate";
        bool is_same = sv_equal(serial, crypto_certificate_serial(certificate));
        keys[i] = (provider_key){.use = PROVIDER_KEY_CHANNEL_CERTIFICATE,
                                 .serial = arena_copy(memory, serial),
                                 .material = arena_copy(memory, buf_view(&pem)),
                                 .valid_from = crypto_certificate_valid_from(certificate),
                                 .valid_to = crypto_certificate_valid_to(certificate)};
        crypto_certificate_free(certificate);
        if (!is_same) return "a certificate has another serial number than the list says";
    }
    *out_keys = (provider_keys){keys, count};
    return NULL;
}

// --- Notifications --------------------------------------------------------------------------------------------------------

static provider_notice notice_of(wechat_verdict verdict) {
    switch (verdict) {
        case WECHAT_PROBE: return PROVIDER_NOTICE_PROBE;
        case WECHAT_KEY_UNKNOWN: return PROVIDER_NOTICE_UNKNOWN_KEY;
        case WECHAT_INCOMPLETE:
        case WECHAT_OTHER_TYPE:
        case WECHAT_TIME_MALFORMED:
        case WECHAT_TIME_OFF:
        case WECHAT_KEY_OWN:
        case WECHAT_SIGNATURE_MALFORMED:
        case WECHAT_FORGED: return PROVIDER_NOTICE_UNAUTHENTIC;
        case WECHAT_AUTHENTIC: break;
    }
    BUG("an authentic notification is not refused");
}

static void refuse(provider_reading *reading, const char *why) {
    reading->notice = PROVIDER_NOTICE_UNREADABLE;
    reading->why = sv_of(why);
}

// The event, the kind of the text and the state inside must say the same; what is signed but contradicts itself is asked
// about, never booked.
static void judge_fact(provider_reading *reading, bool is_refund) {
    static const struct {
        const char *event;
        provider_fact_state state;
    } EVENTS[] = {
        {"TRANSACTION.SUCCESS", PROVIDER_STATE_PAID},
        {"REFUND.SUCCESS", PROVIDER_STATE_REFUNDED},
        {"REFUND.ABNORMAL", PROVIDER_STATE_REFUND_ABNORMAL},
        {"REFUND.CLOSED", PROVIDER_STATE_REFUND_CLOSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(EVENTS); i++) {
        if (!sv_equal(reading->event_type, sv_of(EVENTS[i].event)) || reading->fact.state != EVENTS[i].state) continue;
        reading->notice = PROVIDER_NOTICE_FACT;
        reading->why = SV("a fact");
        return;
    }
    reading->fact.state = is_refund ? PROVIDER_STATE_REFUND_OTHER : PROVIDER_STATE_OTHER;
    reading->notice = PROVIDER_NOTICE_ASK;
    reading->why = SV("the state inside is not the one its event tells");
}

static void open_envelope(const wechat_merchant *merchant, json_reader *reader, const json_node *root, instant_ms at, arena *memory,
                          provider_reading *reading) {
    bool is_payment = sv_equal(reading->event_type, SV("TRANSACTION.SUCCESS"));
    json_node resource = json_member(reader, root, "resource");
    sealed_text sealed = read_sealed(reader, &resource);
    json_node type_node = json_optional(reader, &resource, "original_type");
    sv type = json_is_present(&type_node) ? json_read_text(reader, &type_node) : SV("");
    if (json_reader_failed(reader)) return refuse(reading, "the envelope lacks a member of its encrypted part");
    AUTO(buf) plain;
    buf_init(&plain, TEXT_MAX);
    const char *wrong = decrypt(merchant, &sealed, at, &plain);
    if (wrong != NULL) return refuse(reading, wrong);
    if (!sv_equal(type, is_payment ? SV("transaction") : SV("refund")))
        return refuse(reading, "the kind of the encrypted text is not its event's");
    reading->plaintext = arena_copy(memory, buf_view(&plain));
    fault why = {0};
    wechat_fact_kind kind = is_payment ? WECHAT_PAYMENT_NOTICE : WECHAT_REFUND_NOTICE;
    if (wechat_read_fact(merchant, kind, reading->plaintext, memory, &reading->fact, &why) != ERR_OK) {
        reading->plaintext = SV_NONE;
        return refuse(reading, arena_printf(memory, "the decrypted text is malformed: %s: %s", why.place, why.reason));
    }
    judge_fact(reading, !is_payment);
}

// The envelope is read only after its signature held, so that parsers see nothing a stranger wrote.
void wechat_read_envelope(const wechat_merchant *merchant, const provider_notification *notification, arena *memory,
                          provider_reading *reading) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    if (json_parse(notification->body, LIMITS, &doc, NULL) != ERR_OK)
        return refuse(reading, "the body is not strict JSON within its bounds");
    json_node root = json_root(doc);
    json_node id_node = json_member(&reader, &root, "id");
    json_node type_node = json_member(&reader, &root, "event_type");
    reading->event_id = arena_copy(memory, json_read_text_bounded(&reader, &id_node, 64));
    reading->event_type = arena_copy(memory, json_read_text_bounded(&reader, &type_node, 64));
    if (json_reader_failed(&reader)) return refuse(reading, "the envelope lacks its id or its event");
    static const char *const EVENTS[] = {"TRANSACTION.SUCCESS", "REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED"};
    for (size_t i = 0; i < ARRAY_LEN(EVENTS); i++)
        if (sv_equal(reading->event_type, sv_of(EVENTS[i])))
            return open_envelope(merchant, &reader, &root, notification->received_at, memory, reading);
    reading->notice = PROVIDER_NOTICE_IGNORED;
    reading->why = SV("an event that is none of ours");
    reading->plaintext = arena_copy(memory, notification->body);
}

provider_reading wechat_read_notification(const provider_merchant *merchant, const provider_notification *notification, arena *memory) {
    const wechat_merchant *self = (const wechat_merchant *)merchant;
    provider_reading reading = {.notice = PROVIDER_NOTICE_MALFORMED, .why = SV("the body is empty or too large")};
    if (notification->body.len == 0 || notification->body.len > TEXT_MAX) return reading;
    wechat_signed message = {.body = notification->body};
    for (size_t i = 0; i < WECHAT_HEADER_COUNT; i++) message.headers[i] = notification->headers[i];
    wechat_verdict verdict = wechat_verify(self, &message, notification->received_at);
    if (verdict == WECHAT_AUTHENTIC || verdict == WECHAT_KEY_UNKNOWN)
        reading.key_serial = arena_copy(memory, message.headers[WECHAT_SERIAL]);
    if (verdict == WECHAT_AUTHENTIC) {
        wechat_read_envelope(self, notification, memory, &reading);
        return reading;
    }
    reading.notice = notice_of(verdict);
    reading.why = sv_of(wechat_verdict_text(verdict));
    return reading;
}
