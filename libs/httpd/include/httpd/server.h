// A hardened HTTP/1.1 server. One loop thread reads, checks and writes; complete requests go through a bounded queue to
// worker threads, which run the handlers and answer by message. Only the loop touches libevent's objects. Every error,
// also of the parser, is answered as application/problem+json.
//
//   static const httpd_route ROUTES[] = {
//       {HTTPD_GET, "/api/v1/properties/{id}/rooms", get_rooms, 0},
//   };
//   httpd_options options = httpd_options_default();
//   options.listen = SV("127.0.0.1:8080");
//   options.routes = ROUTES; options.route_count = ARRAY_LEN(ROUTES);
//   err_t err = httpd_start(&options, &server, &fault);
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sv.h"
#include "httpd/request.h"
#include "httpd/response.h"

typedef void (*httpd_handler)(httpd_request *request, httpd_response *response, void *worker_context);

typedef struct httpd_route {
    httpd_method method;   // HTTPD_GET also serves HEAD
    const char *template;  // "/v1/things/{id}": a parameter is one whole non-empty segment
    httpd_handler handler;
    size_t body_max;  // 0: the server's
} httpd_route;

// What happened to one request, for metrics and access logs; called on the loop thread.
typedef struct httpd_observation {
    sv method;  // "-" when the head could not be read
    sv route;   // template, "static", or "-"
    sv remote;
    int status;
    int64_t duration_ms;  // first byte in → answer handed to the socket
    size_t response_bytes;
} httpd_observation;

typedef struct httpd_options {
    sv listen;  // "127.0.0.1:8080", "[::1]:8080", port 0: any free one
    bool reuse_port;
    int backlog;
    const httpd_route *routes;  // borrowed, as are the strings
    size_t route_count;

    size_t body_max;                 // bytes; 413
    size_t head_max;                 // request line and headers; 431
    size_t headers_max;              // number of header lines; 431
    int64_t request_deadline_ms;     // first byte → complete request; 408
    int64_t idle_timeout_ms;         // between requests
    int64_t write_timeout_ms;        // without progress
    int64_t connection_lifetime_ms;  // then Connection: close at the next answer
    size_t requests_per_connection;  // likewise
    size_t connections_max;          // over all; 503
    size_t connections_per_address;  // 429; 0: no limit
    bool trust_forwarded_for;        // take the last X-Forwarded-For entry as the remote (behind our own ingress only)

    size_t workers;
    size_t queue_max;     // complete requests waiting for a worker; full: 503 with Retry-After
    size_t arena_max;     // per request, beyond the request's own bytes
    size_t response_max;  // body of one answer

    // Each worker calls worker_new once in its own thread before its first request (NULL: context is `user`), for
    // instance to open its database connection, and worker_free in that thread at the end.
    void *(*worker_new)(void *user);
    void (*worker_free)(void *worker_context);
    void (*observe)(void *user, const httpd_observation *observation);
    void *user;

    // Files below `static_root` (empty: none) for GET and HEAD where no route's path matches: precompressed .br and .gz
    // siblings by Accept-Encoding, "immutable" caching below `static_hashed_prefix`, and for paths without an
    // extension the nearest index: `/m/…` gets m/index.html when it exists, everything else index.html. Paths below
    // `static_excluded_prefix` are never files.
    sv static_root;
    sv static_hashed_prefix;    // "/assets/"
    sv static_excluded_prefix;  // "/api/"
    sv content_security_policy;
} httpd_options;

httpd_options httpd_options_default(void);

typedef struct httpd httpd;

// Binds, then starts the loop and workers. ERR_UNAVAILABLE with the address in the fault when the port is in use;
// ERR_BAD_INPUT for an unreadable address or template.
err_t httpd_start(const httpd_options *options, httpd **out_server, fault *out_fault) MUST_CHECK;
// The port that was bound.
uint16_t httpd_port(const httpd *self);
// Stops accepting, closes idle connections and streams, and lets every answer carry Connection: close. Any thread.
void httpd_drain(httpd *self);
// Drains, waits until nothing is in flight or `deadline_ms` passed, ends all threads and frees. False when requests
// were cut off. Handlers that run are always waited for.
bool httpd_stop(httpd *take_self, int64_t deadline_ms);

typedef struct httpd_stats {
    int64_t connections;
    int64_t streams;
    int64_t queued;
    int64_t requests;             // answered since start
    int64_t refused_malformed;    // 400, 408, 413, 431, 501, 505 of the reader
    int64_t refused_busy;         // 503 because the queue was full
    int64_t refused_connections;  // over connections_max or connections_per_address
} httpd_stats;

httpd_stats httpd_stats_of(httpd *self);
