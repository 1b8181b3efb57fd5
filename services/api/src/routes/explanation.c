// Why a charge is what it is, in the caller's language.
#include "explaining/explaining.h"

#include "api_sql.h"
#include "call.h"

#define BOOKED_SLACK_MS DAY_MS  // the booked day of a charge lies this near to the time in its num

// The first language of the list that we speak; qualities are taken as the order they are written in.
static text_locale language_of(const api_call *call) {
    sv rest = httpd_request_header(call->request, "accept-language");
    sv item;
    text_locale found = LOCALE_EN;
    while (sv_next(&rest, ',', &item)) {
        sv parameters = sv_trim(item);
        sv tag;
        if (sv_next(&parameters, ';', &tag) && locale_parse(sv_trim(tag), &found)) return found;
    }
    return LOCALE_EN;
}

err_t get_explanation(api_call *call, fault *out_fault) {
    sv text = httpd_request_param(call->request, "id");
    int64_t charge = 0;
    if (!sv_to_i64(text, &charge) || charge <= 0) return fault_set(out_fault, ERR_NOT_FOUND, "", "there is no such charge");
    instant_ms made = num_instant(charge);
    if (made > call->now + BOOKED_SLACK_MS) return fault_set(out_fault, ERR_NOT_FOUND, "", "there is no such charge");
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(call->conn, &SQL_CHARGE_SCOPE,
                             DB_PARAMS(DB_I64(charge), DB_TIME(made - BOOKED_SLACK_MS), DB_TIME(made + BOOKED_SLACK_MS), DB_TIME(call->now),
                                       api_call_properties(call)),
                             &row);
    if (err) return err;
    explanation *why = NULL;
    err = explain_charge(call->conn, call->zones, &(explain_request){.charge = charge, .usage_point = db_i64(&row, 0, 0)}, call->memory,
                         &why, out_fault);
    if (err == ERR_STALE)
        return api_call_refuse(call, PROBLEM_CONFLICT, out_fault, "", "the stored readings do not give this charge any more");
    if (err) return err;
    explanation_write_json(why, language_of(call), text, &call->out);
    return ERR_OK;
}
