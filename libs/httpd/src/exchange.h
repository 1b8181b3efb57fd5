// One request and its answer on the way through loop → worker → loop. Exactly one thread owns it at a time: the loop
// until it is queued, the worker while the handler runs, then the loop again.
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "base/vec.h"
#include "head.h"
#include "httpd/server.h"

#define PARAMS_MAX 8
#define REMOTE_TEXT_MAX 64

typedef struct connection connection;

struct httpd_request {
    request_head head;
    sv body;
    sv remote;
    sv route_template;
    sv param_names[PARAMS_MAX];
    sv param_values[PARAMS_MAX];
    size_t param_count;
    int64_t received_ms;
    arena *memory;  // borrowed from the exchange
};

struct httpd_response {
    int status;
    buf body;
    VEC(head_field) fields;  // names and values in the exchange's arena
    bool has_content_type;
    httpd_stream *stream;
    arena *memory;
};

typedef struct exchange {
    struct httpd_request request;
    struct httpd_response response;
    httpd_handler handler;
    void *handler_context;  // NULL: the worker's own
    buf body;               // owns request.body
    arena *memory;
    connection *connection;  // NULL once the peer has gone; touched by the loop only
    bool closes;             // the connection ends behind this answer
    struct exchange *next;   // in the queue or among the answered
} exchange;

// Takes the arena and body of a complete request.
exchange *exchange_new(arena *take_memory, buf *take_body, const request_head *head, size_t response_max);
void exchange_free(exchange *self);

// A problem answer for what the reader or the server refused.
void response_refuse(httpd_response *self, refusal why);
const char *status_phrase(int status);
