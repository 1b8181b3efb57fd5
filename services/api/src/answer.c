#include "answer.h"

#include "base/id.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/mem.h"

// Tells the caller how to name this answer when asking about it; a fault of ours is logged under the same name.
static void add_instance(buf *members, char out_id[UUID_TEXT_LEN + 1]) {
    uuid_format(uuid_v7_now(), out_id);
    buf_addf(members, "\"instance\":\"urn:uuid:%s\"", out_id);
}

void answer_problem(httpd_response *response, problem what, const fault *why) {
    AUTO(buf) members;
    buf_init(&members, 2048);
    char id[UUID_TEXT_LEN + 1];
    int status = problem_http_status(what);
    add_instance(&members, id);
    bool has_pointer = why != NULL && why->place[0] == '/';
    if (has_pointer) {
        buf_add(&members, SV(",\"errors\":[{\"pointer\":"));
        json_text_add(&members, sv_of(why->place));
        buf_add(&members, SV(",\"code\":\"invalid\",\"title\":"));
        json_text_add(&members, sv_of(why->reason));
        buf_add(&members, SV("}]"));
    }
    if (status >= 500)
        LOG_WARN("answered with a problem", LOG_S("problem", problem_type(what)), LOG_S("instance", id),
                 LOG_S("place", why ? why->place : ""), LOG_S("reason", why ? why->reason : ""));
    // What went wrong inside is for the log, not for the caller.
    sv detail = why != NULL && status < 500 ? sv_of(why->reason) : SV_NONE;
    httpd_response_problem(response, &(httpd_problem){.status = status,
                                                      .type = sv_of(problem_type(what)),
                                                      .title = sv_of(problem_title(what)),
                                                      .detail = detail,
                                                      .members = buf_view(&members)});
    if (status >= 503) httpd_response_retry_after(response, 1);
}

problem problem_of(err_t err) {
    switch (err) {
        case ERR_BAD_INPUT:
        case ERR_OVERFLOW: return PROBLEM_BAD_INPUT;
        case ERR_MALFORMED: return PROBLEM_MALFORMED;
        case ERR_UNAUTHENTIC: return PROBLEM_UNAUTHENTIC;
        case ERR_FORBIDDEN: return PROBLEM_FORBIDDEN;
        case ERR_NOT_FOUND: return PROBLEM_NOT_FOUND;
        case ERR_CONFLICT: return PROBLEM_CONFLICT;
        case ERR_TOO_LARGE: return PROBLEM_TOO_LARGE;
        case ERR_STALE: return PROBLEM_STALE;
        case ERR_BUSY:
        case ERR_SERIALIZATION: return PROBLEM_BUSY;
        case ERR_UNAVAILABLE:
        case ERR_TIMEOUT: return PROBLEM_UNAVAILABLE;
        case ERR_UNCERTAIN: return PROBLEM_UNCERTAIN;
        case ERR_OK:
        case ERR_INTERNAL:
        case ERR_COUNT: break;
    }
    return PROBLEM_INTERNAL;
}
