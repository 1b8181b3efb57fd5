// One authenticated request, as its handler sees it. The frame (call.c) found the session, opened the transaction, set
// the company, and checked the route's permission; a handler reads and writes in straight lines and returns an error
// or ERR_OK; the frame commits and answers.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/instant.h"
#include "contracts/problems.h"
#include "db/db.h"
#include "documents/zone_files.h"
#include "httpd/request.h"
#include "httpd/response.h"
#include "json/json_writer.h"

typedef struct api_app api_app;
typedef struct api_session api_session;

typedef struct api_call {
    api_app *app;
    httpd_request *request;
    httpd_response *response;
    db *conn;  // in a transaction as penstock_api, company set
    zone_set *zones;
    arena *memory;
    json_writer out;  // into the response's body; status 200 unless the handler set another
    instant_ms now;
    int32_t company;
    int64_t operator_num;
    // Properties the operator's roles reach; NULL: every property of the company.
    const int64_t *properties;
    size_t property_count;
    const api_session *session;
    // What the handler refuses with when its error alone would say less; see api_call_refuse.
    bool has_problem;
    problem problem;
    int64_t retry_after_s;  // of a problem with status 429
    bool is_answered;       // the handler wrote status and body itself, or opened a stream
    bool rings_relay;       // wrote outbox rows
} api_call;

typedef err_t (*api_handler)(api_call *call, fault *out_fault);

// Refuses with a problem of the table: `return api_call_refuse(…)`.
err_t api_call_refuse(api_call *self, problem with, fault *out_fault, const char *place, const char *reason) MUST_CHECK;
// A path parameter that is a UUID. A malformed one is ERR_NOT_FOUND: nothing has such an id.
err_t api_call_id(const api_call *self, const char *name, uuid *out_id, fault *out_fault) MUST_CHECK;
// ?limit, 1–200, default 50.
err_t api_call_limit(const api_call *self, int64_t *out_limit, fault *out_fault) MUST_CHECK;
// ?cursor behind the mark of its list; false: none was asked for. A cursor of another list or company is ERR_BAD_INPUT.
// What a page ends with is api_call_next_cursor of the same list and owner.
err_t api_call_cursor(const api_call *self, const char *list, int64_t owner, bool *out_is_given, sv *out_rest, fault *out_fault) MUST_CHECK;
sv api_call_next_cursor(const api_call *self, const char *list, int64_t owner, sv rest);
// The nums of `properties` as a parameter; SQL NULL when every property is reached.
db_param api_call_properties(const api_call *self);

err_t get_overview(api_call *call, fault *out_fault) MUST_CHECK;
err_t list_properties(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_board(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_room(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_usage_today(api_call *call, fault *out_fault) MUST_CHECK;
err_t list_charges(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_explanation(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_session(api_call *call, fault *out_fault) MUST_CHECK;
err_t read_now(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_read_request(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_thresholds(api_call *call, fault *out_fault) MUST_CHECK;
err_t set_thresholds(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_events(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_statement(api_call *call, fault *out_fault) MUST_CHECK;
err_t create_sale(api_call *call, fault *out_fault) MUST_CHECK;
err_t create_refund(api_call *call, fault *out_fault) MUST_CHECK;
err_t create_adjustment(api_call *call, fault *out_fault) MUST_CHECK;
err_t create_preset_credit(api_call *call, fault *out_fault) MUST_CHECK;
err_t create_zeroing(api_call *call, fault *out_fault) MUST_CHECK;
err_t list_sales(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_sales_day(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_sale(api_call *call, fault *out_fault) MUST_CHECK;
err_t reverse_sale(api_call *call, fault *out_fault) MUST_CHECK;
err_t decide_sale(api_call *call, fault *out_fault) MUST_CHECK;
err_t print_receipt(api_call *call, fault *out_fault) MUST_CHECK;
err_t create_bulk_sale(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_bulk_sale(api_call *call, fault *out_fault) MUST_CHECK;
err_t confirm_bulk_sale(api_call *call, fault *out_fault) MUST_CHECK;
err_t create_order(api_call *call, fault *out_fault) MUST_CHECK;
err_t list_orders(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_order(api_call *call, fault *out_fault) MUST_CHECK;
err_t close_order(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_supply(api_call *call, fault *out_fault) MUST_CHECK;
err_t request_supply(api_call *call, fault *out_fault) MUST_CHECK;
err_t get_supply_request(api_call *call, fault *out_fault) MUST_CHECK;
