// The server's state and what its rooms (connections, workers, streams) ask of each other.
#pragma once

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <pthread.h>
#include <stdatomic.h>

#include "exchange.h"
#include "stream.h"

#define ADDRESS_BUCKETS 1024

typedef struct address_count {
    char text[REMOTE_TEXT_MAX];
    size_t count;
    struct address_count *next;
} address_count;

struct httpd {
    httpd_options options;
    uint16_t port;
    int wake_fd;
    pthread_t loop_thread;
    pthread_t *worker_threads;

    // The loop's.
    struct event_base *base;
    struct event *wake;
    struct evhttp *http;
    struct evhttp_bound_socket *bound;
    VEC(connection *) slots;  // a slot without a connection is NULL
    VEC(size_t) free_slots;
    address_count *addresses[ADDRESS_BUCKETS];
    size_t connection_count;
    bool is_draining;

    // Everybody's, under `lock`.
    pthread_mutex_t lock;
    pthread_cond_t work;
    exchange *queue_first, *queue_last;
    exchange *answered_first, *answered_last;
    httpd_stream *streams;
    size_t queued;
    bool wants_drain, wants_cut, wants_end;  // messages to the loop
    bool workers_end;

    atomic_llong stat_connections, stat_streams, stat_requests, stat_malformed, stat_busy, stat_refused_connections;
};

void server_wake(httpd *self);
// From any thread: the stream has something for the loop.
void server_list_stream(httpd *self, httpd_stream *stream);
// False when the queue is full; otherwise the exchange belongs to the workers.
bool server_enqueue(httpd *self, exchange *taken);

void workers_start(httpd *self);
// Waits for running handlers; what is still queued is freed.
void workers_join(httpd *self);

// bevcb of evhttp: makes the connection's bufferevent and everything beside it.
struct bufferevent *connection_accept(struct event_base *base, void *server);
// gencb of evhttp: one of our own composed requests has come back; see connection.c.
void connection_handle(struct evhttp_request *evreq, void *server);
void connection_send(exchange *answered);
void connection_flush_stream(httpd_stream *stream);
void connection_kill(connection *self);
// Idle ones go at once, the others behind their answer.
void connections_drain(httpd *self);
void connections_cut(httpd *self);
