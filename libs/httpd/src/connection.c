// One connection on the loop thread.
//
// evhttp never sees a byte from outside. What arrives is moved out of its input buffer into `reader`, which is strict;
// when a request is complete, or refused, evhttp is given a request of ours instead ("GET /<slot>"), so that it does what
// it is good at: order, keep-alive, writing and closing. One request of a connection is under way at a time; bytes behind
// it wait in `held`.
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/clock.h"
#include "files.h"
#include "reader.h"
#include "routes.h"
#include "server.h"

#define HELD_MAX (64 * 1024)
#define LINGER_MS 1000
#define SWALLOW_MAX (64 * 1024 * 1024)

struct connection {
    httpd *server;
    struct bufferevent *bev;  // a reference of our own
    struct evbuffer_cb_entry *watch;
    struct evhttp_connection *evcon;
    struct evhttp_request *evreq;  // ours that came back and is not answered yet
    struct event *timer;
    struct evbuffer *held;
    reader reader;
    route_match match;
    exchange *current;
    httpd_stream *stream;
    enum { CONNECTION_NEW, CONNECTION_IDLE, CONNECTION_READING, CONNECTION_LINGERING, CONNECTION_ANSWERING, CONNECTION_STREAMING } phase;
    bool is_away;     // `current` is with the workers
    bool is_closing;  // the answer on its way is the last
    bool is_moving;   // our own change of the input buffer
    refusal why;
    uint64_t swallow_left;
    size_t slot;
    size_t requests;
    int64_t accepted_ms;
    int64_t received_ms;
    int64_t stream_sent_ms;
    char remote[REMOTE_TEXT_MAX];
};

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *argument);
static void on_timer(evutil_socket_t fd, short events, void *argument);
static void on_closed(struct evhttp_connection *evcon, void *argument);
static void on_sent(struct evhttp_request *evreq, void *argument);
static void start(connection *self);
static void pump(connection *self);
static void take_head(connection *self);
static void take_request(connection *self);
static void refuse(connection *self, refusal why, bool triggers);
static void answer_refusal(connection *self, bool triggers);
static void release(connection *self);
static bool dispatch(connection *self);
static void send_answer(connection *self);
static void start_stream(connection *self);
static void observe(connection *self, const exchange *sent, size_t bytes);

static void set_timer(connection *self, int64_t after_ms) {
    struct timeval at = {.tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000};
    event_add(self->timer, &at);
}

struct bufferevent *connection_accept(struct event_base *base, void *server) {
    httpd *owner = server;
    connection *self = mem_new(1, sizeof *self);
    self->server = owner;
    self->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    self->timer = evtimer_new(base, on_timer, self);
    self->held = evbuffer_new();
    CHECK(self->bev != NULL && self->timer != NULL && self->held != NULL);
    bufferevent_incref(self->bev);
    self->watch = evbuffer_add_cb(bufferevent_get_input(self->bev), on_input, self);
    reader_init(&self->reader, (reader_limits){owner->options.head_max, owner->options.headers_max, owner->options.arena_max});
    if (owner->free_slots.len > 0) {
        self->slot = owner->free_slots.items[--owner->free_slots.len];
    } else {
        self->slot = owner->slots.len;
        vec_push(&owner->slots, NULL);
    }
    owner->slots.items[self->slot] = self;
    owner->connection_count++;
    atomic_fetch_add(&owner->stat_connections, 1);
    // evhttp sets socket and callbacks up after this function: the rest of the start runs as an event of its own, in the
    // same turn of the loop, hence before any byte is read.
    event_active(self->timer, EV_TIMEOUT, 1);
    return self->bev;
}

// By FNV-1a of the address' text.
static address_count **address_bucket(const connection *self) {
    uint32_t hash = 2166136261u;
    for (const char *at = self->remote; *at != '\0'; at++) hash = (hash ^ (uint8_t)*at) * 16777619u;
    return &self->server->addresses[hash % ADDRESS_BUCKETS];
}

// Counts the connection under its address; false when there are too many.
static bool count_address(connection *self) {
    address_count **bucket = address_bucket(self);
    address_count *entry = *bucket;
    while (entry != NULL && strcmp(entry->text, self->remote) != 0) entry = entry->next;
    if (entry == NULL) {
        entry = mem_new(1, sizeof *entry);
        memcpy(entry->text, self->remote, sizeof entry->text);
        entry->next = *bucket;
        *bucket = entry;
    }
    entry->count++;
    return self->server->options.connections_per_address == 0 || entry->count <= self->server->options.connections_per_address;
}

static void uncount_address(connection *self) {
    address_count **link = address_bucket(self);
    while (*link != NULL && strcmp((*link)->text, self->remote) != 0) link = &(*link)->next;
    if (*link == NULL || --(*link)->count > 0) return;
    address_count *empty = *link;
    *link = empty->next;
    mem_free(empty);
}

static void start(connection *self) {
    void *evcon = NULL;
    bufferevent_getcb(self->bev, NULL, NULL, NULL, &evcon);
    CHECK(evcon != NULL && evhttp_connection_get_bufferevent(evcon) == self->bev);
    self->evcon = evcon;
    self->accepted_ms = clock_monotonic_ms();
    evhttp_connection_set_closecb(self->evcon, on_closed, self);
    const httpd_options *options = &self->server->options;
    struct timeval write_timeout = {.tv_sec = options->write_timeout_ms / 1000, .tv_usec = options->write_timeout_ms % 1000 * 1000};
    bufferevent_set_timeouts(self->bev, NULL, &write_timeout);
    char *address = NULL;
    uint16_t port = 0;
    evhttp_connection_get_peer(self->evcon, &address, &port);
    sv_copy_truncated(sv_of(address), self->remote, sizeof self->remote);
    self->phase = CONNECTION_IDLE;
    set_timer(self, options->idle_timeout_ms);
    bool is_welcome = count_address(self);
    if (self->server->connection_count > options->connections_max)
        refuse(self, REFUSAL_CONNECTIONS, true);
    else if (!is_welcome)
        refuse(self, REFUSAL_ADDRESS, true);
    else if (self->server->is_draining)
        connection_kill(self);
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *argument) {
    connection *self = argument;
    if (self->is_moving || info->n_added == 0) return;
    // In front may stand a request of ours that evhttp has not taken yet: it stays.
    struct evbuffer *ours = info->orig_size > 0 ? evbuffer_new() : NULL;
    self->is_moving = true;
    if (ours != NULL) CHECK(evbuffer_remove_buffer(input, ours, info->orig_size) == (int)info->orig_size);
    CHECK(evbuffer_add_buffer(self->held, input) == 0);
    if (ours != NULL) CHECK(evbuffer_prepend_buffer(input, ours) == 0);
    self->is_moving = false;
    if (ours != NULL) evbuffer_free(ours);
    pump(self);
}

// Feeds the reader from what is held, until a request is under way or nothing is left.
static void pump(connection *self) {
    struct evbuffer_iovec extent;
    while ((self->phase == CONNECTION_IDLE || self->phase == CONNECTION_READING) && evbuffer_peek(self->held, -1, NULL, &extent, 1) > 0 &&
           extent.iov_len > 0) {
        if (self->phase == CONNECTION_IDLE) {
            self->phase = CONNECTION_READING;
            self->received_ms = clock_monotonic_ms();
            set_timer(self, self->server->options.request_deadline_ms);
        }
        sv bytes = sv_slice(extent.iov_base, extent.iov_len);
        reader_step step = reader_feed(&self->reader, &bytes);
        evbuffer_drain(self->held, extent.iov_len - bytes.len);
        if (step == READER_HEAD) {
            take_head(self);
            step = reader_feed(&self->reader, &SV_NONE);
        }
        if (step == READER_COMPLETE) take_request(self);
        if (step == READER_REFUSED) refuse(self, self->reader.why, false);
    }
    if (self->phase == CONNECTION_LINGERING) {
        size_t count = evbuffer_get_length(self->held);
        evbuffer_drain(self->held, count);
        self->swallow_left -= count < self->swallow_left ? count : self->swallow_left;
        if (self->swallow_left == 0) answer_refusal(self, false);
    }
    // Whoever sends far ahead of the answers is not read until they are written; evhttp enables reading again then.
    if (evbuffer_get_length(self->held) > HELD_MAX) bufferevent_disable(self->bev, EV_READ);
}

// Chooses the route, hence the bound of the body, and lets a waiting client go on.
static void take_head(connection *self) {
    const httpd_options *options = &self->server->options;
    const request_head *head = &self->reader.head;
    self->match = routes_find(options->routes, options->route_count, head->method, head->path);
    size_t body_max = self->match.route != NULL && self->match.route->body_max > 0 ? self->match.route->body_max : options->body_max;
    reader_accept_body(&self->reader, body_max);
    bool waits = head->expects_continue && self->reader.why == REFUSAL_NONE && evbuffer_get_length(self->held) == 0;
    if (!waits) return;
    static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
    // Nothing else is under way on this connection, so the socket's buffer is empty; should it not be, the client's own
    // time-out lets it go on.
    (void)!send(bufferevent_getfd(self->bev), CONTINUE, sizeof CONTINUE - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static sv remote_of(const connection *self, const request_head *head, arena *memory) {
    sv forwarded = SV_NONE;
    for (size_t i = 0; self->server->options.trust_forwarded_for && i < head->field_count; i++)
        if (sv_equal_nocase(head->fields[i].name, SV("x-forwarded-for"))) forwarded = head->fields[i].value;
    sv last = SV_NONE;
    while (sv_next(&forwarded, ',', &last)) {}
    last = sv_trim(last);
    uint8_t address[16];
    char *text = arena_cstr(memory, last);
    if (last.len > 0 && (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1)) return sv_of(text);
    return arena_copy(memory, sv_of(self->remote));
}

static void take_request(connection *self) {
    event_del(self->timer);
    arena *memory = self->reader.memory;
    self->reader.memory = NULL;
    exchange *taken = exchange_new(memory, &self->reader.body, &self->reader.head, self->server->options.response_max);
    taken->connection = self;
    taken->request.received_ms = self->received_ms;
    taken->request.remote = remote_of(self, &taken->request.head, memory);
    taken->closes = taken->request.head.wants_close;
    self->current = taken;
    reader_next(&self->reader);
    release(self);
}

static void refuse(connection *self, refusal why, bool triggers) {
    self->why = why;
    bool is_flow = why == REFUSAL_CONNECTIONS || why == REFUSAL_ADDRESS;
    atomic_fetch_add(is_flow ? &self->server->stat_refused_connections : &self->server->stat_malformed, 1);
    const request_head *head = &self->reader.head;
    // A peer that is still sending would lose the answer to the reset of a socket with unread bytes: take the body in
    // first, for a moment.
    bool lingers = why == REFUSAL_BODY_TOO_LARGE && !head->expects_continue;
    self->swallow_left = head->is_chunked ? SWALLOW_MAX : head->content_length;
    if (lingers && self->swallow_left <= SWALLOW_MAX) {
        self->phase = CONNECTION_LINGERING;
        set_timer(self, LINGER_MS);
        return;
    }
    answer_refusal(self, triggers);
}

static void answer_refusal(connection *self, bool triggers) {
    event_del(self->timer);
    arena *memory = arena_new(self->server->options.arena_max);
    buf no_body;
    buf_init(&no_body, 0);
    request_head head = {.method = self->reader.head.method == HTTPD_HEAD ? HTTPD_HEAD : HTTPD_GET, .method_name = SV("-")};
    exchange *refused = exchange_new(memory, &no_body, &head, self->server->options.response_max);
    refused->connection = self;
    refused->closes = true;
    refused->request.received_ms = self->received_ms != 0 ? self->received_ms : self->accepted_ms;
    refused->request.remote = arena_copy(memory, sv_of(self->remote));
    response_refuse(&refused->response, self->why);
    self->current = refused;
    release(self);
    if (triggers) bufferevent_trigger(self->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
}

// Gives evhttp the request of ours that stands for the one under way.
static void release(connection *self) {
    self->phase = CONNECTION_ANSWERING;
    const exchange *under_way = self->current;
    char text[128];
    int len =
        snprintf(text, sizeof text, "%s /%zu HTTP/1.%d\r\nHost: -\r\n%s\r\n", under_way->request.head.method == HTTPD_HEAD ? "HEAD" : "GET",
                 self->slot, under_way->request.head.is_http_1_0 ? 0 : 1, under_way->closes ? "" : "Connection: keep-alive\r\n");
    self->is_moving = true;
    CHECK(evbuffer_prepend(bufferevent_get_input(self->bev), text, (size_t)len) == 0);
    self->is_moving = false;
}

void connection_handle(struct evhttp_request *evreq, void *server) {
    httpd *owner = server;
    uint64_t slot = 0;
    CHECK(sv_to_u64(sv_skip(sv_of(evhttp_request_get_uri(evreq)), 1), &slot) && slot < owner->slots.len);
    connection *self = owner->slots.items[slot];
    CHECK(self != NULL && self->evcon == evhttp_request_get_connection(evreq) && self->current != NULL);
    self->evreq = evreq;
    evhttp_request_set_on_complete_cb(evreq, on_sent, self);
    if (self->why == REFUSAL_NONE) self->is_away = dispatch(self);
    if (!self->is_away) send_answer(self);
}

// Queues the request for a worker, who owns it from here, or answers it when there is nothing to do.
static bool dispatch(connection *self) {
    exchange *taken = self->current;
    const httpd_options *options = &self->server->options;
    if (self->match.route != NULL) {
        taken->handler = self->match.route->handler;
        if (!routes_bind(self->match.route, &taken->request)) {
            response_refuse(&taken->response, REFUSAL_NO_ROUTE);
            return false;
        }
    } else if (self->match.allow_count == 0 && taken->request.head.method <= HTTPD_HEAD &&
               files_serve_path(options, taken->request.head.path)) {
        taken->handler = files_handle;
        taken->handler_context = &self->server->options;
        taken->request.route_template = SV("static");
    } else if (self->match.allow_count > 0) {
        AUTO(buf) allow;
        buf_init(&allow, 128);
        for (size_t i = 0; i < self->match.allow_count; i++) buf_addf(&allow, "%s%s", i > 0 ? ", " : "", self->match.allow[i]);
        response_refuse(&taken->response, REFUSAL_WRONG_METHOD);
        httpd_response_header(&taken->response, "Allow", buf_view(&allow));
        return false;
    } else {
        response_refuse(&taken->response, REFUSAL_NO_ROUTE);
        return false;
    }
    if (server_enqueue(self->server, taken)) return true;
    atomic_fetch_add(&self->server->stat_busy, 1);
    response_refuse(&taken->response, REFUSAL_QUEUE);
    return false;
}

void connection_send(exchange *answered) {
    if (answered->connection == NULL) {
        if (answered->response.stream != NULL) stream_gone(answered->response.stream);
        exchange_free(answered);
        return;
    }
    answered->connection->is_away = false;
    send_answer(answered->connection);
}

static void free_body(const void *bytes, size_t len, void *memory) {
    (void)bytes;
    (void)len;
    mem_free(memory);
}

static void add_fields(connection *self, exchange *answered) {
    const httpd_options *options = &self->server->options;
    struct evkeyvalq *fields = evhttp_request_get_output_headers(self->evreq);
    for (size_t i = 0; i < answered->response.fields.len; i++) {
        const head_field *field = &answered->response.fields.items[i];
        evhttp_add_header(fields, field->name.ptr, field->value.ptr);
    }
    evhttp_add_header(fields, "X-Content-Type-Options", "nosniff");
    self->requests++;
    if (self->requests >= options->requests_per_connection || self->server->is_draining || answered->response.stream != NULL ||
        clock_monotonic_ms() - self->accepted_ms >= options->connection_lifetime_ms)
        answered->closes = true;
    self->is_closing = answered->closes;
    if (answered->closes) evhttp_add_header(fields, "Connection", "close");
}

static void send_answer(connection *self) {
    exchange *answered = self->current;
    httpd_response *response = &answered->response;
    add_fields(self, answered);
    atomic_fetch_add(&self->server->stat_requests, 1);
    if (response->stream != NULL) {
        start_stream(self);
        return;
    }
    bool has_body = response->status != 204 && response->status != 304;
    size_t len = response->body.len;
    char length[24];
    snprintf(length, sizeof length, "%zu", len);
    if (has_body) evhttp_add_header(evhttp_request_get_output_headers(self->evreq), "Content-Length", length);
    struct evbuffer *body = NULL;
    if (has_body && len > 0 && answered->request.head.method != HTTPD_HEAD) {
        body = evbuffer_new();
        CHECK(body != NULL && evbuffer_add_reference(body, response->body.ptr, len, free_body, response->body.ptr) == 0);
        buf_init(&response->body, 0);  // its memory now belongs to `body`
    }
    struct evhttp_request *evreq = self->evreq;
    int status = response->status;
    self->evreq = NULL;
    self->current = NULL;
    observe(self, answered, body != NULL ? len : 0);
    exchange_free(answered);
    evhttp_send_reply(evreq, status, status_phrase(status), body);
    if (body != NULL) evbuffer_free(body);
}

static void observe(connection *self, const exchange *sent, size_t bytes) {
    const httpd_options *options = &self->server->options;
    if (options->observe == NULL) return;
    httpd_observation seen = {.method = sent->request.head.method_name,
                              .route = sent->request.route_template.len > 0 ? sent->request.route_template : SV("-"),
                              .remote = sent->request.remote,
                              .status = sent->response.status,
                              .duration_ms = clock_monotonic_ms() - sent->request.received_ms,
                              .response_bytes = bytes};
    options->observe(options->user, &seen);
}

// The answer is in the socket's buffer: the next request may be read. When the connection is to close, evhttp does so
// right behind this call.
static void on_sent(struct evhttp_request *evreq, void *argument) {
    (void)evreq;
    connection *self = argument;
    if (self->is_closing) return;
    self->phase = CONNECTION_IDLE;
    set_timer(self, self->server->options.idle_timeout_ms);
    pump(self);
}

static void start_stream(connection *self) {
    exchange *answered = self->current;
    httpd_stream *stream = answered->response.stream;
    bool has_body = answered->request.head.method != HTTPD_HEAD;
    struct evhttp_request *evreq = self->evreq;
    int status = answered->response.status;
    observe(self, answered, 0);
    self->current = NULL;
    answered->response.stream = NULL;
    exchange_free(answered);
    if (!has_body) {
        self->evreq = NULL;
        stream_gone(stream);
        evhttp_send_reply(evreq, status, status_phrase(status), NULL);
        return;
    }
    self->phase = CONNECTION_STREAMING;
    self->stream = stream;
    self->stream_sent_ms = clock_monotonic_ms();
    atomic_fetch_add(&self->server->stat_streams, 1);
    evhttp_send_reply_start(evreq, status, status_phrase(status));
    set_timer(self, stream->options.heartbeat_ms);
    stream_adopt(stream, self->server, self);
}

// False when the connection had to be given up.
static bool send_chunk(connection *self, sv bytes) {
    struct evbuffer *chunk = evbuffer_new();
    CHECK(chunk != NULL && evbuffer_add(chunk, bytes.ptr, bytes.len) == 0);
    evhttp_send_reply_chunk(self->evreq, chunk);
    evbuffer_free(chunk);
    self->stream_sent_ms = clock_monotonic_ms();
    if (evbuffer_get_length(bufferevent_get_output(self->bev)) <= self->stream->options.pending_max) return true;
    connection_kill(self);
    return false;
}

void connection_flush_stream(httpd_stream *stream) {
    buf pending = {0};
    bool ends = false;
    bool keeps_up = stream_take(stream, &pending, &ends);
    connection *self = stream->connection;
    if (self != NULL && !keeps_up)
        connection_kill(self);
    else if (self != NULL && (pending.len == 0 || send_chunk(self, buf_view(&pending))) && ends) {
        struct evhttp_request *evreq = self->evreq;
        self->evreq = NULL;
        event_del(self->timer);
        evhttp_send_reply_end(evreq);  // may free the connection
    }
    buf_done(&pending);
    stream_release(stream);
}

static void beat(connection *self) {
    int64_t silent_ms = clock_monotonic_ms() - self->stream_sent_ms;
    int64_t left_ms = self->stream->options.heartbeat_ms - silent_ms;
    if (left_ms <= 0 && !send_chunk(self, SV(":\n\n"))) return;
    set_timer(self, left_ms > 0 ? left_ms : self->stream->options.heartbeat_ms);
}

static void on_timer(evutil_socket_t fd, short events, void *argument) {
    (void)fd;
    (void)events;
    connection *self = argument;
    switch (self->phase) {
        case CONNECTION_NEW: start(self); return;
        case CONNECTION_IDLE: connection_kill(self); return;
        case CONNECTION_READING: refuse(self, REFUSAL_DEADLINE, true); return;
        case CONNECTION_LINGERING: answer_refusal(self, true); return;
        case CONNECTION_ANSWERING: return;
        case CONNECTION_STREAMING: beat(self); return;
    }
}

void connection_kill(connection *self) {
    self->evreq = NULL;  // evhttp frees what is still queued on its connection
    evhttp_connection_free(self->evcon);
}

// evhttp is letting go of the connection, for whatever reason.
static void on_closed(struct evhttp_connection *evcon, void *argument) {
    connection *self = argument;
    httpd *owner = self->server;
    evhttp_connection_set_closecb(evcon, NULL, NULL);
    if (self->is_away)
        self->current->connection = NULL;
    else
        exchange_free(self->current);
    // A request whose peer went away first is cut loose by evhttp and left to us.
    if (self->evreq != NULL && evhttp_request_get_connection(self->evreq) == NULL) evhttp_request_free(self->evreq);
    if (self->stream != NULL) {
        atomic_fetch_sub(&owner->stat_streams, 1);
        stream_gone(self->stream);
    }
    uncount_address(self);
    owner->slots.items[self->slot] = NULL;
    vec_push(&owner->free_slots, self->slot);
    owner->connection_count--;
    atomic_fetch_sub(&owner->stat_connections, 1);
    event_free(self->timer);
    evbuffer_remove_cb_entry(bufferevent_get_input(self->bev), self->watch);
    bufferevent_decref(self->bev);
    evbuffer_free(self->held);
    reader_done(&self->reader);
    mem_free(self);
}

void connections_drain(httpd *self) {
    for (size_t i = 0; i < self->slots.len; i++) {
        connection *each = self->slots.items[i];
        if (each == NULL) continue;
        if (each->phase == CONNECTION_IDLE || each->phase == CONNECTION_STREAMING) connection_kill(each);
    }
}

void connections_cut(httpd *self) {
    for (size_t i = 0; i < self->slots.len; i++)
        if (self->slots.items[i] != NULL && self->slots.items[i]->phase != CONNECTION_NEW) connection_kill(self->slots.items[i]);
}
