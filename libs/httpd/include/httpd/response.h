// What a handler answers. The loop sends it after the handler returned; a response without a status is a 500.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sv.h"

typedef struct httpd_response httpd_response;

void httpd_response_status(httpd_response *self, int status);
int httpd_response_status_of(const httpd_response *self);
// Forgets what was said so far but cookies: for a handler that tries again. Not after httpd_response_stream.
void httpd_response_reset(httpd_response *self);
// Adds a header; control bytes in the value become spaces. Content-Length, Connection, Date and Transfer-Encoding
// belong to the server and are refused (a bug).
void httpd_response_header(httpd_response *self, const char *name, sv value);
void httpd_response_content_type(httpd_response *self, const char *type);
// The body to write into, bounded by httpd_options.response_max; past it the answer becomes a 500.
buf *httpd_response_body(httpd_response *self);
// Status and "application/json"; the text goes into httpd_response_body.
void httpd_response_json(httpd_response *self, int status);

// application/problem+json (RFC 9457): `type` becomes "urn:penstock:problem:<type>". `members` is JSON text of further
// members without braces, such as "\"pointer\":\"/name\"", or SV_NONE. Replaces what the body held.
typedef struct httpd_problem {
    int status;
    sv type;
    sv title;
    sv detail;   // may be empty
    sv members;  // may be empty
} httpd_problem;

void httpd_response_problem(httpd_response *self, const httpd_problem *problem);
// An operating error by its table entry: status, type = its name in kebab-case, title = its text; 503 and 504 carry
// Retry-After. `why` (may be NULL) adds detail and pointer.
void httpd_response_error(httpd_response *self, err_t err, const fault *why);
// Sets Retry-After in whole seconds, at least 1.
void httpd_response_retry_after(httpd_response *self, int64_t seconds);

// Server-sent events and other answers without an end. After httpd_response_stream the status and headers set so far
// are sent, and the handler may return at once; the stream is then written from any thread.
//
// Ownership: the stream is the caller's until httpd_stream_close, which must be called exactly once, also when the
// peer has gone. `closed` runs once on the loop thread when nothing more can be sent: the peer went, fell behind
// `pending_max`, the server drains, or httpd_stream_close was called; it must not block.
typedef struct httpd_stream httpd_stream;

typedef struct httpd_stream_options {
    const char *content_type;  // "text/event-stream"
    size_t pending_max;        // unsent bytes before the peer counts as too slow; 0: 256 KiB
    int64_t heartbeat_ms;      // a comment line ":\n\n" after so long a silence; 0: 15 s
    void (*closed)(void *owner);
    void *owner;
} httpd_stream_options;

httpd_stream *httpd_response_stream(httpd_response *self, const httpd_stream_options *options);
// Queues bytes; false when the stream is closed, and then they are dropped.
bool httpd_stream_send(httpd_stream *self, sv bytes);
bool httpd_stream_is_closed(httpd_stream *self);
void httpd_stream_close(httpd_stream *self);
