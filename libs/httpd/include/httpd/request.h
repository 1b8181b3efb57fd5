// A complete, checked request as a handler sees it. Everything it returns is borrowed and lives until the handler
// returns; a name is looked up without regard to case where HTTP says so.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sv.h"

typedef enum httpd_method { HTTPD_GET, HTTPD_HEAD, HTTPD_POST, HTTPD_PUT, HTTPD_PATCH, HTTPD_DELETE, HTTPD_METHOD_COUNT } httpd_method;

typedef struct httpd_request httpd_request;

httpd_method httpd_request_method(const httpd_request *self);
sv httpd_request_method_name(const httpd_request *self);
// The target before '?', as sent (still percent-encoded), always beginning with '/'.
sv httpd_request_path(const httpd_request *self);
// The template of the matched route, "" when none matched; a bounded label for metrics.
sv httpd_request_route(const httpd_request *self);

// A path parameter `{name}`, percent-decoded, UTF-8 checked; SV_NONE when the template has no such name.
sv httpd_request_param(const httpd_request *self, const char *name);
// A query parameter, percent-decoded ('+' is a space), UTF-8 checked; the first of several; as sent when it cannot
// be decoded, for the handler to refuse. False when absent.
bool httpd_request_query(const httpd_request *self, const char *name, sv *out_value);
// The query as sent, without '?'; empty when there is none.
sv httpd_request_query_text(const httpd_request *self);
// The first header of that name, trimmed; SV_NONE when absent.
sv httpd_request_header(const httpd_request *self, const char *name);
// How many headers of that name came.
size_t httpd_request_header_count(const httpd_request *self, const char *name);
bool httpd_request_cookie(const httpd_request *self, const char *name, sv *out_value);

// The body as sent: chunking is undone, Content-Encoding is not.
sv httpd_request_body(const httpd_request *self);

// Address of the peer as text, or of its client when httpd_options.trust_forwarded_for is set.
sv httpd_request_remote(const httpd_request *self);
// When the first byte of the request arrived (clock_monotonic_ms).
int64_t httpd_request_received_ms(const httpd_request *self);
// Freed with the request; bounded by httpd_options.arena_max.
arena *httpd_request_arena(httpd_request *self);
