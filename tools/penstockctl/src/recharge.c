// penstockctl recharge: what usage would cost as the tariffs are known now, against what was charged; posted by billing
// once the list that was shown is confirmed.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "command.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "json/json_writer.h"
#include "recharge_compare.h"
#include "tariff_store.h"

#define OUT_MAX (64UL << 20)
#define MEMORY_MAX (64UL << 20)
#define HASH_DIGITS 16
#define EXPECTED_MAX 64
#define REASON_MAX 160

typedef struct recharge_request {
    const char *company, *property, *usage_point, *from, *tariff, *confirm;
    bool is_json;
    instant_ms from_at;
    uuid usage_point_id;
} recharge_request;

typedef struct recharging {
    db *conn;
    arena *memory;
    const recharge_request *request;
    int32_t company;
    instant_ms now;
    db_rows points, accounts;
    int64_t *versions;
    size_t version_count;
    recharge_comparison found;
    uint8_t digest[CRYPTO_SHA256_LEN];
    char hash[HASH_DIGITS + 1];
} recharging;

enum { POINT_ID = 4, POINT_NAME, POINT_PROPERTY, POINT_CURRENCY, POINT_PARTITION };

static int recharge(const recharge_request *request);

static bool request_check(recharge_request *request) {
    if (!request->company || !request->from || !request->property == !request->usage_point)
        ctl_say("recharge: --company, --from and one of --property and --usage-point are needed");
    else if (!instant_parse(sv_of(request->from), &request->from_at))
        ctl_say("--from: '%s' is no RFC 3339 time with an offset", request->from);
    else if (request->usage_point && !uuid_parse(sv_of(request->usage_point), &request->usage_point_id))
        ctl_say("--usage-point: '%s' is no id", request->usage_point);
    else
        return true;
    return false;
}

int ctl_recharge(int argc, char **argv) {
    recharge_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose usage", &request.company, NULL},
                                  {"--property", "CODE", "all usage points of this property", &request.property, NULL},
                                  {"--usage-point", "ID", "or one usage point", &request.usage_point, NULL},
                                  {"--from", "T", "RFC 3339 time from which on usage is rated again", &request.from, NULL},
                                  {"--tariff", "CODE", "only points that this tariff prices or priced", &request.tariff, NULL},
                                  {"--confirm", "HASH", "post the differences of the list with this hash", &request.confirm, NULL},
                                  {"--json", NULL, "as JSON", NULL, &request.is_json},
                                  {0}};
    const ctl_usage usage = {"recharge", NULL,
                             "Rates stored usage again under the versions and assignments known now, and shows for each usage point and\n"
                             "account what was charged, what it would be and the difference. With --confirm and the hash of the list,\n"
                             "billing posts exactly those differences; when any of them is another by then, nothing is posted.\n"
                             "Exit 1: the list is no longer the one with that hash, or points are not settled.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    return request_check(&request) ? recharge(&request) : CTL_BAD_INPUT;
}

// ---- what is compared ----

static int find_points(recharging *self) {
    const recharge_request *request = self->request;
    AUTO(db_rows) property = {0};
    err_t err = request->property ? db_query_one(self->conn, &SQL_RECHARGE_PROPERTY,
                                                 DB_PARAMS(DB_I32(self->company), DB_CSTR(request->property)), &property)
                                  : ERR_OK;
    if (err == ERR_NOT_FOUND) {
        ctl_say("--property: there is no property '%s'", request->property);
        return CTL_BAD_INPUT;
    }
    db_param which = request->property && !err ? DB_I64(db_i64(&property, 0, 0)) : DB_NULL;
    db_param one = request->usage_point ? DB_UUID(request->usage_point_id) : DB_NULL;
    if (!err) err = db_query(self->conn, &SQL_RECHARGE_POINTS, DB_PARAMS(DB_I32(self->company), which, one), &self->points);
    if (err) return ctl_db_fault(self->conn, "finding usage points", err);
    if (request->usage_point && self->points.len == 0) {
        ctl_say("--usage-point: there is no usage point '%s' that was charged", request->usage_point);
        return CTL_BAD_INPUT;
    }
    for (size_t i = 0; i < self->points.len; i++)
        vec_push(&self->found.points, ((recharge_point){.company = self->company,
                                                        .num = db_i64(&self->points, i, 1),
                                                        .last_at = db_time(&self->points, i, 2),
                                                        .is_waiting = db_bool(&self->points, i, 3)}));
    return CTL_OK;
}

static int find_versions(recharging *self) {
    if (!self->request->tariff) return CTL_OK;
    AUTO(db_rows) rows = {0};
    err_t err =
        db_query(self->conn, &SQL_RECHARGE_TARIFF_VERSIONS, DB_PARAMS(DB_I32(self->company), DB_CSTR(self->request->tariff)), &rows);
    if (err) return ctl_db_fault(self->conn, "finding the tariff", err);
    if (rows.len == 0) {
        ctl_say("--tariff: there is no tariff '%s'", self->request->tariff);
        return CTL_BAD_INPUT;
    }
    self->versions = ARENA_ARRAY(self->memory, int64_t, rows.len);
    for (size_t i = 0; i < rows.len; i++) self->versions[self->version_count++] = db_i64(&rows, i, 0);
    return CTL_OK;
}

static err_t find_accounts(recharging *self) {
    size_t count = self->found.lines.len;
    int64_t *nums = ARENA_ARRAY(self->memory, int64_t, count + 1);
    for (size_t i = 0; i < count; i++) nums[i] = self->found.lines.items[i].account;
    return db_query(self->conn, &SQL_RECHARGE_ACCOUNTS, DB_PARAMS(DB_I32(self->company), DB_I64_ARRAY(nums, count)), &self->accounts);
}

static sv account_number(const recharging *self, int64_t account) {
    for (size_t i = 0; i < self->accounts.len; i++)
        if (db_i64(&self->accounts, i, 0) == account) return db_text(&self->accounts, i, 1);
    return SV_NONE;
}

static money_micro difference_of(const recharge_line *line) { return line->rated - line->charged; }

// The hash is of the request and of what would be posted. A reading that comes meanwhile raises both amounts of a line;
// as long as their difference stays, so does the hash.
static void make_hash(recharging *self) {
    const recharge_request *request = self->request;
    AUTO(buf) text;
    buf_init(&text, OUT_MAX);
    buf_addf(&text, "%d %s %s %s %lld\n", self->company, request->property ? request->property : "",
             request->usage_point ? request->usage_point : "", request->tariff ? request->tariff : "", (long long)request->from_at);
    for (size_t i = 0; i < self->found.points.len; i++)
        if (self->found.points.items[i].change != INSTANT_MAX)
            buf_addf(&text, "%lld %lld\n", (long long)self->found.points.items[i].num, (long long)self->found.points.items[i].change);
    for (size_t i = 0; i < self->found.lines.len; i++) {
        const recharge_line *line = &self->found.lines.items[i];
        buf_addf(&text, "%lld %lld %lld %lld\n", (long long)self->found.points.items[line->point].num, (long long)line->account,
                 (long long)difference_of(line), (long long)line->closes);
    }
    crypto_sha256(buf_view(&text), self->digest);
    for (size_t i = 0; i < HASH_DIGITS / 2; i++) snprintf(self->hash + 2 * i, 3, "%02x", self->digest[i]);
}

// ---- telling ----

typedef struct amounts {
    char charged[DECIMAL_TEXT_MAX], rated[DECIMAL_TEXT_MAX], difference[DECIMAL_TEXT_MAX], closes[DECIMAL_TEXT_MAX];
} amounts;

static amounts amounts_of(money_micro charged, money_micro rated, money_micro closes) {
    amounts made;
    decimal_format(charged, MONEY_SCALE, 2, made.charged);
    decimal_format(rated, MONEY_SCALE, 2, made.rated);
    decimal_format(rated - charged, MONEY_SCALE, 2, made.difference);
    decimal_format(closes, MONEY_SCALE, 2, made.closes);
    return made;
}

static void print_table(const recharging *self) {
    money_micro charged = 0, rated = 0, closes = 0;
    printf("%-36s  %-12s %14s %14s %14s %14s\n", "usage point", "account", "charged", "would be", "difference", "closing lines");
    for (size_t i = 0; i < self->found.lines.len; i++) {
        const recharge_line *line = &self->found.lines.items[i];
        char id[UUID_TEXT_LEN + 1];
        uuid_format(db_uuid(&self->points, line->point, POINT_ID), id);
        amounts text = amounts_of(line->charged, line->rated, line->closes);
        printf("%-36s  %-12.*s %14s %14s %14s %14s\n", id, SV_ARG(account_number(self, line->account)), text.charged, text.rated,
               text.difference, text.closes);
        charged += line->charged;
        rated += line->rated;
        closes += line->closes;
    }
    amounts sum = amounts_of(charged, rated, closes);
    printf("%-36s  %-12s %14s %14s %14s %14s\n", "sum", "", sum.charged, sum.rated, sum.difference, sum.closes);
    printf("hash %s\n", self->hash);
}

static void put_line(const recharging *self, const recharge_line *line, json_writer *out) {
    char id[UUID_TEXT_LEN + 1];
    uuid_format(db_uuid(&self->points, line->point, POINT_ID), id);
    amounts text = amounts_of(line->charged, line->rated, line->closes);
    json_open_object(out);
    json_put_text(out, "usage_point", sv_of(id));
    json_put_text(out, "name", db_text(&self->points, line->point, POINT_NAME));
    json_put_text(out, "property", db_text(&self->points, line->point, POINT_PROPERTY));
    json_put_text(out, "account", account_number(self, line->account));
    json_put_text(out, "currency", db_text(&self->points, line->point, POINT_CURRENCY));
    json_put_instant(out, "from", self->found.points.items[line->point].change, 0);
    json_put_text(out, "charged", sv_of(text.charged));
    json_put_text(out, "would_be", sv_of(text.rated));
    json_put_text(out, "difference", sv_of(text.difference));
    json_put_text(out, "closing_difference", sv_of(text.closes));
    json_close_object(out);
}

static int print_json(const recharging *self, const char *run) {
    AUTO(buf) text;
    buf_init(&text, OUT_MAX);
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "hash", sv_of(self->hash));
    json_put_instant(&out, "known_at", self->now, 0);
    if (run)
        json_put_text(&out, "run", sv_of(run));
    else
        json_put_null(&out, "run");
    json_key(&out, "lines");
    json_open_array(&out);
    for (size_t i = 0; i < self->found.lines.len; i++) put_line(self, &self->found.lines.items[i], &out);
    json_close_array(&out);
    json_close_object(&out);
    buf_add_byte(&text, '\n');
    if (buf_has_failed(&text)) {
        ctl_say("recharge: the answer is too long");
        return CTL_NO;
    }
    fwrite(text.ptr, 1, text.len, stdout);
    return CTL_OK;
}

// ---- asking billing ----

static err_t put_item(recharging *self, int64_t run, size_t at) {
    const recharge_point *point = &self->found.points.items[at];
    int64_t accounts[EXPECTED_MAX], differences[EXPECTED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->found.lines.len; i++) {
        const recharge_line *line = &self->found.lines.items[i];
        if (line->point != at) continue;
        if (count == EXPECTED_MAX) return ERR_TOO_LARGE;
        accounts[count] = line->account;
        differences[count++] = difference_of(line);
    }
    return db_exec(self->conn, &SQL_RECHARGE_ITEM_PUT,
                   DB_PARAMS(DB_I32(self->company), DB_I64(run), DB_I64(point->num), DB_I64(db_i64(&self->points, at, POINT_PARTITION)),
                             DB_I64_ARRAY(accounts, count), DB_I64_ARRAY(differences, count), DB_TIME(self->now)),
                   NULL);
}

static err_t write_audit(const recharging *self, uuid id) {
    AUTO(buf) detail;
    buf_init(&detail, 4096);
    json_writer out;
    json_writer_init(&out, &detail);
    json_open_object(&out);
    json_put_text(&out, self->request->property ? "property" : "usage_point",
                  sv_of(self->request->property ? self->request->property : self->request->usage_point));
    json_put_instant(&out, "from", self->request->from_at, 0);
    json_put_text(&out, "hash", sv_of(self->hash));
    json_close_object(&out);
    if (buf_has_failed(&detail)) return ERR_TOO_LARGE;
    return db_exec(self->conn, &SQL_RECHARGE_AUDIT,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_UUID(id), DB_TEXT(buf_view(&detail))), NULL);
}

static err_t put_run(recharging *self, uuid id) {
    const recharge_request *request = self->request;
    char reason[REASON_MAX];
    snprintf(reason, sizeof reason, "%s %.100s", request->property ? "property" : "usage point",
             request->property ? request->property : request->usage_point);
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) row = {0};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_set_company(self->conn, self->company);
    if (!err)
        err = db_query_one(self->conn, &SQL_RECHARGE_RUN_PUT,
                           DB_PARAMS(DB_I32(self->company), DB_UUID(id), DB_TIME(request->from_at), DB_CSTR(reason),
                                     DB_BYTES(sv_slice(self->digest, sizeof self->digest)), DB_TIME(self->now)),
                           &row);
    for (size_t i = 0; i < self->found.points.len && !err; i++)
        if (self->found.points.items[i].change != INSTANT_MAX) err = put_item(self, db_i64(&row, 0, 0), i);
    if (!err) err = write_audit(self, id);
    return err ? err : db_commit(&tx);
}

static int confirm(recharging *self) {
    const char *wanted = self->request->confirm;
    size_t changed = 0, waiting = 0;
    for (size_t i = 0; i < self->found.points.len; i++) {
        changed += self->found.points.items[i].change != INSTANT_MAX;
        waiting += self->found.points.items[i].change != INSTANT_MAX && self->found.points.items[i].is_waiting;
    }
    if (strcmp(wanted, self->hash) != 0) {
        ctl_say("--confirm: the list has changed, its hash is %s now", self->hash);
        return CTL_NO;
    }
    if (waiting) {
        ctl_say("--confirm: %zu usage points stand still or wait for a replay or another recharge; try again when they are settled",
                waiting);
        return CTL_NO;
    }
    if (changed == 0) {
        ctl_say("--confirm: there is nothing to recharge");
        return CTL_NO;
    }
    uuid id = uuid_v7_now();
    err_t err = put_run(self, id);
    if (err) return ctl_db_fault(self->conn, "asking for the recharge", err);
    char text[UUID_TEXT_LEN + 1];
    uuid_format(id, text);
    if (self->request->is_json) return print_json(self, text);
    printf("recharge %s: %zu usage points\n", text, changed);
    return CTL_OK;
}

static int compare(recharging *self) {
    AUTO(db_tx) tx = {0};
    err_t err = db_begin_repeatable(self->conn, &tx);
    if (err) return ctl_db_fault(self->conn, "reading usage", err);
    int end = tariff_company(self->conn, self->request->company, false, &self->company);
    if (end == CTL_OK) end = find_versions(self);
    if (end == CTL_OK) end = find_points(self);
    if (end != CTL_OK) return end;
    recharge_question asked = {self->request->from_at, INSTANT_MAX, self->versions, self->version_count};
    fault why = {0};
    err = recharge_compare(&self->found, self->conn, &asked, &why);
    if (err && why.err) return ctl_fault("recharge", &why);
    if (!err) err = find_accounts(self);
    if (err) return ctl_db_fault(self->conn, "rating usage again", err);
    make_hash(self);
    return CTL_OK;
}

static int recharge(const recharge_request *request) {
    db_options how;
    if (!ctl_db_options("penstockctl/recharge", &how)) return CTL_BAD_INPUT;
    how.statement_timeout_ms = 0;
    how.idle_in_transaction_timeout_ms = 0;
    AUTO_DB conn = NULL;
    if (!ctl_db_open_with(&how, &conn)) return CTL_NO;
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    penstock_clock clock = clock_system();
    recharging self = {.conn = conn, .memory = memory, .request = request, .now = clock_now(&clock)};
    int end = compare(&self);
    if (end == CTL_OK && request->confirm)
        end = confirm(&self);
    else if (end == CTL_OK && request->is_json)
        end = print_json(&self, NULL);
    else if (end == CTL_OK)
        print_table(&self);
    db_rows_done(&self.points);
    db_rows_done(&self.accounts);
    recharge_comparison_auto(&self.found);
    return end;
}
