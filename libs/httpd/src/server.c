// Start, messages to the loop, and the end.
#include "httpd/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "routes.h"
#include "server.h"

#define DESCRIPTORS_KEPT 64

static err_t listen_at(httpd *self, int *out_fd, fault *out_fault);
static void start_loop(httpd *self, int fd);
static void *run_loop(void *argument);
static void on_wake(evutil_socket_t fd, short events, void *argument);
static void server_free(httpd *self);

httpd_options httpd_options_default(void) {
    return (httpd_options){
        .listen = SV("127.0.0.1:0"),
        .backlog = 1024,
        .body_max = 1024 * 1024,
        .head_max = 16 * 1024,
        .headers_max = 64,
        .request_deadline_ms = 10000,
        .idle_timeout_ms = 60000,
        .write_timeout_ms = 20000,
        .connection_lifetime_ms = 15 * 60000,
        .requests_per_connection = 10000,
        .connections_max = 4096,
        .workers = 2,
        .queue_max = 256,
        .arena_max = 4 * 1024 * 1024,
        .response_max = 16 * 1024 * 1024,
        .static_hashed_prefix = SV("/assets/"),
        .static_excluded_prefix = SV("/api/"),
        .content_security_policy = SV("default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
                                      "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"),
    };
}

// libevent would write to stderr; what matters is in the statistics.
static void drop_message(int severity, const char *message) {
    (void)severity;
    (void)message;
}

// More connections than descriptors would make accept() spin.
static void fit_descriptors(httpd_options *options) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    size_t room = limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (size_t)limit.rlim_cur - DESCRIPTORS_KEPT : DESCRIPTORS_KEPT;
    if (options->connections_max > room) options->connections_max = room;
}

err_t httpd_start(const httpd_options *options, httpd **out_server, fault *out_fault) {
    if (options->workers == 0 || options->queue_max == 0 || options->head_max < 256)
        return fault_set(out_fault, ERR_BAD_INPUT, "httpd_options", "workers, queue_max and head_max must not be that small");
    err_t err = routes_check(options->routes, options->route_count, out_fault);
    if (err != ERR_OK) return err;
    httpd *self = mem_new(1, sizeof *self);
    self->options = *options;
    fit_descriptors(&self->options);
    int fd = -1;
    err = listen_at(self, &fd, out_fault);
    if (err != ERR_OK) {
        mem_free(self);
        return err;
    }
    CHECK(pthread_mutex_init(&self->lock, NULL) == 0 && pthread_cond_init(&self->work, NULL) == 0);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(self->wake_fd >= 0);
    *out_server = self;  // before the workers start, whose handlers may look at it
    start_loop(self, fd);
    return ERR_OK;
}

// Splits "host:port" and "[v6]:port".
static bool split_address(sv text, char *host, size_t host_size, char *port, size_t port_size) {
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') colon--;
    if (colon < 2 || text.len - colon == 0 || text.len - colon >= port_size || colon > host_size) return false;
    sv name = {text.ptr, colon - 1};
    uint64_t number = 0;
    if (!sv_to_u64(sv_skip(text, colon), &number) || number > UINT16_MAX) return false;
    if (name.ptr[0] == '[' && name.ptr[name.len - 1] == ']') name = (sv){name.ptr + 1, name.len - 2};
    sv_copy_truncated(name, host, host_size);
    sv_copy_truncated(sv_skip(text, colon), port, port_size);
    return true;
}

static int bind_one(const struct addrinfo *at, const httpd_options *options) {
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0) return -1;
    // Accepted sockets inherit TCP_NODELAY: a header and a body written apart must not wait for an acknowledgement.
    bool is_bound = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                    (!options->reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0 && bind(fd, at->ai_addr, at->ai_addrlen) == 0 &&
                    listen(fd, options->backlog) == 0;
    if (is_bound) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static err_t listen_at(httpd *self, int *out_fd, fault *out_fault) {
    char host[128];
    char port[8];
    char place[160];
    sv_copy_truncated(self->options.listen, place, sizeof place);
    struct addrinfo *at = NULL;
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    if (!split_address(self->options.listen, host, sizeof host, port, sizeof port) || getaddrinfo(host, port, &wanted, &at) != 0)
        return fault_set(out_fault, ERR_BAD_INPUT, place, "the address to listen at is not '<ip>:<port>'");
    int fd = bind_one(at, &self->options);
    int reason = errno;
    freeaddrinfo(at);
    if (fd < 0 && reason == EADDRINUSE) return fault_set(out_fault, ERR_UNAVAILABLE, place, "the port is in use by another program");
    if (fd < 0) return fault_set(out_fault, ERR_UNAVAILABLE, place, "cannot listen: %s", strerror(reason));
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    CHECK(getsockname(fd, (struct sockaddr *)&bound, &len) == 0);
    self->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port : ((struct sockaddr_in *)&bound)->sin_port);
    *out_fd = fd;
    return ERR_OK;
}

static void start_loop(httpd *self, int fd) {
    event_set_log_callback(drop_message);
    self->base = event_base_new();
    self->http = evhttp_new(self->base);
    CHECK(self->base != NULL && self->http != NULL);
    evhttp_set_default_content_type(self->http, NULL);
    evhttp_set_bevcb(self->http, connection_accept, self);
    evhttp_set_gencb(self->http, connection_handle, self);
    self->bound = evhttp_accept_socket_with_handle(self->http, fd);
    self->wake = event_new(self->base, self->wake_fd, EV_READ | EV_PERSIST, on_wake, self);
    CHECK(self->bound != NULL && self->wake != NULL && event_add(self->wake, NULL) == 0);
    // Signals belong to the program's main thread; SIGPIPE to nobody.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    workers_start(self);
    CHECK(pthread_create(&self->loop_thread, NULL, run_loop, self) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void *run_loop(void *argument) {
    httpd *self = argument;
    CHECK(event_base_dispatch(self->base) >= 0);
    return NULL;
}

void server_wake(httpd *self) {
    uint64_t one = 1;
    CHECK(write(self->wake_fd, &one, sizeof one) == (ssize_t)sizeof one || errno == EAGAIN);
}

void server_list_stream(httpd *self, httpd_stream *stream) {
    pthread_mutex_lock(&self->lock);
    bool was_empty = self->streams == NULL;
    stream->next = self->streams;
    self->streams = stream;
    pthread_mutex_unlock(&self->lock);
    if (was_empty) server_wake(self);
}

static void handle_streams(httpd_stream *listed) {
    while (listed != NULL) {
        httpd_stream *each = listed;
        listed = each->next;
        connection_flush_stream(each);
    }
}

static void handle_answered(exchange *answered) {
    while (answered != NULL) {
        exchange *each = answered;
        answered = each->next;
        connection_send(each);
    }
}

static void start_drain(httpd *self) {
    if (self->is_draining) return;
    self->is_draining = true;
    evhttp_del_accept_socket(self->http, self->bound);
    connections_drain(self);
}

static void on_wake(evutil_socket_t fd, short events, void *argument) {
    (void)events;
    httpd *self = argument;
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
    pthread_mutex_lock(&self->lock);
    exchange *answered = self->answered_first;
    self->answered_first = self->answered_last = NULL;
    httpd_stream *listed = self->streams;
    self->streams = NULL;
    bool wants_drain = self->wants_drain;
    bool wants_cut = self->wants_cut;
    bool wants_end = self->wants_end;
    pthread_mutex_unlock(&self->lock);
    handle_answered(answered);
    handle_streams(listed);
    if (wants_drain) start_drain(self);
    if (wants_cut) connections_cut(self);
    if (wants_end) event_base_loopbreak(self->base);
}

uint16_t httpd_port(const httpd *self) { return self->port; }

static void ask_loop(httpd *self, bool *message) {
    pthread_mutex_lock(&self->lock);
    *message = true;
    pthread_mutex_unlock(&self->lock);
    server_wake(self);
}

void httpd_drain(httpd *self) { ask_loop(self, &self->wants_drain); }

// Polls: an end is rare, and a few milliseconds more do not matter.
static bool wait_until_quiet(httpd *self, int64_t deadline_ms) {
    for (int64_t waited = 0;; waited += 5) {
        if (atomic_load(&self->stat_connections) == 0) return true;
        if (waited >= deadline_ms) return false;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

bool httpd_stop(httpd *take_self, int64_t deadline_ms) {
    httpd *self = take_self;
    httpd_drain(self);
    bool is_quiet = wait_until_quiet(self, deadline_ms);
    ask_loop(self, &self->wants_cut);
    workers_join(self);
    ask_loop(self, &self->wants_end);
    pthread_join(self->loop_thread, NULL);
    server_free(self);
    return is_quiet;
}

static void server_free(httpd *self) {
    handle_answered(self->answered_first);
    connections_cut(self);
    evhttp_free(self->http);
    handle_streams(self->streams);
    event_free(self->wake);
    event_base_free(self->base);
    close(self->wake_fd);
    vec_done(&self->slots);
    vec_done(&self->free_slots);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->work);
    mem_free(self);
}

httpd_stats httpd_stats_of(httpd *self) {
    pthread_mutex_lock(&self->lock);
    size_t queued = self->queued;
    pthread_mutex_unlock(&self->lock);
    return (httpd_stats){
        .connections = atomic_load(&self->stat_connections),
        .streams = atomic_load(&self->stat_streams),
        .queued = (int64_t)queued,
        .requests = atomic_load(&self->stat_requests),
        .refused_malformed = atomic_load(&self->stat_malformed),
        .refused_busy = atomic_load(&self->stat_busy),
        .refused_connections = atomic_load(&self->stat_refused_connections),
    };
}
