// A server with tight bounds for tests/component/httpd. Prints "port N", then serves until its standard input ends, then
// stops with a deadline of two seconds and prints "stopped clean" or "stopped cut".
//
//   httpd_echo [static root]        PENSTOCK_ECHO_LISTEN: where to listen instead of 127.0.0.1:0
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/log.h"
#include "base/vec.h"
#include "httpd/server.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static VEC(httpd_stream *) streams;
static int closed_count;

static void sleep_ms(int64_t ms) { nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL); }

static void add_member(buf *out, const char *name, sv value) {
    buf_addf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
    json_text_add(out, value);
}

static void echo(httpd_request *request, httpd_response *response, void *context) {
    (void)context;
    httpd_response_json(response, 200);
    buf *out = httpd_response_body(response);
    sv query = SV_NONE;
    sv cookie = SV_NONE;
    (void)httpd_request_query(request, "q", &query);
    (void)httpd_request_cookie(request, "c", &cookie);
    buf_add_byte(out, '{');
    add_member(out, "method", httpd_request_method_name(request));
    add_member(out, "path", httpd_request_path(request));
    add_member(out, "route", httpd_request_route(request));
    add_member(out, "id", httpd_request_param(request, "id"));
    add_member(out, "q", query);
    add_member(out, "cookie", cookie);
    add_member(out, "header", httpd_request_header(request, "x-test"));
    add_member(out, "remote", httpd_request_remote(request));
    add_member(out, "body", httpd_request_body(request));
    buf_add_byte(out, '}');
}

static void nothing(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    httpd_response_status(response, 204);
}

static void silent(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)response;
    (void)context;
}

static void slow(httpd_request *request, httpd_response *response, void *context) {
    (void)context;
    sleep_ms(700);
    httpd_response_json(response, 200);
    buf_addf(httpd_response_body(response), "{\"slow\":true,\"n\":%zu}", httpd_request_body(request).len);
}

static void large(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    httpd_response_status(response, 200);
    httpd_response_content_type(response, "text/plain");
    char *bytes = buf_reserve(httpd_response_body(response), 3 << 20);
    if (bytes != NULL) memset(bytes, 'x', 3 << 20);
}

static void too_large(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    httpd_response_status(response, 200);
    (void)buf_reserve(httpd_response_body(response), 5 << 20);
}

static void injected(httpd_request *request, httpd_response *response, void *context) {
    (void)context;
    sv query = SV_NONE;
    (void)httpd_request_query(request, "q", &query);
    httpd_response_status(response, 204);
    httpd_response_header(response, "X-Echo", query);
}

static void faulty(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    fault why;
    (void)fault_set(&why, ERR_BAD_INPUT, "/readings/3/value", "\"%s\" is no number", "1,5");
    httpd_response_json(response, 200);
    httpd_response_header(response, "ETag", SV("\"never\""));
    buf_add(httpd_response_body(response), SV("half an answer"));
    httpd_response_error(response, ERR_BAD_INPUT, &why);
}

static void count_closed(void *owner) {
    (void)owner;
    pthread_mutex_lock(&lock);
    closed_count++;
    pthread_mutex_unlock(&lock);
}

static void open_stream(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    httpd_stream *stream = httpd_response_stream(
        response, &(httpd_stream_options){
                      .content_type = "text/event-stream", .pending_max = 64 * 1024, .heartbeat_ms = 300, .closed = count_closed});
    (void)httpd_stream_send(stream, SV("data: hello\n\n"));
    pthread_mutex_lock(&lock);
    vec_push(&streams, stream);
    pthread_mutex_unlock(&lock);
}

// Sends the body to every open stream `times` times; answers how many were open.
static void publish(httpd_request *request, httpd_response *response, void *context) {
    (void)context;
    int64_t times = 1;
    sv text;
    if (httpd_request_query(request, "times", &text)) (void)sv_to_i64(text, &times);
    size_t open = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < streams.len; i++) {
        bool is_open = true;
        for (int64_t n = 0; n < times && is_open; n++) is_open = httpd_stream_send(streams.items[i], httpd_request_body(request));
        open += is_open;
    }
    httpd_response_json(response, 200);
    buf_addf(httpd_response_body(response), "{\"open\":%zu,\"closed\":%d}", open, closed_count);
    pthread_mutex_unlock(&lock);
}

static void close_streams(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < streams.len; i++) httpd_stream_close(streams.items[i]);
    vec_clear(&streams);
    pthread_mutex_unlock(&lock);
    httpd_response_status(response, 204);
}

static httpd *server;

static void stats(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    httpd_stats now = httpd_stats_of(server);
    httpd_response_json(response, 200);
    buf_addf(httpd_response_body(response), "{\"connections\":%lld,\"streams\":%lld,\"malformed\":%lld,\"busy\":%lld,\"refused\":%lld}",
             (long long)now.connections, (long long)now.streams, (long long)now.refused_malformed, (long long)now.refused_busy,
             (long long)now.refused_connections);
}

static const httpd_route ROUTES[] = {
    {HTTPD_GET, "/echo", echo, 0},
    {HTTPD_POST, "/echo", echo, 0},
    {HTTPD_GET, "/things/{id}", echo, 0},
    {HTTPD_PUT, "/things/{id}/parts", echo, 0},
    {HTTPD_DELETE, "/things/{id}", nothing, 0},
    {HTTPD_POST, "/large-body", slow, 1 << 20},
    {HTTPD_GET, "/nothing", nothing, 0},
    {HTTPD_GET, "/silent", silent, 0},
    {HTTPD_GET, "/slow", slow, 0},
    {HTTPD_GET, "/large", large, 0},
    {HTTPD_GET, "/too-large", too_large, 0},
    {HTTPD_GET, "/injected", injected, 0},
    {HTTPD_GET, "/faulty", faulty, 0},
    {HTTPD_GET, "/stream", open_stream, 0},
    {HTTPD_POST, "/publish", publish, 0},
    {HTTPD_POST, "/close-streams", close_streams, 0},
    {HTTPD_GET, "/stats", stats, 0},
};

int main(int argc, char **argv) {
    log_setup("httpd-echo", LOG_LEVEL_INFO);
    httpd_options options = httpd_options_default();
    const char *listen = getenv("PENSTOCK_ECHO_LISTEN");
    if (listen != NULL) options.listen = sv_of(listen);
    options.routes = ROUTES;
    options.route_count = ARRAY_LEN(ROUTES);
    options.body_max = 4096;
    options.head_max = 2048;
    options.headers_max = 20;
    options.request_deadline_ms = 1000;
    options.idle_timeout_ms = 1500;
    options.requests_per_connection = 5;
    options.connections_max = 40;
    options.connections_per_address = 20;
    options.queue_max = 3;
    options.response_max = 4 << 20;
    options.trust_forwarded_for = getenv("PENSTOCK_ECHO_FORWARDED") != NULL;
    if (argc > 1) options.static_root = sv_of(argv[1]);
    fault why = {0};
    if (httpd_start(&options, &server, &why) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", why.place, why.reason);
        return 2;
    }
    printf("port %u\n", httpd_port(server));
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {}
    bool is_clean = httpd_stop(server, 2000);
    for (size_t i = 0; i < streams.len; i++) httpd_stream_close(streams.items[i]);
    vec_done(&streams);
    printf("stopped %s\n", is_clean ? "clean" : "cut");
    return 0;
}
