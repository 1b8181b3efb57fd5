#include "refunds.h"

#include "base/crash_point.h"
#include "base/log.h"
#include "contracts/events.h"
#include "json/json.h"
#include "ledger/ledger.h"
#include "money/money.h"
#include "payments_sql.h"

#define REFUNDS_PER_ORDER_MAX 50         // of WeChat Pay; no channel we know allows fewer
#define REFUND_WITHIN_MS (365 * DAY_MS)  // likewise
#define PAUSE_MS MINUTE_MS               // between two refunds of one order

typedef struct request {
    uuid refund, order;
    int64_t amount_micro;
    sv requested_by, reason;
} request;

static err_t read_request(const service_event *event, arena *memory, request *out, fault *out_fault) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    char scratch[JSON_DECIMAL_TEXT_MAX];
    json_reader_init(&reader);
    err_t err = json_parse(event->payload, (json_limits){8192, 4}, &doc, out_fault);
    if (err) return err;
    json_node root = json_root(doc);
    json_node refund = json_member(&reader, &root, "refund");
    json_node order = json_member(&reader, &root, "order");
    json_node amount = json_member(&reader, &root, "amount_micro");
    json_node requested_by = json_member(&reader, &root, "requested_by");
    json_node reason = json_member(&reader, &root, "reason");
    if (!uuid_parse(json_read_text(&reader, &refund), &out->refund)) json_refuse(&reader, &refund, "it is no id");
    if (!uuid_parse(json_read_text(&reader, &order), &out->order)) json_refuse(&reader, &order, "it is no id");
    if (!sv_to_i64(json_read_decimal_text(&reader, &amount, scratch), &out->amount_micro) || out->amount_micro <= 0)
        json_refuse(&reader, &amount, "it is no amount");
    out->requested_by = arena_copy(memory, json_read_text_bounded(&reader, &requested_by, 200));
    out->reason = arena_copy(memory, json_read_text(&reader, &reason));
    return json_reader_fault(&reader, out_fault);
}

static err_t announce(db *conn, int32_t company, const request *wanted, const pay_order *order, const char *state, int64_t version,
                      instant_ms now, arena *memory) {
    outgoing event = {
        .type = event_text(EVENT_REFUND_CHANGED),
        .subject = order ? order->num : 0,
        .version = version,
        .payload = refund_changed_payload(memory, wanted->refund, wanted->order, order ? order->account : 0, order ? order->property : 0,
                                          state, wanted->amount_micro, order ? order->currency : SV("CNY"))};
    return outbox_add(conn, company, &event, 1, now);
}

typedef struct refund_room {
    const char *refusal;  // NULL: it may be refunded
    instant_ms not_before;
} refund_room;

// Under the order's lock and the purse's. Consumed energy cannot be refunded: the purse must still hold the amount.
static err_t look_for_room(db *conn, const request *wanted, const pay_order *order, instant_ms now, refund_room *out) {
    AUTO(db_rows) promised = {0};
    AUTO(db_rows) balance = {0};
    *out = (refund_room){.not_before = now};
    if (order->state != ORDER_PAID && order->state != ORDER_PAID_LATE) {
        out->refusal = "not_paid";
        return ERR_OK;
    }
    err_t err = db_query_one(conn, &SQL_REFUND_PROMISED, DB_PARAMS(DB_I32(order->company), DB_I64(order->num)), &promised);
    if (!err) err = db_query_one(conn, &SQL_REFUND_BALANCE, DB_PARAMS(DB_I32(order->company), DB_I64(order->purse)), &balance);
    if (err) return err;
    if (wanted->amount_micro > order->amount_micro - db_i64(&promised, 0, 0))
        out->refusal = "over_paid_amount";
    else if (wanted->amount_micro > db_i64(&balance, 0, 0))
        out->refusal = "not_enough_credit";
    else if (db_i64(&promised, 0, 1) >= REFUNDS_PER_ORDER_MAX)
        out->refusal = "too_many_refunds";
    else if (now - order->created_at > REFUND_WITHIN_MS)
        out->refusal = "too_late";
    else if (wanted->amount_micro % (MONEY_MICRO / 100) != 0)
        out->refusal = "amount";
    if (!db_is_null(&promised, 0, 2) && db_time(&promised, 0, 2) + PAUSE_MS > now) out->not_before = db_time(&promised, 0, 2) + PAUSE_MS;
    return ERR_OK;
}

static err_t reserve(db *conn, const request *wanted, const pay_order *order, const refund_room *room, instant_ms now, arena *memory) {
    AUTO(db_rows) number = {0};
    AUTO(db_rows) added = {0};
    err_t err = db_query_one(conn, &SQL_TRANSFER_NUMBER, DB_PARAMS(DB_TIME(now)), &number);
    if (err) return err;
    int64_t transfer = db_i64(&number, 0, 0);
    bool is_refused = room->refusal != NULL;
    const char *state = refund_state_text(is_refused ? REFUND_REFUSED : REFUND_RESERVED);
    err = db_query(conn, &SQL_REFUND_ADD,
                   DB_PARAMS(DB_I32(order->company), DB_UUID(wanted->refund), DB_I64(order->num), DB_I64(wanted->amount_micro),
                             DB_TEXT(order->currency), DB_TEXT(wanted->reason), DB_TEXT(wanted->requested_by), DB_CSTR(state),
                             is_refused ? DB_NULL : DB_I64(transfer), DB_TIME(now), is_refused ? DB_NULL : DB_TIME(room->not_before),
                             is_refused ? DB_CSTR(room->refusal) : DB_NULL),
                   &added);
    if (err || added.len == 0) return err;  // the same refund was asked for before
    err = announce(conn, order->company, wanted, order, state, 1, now, memory);
    if (err || is_refused) return err;
    char id[UUID_TEXT_LEN + 1];
    uuid_format(wanted->refund, id);
    posting taken = {.source = "refund",
                     .key = sv_of(id),
                     .id = transfer,
                     .kind = TRANSFER_REFUND,
                     .debit_class = ACCOUNT_CLASS_PURSE,
                     .debit_num = order->purse,
                     .credit_class = ACCOUNT_CLASS_CLEARING,
                     .credit_num = order->legal_entity,
                     .credit_item = channel_item(order->channel),
                     .currency = order->currency,
                     .amount_micro = wanted->amount_micro,
                     .source_num = order->num,
                     .effective_at = now};
    return postings_add(conn, order->company, &taken, 1, now);
}

err_t refunds_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) {
    event_type type;
    if (!event_parse(event->type, &type) || type != EVENT_REFUND_REQUESTED) return ERR_OK;
    request wanted = {0};
    instant_ms now = service_now(svc);
    AUTO(db_rows) rows = {0};
    err_t err = read_request(event, memory, &wanted, out_fault);
    if (!err) err = db_set_company(conn, event->company);
    if (!err) err = db_query(conn, &SQL_REFUND_ORDER_LOCK, DB_PARAMS(DB_I32(event->company), DB_UUID(wanted.order)), &rows);
    if (err) return err;
    if (rows.len == 0) {
        LOG_ERROR("a refund names no order of its company; it is refused", LOG_I("company", event->company));
        return announce(conn, event->company, &wanted, NULL, refund_state_text(REFUND_REFUSED), 1, now, memory);
    }
    pay_order order;
    refund_room room;
    pay_order_read(&rows, 0, memory, &order);
    err = look_for_room(conn, &wanted, &order, now, &room);
    if (!err) err = reserve(conn, &wanted, &order, &room, now, memory);
    CRASH_POINT("payments.refund_reserved");
    return err;
}

// ---- suspense ----

static err_t post_decision(db *conn, const db_rows *row, instant_ms now, arena *memory) {
    int32_t company = (int32_t)db_i64(row, 0, 0);
    bool is_credit = sv_equal(db_text(row, 0, 8), SV("crediting"));
    bool is_received = db_bool(row, 0, 5);
    int64_t legal_entity = db_i64(row, 0, 3);
    int16_t item = channel_item(db_text(row, 0, 4));
    char id[UUID_TEXT_LEN + 1];
    uuid_format(db_uuid(row, 0, 2), id);
    posting decided = {.source = "suspense_end",
                       .key = arena_copy(memory, sv_of(id)),
                       .kind = TRANSFER_SUSPENSE,
                       .debit_class = is_received ? ACCOUNT_CLASS_SUSPENSE : ACCOUNT_CLASS_CLEARING,
                       .debit_num = legal_entity,
                       .debit_item = item,
                       .credit_class = is_credit     ? ACCOUNT_CLASS_PURSE
                                       : is_received ? ACCOUNT_CLASS_CLEARING
                                                     : ACCOUNT_CLASS_SUSPENSE,
                       .credit_num = is_credit ? db_i64(row, 0, 9) : legal_entity,
                       .credit_item = is_credit ? 0 : item,
                       .currency = arena_copy(memory, db_text(row, 0, 7)),
                       .amount_micro = db_i64(row, 0, 6),
                       .source_num = db_i64(row, 0, 1),
                       .effective_at = now};
    return postings_add(conn, company, &decided, 1, now);
}

err_t suspense_carry_out(service *svc, db *conn, arena *memory, bool *out_done) {
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) row = {0};
    instant_ms now = service_now(svc);
    *out_done = false;
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_query(conn, &SQL_SUSPENSE_CLAIM, DB_NO_PARAMS, &row);
    if (err || row.len == 0) return err;
    err = db_set_company(conn, (int32_t)db_i64(&row, 0, 0));
    if (!err)
        err = db_exec(conn, &SQL_SUSPENSE_END, DB_PARAMS(DB_I32((int32_t)db_i64(&row, 0, 0)), DB_I64(db_i64(&row, 0, 1)), DB_TIME(now)),
                      NULL);
    if (!err) err = post_decision(conn, &row, now, memory);
    if (!err) err = db_commit(&tx);
    *out_done = !err;
    return err;
}
