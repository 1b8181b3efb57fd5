// Life of an exchange and the request's accessors.
#include "exchange.h"

#include "base/check.h"
#include "stream.h"
#include "uri.h"

exchange *exchange_new(arena *take_memory, buf *take_body, const request_head *head, size_t response_max) {
    exchange *self = mem_new(1, sizeof *self);
    self->memory = take_memory;
    self->body = *take_body;
    *take_body = (buf){0};
    self->request.head = *head;
    self->request.body = buf_view(&self->body);
    self->request.memory = take_memory;
    self->response.memory = take_memory;
    buf_init(&self->response.body, response_max);
    return self;
}

void exchange_free(exchange *self) {
    if (self == NULL) return;
    vec_done(&self->response.fields);
    buf_done(&self->response.body);
    buf_done(&self->body);
    arena_free(self->memory);
    mem_free(self);
}

httpd_method httpd_request_method(const httpd_request *self) { return self->head.method; }

sv httpd_request_method_name(const httpd_request *self) { return self->head.method_name; }

sv httpd_request_path(const httpd_request *self) { return self->head.path; }

sv httpd_request_route(const httpd_request *self) { return self->route_template; }

sv httpd_request_param(const httpd_request *self, const char *name) {
    for (size_t i = 0; i < self->param_count; i++)
        if (sv_equal(self->param_names[i], sv_of(name))) return self->param_values[i];
    return SV_NONE;
}

bool httpd_request_query(const httpd_request *self, const char *name, sv *out_value) {
    return uri_query_find(self->head.query, sv_of(name), self->memory, out_value);
}

sv httpd_request_query_text(const httpd_request *self) { return self->head.query; }

sv httpd_request_header(const httpd_request *self, const char *name) { return head_field_of(&self->head, sv_of(name)); }

size_t httpd_request_header_count(const httpd_request *self, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < self->head.field_count; i++) count += sv_equal_nocase(self->head.fields[i].name, sv_of(name));
    return count;
}

bool httpd_request_cookie(const httpd_request *self, const char *name, sv *out_value) {
    for (size_t i = 0; i < self->head.field_count; i++)
        if (sv_equal_nocase(self->head.fields[i].name, SV("cookie")) && uri_cookie_find(self->head.fields[i].value, sv_of(name), out_value))
            return true;
    return false;
}

sv httpd_request_body(const httpd_request *self) { return self->body; }

sv httpd_request_remote(const httpd_request *self) { return self->remote; }

int64_t httpd_request_received_ms(const httpd_request *self) { return self->received_ms; }

arena *httpd_request_arena(httpd_request *self) { return self->memory; }
