#include "handlers.h"

#include "alerts_sql.h"
#include "base/check.h"
#include "contracts/events.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "json/json_writer.h"
#include "money/money.h"
#include "occasion.h"
#include "words.h"

#define PAYLOAD_LIMITS ((json_limits){8192, 4})
#define CALM_MS (10 * MINUTE_MS)   // a lost meter that is heard again and lost again within it is one outage
#define NEWS_AGE_MS (6 * HOUR_MS)  // older facts, read by a sweep after an outage of ours, are history
#define HYSTERESIS_SHARE 10        // a credit level ends a tenth of its threshold, and at least one unit, above it

// One event's payload, open for reading.
typedef struct payload {
    json_doc *doc;
    json_reader reader;
    json_node root;
} payload;

static err_t payload_open(const service_event *event, payload *out, fault *out_fault) {
    *out = (payload){0};
    err_t err = json_parse(event->payload, PAYLOAD_LIMITS, &out->doc, out_fault);
    if (err) return err;
    json_reader_init(&out->reader);
    out->root = json_root(out->doc);
    return ERR_OK;
}

static void payload_close(payload *self) { json_doc_free(self->doc); }
#define AUTO_PAYLOAD __attribute__((cleanup(payload_close))) payload

static int64_t take_num(payload *self, const char *key) {
    json_node node = json_member(&self->reader, &self->root, key);
    return json_read_integer(&self->reader, &node, 1, INT64_MAX);
}

static int64_t take_num_or_none(payload *self, const char *key) {
    json_node node = json_optional(&self->reader, &self->root, key);
    return json_is_present(&node) ? json_read_integer(&self->reader, &node, INT64_MIN, INT64_MAX) : 0;
}

static sv take_text(payload *self, const char *key, arena *memory) {
    json_node node = json_optional(&self->reader, &self->root, key);
    return json_is_present(&node) ? arena_copy(memory, json_read_text(&self->reader, &node)) : SV("");
}

static sv take_money(payload *self, arena *memory) {
    int64_t micro = 0;
    sv amount = take_text(self, "amount_micro", memory);
    if (!sv_to_i64(amount, &micro)) return SV("");
    return words_money(micro, take_text(self, "currency", memory), memory);
}

static occasion occasion_of(const service_event *event, alert_kind kind, const char *around, int64_t num) {
    return (occasion){.kind = kind,
                      .company = event->company,
                      .subject = num,
                      .version = event->version,
                      .at = event->at,
                      .around = around,
                      .around_num = num,
                      .event = event->id,
                      .purpose = SV(""),
                      .amount = SV(""),
                      .detail = SV(""),
                      .group = SV("")};
}

static bool is_news(service *svc, const service_event *event) { return service_now(svc) - event->at <= NEWS_AGE_MS; }

// ---- credit ----

static err_t end_levels_above(db *conn, const service_event *event, const db_rows *purse, int64_t num, int64_t level) {
    money_micro balance = db_i64(purse, 0, 3);
    err_t err = ERR_OK;
    for (int64_t each = level + 1; each <= 3 && !err; each++) {
        money_micro threshold = db_i64(purse, 0, 3 + (int)each);
        money_micro margin = (threshold < 0 ? -threshold : threshold) / HYSTERESIS_SHARE;
        if (margin < MONEY_MICRO) margin = MONEY_MICRO;
        if (balance <= threshold + margin) continue;
        err = occasion_end(conn, event->company, (alert_kind)(ALERT_ALARM_1 + each - 1), num, event->at);
    }
    return err;
}

// By the purse as it is now, not as the event saw it: events may come late, twice, or in another order.
static err_t look_at_purse(service *svc, db *conn, const service_event *event, int64_t num, arena *memory, fault *out_fault) {
    AUTO(db_rows) purse = {0};
    err_t err = db_query(conn, &SQL_PURSE_NOW, DB_PARAMS(DB_I32(event->company), DB_I64(num)), &purse);
    if (err) return err;
    if (purse.len == 0) return fault_set(out_fault, ERR_BAD_INPUT, "/purse", "there is no such purse in the company");
    int64_t level = db_i64(&purse, 0, 7);
    err = end_levels_above(conn, event, &purse, num, level);
    if (err || level == 0) return err;
    occasion low = occasion_of(event, (alert_kind)(ALERT_ALARM_1 + level - 1), "account", db_i64(&purse, 0, 0));
    low.subject = low.purse = num;
    low.level = level;
    low.version = db_i64(&purse, 0, 8);
    low.purpose = arena_copy(memory, db_text(&purse, 0, 1));
    low.amount = words_money(db_i64(&purse, 0, 3), arena_copy(memory, db_text(&purse, 0, 2)), memory);
    return occasion_tell(service_state(svc), conn, &low, memory, out_fault);
}

err_t balances_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    event_type type;
    if (!event_parse(event->type, &type)) return ERR_OK;
    AUTO_PAYLOAD fact;
    err_t err = payload_open(event, &fact, out_fault);
    if (err) return err;
    if (type == EVENT_LEVEL_CHANGED || type == EVENT_BALANCE_CHANGED) {
        int64_t purse = take_num(&fact, "purse");
        err = json_reader_fault(&fact.reader, out_fault);
        return err ? err : look_at_purse(svc, conn, event, purse, memory, out_fault);
    }
    if (type != EVENT_POINT_STOPPED && type != EVENT_READING_QUARANTINED) return ERR_OK;
    occasion odd = occasion_of(event, type == EVENT_POINT_STOPPED ? ALERT_POINT_STOPPED : ALERT_READING_QUARANTINED, "usage_point",
                               take_num(&fact, "usage_point"));
    odd.detail = take_text(&fact, "reason", memory);
    odd.group = sv_of(arena_printf(memory, "%s/%d", alert_kind_of(odd.kind)->text, (int)event->company));
    err = json_reader_fault(&fact.reader, out_fault);
    return err || !is_news(svc, event) ? err : occasion_tell(service_state(svc), conn, &odd, memory, out_fault);
}

// ---- payments ----

err_t payments_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    event_type type;
    if (!event_parse(event->type, &type) || (type != EVENT_ORDER_PAID && type != EVENT_PAYMENT_SUSPENDED)) return ERR_OK;
    AUTO_PAYLOAD fact;
    err_t err = payload_open(event, &fact, out_fault);
    if (err) return err;
    int64_t account = type == EVENT_ORDER_PAID ? take_num(&fact, "account") : take_num_or_none(&fact, "account");
    occasion money = occasion_of(event, type == EVENT_ORDER_PAID ? ALERT_TOP_UP : ALERT_PAYMENT_SUSPENDED,
                                 account != 0 ? "account" : "company", account != 0 ? account : event->company);
    money.amount = take_money(&fact, memory);
    money.purpose = take_text(&fact, "purpose", memory);
    money.detail = take_text(&fact, "reason", memory);
    err = json_reader_fault(&fact.reader, out_fault);
    bool is_told = type == EVENT_PAYMENT_SUSPENDED || is_news(svc, event);
    return err || !is_told ? err : occasion_tell(service_state(svc), conn, &money, memory, out_fault);
}

// ---- supply ----

static err_t tell_switched(service *svc, db *conn, const service_event *event, payload *fact, arena *memory, fault *out_fault) {
    int64_t point = take_num(fact, "usage_point");
    sv state = take_text(fact, "state", memory);
    err_t err = json_reader_fault(&fact->reader, out_fault);
    if (err) return err;
    alert_kind kind = sv_equal(state, SV("on")) ? ALERT_SWITCHED_ON : sv_equal(state, SV("off")) ? ALERT_SWITCHED_OFF : ALERT_SUPPLY_STUCK;
    occasion switched = occasion_of(event, kind, "usage_point", point);
    switched.detail = kind == ALERT_SUPPLY_STUCK ? state : take_text(fact, "reason", memory);
    return is_news(svc, event) ? occasion_tell(service_state(svc), conn, &switched, memory, out_fault) : ERR_OK;
}

err_t control_events_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    event_type type;
    if (!event_parse(event->type, &type) || (type != EVENT_SUPPLY_SWITCHED && type != EVENT_SUPPLY_REFUSED)) return ERR_OK;
    AUTO_PAYLOAD fact;
    err_t err = payload_open(event, &fact, out_fault);
    if (err) return err;
    if (type == EVENT_SUPPLY_SWITCHED) return tell_switched(svc, conn, event, &fact, memory, out_fault);
    sv reason = take_text(&fact, "reason", memory);
    int64_t point = take_num(&fact, "usage_point");
    err = json_reader_fault(&fact.reader, out_fault);
    if (err || !(sv_equal(reason, SV("limiter")) || sv_equal(reason, SV("frozen")))) return err;
    occasion frozen = occasion_of(event, ALERT_SWITCHING_FROZEN, "usage_point", point);
    frozen.subject = event->company;
    return occasion_tell(service_state(svc), conn, &frozen, memory, out_fault);
}

// ---- devices ----

static err_t tell_contact(service *svc, db *conn, const service_event *event, event_type type, payload *fact, arena *memory,
                          fault *out_fault) {
    bool is_meter = type == EVENT_METER_LOST || type == EVENT_METER_BACK;
    int64_t num = take_num(fact, is_meter ? "meter" : "gateway");
    int64_t gateway = take_num(fact, "gateway");
    err_t err = json_reader_fault(&fact->reader, out_fault);
    if (err) return err;
    alert_kind kind = is_meter ? ALERT_METER_LOST : ALERT_GATEWAY_LOST;
    if (type == EVENT_METER_BACK || type == EVENT_GATEWAY_BACK)
        return db_exec(conn, &SQL_EPISODE_CALM,
                       DB_PARAMS(DB_I32(event->company), DB_CSTR(alert_kind_of(kind)->text), DB_I64(num), DB_TIME(event->at + CALM_MS)),
                       NULL);
    occasion lost = occasion_of(event, kind, is_meter ? "meter" : "gateway", num);
    lost.detail = take_text(fact, "since", memory);
    lost.group = sv_of(arena_printf(memory, "%s/%lld", alert_kind_of(kind)->text, (long long)gateway));
    return occasion_tell(service_state(svc), conn, &lost, memory, out_fault);
}

static err_t tell_device_alarm(service *svc, db *conn, const service_event *event, payload *fact, arena *memory, fault *out_fault) {
    static const struct {
        const char *text;
        alert_kind kind;
    } KINDS[] = {{"overload", ALERT_OVERLOAD}, {"malicious_load", ALERT_MALICIOUS_LOAD}, {"parameter_mismatch", ALERT_PARAMETER_MISMATCH}};
    sv what = take_text(fact, "kind", memory);
    int64_t channel_num = take_num(fact, "channel");
    int64_t value = take_num_or_none(fact, "value");
    err_t err = json_reader_fault(&fact->reader, out_fault);
    for (size_t i = 0; i < ARRAY_LEN(KINDS) && !err; i++) {
        if (!sv_equal(what, sv_of(KINDS[i].text)) || !is_news(svc, event)) continue;
        occasion alarm = occasion_of(event, KINDS[i].kind, "channel", channel_num);
        alarm.detail = value != 0 ? sv_of(arena_printf(memory, "%lld W", (long long)value)) : what;
        err = occasion_tell(service_state(svc), conn, &alarm, memory, out_fault);
    }
    return err;
}

err_t device_events_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    event_type type;
    if (!event_parse(event->type, &type)) return ERR_OK;
    AUTO_PAYLOAD fact;
    err_t err = payload_open(event, &fact, out_fault);
    if (err) return err;
    bool is_contact = type == EVENT_GATEWAY_LOST || type == EVENT_GATEWAY_BACK || type == EVENT_METER_LOST || type == EVENT_METER_BACK;
    if (is_contact) return tell_contact(svc, conn, event, type, &fact, memory, out_fault);
    return type == EVENT_DEVICE_ALARM ? tell_device_alarm(svc, conn, event, &fact, memory, out_fault) : ERR_OK;
}

// ---- log-in codes ----

err_t message_requests_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    event_type type;
    if (!event_parse(event->type, &type) || type != EVENT_LOGIN_CODE_REQUESTED) return ERR_OK;
    AUTO_PAYLOAD fact;
    AUTO(buf) sealed = {0};
    buf_init(&sealed, 4096);
    err_t err = payload_open(event, &fact, out_fault);
    if (err) return err;
    json_node expires = json_member(&fact.reader, &fact.root, "expires_at");
    instant_ms until = json_read_instant(&fact.reader, &expires);
    sv phone = take_text(&fact, "phone", memory);
    sv locale = take_text(&fact, "locale", memory);
    sv code = take_text(&fact, "code", memory);
    uuid code_id;
    if (!uuid_parse(code, &code_id)) return fault_set(out_fault, ERR_BAD_INPUT, "/code", "it is no id");
    if (!crypto_base64_decode(take_text(&fact, "code_sealed", memory), &sealed))
        return fault_set(out_fault, ERR_BAD_INPUT, "/code_sealed", "it is no base64");
    err = json_reader_fault(&fact.reader, out_fault);
    if (err) return err;
    instant_ms now = service_now(svc);
    if (until <= now) return ERR_OK;
    message_words words;
    err = words_compose(conn, event->company, ALERT_LOGIN_CODE, SV("sms"), locale, SV("{}"), memory, &words);
    if (err) return err;
    return db_exec(
        conn, &SQL_MESSAGE_ADD,
        DB_PARAMS(DB_I32(event->company), DB_UUID(event->id), DB_NULL, DB_CSTR("login_code"), DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_NULL,
                  DB_CSTR("sms"), DB_TEXT(phone), DB_TEXT(locale), DB_TEXT(SV("")), DB_TEXT(words.subject), DB_TEXT(words.body),
                  DB_BYTES(buf_view(&sealed)), DB_CSTR(arena_printf(memory, "{\"code_id\":\"%.*s\"}", SV_ARG(code))), DB_CSTR("queued"),
                  DB_NULL, DB_TIME(now), DB_TIME(now), DB_TIME(until)),
        NULL);
}
