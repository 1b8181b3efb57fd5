// penstockctl balance: what a purse held at a time, as it was known at a time.
#include <stdio.h>

#include "balances/balances.h"
#include "base/arena.h"
#include "base/clock.h"
#include "command.h"
#include "ctl_sql.h"
#include "json/json_writer.h"
#include "money/decimal.h"
#include "tariff_store.h"

#define MEMORY_MAX (4UL << 20)
#define OUT_MAX (1UL << 20)

typedef struct balance_request {
    const char *company, *account, *purse, *as_of_text, *known_at_text;
    bool is_json, has_account_id;
    uuid account_id, purse_id;
    instant_ms as_of, known_at;
} balance_request;

static int balance(balance_request *request);

static bool time_read(const char *option, const char *text, instant_ms now, instant_ms *out_at) {
    *out_at = now;
    if (!text || instant_parse(sv_of(text), out_at)) return true;
    ctl_say("%s: '%s' is no RFC 3339 time with an offset", option, text);
    return false;
}

static bool request_check(balance_request *request) {
    penstock_clock clock = clock_system();
    instant_ms now = clock_now(&clock);
    if (!request->company || !request->account == !request->purse) {
        ctl_say("balance: --company and one of --account and --purse are needed");
        return false;
    }
    request->has_account_id = request->account && uuid_parse(sv_of(request->account), &request->account_id);
    if (request->purse && !uuid_parse(sv_of(request->purse), &request->purse_id)) {
        ctl_say("--purse: '%s' is no id", request->purse);
        return false;
    }
    return time_read("--as-of", request->as_of_text, now, &request->as_of) &&
           time_read("--known-at", request->known_at_text, now, &request->known_at);
}

int ctl_balance(int argc, char **argv) {
    balance_request request = {0};
    const ctl_option options[] = {{"--company", "CODE", "whose account it is", &request.company, NULL},
                                  {"--account", "NUMBER", "all purses of this account, by number or id", &request.account, NULL},
                                  {"--purse", "ID", "or one purse", &request.purse, NULL},
                                  {"--as-of", "T", "what took effect until then (now)", &request.as_of_text, NULL},
                                  {"--known-at", "T", "as far as it was booked until then (now)", &request.known_at_text, NULL},
                                  {"--json", NULL, "as JSON", NULL, &request.is_json},
                                  {0}};
    const ctl_usage usage = {"balance", NULL,
                             "Adds up the movements of purses: those that took effect until one time and were booked until another. A\n"
                             "charge takes effect when its usage ended; late, corrected and recharged usage is booked later than that.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    return request_check(&request) ? balance(&request) : CTL_BAD_INPUT;
}

enum { PURSE_ACCOUNT, PURSE_PROPERTY, PURSE_NUMBER, PURSE_NUM, PURSE_ID, PURSE_PURPOSE, PURSE_CURRENCY };

static int find_purses(db *conn, const balance_request *request, int32_t company, db_rows *out_purses) {
    err_t err = db_query(
        conn, &SQL_BALANCE_PURSES,
        DB_PARAMS(DB_I32(company), request->account ? DB_CSTR(request->account) : DB_NULL,
                  request->has_account_id ? DB_UUID(request->account_id) : DB_NULL, request->purse ? DB_UUID(request->purse_id) : DB_NULL),
        out_purses);
    if (err) return ctl_db_fault(conn, "finding the purses", err);
    if (out_purses->len == 0) {
        ctl_say(request->account ? "--account: there is no account '%s' with a purse" : "--purse: there is no purse '%s'",
                request->account ? request->account : request->purse);
        return CTL_BAD_INPUT;
    }
    for (size_t i = 1; i < out_purses->len; i++)
        if (db_i64(out_purses, i, PURSE_ACCOUNT) != db_i64(out_purses, 0, PURSE_ACCOUNT)) {
            ctl_say("--account: several properties have an account '%s'; give its id", request->account);
            return CTL_BAD_INPUT;
        }
    return CTL_OK;
}

static void print_table(const db_rows *purses, const money_micro *balances) {
    for (size_t i = 0; i < purses->len; i++) {
        char text[DECIMAL_TEXT_MAX];
        decimal_format(balances[i], MONEY_SCALE, 2, text);
        printf("%.*s  %.*s  %-12.*s  %14s %.*s\n", SV_ARG(db_text(purses, i, PURSE_PROPERTY)), SV_ARG(db_text(purses, i, PURSE_NUMBER)),
               SV_ARG(db_text(purses, i, PURSE_PURPOSE)), text, SV_ARG(db_text(purses, i, PURSE_CURRENCY)));
    }
}

static int print_json(const balance_request *request, const db_rows *purses, const money_micro *balances) {
    AUTO(buf) text;
    buf_init(&text, OUT_MAX);
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_instant(&out, "as_of", request->as_of, 0);
    json_put_instant(&out, "known_at", request->known_at, 0);
    json_key(&out, "purses");
    json_open_array(&out);
    for (size_t i = 0; i < purses->len; i++) {
        char amount[DECIMAL_TEXT_MAX], id[UUID_TEXT_LEN + 1];
        decimal_format(balances[i], MONEY_SCALE, 2, amount);
        uuid_format(db_uuid(purses, i, PURSE_ID), id);
        json_open_object(&out);
        json_put_text(&out, "id", sv_of(id));
        json_put_text(&out, "property", db_text(purses, i, PURSE_PROPERTY));
        json_put_text(&out, "account", db_text(purses, i, PURSE_NUMBER));
        json_put_text(&out, "purpose", db_text(purses, i, PURSE_PURPOSE));
        json_put_text(&out, "balance", sv_of(amount));
        json_put_text(&out, "currency", db_text(purses, i, PURSE_CURRENCY));
        json_close_object(&out);
    }
    json_close_array(&out);
    json_close_object(&out);
    buf_add_byte(&text, '\n');
    if (buf_has_failed(&text)) {
        ctl_say("balance: the answer is too long");
        return CTL_NO;
    }
    fwrite(text.ptr, 1, text.len, stdout);
    return CTL_OK;
}

static int balance(balance_request *request) {
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/balance", &conn)) return CTL_NO;
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) purses = {0};
    int32_t company = 0;
    err_t err = db_begin_repeatable(conn, &tx);
    if (err) return ctl_db_fault(conn, "reading the balance", err);
    int end = tariff_company(conn, request->company, false, &company);
    if (end == CTL_OK) end = find_purses(conn, request, company, &purses);
    if (end != CTL_OK) return end;
    int64_t *nums = ARENA_ARRAY(memory, int64_t, purses.len);
    money_micro *balances = ARENA_ARRAY(memory, money_micro, purses.len);
    for (size_t i = 0; i < purses.len; i++) nums[i] = db_i64(&purses, i, PURSE_NUM);
    balance_question asked = {company, nums, purses.len, request->as_of, request->known_at};
    err = balances_at(conn, &asked, balances);
    if (err) return ctl_db_fault(conn, "adding up the movements", err);
    if (request->is_json) return print_json(request, &purses, balances);
    print_table(&purses, balances);
    return CTL_OK;
}
