// The statement of a purse: every movement, newest first, with the balance after it. A page is a stretch of days; its
// balances are counted back from the present one, so they add up exactly.
#include "api_sql.h"
#include "call.h"
#include "json/json.h"
#include "ledger/ledger.h"
#include "session.h"
#include "write.h"

#define PAGE_DAYS 31

typedef struct statement {
    int64_t purse;
    sv currency, zone_name, purpose;
    const zone *where;
    instant_ms opened_at, from, to;
    money_micro balance;  // at `to`
} statement;

static err_t find(api_call *call, statement *out, fault *out_fault) {
    uuid account;
    AUTO(db_rows) row = {0};
    *out = (statement){.purpose = SV("electricity"), .to = call->now + 1};
    (void)httpd_request_query(call->request, "purpose", &out->purpose);
    err_t err = api_call_id(call, "id", &account, out_fault);
    if (!err)
        err = db_query_one(call->conn, &SQL_STATEMENT_PURSE, DB_PARAMS(DB_UUID(account), DB_TEXT(out->purpose), api_call_properties(call)),
                           &row);
    if (!err) err = zone_set_find(call->zones, db_text(&row, 0, 2), &out->where, out_fault);
    if (err) return err;
    out->purse = db_i64(&row, 0, 0);
    out->currency = arena_copy(call->memory, db_text(&row, 0, 1));
    out->zone_name = arena_copy(call->memory, db_text(&row, 0, 2));
    out->balance = db_i64(&row, 0, 3);
    out->opened_at = db_time(&row, 0, 4);
    return ERR_OK;
}

// "<ms until> <balance then>": where the page before ended.
static err_t read_cursor(api_call *call, statement *self, fault *out_fault) {
    sv rest = SV_NONE;
    sv until = SV_NONE;
    bool is_given = false;
    err_t err = api_call_cursor(call, "statement", self->purse, &is_given, &rest, out_fault);
    if (err || !is_given) return err;
    bool is_ours = sv_next(&rest, ' ', &until) && sv_to_i64(until, &self->to) && sv_to_i64(rest, &self->balance) && self->to > 0;
    return is_ours ? ERR_OK : fault_set(out_fault, ERR_BAD_INPUT, "cursor", "is none of ours");
}

static void write_row(api_call *call, const statement *self, const db_rows *rows, size_t i, money_micro after) {
    json_writer *out = &call->out;
    bool is_usage = sv_equal(db_text(rows, i, 0), SV("usage"));
    json_open_object(out);
    json_put_text(out, "kind", is_usage ? SV("usage") : sv_of(transfer_kind_name((int32_t)db_i64(rows, i, 1))));
    put_local_instant(out, "booked_at", self->where, db_time(rows, i, 2));
    put_local_instant(out, "effective_at", self->where, db_time(rows, i, 3));
    put_money(out, "amount", db_i64(rows, i, 4));
    put_money(out, "balance", after);
    if (is_usage)
        put_decimal_milli(out, "quantity", db_i64(rows, i, 5));
    else
        json_put_null(out, "quantity");
    json_put_text(out, "note", db_text(rows, i, 6));
    if (db_is_null(rows, i, 8))
        json_put_null(out, "sale");
    else
        put_uuid(out, "sale", rows, i, 8);
    json_close_object(out);
}

static err_t write(api_call *call, const statement *self, const db_rows *rows) {
    json_writer *out = &call->out;
    money_micro after = self->balance;
    json_open_object(out);
    json_put_text(out, "purpose", self->purpose);
    json_put_text(out, "currency", self->currency);
    put_money(out, "balance", self->balance);
    json_key(out, "items");
    json_open_array(out);
    for (size_t i = rows->len; i-- > 0;) {
        write_row(call, self, rows, i, after);
        after -= db_i64(rows, i, 4);
    }
    json_close_array(out);
    if (self->from > self->opened_at) {
        sv rest = sv_of(arena_printf(call->memory, "%lld %lld", (long long)self->from, (long long)after));
        json_put_text(out, "next_cursor", api_call_next_cursor(call, "statement", self->purse, rest));
    } else {
        json_put_null(out, "next_cursor");
    }
    json_close_object(out);
    return ERR_OK;
}

err_t get_statement(api_call *call, fault *out_fault) {
    statement self;
    err_t err = find(call, &self, out_fault);
    if (!err) err = read_cursor(call, &self, out_fault);
    if (err) return err;
    self.from = zone_day_start(self.where, zone_local_day(self.where, self.to) - PAGE_DAYS);
    AUTO(db_rows) rows = {0};
    err = db_query(call->conn, &SQL_STATEMENT_ROWS,
                   DB_PARAMS(DB_I64(self.purse), DB_TIME(self.from), DB_TIME(self.to), DB_TEXT(self.zone_name)), &rows);
    return err ? err : write(call, &self, &rows);
}
