// Synchronous HTTP requests to other people's servers. A handle belongs to one thread at a time and keeps connections
// alive between requests; every request is bounded in time, in its answer's head and in its answer's body. Redirects are
// not followed, proxies of the environment are not used, compressed answers are not asked for, and TLS is always verified.
// The only user of libcurl.
//
//   httpc_options options = httpc_options_default();
//   AUTO_HTTPC http = NULL;
//   err_t err = httpc_new(&options, &http, &fault);
//   httpc_header headers[] = {{SV("Content-Type"), SV("application/json")}};
//   httpc_request request = {.method = SV("POST"), .url = url, .headers = headers, .header_count = 1, .body = body};
//   const httpc_response *answer = NULL;
//   err = httpc_send(http, &request, &answer, &fault);
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/sv.h"

struct sockaddr;

typedef struct httpc httpc;

typedef struct httpc_options {
    const char *user_agent;      // "Penstock"
    const char *ca_file;         // PEM file of trusted roots; NULL: the system's
    bool allow_plain;            // also http://, not only https://
    int64_t connect_timeout_ms;  // resolving, connecting, TLS; 5 s
    int64_t total_timeout_ms;    // from the call to the last byte of the answer; 15 s
    size_t head_max;             // bytes of the answer's status line and headers; 32 KiB
    size_t body_max;             // bytes of the answer's body; 1 MiB
    // Asked with the very address a connection is about to be made to, and again before a kept connection is used; false
    // refuses, and nothing is sent. Names are resolved once per connection, so what was checked is what is connected to.
    // NULL: any address.
    bool (*may_connect)(void *owner, const struct sockaddr *address, size_t address_len);
    void *owner;
} httpc_options;

httpc_options httpc_options_default(void);

// Copies the options. ERR_BAD_INPUT when the CA file cannot be read.
err_t httpc_new(const httpc_options *options, httpc **out_httpc, fault *out_fault) MUST_CHECK;
void httpc_free(httpc *self);
void httpc_auto(httpc **self);
#define AUTO_HTTPC __attribute__((cleanup(httpc_auto))) httpc *

typedef struct httpc_header {
    sv name;
    sv value;
} httpc_header;

typedef struct httpc_request {
    sv method;  // "GET", "POST", …
    sv url;     // absolute; its path and query are sent byte for byte, dots are not resolved
    const httpc_header *headers;
    size_t header_count;
    sv body;                     // sent with its Content-Length; for GET it must be empty
    int64_t connect_timeout_ms;  // 0: the handle's
    int64_t total_timeout_ms;    // 0: the handle's
    // Never sent twice: uses a connection of its own, because a kept one that its peer has just closed is replaced and
    // the request sent again without asking. Set it for what is not idempotent.
    bool once;
} httpc_request;

typedef struct httpc_response {
    int status;
    sv body;                      // empty when there is none
    const httpc_header *headers;  // of the final answer, in order; values trimmed
    size_t header_count;
} httpc_response;

// The first header of that name (ASCII case does not matter); SV_NONE when absent.
sv httpc_response_header(const httpc_response *response, const char *name);
// How many headers have that name.
size_t httpc_response_header_count(const httpc_response *response, const char *name);

// ERR_OK: a whole answer came, whatever its status; *out_response is valid until the next call with this handle.
// Nothing of the request was sent: ERR_BAD_INPUT (the URL, the method or a header is none), ERR_FORBIDDEN (may_connect
// refused), ERR_UNAVAILABLE (not resolved, not connected, TLS not established or not trusted; or too late for it).
// Anything may have happened: ERR_UNCERTAIN (time-out or broken connection after the request began to be sent, no HTTP
// answer, a truncated one), ERR_TOO_LARGE (the answer passed a bound).
// The fault's place is the stage ("url", "header", "address", "connect", "tls", "answer"); its reason names no secret.
err_t httpc_send(httpc *self, const httpc_request *request, const httpc_response **out_response, fault *out_fault) MUST_CHECK;
