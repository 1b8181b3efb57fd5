// Building answers. Field values end up on the wire, so control bytes are made harmless here.
#include <string.h>

#include "base/check.h"
#include "base/json_text.h"
#include "exchange.h"
#include "stream.h"

static void drop_answer(httpd_response *self);

void httpd_response_status(httpd_response *self, int status) {
    CHECK(status >= 200 && status <= 599);
    self->status = status;
}

int httpd_response_status_of(const httpd_response *self) { return self->status; }

static bool is_servers_own(sv name) {
    return sv_equal_nocase(name, SV("content-length")) || sv_equal_nocase(name, SV("connection")) || sv_equal_nocase(name, SV("date")) ||
           sv_equal_nocase(name, SV("transfer-encoding"));
}

void httpd_response_header(httpd_response *self, const char *name, sv value) {
    CHECK(!is_servers_own(sv_of(name)));
    char *text = arena_cstr(self->memory, value);
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) text[i] = ' ';
    if (sv_equal_nocase(sv_of(name), SV("content-type"))) self->has_content_type = true;
    head_field field = {sv_slice(arena_cstr(self->memory, sv_of(name)), strlen(name)), {text, value.len}};
    vec_push(&self->fields, field);
}

void httpd_response_content_type(httpd_response *self, const char *type) { httpd_response_header(self, "Content-Type", sv_of(type)); }

buf *httpd_response_body(httpd_response *self) { return &self->body; }

void httpd_response_json(httpd_response *self, int status) {
    httpd_response_status(self, status);
    httpd_response_content_type(self, "application/json");
}

// What the handler had begun to say no longer holds; cookies it set do.
static void drop_answer(httpd_response *self) {
    size_t kept = 0;
    for (size_t i = 0; i < self->fields.len; i++)
        if (sv_equal_nocase(self->fields.items[i].name, SV("set-cookie"))) self->fields.items[kept++] = self->fields.items[i];
    self->fields.len = kept;
    buf_clear(&self->body);
}

void httpd_response_reset(httpd_response *self) {
    CHECK(self->stream == NULL);
    drop_answer(self);
    self->status = 0;
}

void httpd_response_problem(httpd_response *self, const httpd_problem *problem) {
    drop_answer(self);
    httpd_response_status(self, problem->status);
    httpd_response_content_type(self, "application/problem+json");
    httpd_response_header(self, "Cache-Control", SV("no-store"));
    buf *out = &self->body;
    buf_add(out, SV("{\"type\":\"urn:penstock:problem:"));
    buf_add(out, problem->type);
    buf_add(out, SV("\",\"title\":"));
    json_text_add(out, problem->title);
    buf_addf(out, ",\"status\":%d", problem->status);
    if (problem->detail.len > 0) {
        buf_add(out, SV(",\"detail\":"));
        json_text_add(out, problem->detail);
    }
    if (problem->members.len > 0) {
        buf_add_byte(out, ',');
        buf_add(out, problem->members);
    }
    buf_add_byte(out, '}');
}

void httpd_response_error(httpd_response *self, err_t err, const fault *why) {
    char type[40];
    sv_copy_truncated(sv_of(err_name(err)), type, sizeof type);
    for (char *at = type; *at != '\0'; at++) *at = *at == '_' ? '-' : *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    AUTO(buf) members;
    buf_init(&members, 1024);
    if (why != NULL && why->place[0] != '\0') {
        buf_add(&members, SV("\"pointer\":"));
        json_text_add(&members, sv_of(why->place));
    }
    httpd_response_problem(self, &(httpd_problem){.status = err_http_status(err),
                                                  .type = sv_of(type),
                                                  .title = sv_of(err_text(err)),
                                                  .detail = why != NULL ? sv_of(why->reason) : SV_NONE,
                                                  .members = buf_view(&members)});
    if (err_http_status(err) >= 503) httpd_response_retry_after(self, 1);
}

void httpd_response_retry_after(httpd_response *self, int64_t seconds) {
    httpd_response_header(self, "Retry-After", sv_of(arena_printf(self->memory, "%lld", (long long)(seconds < 1 ? 1 : seconds))));
}

void response_refuse(httpd_response *self, refusal why) {
    int status = refusal_status(why);
    httpd_response_problem(self, &(httpd_problem){.status = status,
                                                  .type = sv_of(refusal_type(why)),
                                                  .title = sv_of(status_phrase(status)),
                                                  .detail = sv_of(refusal_detail(why))});
    if (status == 503 || status == 429) httpd_response_retry_after(self, 1);
}

httpd_stream *httpd_response_stream(httpd_response *self, const httpd_stream_options *options) {
    CHECK(self->stream == NULL);
    if (self->status == 0) self->status = 200;
    if (options->content_type != NULL) httpd_response_content_type(self, options->content_type);
    httpd_response_header(self, "Cache-Control", SV("no-store"));
    httpd_response_header(self, "X-Accel-Buffering", SV("no"));
    self->stream = stream_new(options);
    return self->stream;
}

const char *status_phrase(int status) {
    static const struct {
        int status;
        const char *phrase;
    } PHRASES[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(PHRASES); i++)
        if (PHRASES[i].status == status) return PHRASES[i].phrase;
    return "Unknown";
}
