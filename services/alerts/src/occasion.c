#include "occasion.h"

#include <stdio.h>
#include <string.h>

#include "alerts_sql.h"
#include "base/check.h"
#include "calendar/zone.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "json/json_writer.h"
#include "words.h"

#define CONTACTS_MAX 16
#define PER_DAY_DEFAULT 20
#define QUIET_NONE (-1)

typedef struct surroundings {
    int64_t property, account, customer, place;
    sv property_name, zone_name, company_name, account_number, customer_name, place_name, gateway_name;
} surroundings;

typedef struct rule {
    bool is_enabled;
    sv chain;
    int32_t quiet_from, quiet_to, per_day_max;
} rule;

static err_t find_surroundings(db *conn, const occasion *self, arena *memory, surroundings *out, fault *out_fault) {
    AUTO(db_rows) row = {0};
    err_t err = db_query(conn, &SQL_CONTEXT,
                         DB_PARAMS(DB_I32(self->company), DB_CSTR(self->around), DB_I64(self->around_num), DB_TIME(self->at)), &row);
    if (err) return err;
    if (row.len != 1) return fault_set(out_fault, ERR_BAD_INPUT, self->around, "there is no such %s in the company", self->around);
    *out = (surroundings){.property = db_i64(&row, 0, 0),
                          .property_name = arena_copy(memory, db_text(&row, 0, 1)),
                          .zone_name = arena_copy(memory, db_text(&row, 0, 2)),
                          .company_name = arena_copy(memory, db_text(&row, 0, 3)),
                          .account = db_i64(&row, 0, 4),
                          .account_number = arena_copy(memory, db_text(&row, 0, 5)),
                          .customer = db_i64(&row, 0, 6),
                          .customer_name = arena_copy(memory, db_text(&row, 0, 7)),
                          .place = db_i64(&row, 0, 8),
                          .place_name = arena_copy(memory, db_text(&row, 0, 9)),
                          .gateway_name = arena_copy(memory, db_text(&row, 0, 10))};
    return ERR_OK;
}

static err_t find_rule(db *conn, const occasion *self, const surroundings *around, arena *memory, rule *out) {
    const alert_kind_info *kind = alert_kind_of(self->kind);
    AUTO(db_rows) row = {0};
    err_t err = db_query(conn, &SQL_RULE_FIND,
                         DB_PARAMS(DB_I32(self->company), DB_CSTR(kind->text), DB_I64(around->property), DB_I64(around->account)), &row);
    if (err) return err;
    *out = (rule){true, sv_of(kind->chain), QUIET_NONE, QUIET_NONE, PER_DAY_DEFAULT};
    if (row.len == 0) return ERR_OK;
    *out = (rule){db_bool(&row, 0, 0), arena_copy(memory, db_text(&row, 0, 1)), (int32_t)db_i64(&row, 0, 2), (int32_t)db_i64(&row, 0, 3),
                  (int32_t)db_i64(&row, 0, 4)};
    return ERR_OK;
}

// The values every message of this occasion can name.
static sv parameters_of(const occasion *self, const surroundings *around, const zone *where, arena *memory) {
    AUTO(buf) text;
    buf_init(&text, 16384);
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "company", around->company_name);
    json_put_text(&out, "property", around->property_name);
    json_put_text(&out, "room", around->place_name.len > 0 ? around->place_name : around->gateway_name);
    json_put_text(&out, "customer", around->customer_name);
    json_put_text(&out, "account", around->account_number);
    json_put_text(&out, "purpose", self->purpose);
    json_put_text(&out, "amount", self->amount);
    json_put_text(&out, "time", words_local_time(where, self->at, memory));
    json_put_text(&out, "detail", self->detail);
    if (self->group.len > 0) json_put_text(&out, "group", self->group);
    json_close_object(&out);
    return arena_copy(memory, buf_view(&text));
}

// The same fact told again makes the same ids.
static uuid id_after(uuid seed, const char *what, int64_t number) {
    char text[UUID_TEXT_LEN + 1];
    char tail[64];
    uint8_t digest[CRYPTO_SHA256_LEN];
    uuid id;
    uuid_format(seed, text);
    (void)snprintf(tail, sizeof tail, "/%s/%lld", what, (long long)number);
    const sv pieces[] = {sv_of(text), sv_of(tail)};
    crypto_hmac_sha256_pieces(SV("message"), pieces, ARRAY_LEN(pieces), digest);
    digest[6] = (uint8_t)((digest[6] & 0x0F) | 0x80);  // version 8: made from a name by our own rule (RFC 9562 §5.8)
    digest[8] = (uint8_t)((digest[8] & 0x3F) | 0x80);
    memcpy(id.bytes, digest, sizeof id.bytes);
    return id;
}

// ---- one message ----

typedef struct contact {
    sv channel, address, locale;
} contact;

static err_t pick_contact(db *conn, const message_draft *self, arena *memory, contact *out, sv *out_rest, bool *out_found) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_CONTACTS_OF_CUSTOMER,
                         DB_PARAMS(DB_I32(self->company), DB_I64(self->customer), DB_CSTR(alert_kind_of(self->kind)->text)), &rows);
    *out_found = false;
    sv rest = self->chain;
    sv wanted = SV_NONE;
    while (!err && sv_next(&rest, ' ', &wanted)) {
        for (size_t i = 0; i < rows.len; i++) {
            if (!sv_equal(db_text(&rows, i, 0), wanted) || db_bool(&rows, i, 3)) continue;
            *out =
                (contact){arena_copy(memory, wanted), arena_copy(memory, db_text(&rows, i, 1)), arena_copy(memory, db_text(&rows, i, 2))};
            *out_rest = rest;
            *out_found = true;
            return ERR_OK;
        }
    }
    return err;
}

static err_t is_over_limit(db *conn, const message_draft *self, sv address, bool *out_is_over) {
    AUTO(db_rows) row = {0};
    *out_is_over = false;
    if (self->per_day_max == 0) return ERR_OK;
    err_t err = db_query_one(conn, &SQL_ADDRESS_LATELY,
                             DB_PARAMS(DB_I32(self->company), DB_TEXT(address), DB_TIME(self->queued_at - DAY_MS)), &row);
    if (!err) *out_is_over = db_i64(&row, 0, 0) >= self->per_day_max;
    return err;
}

static db_param num_or_null(int64_t num) { return num != 0 ? DB_I64(num) : DB_NULL; }

static err_t queue_to(db *conn, const message_draft *self, const contact *to, sv rest, arena *memory) {
    message_words words;
    bool is_over = false;
    const char *kind = alert_kind_of(self->kind)->text;
    err_t err = words_compose(conn, self->company, self->kind, to->channel, to->locale, self->parameters, memory, &words);
    if (!err) err = is_over_limit(conn, self, to->address, &is_over);
    if (err) return err;
    return db_exec(conn, &SQL_MESSAGE_ADD,
                   DB_PARAMS(DB_I32(self->company), DB_UUID(self->id), num_or_null(self->episode), DB_CSTR(kind),
                             num_or_null(self->property), num_or_null(self->account), num_or_null(self->customer), num_or_null(self->purse),
                             self->level != 0 ? DB_I16(self->level) : DB_NULL, DB_TEXT(to->channel), DB_TEXT(to->address),
                             DB_TEXT(to->locale), DB_TEXT(rest), DB_TEXT(words.subject), DB_TEXT(words.body),
                             self->body_sealed.len > 0 ? DB_BYTES(self->body_sealed) : DB_NULL, DB_TEXT(self->parameters),
                             DB_CSTR(is_over ? "suppressed" : "queued"), is_over ? DB_CSTR("daily limit of the address") : DB_NULL,
                             DB_TIME(self->queued_at), DB_TIME(self->not_before), DB_TIME(self->expires_at)),
                   NULL);
}

err_t draft_queue(db *conn, const message_draft *self, arena *memory, bool *out_is_queued, fault *out_fault) {
    (void)out_fault;
    contact to;
    sv rest = SV_NONE;
    err_t err = pick_contact(conn, self, memory, &to, &rest, out_is_queued);
    return err || !*out_is_queued ? err : queue_to(conn, self, &to, rest, memory);
}

// Every operator who is meant, each by his own channel; there is no chain behind it.
static err_t queue_operators(db *conn, message_draft *draft, uuid seed, arena *memory) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_CONTACTS_OF_OPERATORS,
                         DB_PARAMS(DB_I32(draft->company), DB_I64(draft->property), DB_CSTR(alert_kind_of(draft->kind)->text)), &rows);
    for (size_t i = 0; i < rows.len && !err; i++) {
        contact to = {arena_copy(memory, db_text(&rows, i, 0)), arena_copy(memory, db_text(&rows, i, 1)),
                      arena_copy(memory, db_text(&rows, i, 2))};
        draft->id = id_after(seed, alert_kind_of(draft->kind)->text, (int64_t)i);
        err = queue_to(conn, draft, &to, SV(""), memory);
    }
    return err;
}

// ---- the occasion ----

static err_t open_episode(db *conn, const occasion *self, const surroundings *around, sv parameters, bool *out_is_news, int64_t *out_num) {
    AUTO(db_rows) opened = {0};
    err_t err = db_query(conn, &SQL_EPISODE_OPEN,
                         DB_PARAMS(DB_I32(self->company), DB_UUID(uuid_v7_now()), DB_CSTR(alert_kind_of(self->kind)->text),
                                   DB_I64(self->subject), DB_I64(self->version), DB_TIME(self->at), num_or_null(around->property),
                                   num_or_null(around->account), num_or_null(around->place), DB_TEXT(parameters)),
                         &opened);
    *out_is_news = !err && opened.len == 1;
    *out_num = *out_is_news ? db_i64(&opened, 0, 0) : 0;
    return err;
}

static err_t tell(alerts_app *app, db *conn, const occasion *self, const surroundings *around, sv parameters, const zone *where,
                  int64_t episode, arena *memory, fault *out_fault) {
    const alert_kind_info *kind = alert_kind_of(self->kind);
    rule how;
    err_t err = find_rule(conn, self, around, memory, &how);
    if (err || !how.is_enabled) return err;
    instant_ms now = service_now(app->svc);
    instant_ms earliest = now + kind->wait_s * SECOND_MS;
    if (!kind->is_urgent) earliest = quiet_until(where, how.quiet_from, how.quiet_to, earliest);
    message_draft draft = {.id = id_after(self->event, kind->text, self->subject),
                           .kind = self->kind,
                           .company = self->company,
                           .episode = episode,
                           .property = around->property,
                           .account = around->account,
                           .customer = around->customer,
                           .purse = self->purse,
                           .level = self->level,
                           .chain = how.chain,
                           .parameters = parameters,
                           .queued_at = now,
                           .not_before = earliest,
                           .expires_at = earliest + kind->hours * HOUR_MS,
                           .per_day_max = kind->is_urgent || self->group.len > 0 ? 0 : how.per_day_max};
    bool is_queued = false;
    if (kind->audience == AUDIENCE_OPERATORS) return queue_operators(conn, &draft, self->event, memory);
    return around->customer != 0 ? draft_queue(conn, &draft, memory, &is_queued, out_fault) : ERR_OK;
}

err_t occasion_tell(alerts_app *app, db *conn, const occasion *self, arena *memory, fault *out_fault) {
    surroundings around = {0};
    const zone *where = NULL;
    int64_t episode = 0;
    bool is_news = true;
    err_t err = find_surroundings(conn, self, memory, &around, out_fault);
    if (!err) err = zone_set_find(app->zones, around.zone_name, &where, out_fault);
    if (err) return err;
    sv parameters = parameters_of(self, &around, where, memory);
    if (alert_kind_of(self->kind)->is_standing) err = open_episode(conn, self, &around, parameters, &is_news, &episode);
    if (err || !is_news) return err;
    return tell(app, conn, self, &around, parameters, where, episode, memory, out_fault);
}

err_t occasion_end(db *conn, int32_t company, alert_kind kind, int64_t subject, instant_ms at) {
    return db_exec(conn, &SQL_EPISODE_CLOSE, DB_PARAMS(DB_I32(company), DB_CSTR(alert_kind_of(kind)->text), DB_I64(subject), DB_TIME(at)),
                   NULL);
}

err_t message_announce(db *conn, int32_t company, int64_t num, uuid id, sv kind, sv medium, sv state, int64_t property, int64_t account,
                       instant_ms at, arena *memory) {
    AUTO(buf) text;
    char id_text[UUID_TEXT_LEN + 1];
    uuid_format(id, id_text);
    buf_init(&text, 4096);
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "message", sv_of(id_text));
    if (property != 0)
        json_put_integer(&out, "property", property);
    else
        json_put_null(&out, "property");
    if (account != 0)
        json_put_integer(&out, "account", account);
    else
        json_put_null(&out, "account");
    json_put_text(&out, "kind", kind);
    json_put_text(&out, "channel", medium);
    json_put_text(&out, "state", state);
    json_close_object(&out);
    return db_exec(conn, &SQL_OUTBOX_ADD,
                   DB_PARAMS(DB_UUID(uuid_v7_now()), DB_I32(company), DB_I64(num), DB_I64(at), DB_TEXT(arena_copy(memory, buf_view(&text))),
                             DB_TIME(at)),
                   NULL);
}
