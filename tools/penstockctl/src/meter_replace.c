// penstockctl meter replace: one meter in the place of another, in one transaction: the old one's closing and the new one's
// opening reading, the credit the old one had left, and what nobody could read.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "explaining/stored.h"
#include "json/json_writer.h"
#include "metering/register.h"
#include "money/decimal.h"
#include "series.h"
#include "setups/setups.h"
#include "tariff_store.h"

#define HISTORY_MS (14 * DAY_MS)
#define CONTENT_MAX 2048
#define DETAIL_BYTES_MAX 4096

typedef struct replace_request {
    const char *company, *usage_point, *at_text, *closing_text, *opening_text, *serial, *address, *model, *credit_text, *ratio_text;
    const char *estimated_text, *requested_by, *approved_by;
    bool is_dead;
    uuid usage_point_id;
    instant_ms at;
    money_micro credit;
} replace_request;

// What stands now; texts live in the arena.
typedef struct old_meter {
    int64_t usage_point, property, installation, channel, meter, gateway, model, entity;
    int64_t ordinal, ratio_num, ratio_den, port, opening;
    instant_ms from;
    sv utility, zone, currency, address;
    bool was_read;
    instant_ms last_at;
    int64_t last_value;
} old_meter;

typedef struct replacing {
    db *conn;
    arena *memory;
    zone_set *zones;
    setups *setups;
    const replace_request *request;
    int32_t company;
    instant_ms now;
    old_meter old;
    const charging_installation *installation;
    const charging_setup *setup;
    uint8_t reg;
    int64_t closing, opening, estimated;
    int64_t ratio_num, ratio_den, model;
    int64_t requester, approver, purse, booked;
    sv content;
    uint8_t digest[CRYPTO_SHA256_LEN];
} replacing;

static int replace(const replace_request *request);

static bool request_read(replace_request *self) {
    if (!self->company || !self->usage_point || !self->at_text || !self->opening_text || !self->serial)
        ctl_say("meter replace: --company, --usage-point, --at, --opening and --serial are needed");
    else if (!uuid_parse(sv_of(self->usage_point), &self->usage_point_id))
        ctl_say("--usage-point: '%s' is no id", self->usage_point);
    else if (!instant_parse(sv_of(self->at_text), &self->at))
        ctl_say("--at: '%s' is no RFC 3339 time with an offset", self->at_text);
    else if (self->is_dead == (self->closing_text != NULL))
        ctl_say("meter replace: either --closing or --dead is needed");
    else if (self->is_dead && (!self->requested_by || !self->approved_by))
        ctl_say("--dead: needs --requested-by and --approved-by");
    else if (self->is_dead && strcmp(self->requested_by, self->approved_by) == 0)
        ctl_say("--approved-by: must be somebody else than who requested it");
    else if (self->estimated_text && !self->is_dead)
        ctl_say("--estimated: only where the display is dead");
    else if (self->credit_text && (decimal_parse(sv_of(self->credit_text), MONEY_SCALE, &self->credit) != DECIMAL_OK || self->credit < 0))
        ctl_say("--credit: '%s' is no amount", self->credit_text);
    else
        return true;
    return false;
}

int ctl_meter_replace(int argc, char **argv) {
    replace_request request = {0};
    const ctl_option options[] = {
        {"--company", "CODE", "whose meter it is", &request.company, NULL},
        {"--usage-point", "ID", "what it measures", &request.usage_point, NULL},
        {"--at", "T", "RFC 3339 time of the replacement", &request.at_text, NULL},
        {"--closing", "V", "what the old total register shows, as displayed", &request.closing_text, NULL},
        {"--dead", NULL, "the old display is dead: last reading, and what is usually used since", NULL, &request.is_dead},
        {"--estimated", "V", "with --dead: used since the last reading, where no history tells", &request.estimated_text, NULL},
        {"--opening", "V", "what the new total register shows", &request.opening_text, NULL},
        {"--serial", "S", "of the new meter", &request.serial, NULL},
        {"--address", "A", "its bus address (the old one's)", &request.address, NULL},
        {"--model", "CODE", "its model (the old one's)", &request.model, NULL},
        {"--ratio", "N/D", "of its transformers (the old one's)", &request.ratio_text, NULL},
        {"--credit", "AMOUNT", "what the old meter had left of its own credit: it goes to the purse", &request.credit_text, NULL},
        {"--requested-by", "LOGIN", "operator who asks for it", &request.requested_by, NULL},
        {"--approved-by", "LOGIN", "another one, a manager, who approves it", &request.approved_by, NULL},
        {0}};
    const ctl_usage usage = {"meter replace", NULL,
                             "Puts a new meter in the place of the one that measures a usage point. What the old one counted up to its\n"
                             "closing reading is charged; the tier position goes on. The same replacement asked for again changes nothing.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    return request_read(&request) ? replace(&request) : CTL_BAD_INPUT;
}

// ---- finding ----

static err_t find_old(replacing *self) {
    AUTO(db_rows) row = {0};
    err_t err =
        db_query_one(self->conn, &SQL_REPLACE_POINT, DB_PARAMS(DB_I32(self->company), DB_UUID(self->request->usage_point_id)), &row);
    if (err) return err;
    old_meter *old = &self->old;
    *old = (old_meter){.usage_point = db_i64(&row, 0, 0),
                       .property = db_i64(&row, 0, 1),
                       .utility = arena_copy(self->memory, db_text(&row, 0, 2)),
                       .zone = arena_copy(self->memory, db_text(&row, 0, 3)),
                       .currency = arena_copy(self->memory, db_text(&row, 0, 4)),
                       .installation = db_i64(&row, 0, 5),
                       .channel = db_i64(&row, 0, 6),
                       .from = db_time(&row, 0, 7),
                       .ordinal = db_i64(&row, 0, 8),
                       .ratio_num = db_i64(&row, 0, 9),
                       .ratio_den = db_i64(&row, 0, 10),
                       .meter = db_i64(&row, 0, 11),
                       .gateway = db_i64(&row, 0, 12),
                       .port = db_i64(&row, 0, 13),
                       .address = arena_copy(self->memory, db_text(&row, 0, 14)),
                       .model = db_i64(&row, 0, 15),
                       .entity = db_i64(&row, 0, 16),
                       .opening = db_i64(&row, 0, 20)};
    old->was_read = !db_is_null(&row, 0, 17) && db_i64(&row, 0, 17) == old->channel;
    old->last_at = old->was_read ? db_time(&row, 0, 18) : old->from;
    old->last_value = old->was_read ? db_i64(&row, 0, 19) : old->opening;
    setups_key key = {self->company, old->usage_point};
    err = setups_load(self->setups, self->conn, &key, 1, self->now);
    self->setup = err ? NULL : setups_find(self->setups, old->usage_point);
    if (self->setup) self->installation = charging_installation_at(self->setup, old->channel, old->from);
    self->model = old->model;
    self->ratio_num = old->ratio_num;
    self->ratio_den = old->ratio_den;
    return err;
}

static uint8_t total_register(sv of) {
    if (sv_equal(of, SV("cold_water")) || sv_equal(of, SV("hot_water"))) return REGISTER_WATER_VOLUME_TOTAL;
    if (sv_equal(of, SV("gas"))) return REGISTER_GAS_VOLUME_TOTAL;
    if (sv_equal(of, SV("heat")) || sv_equal(of, SV("cooling"))) return REGISTER_HEAT_ENERGY_TOTAL;
    return REGISTER_ACTIVE_ENERGY_TOTAL;
}

// A value of the total register as people read it from a display.
static bool value_read(const replacing *self, const char *option, const char *text, int64_t *out_value) {
    fault why = {0};
    if (!register_value_parse(self->reg, sv_of(text), register_describe(self->reg).unit, out_value, &why) && *out_value >= 0) return true;
    ctl_say("%s: '%s' is no value of the total register", option, text);
    return false;
}

static int find_operator(const replacing *self, const char *option, const char *login, bool manages, int64_t *out_num) {
    if (!login) return CTL_OK;
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(self->conn, &SQL_REPLACE_OPERATOR, DB_PARAMS(DB_I32(self->company), DB_CSTR(login)), &row);
    if (err && err != ERR_NOT_FOUND) return ctl_db_fault(self->conn, "finding the operator", err);
    if (err || (manages && !db_bool(&row, 0, 1))) {
        ctl_say("%s: %s '%s'", option, err ? "there is no operator" : "no manager is", login);
        return err ? CTL_BAD_INPUT : CTL_NO;
    }
    *out_num = db_i64(&row, 0, 0);
    return CTL_OK;
}

static int find_new(replacing *self) {
    const replace_request *request = self->request;
    if (request->model) {
        AUTO(db_rows) row = {0};
        err_t err = db_query_one(self->conn, &SQL_REPLACE_MODEL, DB_PARAMS(DB_CSTR(request->model), DB_TEXT(self->old.utility)), &row);
        if (err == ERR_NOT_FOUND) {
            ctl_say("--model: there is no model '%s' for %.*s", request->model, SV_ARG(self->old.utility));
            return CTL_BAD_INPUT;
        }
        if (err) return ctl_db_fault(self->conn, "finding the model", err);
        self->model = db_i64(&row, 0, 0);
    }
    sv rest = request->ratio_text ? sv_of(request->ratio_text) : SV_NONE, num = SV_NONE, den = SV_NONE;
    bool has_both = rest.len && sv_next(&rest, '/', &num) && sv_next(&rest, '/', &den) && rest.len == 0;
    if (request->ratio_text && (!has_both || !sv_to_i64(num, &self->ratio_num) || !sv_to_i64(den, &self->ratio_den) ||
                                self->ratio_num < 1 || self->ratio_den < 1 || self->ratio_num > INT32_MAX || self->ratio_den > INT32_MAX)) {
        ctl_say("--ratio: '%s' is no ratio like 30/1", request->ratio_text);
        return CTL_BAD_INPUT;
    }
    int end = find_operator(self, "--requested-by", request->requested_by, false, &self->requester);
    return end == CTL_OK ? find_operator(self, "--approved-by", request->approved_by, true, &self->approver) : end;
}

// ---- the closing value ----

// What is usually used between the last reading and now, in units of the register.
static err_t estimate(replacing *self, bool *out_known) {
    AUTO(stored_polls) polls = {0};
    fault why = {0};
    err_t err = stored_polls_load(self->conn, self->setup, (stored_range){self->old.last_at - HISTORY_MS, self->old.last_at, INSTANT_MAX},
                                  &polls, &why);
    if (err) return err;
    charging_profile_sums sums = {0};
    for (size_t i = 1; i < polls.list.len; i++) {
        const charging_poll *from = &polls.list.items[i - 1], *to = &polls.list.items[i];
        if (from->channel == self->old.channel && to->channel == self->old.channel)
            charging_profile_add(&sums, self->setup->zone, from->at, to->at, to->value - from->value);
    }
    charging_profile usual = {0};
    charging_profile_take(&usual, &sums);
    *out_known = false;
    for (int i = 0; i < CHARGING_SLOTS; i++) *out_known |= sums.ms[0][i] > 0 || sums.ms[1][i] > 0;
    self->estimated = charging_profile_usual(&usual, self->setup->zone, self->old.last_at, self->request->at);
    return ERR_OK;
}

static int close_dead(replacing *self) {
    if (self->request->estimated_text) {
        if (!value_read(self, "--estimated", self->request->estimated_text, &self->estimated)) return CTL_BAD_INPUT;
    } else {
        bool is_known = false;
        err_t err = estimate(self, &is_known);
        if (err) return ctl_db_fault(self->conn, "reading what it usually uses", err);
        if (!is_known) {
            ctl_say("--dead: nothing is known of what the usage point usually uses; give --estimated");
            return CTL_NO;
        }
    }
    self->closing = self->old.last_value + self->estimated;
    int64_t range = self->installation->limits.range;
    if (range > 0 && self->closing >= range) self->closing -= range;
    return CTL_OK;
}

static int close_old(replacing *self) {
    const old_meter *old = &self->old;
    instant_ms at = self->request->at;
    if (at > self->now) {
        ctl_say("--at: lies in the future");
        return CTL_BAD_INPUT;
    }
    if (at <= old->from || at < old->last_at) {
        ctl_say("--at: the old meter was %s %s", at <= old->from ? "installed" : "read",
                tariff_time(self->memory, self->setup->zone, at <= old->from ? old->from : old->last_at));
        return CTL_NO;
    }
    if (!value_read(self, "--opening", self->request->opening_text, &self->opening)) return CTL_BAD_INPUT;
    if (self->request->is_dead) return close_dead(self);
    if (!value_read(self, "--closing", self->request->closing_text, &self->closing)) return CTL_BAD_INPUT;
    reading_point last = {old->last_at, old->last_value};
    int64_t usage = 0;
    reading_verdict verdict = reading_judge(&self->installation->limits, &last, (reading_point){at, self->closing}, &usage);
    if (verdict == VERDICT_STEP || verdict == VERDICT_ROLLOVER || verdict == VERDICT_DUPLICATE) return CTL_OK;
    char shown[REGISTER_VALUE_TEXT_MAX];
    size_t len = register_value_format(self->reg, old->last_value, shown);
    ctl_say("--closing: %.*s: the last reading was %.*s at %s", SV_ARG(verdict_text(verdict)), (int)len, shown,
            tariff_time(self->memory, self->setup->zone, old->last_at));
    return CTL_NO;
}

// ---- idempotency ----

static void content_make(replacing *self) {
    const replace_request *r = self->request;
    const char *parts[] = {r->closing_text, r->opening_text, r->serial,         r->address,      r->model,
                           r->credit_text,  r->ratio_text,   r->estimated_text, r->requested_by, r->approved_by};
    AUTO(buf) text;
    buf_init(&text, CONTENT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) buf_addf(&text, "%s\n", parts[i] ? parts[i] : "");
    buf_addf(&text, "%d\n", r->is_dead);
    crypto_sha256(buf_view(&text), self->digest);
    self->content = sv_slice(self->digest, sizeof self->digest);
}

// *out_is_done: the replacement was made before, and the exit code tells whether it was this one.
static int find_known(replacing *self, bool *out_is_done) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_REPLACE_KNOWN,
                         DB_PARAMS(DB_I32(self->company), DB_UUID(self->request->usage_point_id), DB_TIME(self->request->at)), &rows);
    if (err) return ctl_db_fault(self->conn, "looking for the replacement", err);
    *out_is_done = rows.len > 0;
    if (rows.len == 0) return CTL_OK;
    if (!sv_equal(db_bytes(&rows, 0, 0), self->content)) {
        ctl_say("--at: another replacement was made at this time");
        return CTL_NO;
    }
    printf("replaced before: nothing changed\n");
    return CTL_OK;
}

// ---- writing ----

static err_t put_meter(const replacing *self, int64_t *out_meter) {
    const old_meter *old = &self->old;
    db_param address = self->request->address ? DB_CSTR(self->request->address) : DB_TEXT(old->address);
    AUTO(db_rows) there = {0}, made = {0};
    err_t err = db_query(self->conn, &SQL_REPLACE_METER_THERE,
                         DB_PARAMS(DB_I32(self->company), DB_I64(old->gateway), DB_I64(old->port), address, DB_CSTR(self->request->serial)),
                         &there);
    if (!err && there.len > 0) {
        *out_meter = db_i64(&there, 0, 0);
        return ERR_OK;
    }
    if (!err)
        err = db_query_one(
            self->conn, &SQL_REPLACE_METER_INSERT,
            DB_PARAMS(DB_I32(self->company), DB_UUID(uuid_v7_now()), DB_I64(old->property), DB_I64(old->gateway), DB_I64(old->port),
                      address, DB_I64(self->model), DB_CSTR(self->request->serial), DB_TIME(self->request->at)),
            &made);
    if (!err) *out_meter = db_i64(&made, 0, 0);
    return err;
}

// The old meter ends, the new one begins. *out_channel is the new one.
static err_t change_meter(const replacing *self, int64_t *out_channel) {
    db *conn = self->conn;
    const old_meter *old = &self->old;
    db_param company = DB_I32(self->company), at = DB_TIME(self->request->at);
    int64_t meter = 0;
    AUTO(db_rows) row = {0};
    err_t err = db_exec(conn, &SQL_REPLACE_END,
                        DB_PARAMS(company, DB_I64(old->installation), at, DB_I64(self->closing), DB_BOOL(self->request->is_dead)), NULL);
    if (!err) err = db_exec(conn, &SQL_REPLACE_RETIRE, DB_PARAMS(company, DB_I64(old->meter), at), NULL);
    if (!err) err = put_meter(self, &meter);
    if (!err)
        err = db_query_one(conn, &SQL_REPLACE_CHANNEL_INSERT,
                           DB_PARAMS(company, DB_UUID(uuid_v7_now()), DB_I64(meter), DB_I64(old->ordinal), DB_I64(self->ratio_num),
                                     DB_I64(self->ratio_den)),
                           &row);
    if (err) return err;
    *out_channel = db_i64(&row, 0, 0);
    return db_exec(conn, &SQL_REPLACE_BEGIN, DB_PARAMS(company, DB_I64(*out_channel), DB_I64(old->usage_point), at, DB_I64(self->opening)),
                   NULL);
}

static err_t put_replacement(const replacing *self, uuid id, int64_t channel, int64_t *out_num) {
    const old_meter *old = &self->old;
    AUTO(db_rows) row = {0};
    err_t err =
        db_query_one(self->conn, &SQL_REPLACE_PUT,
                     DB_PARAMS(DB_I32(self->company), DB_UUID(id), DB_I64(old->usage_point), DB_TIME(self->request->at),
                               DB_I64(old->channel), DB_I64(channel), old->was_read ? DB_TIME(old->last_at) : DB_NULL,
                               DB_I64(old->last_value), DB_I64(self->closing), DB_I64(self->opening), DB_BOOL(self->request->is_dead),
                               DB_I64(self->estimated), DB_I64(self->request->credit), DB_I64(self->booked - self->request->credit),
                               self->purse ? DB_I64(self->purse) : DB_NULL, self->requester ? DB_I64(self->requester) : DB_NULL,
                               self->approver ? DB_I64(self->approver) : DB_NULL, DB_BYTES(self->content), DB_TIME(self->now)),
                     &row);
    if (!err) *out_num = db_i64(&row, 0, 0);
    return err;
}

// Empties the books of the old meter's credit: what its display had left to the purse, any other rest to adjustment.
static err_t move_credit(const replacing *self, uuid id, int64_t replacement) {
    num_series series;
    err_t err = ctl_series_open(self->conn, &series);
    money_micro rest = self->booked - self->request->credit;
    int64_t ids[2], debit[2], credit[2], amounts[2];
    int16_t debit_class[2], credit_class[2];
    size_t count = 0;
    if (self->request->credit > 0) {
        debit_class[count] = ACCOUNT_CLASS_METER_CREDIT;
        debit[count] = self->old.channel;
        credit_class[count] = ACCOUNT_CLASS_PURSE;
        credit[count] = self->purse;
        amounts[count++] = self->request->credit;
    }
    if (rest != 0) {
        debit_class[count] = rest > 0 ? ACCOUNT_CLASS_METER_CREDIT : ACCOUNT_CLASS_ADJUSTMENT;
        debit[count] = rest > 0 ? self->old.channel : self->old.entity;
        credit_class[count] = rest > 0 ? ACCOUNT_CLASS_ADJUSTMENT : ACCOUNT_CLASS_METER_CREDIT;
        credit[count] = rest > 0 ? self->old.entity : self->old.channel;
        amounts[count++] = rest > 0 ? rest : -rest;
    }
    if (err || count == 0) return err;
    for (size_t i = 0; i < count; i++) ids[i] = num_next(&series, self->now);
    char key[UUID_TEXT_LEN + 1];
    uuid_format(id, key);
    AUTO(db_rows) row = {0};
    return db_query_one(
        self->conn, &SQL_REPLACE_POST,
        DB_PARAMS(DB_I32(self->company), DB_CSTR(key), DB_TIME(self->now), DB_I64_ARRAY(ids, count), DB_I16_ARRAY(debit_class, count),
                  DB_I64_ARRAY(debit, count), DB_I16_ARRAY(credit_class, count), DB_I64_ARRAY(credit, count), DB_TEXT(self->old.currency),
                  DB_I64(replacement), DB_TIME(self->request->at), DB_I64_ARRAY(amounts, count)),
        &row);
}

static err_t write_audit(const replacing *self, uuid id) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(id, text);
    AUTO(buf) detail;
    buf_init(&detail, DETAIL_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &detail);
    json_open_object(&out);
    json_put_text(&out, "replacement", sv_of(text));
    json_put_instant(&out, "at", self->request->at, 0);
    json_put_integer(&out, "closing", self->closing);
    json_put_integer(&out, "opening", self->opening);
    json_put_boolean(&out, "dead", self->request->is_dead);
    json_put_integer(&out, "estimated", self->estimated);
    if (self->request->requested_by) json_put_text(&out, "requested_by", sv_of(self->request->requested_by));
    if (self->request->approved_by) json_put_text(&out, "approved_by", sv_of(self->request->approved_by));
    json_close_object(&out);
    if (buf_has_failed(&detail)) return ERR_TOO_LARGE;
    return db_exec(self->conn, &SQL_REPLACE_AUDIT,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_UUID(self->request->usage_point_id), DB_TEXT(buf_view(&detail))),
                   NULL);
}

static err_t find_credit(replacing *self) {
    AUTO(db_rows) booked = {0}, purse = {0};
    err_t err = db_query_one(self->conn, &SQL_REPLACE_BOOKED, DB_PARAMS(DB_I32(self->company), DB_I64(self->old.channel)), &booked);
    if (!err)
        err = db_query(self->conn, &SQL_REPLACE_PURSE,
                       DB_PARAMS(DB_I32(self->company), DB_I64(self->old.usage_point), DB_TIME(self->request->at)), &purse);
    if (err) return err;
    self->booked = db_i64(&booked, 0, 0);
    if (purse.len > 0) self->purse = db_i64(&purse, 0, 0);
    return ERR_OK;
}

static int write(replacing *self) {
    err_t err = find_credit(self);
    if (err) return ctl_db_fault(self->conn, "reading the credit", err);
    if (self->request->credit > 0 && !self->purse) {
        ctl_say("--credit: nobody holds the usage point at that time");
        return CTL_NO;
    }
    if (self->booked != self->request->credit && !self->old.entity) {
        ctl_say("--credit: nobody sells %.*s here: there is no account for the difference", SV_ARG(self->old.utility));
        return CTL_NO;
    }
    uuid id = uuid_v7_now();
    int64_t channel = 0, num = 0;
    err = change_meter(self, &channel);
    if (!err) err = put_replacement(self, id, channel, &num);
    if (!err) err = move_credit(self, id, num);
    if (!err) err = write_audit(self, id);
    return err ? ctl_db_fault(self->conn, "replacing the meter", err) : CTL_OK;
}

static void print_done(const replacing *self) {
    char closing[REGISTER_VALUE_TEXT_MAX], opening[REGISTER_VALUE_TEXT_MAX], estimated[REGISTER_VALUE_TEXT_MAX];
    char credit[DECIMAL_TEXT_MAX], rest[DECIMAL_TEXT_MAX];
    size_t closing_len = register_value_format(self->reg, self->closing, closing);
    size_t opening_len = register_value_format(self->reg, self->opening, opening);
    size_t estimated_len = register_value_format(self->reg, self->estimated, estimated);
    decimal_format(self->request->credit, MONEY_SCALE, 2, credit);
    decimal_format(self->booked - self->request->credit, MONEY_SCALE, 2, rest);
    printf("replaced at %s: closed at %.*s, opened at %.*s\n", tariff_time(self->memory, self->setup->zone, self->request->at),
           (int)closing_len, closing, (int)opening_len, opening);
    if (self->request->is_dead) printf("estimated since the last reading: %.*s\n", (int)estimated_len, estimated);
    if (self->request->credit > 0 || self->booked != 0)
        printf("credit to the purse: %s %.*s; to adjustment: %s\n", credit, SV_ARG(self->old.currency), rest);
}

static int run(replacing *self) {
    bool is_done = false;
    content_make(self);
    int end = find_known(self, &is_done);
    if (end != CTL_OK || is_done) return end;
    err_t err = find_old(self);
    if (err == ERR_NOT_FOUND) {
        ctl_say("--usage-point: there is no usage point '%s' that a meter measures", self->request->usage_point);
        return CTL_BAD_INPUT;
    }
    if (err) return ctl_db_fault(self->conn, "finding the meter", err);
    if (!self->setup || !self->installation) {
        const char *why = setups_fault(self->setups, self->old.usage_point);
        ctl_say("--usage-point: %s", why ? why : "cannot be charged as it is set up");
        return CTL_NO;
    }
    self->reg = total_register(self->old.utility);
    end = find_new(self);
    if (end == CTL_OK) end = close_old(self);
    return end == CTL_OK ? write(self) : end;
}

static int replace(const replace_request *request) {
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_SETUPS all = setups_new(zones);
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/meter", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    penstock_clock clock = clock_system();
    replacing self = {.conn = conn, .memory = memory, .zones = zones, .setups = all, .request = request, .now = clock_now(&clock)};
    err_t err = db_begin(conn, &tx);
    if (err) return ctl_db_fault(conn, "replacing the meter", err);
    int end = tariff_company(conn, request->company, true, &self.company);
    if (end == CTL_OK) end = run(&self);
    if (end != CTL_OK) return end;
    err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "replacing the meter", err);
    if (self.setup) print_done(&self);
    return CTL_OK;
}
