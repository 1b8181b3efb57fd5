// One message at a time: marked as being sent in one transaction, handed over, its end stored in another. Nothing that
// may have been sent is sent again the same way.
#include "courier.h"

#include <stdio.h>
#include <string.h>

#include "alerts_sql.h"
#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "guard.h"
#include "json/json.h"
#include "occasion.h"
#include "token_store.h"
#include "words.h"

#define BATCH 20
#define LOOK_EVERY_MS 500
#define LEASE_MS (2 * MINUTE_MS)  // longer than a provider may take
#define ASK_AGAIN_MS MINUTE_MS
#define ASK_MAX 5
#define RECEIPT_WAIT_MS (3 * MINUTE_MS)
#define ATTEMPTS_MAX 6
#define TIDY_EVERY_MS MINUTE_MS
#define FROZEN_QUIET_MS HOUR_MS
#define RECEIPT_KEEP_MS DAY_MS

typedef struct courier {
    alerts_app *app;
    service *svc;
    db *conn;
    httpc *providers;  // the addresses of our own configuration
    httpc *strangers;  // addresses that companies name
    arena *memory;
    int64_t tidy_at_ms;
} courier;

typedef struct parcel {
    int32_t company;
    int64_t num, property, account;
    uuid id;
    sv kind, channel, address, locale, subject, body, body_sealed, parameters;
    int32_t attempts;
    instant_ms queued_at, expires_at;
    bool is_over, has_another_way;
    alert_kind which;
} parcel;

typedef struct way {
    const channel *channel;
    channel_account *account;
    int64_t cost_micro;
    token_owner tokens;
    channel_store store;
} way;

static void parcel_read(const db_rows *rows, size_t i, arena *memory, parcel *out) {
    *out = (parcel){.company = (int32_t)db_i64(rows, i, 0),
                    .num = db_i64(rows, i, 1),
                    .id = db_uuid(rows, i, 2),
                    .kind = arena_copy(memory, db_text(rows, i, 3)),
                    .channel = arena_copy(memory, db_text(rows, i, 4)),
                    .address = arena_copy(memory, db_text(rows, i, 5)),
                    .locale = arena_copy(memory, db_text(rows, i, 6)),
                    .subject = arena_copy(memory, db_text(rows, i, 7)),
                    .body = arena_copy(memory, db_text(rows, i, 8)),
                    .body_sealed = db_is_null(rows, i, 9) ? SV_NONE : arena_copy(memory, db_bytes(rows, i, 9)),
                    .parameters = arena_copy(memory, db_text(rows, i, 10)),
                    .attempts = (int32_t)db_i64(rows, i, 11),
                    .queued_at = db_time(rows, i, 12),
                    .expires_at = db_time(rows, i, 13),
                    .is_over = db_bool(rows, i, 15),
                    .property = db_i64(rows, i, 16),
                    .account = db_i64(rows, i, 17),
                    .has_another_way = db_bool(rows, i, 18)};
    if (!alert_kind_parse(out->kind, &out->which)) out->which = ALERT_KIND_COUNT;
}

// ---- the end of a message ----

static err_t try_next(db *conn, int32_t company, int64_t num, instant_ms now, arena *memory, fault *out_fault) {
    AUTO(db_rows) row = {0};
    AUTO(db_rows) there = {0};
    err_t err = db_query_one(conn, &SQL_MESSAGE_ORIGIN, DB_PARAMS(DB_I32(company), DB_I64(num)), &row);
    alert_kind kind;
    if (err || !alert_kind_parse(db_text(&row, 0, 0), &kind)) return err;
    if (db_text(&row, 0, 6).len == 0 || db_time(&row, 0, 9) <= now || db_i64(&row, 0, 3) == 0) return ERR_OK;
    uuid next = db_uuid(&row, 0, 12);
    next.bytes[15] ^= 0x5A;  // the successor's id follows from its own, so that it is tried once
    err = db_query(conn, &SQL_MESSAGE_NEXT_EXISTS, DB_PARAMS(DB_I32(company), DB_UUID(next)), &there);
    if (err || there.len > 0) return err;
    bool is_queued = false;
    message_draft draft = {.id = next,
                           .kind = kind,
                           .company = company,
                           .property = db_i64(&row, 0, 1),
                           .account = db_i64(&row, 0, 2),
                           .customer = db_i64(&row, 0, 3),
                           .purse = db_i64(&row, 0, 4),
                           .level = db_i64(&row, 0, 5),
                           .chain = arena_copy(memory, db_text(&row, 0, 6)),
                           .parameters = arena_copy(memory, db_text(&row, 0, 7)),
                           .episode = db_i64(&row, 0, 8),
                           .queued_at = now,
                           .not_before = now,
                           .expires_at = db_time(&row, 0, 9)};
    return draft_queue(conn, &draft, memory, &is_queued, out_fault);
}

err_t courier_end(alerts_app *app, db *conn, const message_end *self, arena *memory, fault *out_fault) {
    AUTO(db_rows) changed = {0};
    AUTO(db_rows) row = {0};
    instant_ms now = service_now(app->svc);
    err_t err = db_query(conn, &SQL_MESSAGE_END,
                         DB_PARAMS(DB_I32(self->company), DB_I64(self->num), DB_CSTR(self->state),
                                   self->reason.len > 0 ? DB_TEXT(self->reason) : DB_NULL, DB_TIME(now), DB_TIME(self->next_at),
                                   self->provider_id.len > 0 ? DB_TEXT(self->provider_id) : DB_NULL, DB_I64(self->cost_micro)),
                         &changed);
    if (err || changed.len == 0) return err;
    if (strcmp(self->state, "delivered") == 0)
        err = db_exec(conn, &SQL_WARNING_DELIVERED, DB_PARAMS(DB_I32(self->company), DB_I64(self->num), DB_TIME(now)), NULL);
    if (!err && self->tries_next) err = try_next(conn, self->company, self->num, now, memory, out_fault);
    if (!err) err = db_query_one(conn, &SQL_MESSAGE_ANNOUNCEMENT, DB_PARAMS(DB_I32(self->company), DB_I64(self->num)), &row);
    if (err) return err;
    return message_announce(conn, self->company, self->num, db_uuid(&row, 0, 0), db_text(&row, 0, 1), db_text(&row, 0, 2),
                            sv_of(self->state), db_i64(&row, 0, 3), db_i64(&row, 0, 4), now, memory);
}

static message_end end_of(const parcel *self, const char *state, sv reason) {
    return (message_end){.company = self->company, .num = self->num, .state = state, .reason = reason, .next_at = INSTANT_MAX};
}

static err_t finish(courier *self, const message_end *end) {
    AUTO(db_tx) tx = {0};
    fault why = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = courier_end(self->app, self->conn, end, self->memory, &why);
    CRASH_POINT("alerts.before_commit");
    return err ? err : db_commit(&tx);
}

static instant_ms back_off(instant_ms now, int32_t attempts) {
    uint16_t random;
    int64_t most = 2 * SECOND_MS << (attempts < 8 ? attempts : 8);
    random_fill(&random, sizeof random);
    return now + SECOND_MS + most * random / UINT16_MAX;
}

// ---- before it is sent ----

static sv group_of(const parcel *self, arena *memory) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    if (json_parse(self->parameters, (json_limits){65536, 2}, &doc, NULL) != ERR_OK) return SV("");
    json_node root = json_root(doc);
    json_node group = json_optional(&reader, &root, "group");
    return json_is_present(&group) ? arena_copy(memory, json_read_text(&reader, &group)) : SV("");
}

// A gateway's outage tells of its meters; many meters of one gateway, or many odd readings, are told once.
static err_t gather(courier *self, parcel *what, const char **out_why_not) {
    sv group = group_of(what, self->memory);
    int64_t gateway = 0;
    *out_why_not = NULL;
    if (group.len == 0) return ERR_OK;
    if (what->which == ALERT_METER_LOST &&
        sv_to_i64(sv_slice(group.ptr + strlen("meter_lost/"), group.len - strlen("meter_lost/")), &gateway)) {
        AUTO(db_rows) lost = {0};
        err_t err = db_query(self->conn, &SQL_GATEWAY_IS_LOST, DB_PARAMS(DB_I32(what->company), DB_I64(gateway)), &lost);
        if (err) return err;
        if (lost.len > 0) {
            *out_why_not = "grouped";
            return ERR_OK;
        }
    }
    AUTO(db_rows) more = {0};
    err_t err = db_query_one(
        self->conn, &SQL_GROUP_SUPPRESS,
        DB_PARAMS(DB_I32(what->company), DB_I64(what->num), DB_TEXT(what->address), DB_TEXT(group), DB_TIME(service_now(self->svc))),
        &more);
    if (!err && db_i64(&more, 0, 0) > 0)
        what->body = sv_of(arena_printf(self->memory, "%.*s (+%lld)", SV_ARG(what->body), (long long)db_i64(&more, 0, 0)));
    return err;
}

// The first day of the month, UTC, as days since 1970.
static int32_t month_of(instant_ms now) {
    int32_t year = 0;
    int32_t month = 0;
    int32_t day = 0;
    civil_from_days(now / DAY_MS, &year, &month, &day);
    return (int32_t)days_from_civil(year, month, 1);
}

typedef enum way_answer { WAY_OPEN, WAY_NONE, WAY_RESTS, WAY_SPENT, WAY_WRONG } way_answer;

// The company's account with the channel of this message.
static err_t find_way(courier *self, const parcel *what, way *out, way_answer *out_answer, instant_ms *out_rests_until) {
    AUTO(db_rows) row = {0};
    AUTO(buf) config = {0};
    instant_ms now = service_now(self->svc);
    err_t err = db_query(self->conn, &SQL_ACCOUNT_OF_CHANNEL,
                         DB_PARAMS(DB_I32(what->company), DB_TEXT(what->channel), DB_DATE(month_of(now)), DB_TIME(now)), &row);
    *out = (way){0};
    *out_answer = WAY_NONE;
    if (err || row.len == 0) return err;
    *out_rests_until = db_time(&row, 0, 8);
    *out_answer = WAY_RESTS;
    if (*out_rests_until > now) return ERR_OK;
    *out_answer = WAY_SPENT;
    if (!db_is_null(&row, 0, 4) && db_i64(&row, 0, 7) + db_i64(&row, 0, 3) > db_i64(&row, 0, 4)) return ERR_OK;
    *out_answer = WAY_WRONG;
    char place[80];
    char id[UUID_TEXT_LEN + 1];
    uuid_format(db_uuid(&row, 0, 5), id);
    (void)snprintf(place, sizeof place, "channel_account/%s/config", id);
    fault why = {0};
    buf_init(&config, 65536);
    out->channel = channel_find(what->channel, db_text(&row, 0, 1));
    out->cost_micro = db_i64(&row, 0, 3);
    if (!out->channel || !self->app->keys || crypto_open(self->app->keys, what->company, sv_of(place), db_bytes(&row, 0, 2), &config))
        return ERR_OK;
    token_owner_init(&out->tokens, self->svc, self->conn, self->app->keys, what->company, out->channel->kind);
    out->store = token_store(&out->tokens);
    if (out->channel->open(buf_view(&config), &out->store, &out->account, &why) != ERR_OK) {
        LOG_ERROR("a channel's configuration cannot be used", LOG_I("company", what->company), LOG_S("channel", out->channel->kind),
                  LOG_S("place", why.place), LOG_S("reason", why.reason));
        return ERR_OK;
    }
    *out_answer = WAY_OPEN;
    return ERR_OK;
}

static err_t message_for(courier *self, const parcel *what, channel_message *out) {
    channel_parameter *list = NULL;
    size_t count = 0;
    sv template = SV("");
    sv body = what->body;
    sv parameters = what->parameters;
    if (what->body_sealed.len > 0) {
        AUTO(buf) code = {0};
        AUTO_JSON doc = NULL;
        json_reader reader;
        json_reader_init(&reader);
        buf_init(&code, 256);
        if (json_parse(what->parameters, (json_limits){4096, 2}, &doc, NULL) != ERR_OK) return ERR_MALFORMED;
        json_node root = json_root(doc);
        json_node id = json_member(&reader, &root, "code_id");
        sv place = sv_of(arena_printf(self->memory, "login_code/%.*s", SV_ARG(json_read_text(&reader, &id))));
        err_t err = self->app->keys ? crypto_open(self->app->keys, what->company, place, what->body_sealed, &code) : ERR_FORBIDDEN;
        if (err) return err;
        parameters =
            sv_of(arena_printf(self->memory, "{\"detail\":\"%.*s\",\"code\":\"%.*s\"}", SV_ARG(buf_view(&code)), SV_ARG(buf_view(&code))));
        message_words words;
        err = words_compose(self->conn, what->company, ALERT_LOGIN_CODE, what->channel, what->locale, parameters, self->memory, &words);
        if (err) return err;
        body = words.body;
    }
    err_t err = words_parameters(self->conn, what->company, what->kind, what->channel, what->locale, parameters, self->memory, &list,
                                 &count, &template);
    *out = (channel_message){.id = what->id,
                             .kind = what->kind,
                             .address = what->address,
                             .locale = what->locale,
                             .subject = what->subject,
                             .body = body,
                             .provider_template = template,
                             .parameters = list,
                             .parameter_count = count,
                             .queued_at = what->queued_at,
                             .attempt = what->attempts};
    return err;
}

// ---- after it was sent ----

static message_end conclude(courier *self, const parcel *what, const way *by, const channel_outcome *outcome) {
    instant_ms now = service_now(self->svc);
    message_end end = end_of(what, "failed", outcome->reason);
    end.provider_id = outcome->provider_id;
    switch (outcome->result) {
        case CHANNEL_ACCEPTED:
            end.state = outcome->is_delivery ? "delivered" : "accepted";
            end.next_at = outcome->is_delivery ? INSTANT_MAX : now + RECEIPT_WAIT_MS;
            end.cost_micro = by->cost_micro * (outcome->units > 0 ? outcome->units : 1);
            break;
        case CHANNEL_RETRY:
        case CHANNEL_DEFER:
            end.next_at = outcome->result == CHANNEL_DEFER ? outcome->not_before : back_off(now, what->attempts);
            if (what->attempts < ATTEMPTS_MAX && end.next_at < what->expires_at) {
                end.state = "queued";
            } else {
                end.next_at = INSTANT_MAX;
                end.tries_next = true;
            }
            break;
        case CHANNEL_AMBIGUOUS:
            end.state = "unknown";
            end.next_at = now + ASK_AGAIN_MS;
            break;
        case CHANNEL_RECIPIENT_BAD:
        case CHANNEL_CONTENT_BAD:
        case CHANNEL_ACCOUNT_BAD: end.tries_next = true; break;
        case CHANNEL_RESULT_COUNT: CHECK(false);
    }
    return end;
}

// What else an outcome says: of the address, of the company's account, of its costs.
static err_t note(courier *self, const parcel *what, const channel_outcome *outcome, const message_end *end) {
    instant_ms now = service_now(self->svc);
    err_t err = ERR_OK;
    if (outcome->result == CHANNEL_RECIPIENT_BAD)
        err = db_exec(self->conn, &SQL_CONTACT_IS_BAD,
                      DB_PARAMS(DB_I32(what->company), DB_TEXT(what->channel), DB_TEXT(what->address), DB_TIME(now)), NULL);
    if (outcome->result == CHANNEL_ACCOUNT_BAD)
        err = db_exec(self->conn, &SQL_BREAKER_OPEN,
                      DB_PARAMS(DB_I32(what->company), DB_TEXT(what->channel), DB_TIME(now), DB_TEXT(outcome->reason)), NULL);
    if (outcome->result != CHANNEL_ACCEPTED) return err;
    err = db_exec(self->conn, &SQL_BREAKER_CLOSE, DB_PARAMS(DB_I32(what->company), DB_TEXT(what->channel)), NULL);
    if (err) return err;
    return db_exec(self->conn, &SQL_COST_ADD,
                   DB_PARAMS(DB_I32(what->company), DB_TEXT(what->channel), DB_DATE(month_of(now)), DB_I64(end->cost_micro)), NULL);
}

// A receipt may have been faster than our own commit.
static err_t take_early_receipt(courier *self, const parcel *what, message_end *end) {
    AUTO(db_rows) early = {0};
    if (strcmp(end->state, "accepted") != 0 || end->provider_id.len == 0) return ERR_OK;
    err_t err =
        db_query(self->conn, &SQL_RECEIPT_TAKE,
                 DB_PARAMS(DB_I32(what->company), DB_TEXT(what->channel), DB_TEXT(end->provider_id), DB_TEXT(what->address)), &early);
    if (err || early.len == 0) return err;
    end->state = db_bool(&early, 0, 0) ? "delivered" : "failed";
    end->tries_next = !db_bool(&early, 0, 0);
    end->reason = arena_copy(self->memory, db_text(&early, 0, 1));
    end->next_at = INSTANT_MAX;
    return ERR_OK;
}

static err_t store_outcome(courier *self, const parcel *what, const way *by, const channel_outcome *outcome) {
    AUTO(db_tx) tx = {0};
    fault why = {0};
    message_end end = conclude(self, what, by, outcome);
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = take_early_receipt(self, what, &end);
    if (!err) err = courier_end(self->app, self->conn, &end, self->memory, &why);
    if (!err) err = note(self, what, outcome, &end);
    CRASH_POINT("alerts.before_commit");
    if (!err) err = db_commit(&tx);
    metric_add(self->app->sent[outcome->result], 1);
    if (!err) service_ring_relay(self->svc);
    return err;
}

static err_t refuse(courier *self, const parcel *what, way_answer why, instant_ms rests_until) {
    message_end end = end_of(what, "failed", SV("the company has no account with this channel"));
    end.tries_next = true;
    if (why == WAY_WRONG) end.reason = SV("the channel's configuration cannot be used");
    if (why == WAY_SPENT) {
        end.state = "suppressed";
        end.reason = SV("monthly cap of the channel");
    }
    if (why == WAY_RESTS) {
        end.reason = SV("the channel rests after refusals");
        bool can_wait = !what->has_another_way && rests_until < what->expires_at;
        end.state = can_wait ? "queued" : "failed";
        if (can_wait) end.next_at = rests_until;
    }
    return finish(self, &end);
}

static err_t deliver(courier *self, parcel *what) {
    instant_ms now = service_now(self->svc);
    bool is_standing = what->which != ALERT_KIND_COUNT && alert_kind_of(what->which)->is_standing;
    const char *why_not = NULL;
    if (what->expires_at <= now) why_not = "too late";
    if (what->is_over && is_standing) why_not = "it is over";
    err_t err = why_not ? ERR_OK : gather(self, what, &why_not);
    if (err) return err;
    if (why_not) {
        message_end end = end_of(what, "suppressed", sv_of(why_not));
        metric_add(self->app->suppressed, 1);
        return finish(self, &end);
    }
    way by;
    way_answer answer;
    instant_ms rests_until = 0;
    channel_message message;
    channel_outcome outcome = {0};
    err = find_way(self, what, &by, &answer, &rests_until);
    if (err) return err;
    if (answer != WAY_OPEN) return refuse(self, what, answer, rests_until);
    err = message_for(self, what, &message);
    if (!err) {
        bool is_stranger = strcmp(by.channel->kind, "webhook") == 0;
        CRASH_POINT("alerts.before_send");
        by.channel->send(by.account, is_stranger ? self->strangers : self->providers, &message, now, self->memory, &outcome);
        CRASH_POINT("alerts.after_send");
        err = store_outcome(self, what, &by, &outcome);
    }
    by.channel->close(by.account);
    return err;
}

static err_t ask(courier *self, parcel *what) {
    way by;
    way_answer answer;
    instant_ms rests_until = 0;
    channel_message message;
    channel_outcome outcome = {.result = CHANNEL_AMBIGUOUS, .reason = SV("nobody can tell")};
    err_t err = find_way(self, what, &by, &answer, &rests_until);
    if (err) return err;
    err_t told = ERR_UNCERTAIN;
    if (answer == WAY_OPEN && by.channel->ask && message_for(self, what, &message) == ERR_OK)
        told = by.channel->ask(by.account, self->providers, &message, service_now(self->svc), self->memory, &outcome);
    if (told == ERR_NOT_FOUND) outcome = (channel_outcome){.result = CHANNEL_RETRY, .reason = SV("it had not been sent")};
    if (told == ERR_OK || told == ERR_NOT_FOUND) {
        err = store_outcome(self, what, &by, &outcome);
    } else if (what->attempts > ASK_MAX || answer != WAY_OPEN || !by.channel->ask) {
        message_end end = end_of(what, "unknown", SV("nobody can tell whether it was sent"));
        end.tries_next = true;  // by another way; never again by this one
        err = finish(self, &end);
    }
    if (by.account) by.channel->close(by.account);
    return err;
}

// ---- the round ----

static err_t each(courier *self, const db_statement *claim, instant_ms until, err_t (*act)(courier *self, parcel *what),
                  size_t *out_count) {
    AUTO(db_rows) rows = {0};
    instant_ms now = service_now(self->svc);
    err_t err = db_query(self->conn, claim, DB_PARAMS(DB_TIME(now), DB_TIME(until), DB_I32(BATCH)), &rows);
    *out_count = rows.len;
    for (size_t i = 0; i < rows.len && !err; i++) {
        parcel what;
        arena_reset(self->memory);
        parcel_read(&rows, i, self->memory, &what);
        err = act(self, &what);
    }
    return err;
}

static err_t without_receipt(courier *self) {
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) rows = {0};
    fault why = {0};
    instant_ms now = service_now(self->svc);
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_query(self->conn, &SQL_MESSAGE_UNRECEIPTED, DB_PARAMS(DB_TIME(now), DB_I32(BATCH)), &rows);
    for (size_t i = 0; i < rows.len && !err; i++)
        err = try_next(self->conn, (int32_t)db_i64(&rows, i, 0), db_i64(&rows, i, 1), now, self->memory, &why);
    return err ? err : db_commit(&tx);
}

static err_t tidy_up(courier *self) {
    int64_t monotonic = clock_monotonic_ms();
    if (monotonic < self->tidy_at_ms) return ERR_OK;
    self->tidy_at_ms = monotonic + TIDY_EVERY_MS;
    instant_ms now = service_now(self->svc);
    err_t err = db_exec(self->conn, &SQL_EPISODES_END, DB_PARAMS(DB_TIME(now), DB_TIME(now - FROZEN_QUIET_MS)), NULL);
    if (!err) err = db_exec(self->conn, &SQL_RECEIPT_FORGET, DB_PARAMS(DB_TIME(now - RECEIPT_KEEP_MS)), NULL);
    return err;
}

static err_t round_trip(courier *self, bool *out_has_more) {
    size_t sent = 0;
    size_t asked = 0;
    instant_ms now = service_now(self->svc);
    err_t err = db_exec(self->conn, &SQL_MESSAGE_UNKNOWN, DB_PARAMS(DB_TIME(now)), NULL);
    if (!err) err = each(self, &SQL_MESSAGE_CLAIM, now + LEASE_MS, deliver, &sent);
    if (!err) err = each(self, &SQL_MESSAGE_TO_ASK, now + ASK_AGAIN_MS, ask, &asked);
    if (!err) err = without_receipt(self);
    if (!err) err = tidy_up(self);
    *out_has_more = sent == BATCH;
    return err;
}

static err_t open_lines(courier *self, fault *out_fault) {
    httpc_options options = httpc_options_default();
    options.allow_plain = true;  // a channel refuses plain addresses that are not loopback
    err_t err = httpc_new(&options, &self->providers, out_fault);
    if (err) return err;
    options.allow_plain = self->app->may_reach_private;
    options.may_connect = self->app->may_reach_private ? NULL : guard_may_connect;
    return httpc_new(&options, &self->strangers, out_fault);
}

void courier_run(service *svc, void *context) {
    courier self = {.app = context, .svc = svc, .memory = arena_new(8u << 20)};
    db_options options = service_db_options(svc, "courier");
    fault why = {0};
    if (open_lines(&self, &why) != ERR_OK) {
        service_fail(svc, why.reason);
        return;
    }
    while (!service_is_stopping(svc)) {
        bool has_more = false;
        if ((!self.conn || db_is_broken(self.conn)) && service_db_connect(svc, &options, &self.conn)) break;
        err_t err = round_trip(&self, &has_more);
        if (err) LOG_WARN("a round of messages was cut short", LOG_S("error", err_name(err)), LOG_S("why", db_error_text(self.conn)));
        if (!has_more) (void)service_wait(svc, LOOK_EVERY_MS);
    }
    httpc_free(self.providers);
    httpc_free(self.strangers);
    arena_free(self.memory);
    db_close(self.conn);
}
