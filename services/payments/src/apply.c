#include "apply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/vec.h"
#include "contracts/events.h"
#include "json/json_writer.h"
#include "ledger/ledger.h"
#include "payments_sql.h"

#define PAYLOAD_MAX 2048
#define MAX APPLY_ENTRIES_MAX

// One entry with the rows it speaks of and what was decided.
typedef struct work {
    apply_entry *entry;
    pay_order order;
    pay_refund refund;
    bool has_order, has_refund, is_known, is_repeated;
    fact_outcome earlier;  // of a repetition
    fact_decision decision;
} work;

typedef struct batch {
    db *conn;
    int32_t company;
    instant_ms now;
    arena *memory;
    work items[MAX];
    size_t len;
    outgoing events[2 * MAX];
    size_t event_count;
    posting postings[MAX];
    size_t posting_count;
} batch;

// Of suspended money. A refund's notification names no currency, and what names one nobody knows is the order's or the channel's.
static sv suspended_currency(const work *item) {
    currency unit;
    if (currency_parse(item->entry->fact->currency, &unit)) return item->entry->fact->currency;
    return item->has_order ? item->order.currency : sv_of(provider_find(item->entry->channel)->currency);
}

// ---- events ----

static sv uuid_text(arena *memory, uuid id) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(id, text);
    return arena_copy(memory, sv_slice(text, UUID_TEXT_LEN));
}

static void put_micro(json_writer *out, arena *memory, int64_t amount) {
    json_put_text(out, "amount_micro", sv_of(arena_printf(memory, "%" PRId64, amount)));
}

static sv end_payload(arena *memory, json_writer *out, buf *text) {
    json_close_object(out);
    CHECK(!buf_has_failed(text));
    return arena_copy(memory, buf_view(text));
}

sv order_changed_payload(arena *memory, const pay_order *order, order_state state) {
    AUTO(buf) text = {.max = PAYLOAD_MAX};
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "order", uuid_text(memory, order->id));
    json_put_integer(&out, "account", order->account);
    json_put_integer(&out, "property", order->property);
    json_put_text(&out, "state", sv_of(order_state_text(state)));
    return end_payload(memory, &out, &text);
}

static sv order_paid_payload(arena *memory, const pay_order *order) {
    AUTO(buf) text = {.max = PAYLOAD_MAX};
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "order", uuid_text(memory, order->id));
    json_put_integer(&out, "account", order->account);
    json_put_integer(&out, "purse", order->purse);
    json_put_integer(&out, "property", order->property);
    json_put_text(&out, "purpose", order->purpose);
    put_micro(&out, memory, order->amount_micro);
    json_put_text(&out, "currency", order->currency);
    json_put_text(&out, "channel", order->channel);
    return end_payload(memory, &out, &text);
}

sv refund_changed_payload(arena *memory, uuid refund, uuid order, int64_t account, int64_t property, const char *state,
                          int64_t amount_micro, sv unit) {
    AUTO(buf) text = {.max = PAYLOAD_MAX};
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "refund", uuid_text(memory, refund));
    json_put_text(&out, "order", uuid_text(memory, order));
    json_put_integer(&out, "account", account);
    json_put_integer(&out, "property", property);
    json_put_text(&out, "state", sv_of(state));
    put_micro(&out, memory, amount_micro);
    json_put_text(&out, "currency", unit);
    return end_payload(memory, &out, &text);
}

static sv suspended_payload(arena *memory, uuid suspense, const work *item) {
    AUTO(buf) text = {.max = PAYLOAD_MAX};
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "suspense", uuid_text(memory, suspense));
    if (item->has_order) {
        json_put_text(&out, "order", uuid_text(memory, item->order.id));
        json_put_integer(&out, "account", item->order.account);
    } else {
        json_put_null(&out, "order");
        json_put_null(&out, "account");
    }
    json_put_text(&out, "reason", sv_of(suspense_reason_text(item->decision.suspense)));
    put_micro(&out, memory, item->entry->fact->amount_micro);
    json_put_text(&out, "currency", suspended_currency(item));
    return end_payload(memory, &out, &text);
}

err_t outbox_add(db *conn, int32_t company, const outgoing *events, size_t count, instant_ms now) {
    if (count == 0) return ERR_OK;
    CHECK(count <= (size_t)2 * MAX);
    uuid ids[2 * MAX];
    sv types[2 * MAX], payloads[2 * MAX];
    int64_t subjects[2 * MAX], versions[2 * MAX];
    for (size_t i = 0; i < count; i++) {
        ids[i] = uuid_v7_now();
        types[i] = sv_of(events[i].type);
        subjects[i] = events[i].subject;
        versions[i] = events[i].version;
        payloads[i] = events[i].payload;
    }
    return db_exec(conn, &SQL_OUTBOX_ADD,
                   DB_PARAMS(DB_I32(company), DB_TIME(now), DB_UUID_ARRAY(ids, count), DB_TEXT_ARRAY(types, count),
                             DB_I64_ARRAY(subjects, count), DB_I64_ARRAY(versions, count), DB_TEXT_ARRAY(payloads, count)),
                   NULL);
}

// ---- postings ----

static int64_t purse_of(const posting *self) {
    if (self->debit_class == ACCOUNT_CLASS_PURSE) return self->debit_num;
    return self->credit_class == ACCOUNT_CLASS_PURSE ? self->credit_num : 0;
}

static int compare_purses(const void *a, const void *b) {
    int64_t x = purse_of(a), y = purse_of(b);
    return (x > y) - (x < y);
}

static err_t check_law(int32_t company, const posting *p) {
    currency unit;
    if (!currency_parse(p->currency, &unit)) return ERR_BAD_INPUT;
    ledger_transfer transfer = {.id = 1,
                                .company = company,
                                .kind = (transfer_kind)p->kind,
                                .debit = {(account_class)p->debit_class, p->debit_item, p->debit_num},
                                .credit = {(account_class)p->credit_class, p->credit_item, p->credit_num},
                                .currency = unit,
                                .amount = p->amount_micro,
                                .corrects = p->corrects};
    return ledger_transfer_check(&transfer, NULL);
}

err_t postings_add(db *conn, int32_t company, posting *postings, size_t count, instant_ms now) {
    if (count == 0) return ERR_OK;
    CHECK(count <= MAX);
    qsort(postings, count, sizeof *postings, compare_purses);
    sv sources[MAX], keys[MAX], currencies[MAX];
    int64_t ids[MAX], debits[MAX], credits[MAX], amounts[MAX], source_nums[MAX], corrects[MAX];
    int16_t kinds[MAX], debit_classes[MAX], credit_classes[MAX], debit_items[MAX], credit_items[MAX];
    instant_ms effective[MAX];
    bool no_id[MAX], corrects_none[MAX];
    for (size_t i = 0; i < count; i++) {
        const posting *p = &postings[i];
        err_t err = check_law(company, p);
        if (err) return err;
        sources[i] = sv_of(p->source), keys[i] = p->key, currencies[i] = p->currency;
        ids[i] = p->id, debits[i] = p->debit_num, credits[i] = p->credit_num, amounts[i] = p->amount_micro;
        source_nums[i] = p->source_num, corrects[i] = p->corrects, effective[i] = p->effective_at;
        kinds[i] = p->kind, debit_classes[i] = p->debit_class, credit_classes[i] = p->credit_class;
        debit_items[i] = p->debit_item, credit_items[i] = p->credit_item;
        no_id[i] = p->id == 0, corrects_none[i] = p->corrects == 0;
    }
    AUTO(db_rows) rows = {0};
    return db_query(conn, &SQL_POST,
                    DB_PARAMS(DB_I32(company), DB_TIME(now), DB_TEXT_ARRAY(sources, count), DB_TEXT_ARRAY(keys, count),
                              db_param_with_nulls(DB_I64_ARRAY(ids, count), no_id), DB_I16_ARRAY(kinds, count),
                              DB_I16_ARRAY(debit_classes, count), DB_I64_ARRAY(debits, count), DB_I16_ARRAY(debit_items, count),
                              DB_I16_ARRAY(credit_classes, count), DB_I64_ARRAY(credits, count), DB_I16_ARRAY(credit_items, count),
                              DB_TEXT_ARRAY(currencies, count), DB_I64_ARRAY(amounts, count), DB_I64_ARRAY(source_nums, count),
                              DB_TIME_ARRAY(effective, count), db_param_with_nulls(DB_I64_ARRAY(corrects, count), corrects_none)),
                    &rows);
}

// ---- reading under locks ----

static fact_money money_of(const apply_entry *entry) { return entry->fact ? fact_money_of(entry->fact) : (fact_money){"", SV("")}; }

static err_t read_orders(batch *self) {
    sv numbers[MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++)
        if (self->items[i].entry->fact && self->items[i].entry->fact->order_number.len > 0)
            numbers[count++] = self->items[i].entry->fact->order_number;
    if (count == 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_ORDERS_LOCK, DB_PARAMS(DB_I32(self->company), DB_TEXT_ARRAY(numbers, count)), &rows);
    for (size_t row = 0; !err && row < rows.len; row++) {
        pay_order order;
        pay_order_read(&rows, row, self->memory, &order);
        for (size_t i = 0; i < self->len; i++) {
            work *item = &self->items[i];
            if (!item->entry->fact || !sv_equal(item->entry->fact->order_number, order.number)) continue;
            item->order = order;
            item->has_order = true;
        }
    }
    return err;
}

static err_t read_refunds(batch *self) {
    sv numbers[MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++)
        if (self->items[i].entry->fact && self->items[i].entry->fact->refund_number.len > 0)
            numbers[count++] = self->items[i].entry->fact->refund_number;
    if (count == 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_REFUNDS_LOCK, DB_PARAMS(DB_I32(self->company), DB_TEXT_ARRAY(numbers, count)), &rows);
    for (size_t row = 0; !err && row < rows.len; row++) {
        pay_refund refund;
        pay_refund_read(&rows, row, self->memory, &refund);
        for (size_t i = 0; i < self->len; i++) {
            work *item = &self->items[i];
            if (!item->entry->fact || !sv_equal(item->entry->fact->refund_number, refund.number)) continue;
            item->refund = refund;
            item->has_refund = true;
        }
    }
    return err;
}

static void take_known(batch *self, const db_rows *rows, size_t row) {
    bool is_event = !db_is_null(rows, row, 3);
    sv id = db_text(rows, row, 2);
    for (size_t i = 0; i < self->len; i++) {
        work *item = &self->items[i];
        const apply_entry *entry = item->entry;
        if (is_event) {
            bool is_same = entry->notice && entry->merchant == db_i64(rows, row, 3) && sv_equal(entry->notice->event_id, id);
            if (is_same) item->is_repeated = outcome_of(db_text(rows, row, 4), &item->earlier);
            continue;
        }
        fact_money money = money_of(entry);
        item->is_known |= sv_equal(entry->channel, db_text(rows, row, 0)) && sv_equal(sv_of(money.kind), db_text(rows, row, 1)) &&
                          sv_equal(money.channel_id, id);
    }
}

static err_t read_known(batch *self) {
    sv channels[MAX], kinds[MAX], ids[MAX], events[MAX];
    int64_t merchants[MAX];
    size_t count = 0, event_count = 0;
    for (size_t i = 0; i < self->len; i++) {
        const apply_entry *entry = self->items[i].entry;
        fact_money money = money_of(entry);
        if (money.channel_id.len > 0) {
            channels[count] = entry->channel;
            kinds[count] = sv_of(money.kind);
            ids[count++] = money.channel_id;
        }
        if (!entry->notice) continue;
        merchants[event_count] = entry->merchant;
        events[event_count++] = entry->notice->event_id;
    }
    if (count + event_count == 0) return ERR_OK;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_KNOWN,
                         DB_PARAMS(DB_I32(self->company), DB_TEXT_ARRAY(channels, count), DB_TEXT_ARRAY(kinds, count),
                                   DB_TEXT_ARRAY(ids, count), DB_I64_ARRAY(merchants, event_count), DB_TEXT_ARRAY(events, event_count)),
                         &rows);
    for (size_t row = 0; !err && row < rows.len; row++) take_known(self, &rows, row);
    return err;
}

// ---- deciding ----

// A repetition of what was applied has no effect; one whose first coming failed is a first coming.
static void decide(batch *self, work *item) {
    const apply_entry *entry = item->entry;
    if (item->is_repeated && item->earlier != OUTCOME_ERROR) {
        item->decision = (fact_decision){.outcome = OUTCOME_DUPLICATE};
        return;
    }
    if (!entry->fact) {
        item->decision = (fact_decision){.outcome = entry->fallback};
        return;
    }
    fact_context context = {.merchant = entry->merchant,
                            .order = item->has_order ? &item->order : NULL,
                            .refund = item->has_refund ? &item->refund : NULL,
                            .is_known = item->is_known,
                            .now = self->now};
    item->decision = fact_decide(&context, entry->fact);
    if (entry->is_error) item->decision.outcome = OUTCOME_ERROR;
}

static void add_event(batch *self, const char *type, int64_t subject, int64_t version, sv payload) {
    CHECK(self->event_count < ARRAY_LEN(self->events));
    self->events[self->event_count++] = (outgoing){type, subject, version, payload};
}

static posting *add_posting(batch *self) {
    CHECK(self->posting_count < ARRAY_LEN(self->postings));
    return &self->postings[self->posting_count++];
}

static void credit(batch *self, const work *item) {
    const pay_order *order = &item->order;
    *add_posting(self) = (posting){.source = "payment",
                                   .key = order->number,
                                   .kind = TRANSFER_TOP_UP,
                                   .debit_class = ACCOUNT_CLASS_CLEARING,
                                   .debit_num = order->legal_entity,
                                   .debit_item = channel_item(order->channel),
                                   .credit_class = ACCOUNT_CLASS_PURSE,
                                   .credit_num = order->purse,
                                   .currency = order->currency,
                                   .amount_micro = order->amount_micro,
                                   .source_num = order->num,
                                   .effective_at = item->decision.happened_at};
    add_event(self, event_text(EVENT_ORDER_PAID), order->num, order->version + 1, order_paid_payload(self->memory, order));
}

static void release(batch *self, const work *item) {
    const pay_order *order = &item->order;
    *add_posting(self) = (posting){.source = "refund_release",
                                   .key = item->refund.number,
                                   .kind = TRANSFER_REVERSAL,
                                   .debit_class = ACCOUNT_CLASS_CLEARING,
                                   .debit_num = order->legal_entity,
                                   .debit_item = channel_item(order->channel),
                                   .credit_class = ACCOUNT_CLASS_PURSE,
                                   .credit_num = order->purse,
                                   .currency = order->currency,
                                   .amount_micro = item->refund.amount_micro,
                                   .source_num = order->num,
                                   .effective_at = self->now,
                                   .corrects = item->refund.reserve_transfer};
}

// Received: the channel owes it to the legal entity, who owes it to somebody unknown; gone: the other way round.
static void suspend_posting(batch *self, const work *item) {
    const apply_entry *entry = item->entry;
    bool is_received = suspense_reason_is_received(item->decision.suspense);
    fact_money money = fact_money_of(entry->fact);
    posting *p = add_posting(self);
    *p = (posting){.source = is_received ? "suspense" : "suspense_refund",
                   .key = money.channel_id,
                   .kind = TRANSFER_SUSPENSE,
                   .debit_class = is_received ? ACCOUNT_CLASS_CLEARING : ACCOUNT_CLASS_SUSPENSE,
                   .credit_class = is_received ? ACCOUNT_CLASS_SUSPENSE : ACCOUNT_CLASS_CLEARING,
                   .debit_num = entry->legal_entity,
                   .credit_num = entry->legal_entity,
                   .debit_item = channel_item(entry->channel),
                   .credit_item = channel_item(entry->channel),
                   .currency = suspended_currency(item),
                   .amount_micro = entry->fact->amount_micro,
                   .source_num = item->has_order ? item->order.num : 0,
                   .effective_at = self->now};
}

// ---- writing ----

// The columns of what is written in one statement; entries without a part leave no row in it.
typedef struct columns {
    struct {
        int64_t merchants[MAX], orders[MAX];
        sv ids[MAX], types[MAX], headers[MAX], bodies[MAX], plaintexts[MAX], outcomes[MAX];
        instant_ms received[MAX];
        bool no_order[MAX];
        size_t len;
    } inbox;
    struct {
        sv channels[MAX], kinds[MAX], ids[MAX], currencies[MAX], outcomes[MAX];
        int64_t merchants[MAX], orders[MAX], amounts[MAX];
        bool no_order[MAX];
        size_t len;
    } money;
    struct {
        int64_t nums[MAX];
        sv states[MAX], ids[MAX];
        instant_ms happened[MAX];
        bool doubtful[MAX], foreign[MAX], credited[MAX];
        size_t len;
    } orders;
    struct {
        uuid ids[2 * MAX];
        sv types[2 * MAX], payloads[2 * MAX];
        int64_t subjects[2 * MAX], versions[2 * MAX];
        size_t len;
    } events;
} columns;

static void fill_inbox(columns *out, const work *item) {
    const apply_notice *notice = item->entry->notice;
    if (!notice) return;
    size_t at = out->inbox.len++;
    out->inbox.merchants[at] = item->entry->merchant;
    out->inbox.ids[at] = notice->event_id, out->inbox.types[at] = notice->event_type, out->inbox.headers[at] = notice->headers;
    out->inbox.bodies[at] = notice->body, out->inbox.plaintexts[at] = notice->plaintext, out->inbox.received[at] = notice->received_at;
    out->inbox.outcomes[at] = sv_of(outcome_text(item->decision.outcome));
    out->inbox.orders[at] = item->order.num;
    out->inbox.no_order[at] = !item->has_order || item->order.merchant != item->entry->merchant;
}

static void fill_money(columns *out, const work *item) {
    if (!item->decision.records) return;
    size_t at = out->money.len++;
    fact_money money = fact_money_of(item->entry->fact);
    out->money.channels[at] = item->entry->channel, out->money.kinds[at] = sv_of(money.kind), out->money.ids[at] = money.channel_id;
    out->money.merchants[at] = item->entry->merchant, out->money.orders[at] = item->order.num;
    out->money.amounts[at] = item->entry->fact->amount_micro, out->money.currencies[at] = suspended_currency(item);
    out->money.outcomes[at] = sv_of(outcome_text(item->decision.outcome));
    out->money.no_order[at] = !item->has_order;
}

static void fill_order(batch *self, columns *out, const work *item) {
    if (!item->decision.changes_order) return;
    size_t at = out->orders.len++;
    bool is_paid = item->entry->fact->state == PROVIDER_STATE_PAID;
    out->orders.nums[at] = item->order.num;
    out->orders.states[at] = sv_of(order_state_text(item->decision.order_state));
    out->orders.ids[at] = is_paid ? item->entry->fact->channel_id : SV_NONE;
    out->orders.happened[at] = item->decision.happened_at, out->orders.doubtful[at] = item->decision.is_time_doubtful;
    out->orders.foreign[at] = item->decision.has_foreign_refund, out->orders.credited[at] = item->decision.credits;
    if (item->decision.credits) credit(self, item);
    add_event(self, event_text(EVENT_ORDER_CHANGED), item->order.num, item->order.version + 1,
              order_changed_payload(self->memory, &item->order, item->decision.order_state));
}

static void fill_events(columns *out, const outgoing *events, size_t count) {
    for (size_t at = 0; at < count; at++) {
        out->events.ids[at] = uuid_v7_now();
        out->events.types[at] = sv_of(events[at].type);
        out->events.subjects[at] = events[at].subject, out->events.versions[at] = events[at].version;
        out->events.payloads[at] = events[at].payload;
    }
    out->events.len = count;
}

// After everything else has added its events.
static err_t store(batch *self, columns *all) {
    fill_events(all, self->events, self->event_count);
    size_t notices = all->inbox.len, moneys = all->money.len, orders = all->orders.len, events = all->events.len;
    if (notices + moneys + orders + events == 0) return ERR_OK;
    return db_exec(
        self->conn, &SQL_FACTS_STORE,
        DB_PARAMS(
            DB_I32(self->company), DB_TIME(self->now), DB_I64_ARRAY(all->inbox.merchants, notices), DB_TEXT_ARRAY(all->inbox.ids, notices),
            DB_TEXT_ARRAY(all->inbox.types, notices), DB_TIME_ARRAY(all->inbox.received, notices),
            DB_TEXT_ARRAY(all->inbox.headers, notices), DB_BYTES_ARRAY(all->inbox.bodies, notices),
            DB_TEXT_ARRAY(all->inbox.plaintexts, notices), DB_TEXT_ARRAY(all->inbox.outcomes, notices),
            db_param_with_nulls(DB_I64_ARRAY(all->inbox.orders, notices), all->inbox.no_order), DB_TEXT_ARRAY(all->money.channels, moneys),
            DB_TEXT_ARRAY(all->money.kinds, moneys), DB_TEXT_ARRAY(all->money.ids, moneys), DB_I64_ARRAY(all->money.merchants, moneys),
            db_param_with_nulls(DB_I64_ARRAY(all->money.orders, moneys), all->money.no_order), DB_I64_ARRAY(all->money.amounts, moneys),
            DB_TEXT_ARRAY(all->money.currencies, moneys), DB_TEXT_ARRAY(all->money.outcomes, moneys),
            DB_I64_ARRAY(all->orders.nums, orders), DB_TEXT_ARRAY(all->orders.states, orders), DB_TEXT_ARRAY(all->orders.ids, orders),
            DB_TIME_ARRAY(all->orders.happened, orders), DB_BOOL_ARRAY(all->orders.doubtful, orders),
            DB_BOOL_ARRAY(all->orders.foreign, orders), DB_BOOL_ARRAY(all->orders.credited, orders), DB_UUID_ARRAY(all->events.ids, events),
            DB_TEXT_ARRAY(all->events.types, events), DB_I64_ARRAY(all->events.subjects, events),
            DB_I64_ARRAY(all->events.versions, events), DB_TEXT_ARRAY(all->events.payloads, events)),
        NULL);
}

static err_t store_questions(batch *self) {
    int64_t nums[MAX];
    bool foreign[MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++) {
        const work *item = &self->items[i];
        if (!item->has_order || item->decision.changes_order || (!item->decision.asks && !item->decision.has_foreign_refund)) continue;
        nums[count] = item->order.num;
        foreign[count++] = item->decision.has_foreign_refund;
    }
    if (count == 0) return ERR_OK;
    return db_exec(self->conn, &SQL_ORDERS_ASK,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_I64_ARRAY(nums, count), DB_BOOL_ARRAY(foreign, count)), NULL);
}

static err_t store_refunds(batch *self) {
    int64_t nums[MAX];
    sv states[MAX], ids[MAX];
    bool final[MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++) {
        work *item = &self->items[i];
        if (!item->decision.changes_refund) continue;
        const pay_refund *refund = &item->refund;
        nums[count] = refund->num;
        states[count] = sv_of(refund_state_text(item->decision.refund_state));
        ids[count] = item->entry->fact->refund_channel_id.len ? item->entry->fact->refund_channel_id : SV_NONE;
        final[count++] = refund_state_is_final(item->decision.refund_state);
        if (item->decision.releases) release(self, item);
        add_event(self, event_text(EVENT_REFUND_CHANGED), refund->num, refund->version + 1,
                  refund_changed_payload(self->memory, refund->id, item->order.id, item->order.account, item->order.property,
                                         refund_state_text(item->decision.refund_state), refund->amount_micro, refund->currency));
    }
    if (count == 0) return ERR_OK;
    return db_exec(self->conn, &SQL_REFUNDS_SETTLE,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_I64_ARRAY(nums, count), DB_TEXT_ARRAY(states, count),
                             DB_TEXT_ARRAY(ids, count), DB_BOOL_ARRAY(final, count)),
                   NULL);
}

static err_t store_suspense(batch *self) {
    uuid ids[MAX];
    int64_t merchants[MAX], entities[MAX], orders[MAX], accounts[MAX], amounts[MAX];
    sv channels[MAX], channel_ids[MAX], reasons[MAX], currencies[MAX], numbers[MAX];
    bool received[MAX], no_order[MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++) {
        const work *item = &self->items[i];
        if (!item->decision.suspends) continue;
        const apply_entry *entry = item->entry;
        ids[count] = uuid_v7_now();
        merchants[count] = entry->merchant, entities[count] = entry->legal_entity, channels[count] = entry->channel;
        channel_ids[count] = fact_money_of(entry->fact).channel_id;
        received[count] = suspense_reason_is_received(item->decision.suspense);
        orders[count] = item->order.num, accounts[count] = item->order.account, no_order[count] = !item->has_order;
        reasons[count] = sv_of(suspense_reason_text(item->decision.suspense));
        amounts[count] = entry->fact->amount_micro, currencies[count] = suspended_currency(item);
        numbers[count] = entry->fact->order_number.ptr ? entry->fact->order_number : SV("");
        suspend_posting(self, item);
        add_event(self, event_text(EVENT_PAYMENT_SUSPENDED), item->has_order ? item->order.num : 0, 1,
                  suspended_payload(self->memory, ids[count], item));
        count++;
    }
    if (count == 0) return ERR_OK;
    return db_exec(self->conn, &SQL_SUSPENSE_ADD,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_UUID_ARRAY(ids, count), DB_I64_ARRAY(merchants, count),
                             DB_I64_ARRAY(entities, count), DB_TEXT_ARRAY(channels, count), DB_TEXT_ARRAY(channel_ids, count),
                             DB_BOOL_ARRAY(received, count), db_param_with_nulls(DB_I64_ARRAY(orders, count), no_order),
                             db_param_with_nulls(DB_I64_ARRAY(accounts, count), no_order), DB_TEXT_ARRAY(reasons, count),
                             DB_I64_ARRAY(amounts, count), DB_TEXT_ARRAY(currencies, count), DB_TEXT_ARRAY(numbers, count)),
                   NULL);
}

static err_t read_all(batch *self) {
    err_t err = read_orders(self);
    if (!err) err = read_refunds(self);
    return err ? err : read_known(self);
}

static err_t write_all(batch *self) {
    columns *all = ARENA_NEW(self->memory, columns);
    for (size_t i = 0; i < self->len; i++) {
        fill_inbox(all, &self->items[i]);
        fill_money(all, &self->items[i]);
        fill_order(self, all, &self->items[i]);
    }
    err_t err = store_questions(self);
    if (!err) err = store_refunds(self);
    if (!err) err = store_suspense(self);
    if (!err) err = store(self, all);
    return err ? err : postings_add(self->conn, self->company, self->postings, self->posting_count, self->now);
}

err_t apply_facts(db *conn, apply_entry *const *entries, size_t count, instant_ms now, arena *memory) {
    CHECK(count > 0 && count <= MAX);
    batch *self = ARENA_NEW(memory, batch);
    *self = (batch){.conn = conn, .company = entries[0]->company, .now = now, .memory = memory, .len = count};
    for (size_t i = 0; i < count; i++) {
        CHECK(entries[i]->company == self->company);
        self->items[i].entry = entries[i];
    }
    err_t err = read_all(self);
    if (err) return err;
    for (size_t i = 0; i < count; i++) decide(self, &self->items[i]);
    err = write_all(self);
    for (size_t i = 0; i < count && !err; i++) entries[i]->outcome = self->items[i].decision.outcome;
    return err;
}
