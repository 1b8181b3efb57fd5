// See stream.h.
#include "stream.h"

#include "base/check.h"
#include "server.h"

#define PENDING_MAX_DEFAULT (256 * 1024)
#define HEARTBEAT_DEFAULT_MS 15000

httpd_stream *stream_new(const httpd_stream_options *options) {
    httpd_stream *self = mem_new(1, sizeof *self);
    CHECK(pthread_mutex_init(&self->lock, NULL) == 0);
    self->holders = 2;
    self->options = *options;
    if (self->options.pending_max == 0) self->options.pending_max = PENDING_MAX_DEFAULT;
    if (self->options.heartbeat_ms == 0) self->options.heartbeat_ms = HEARTBEAT_DEFAULT_MS;
    buf_init(&self->pending, self->options.pending_max);
    return self;
}

void stream_release(httpd_stream *self) {
    pthread_mutex_lock(&self->lock);
    bool is_last = --self->holders == 0;
    pthread_mutex_unlock(&self->lock);
    if (!is_last) return;
    pthread_mutex_destroy(&self->lock);
    buf_done(&self->pending);
    mem_free(self);
}

// With the lock held.
static void list(httpd_stream *self) {
    if (self->server == NULL || self->is_listed) return;
    self->is_listed = true;
    self->holders++;
    server_list_stream(self->server, self);
}

bool httpd_stream_send(httpd_stream *self, sv bytes) {
    pthread_mutex_lock(&self->lock);
    bool is_open = !self->is_closed;
    if (is_open) {
        buf_add(&self->pending, bytes);
        if (buf_has_failed(&self->pending)) self->is_closed = true;
        list(self);
        is_open = !self->is_closed;
    }
    pthread_mutex_unlock(&self->lock);
    return is_open;
}

bool httpd_stream_is_closed(httpd_stream *self) {
    pthread_mutex_lock(&self->lock);
    bool is_closed = self->is_closed;
    pthread_mutex_unlock(&self->lock);
    return is_closed;
}

void httpd_stream_close(httpd_stream *self) {
    pthread_mutex_lock(&self->lock);
    self->is_closed = true;
    self->is_ending = true;
    list(self);
    pthread_mutex_unlock(&self->lock);
    stream_release(self);
}

void stream_adopt(httpd_stream *self, httpd *server, connection *on) {
    pthread_mutex_lock(&self->lock);
    self->server = server;
    self->connection = on;
    list(self);
    pthread_mutex_unlock(&self->lock);
}

bool stream_take(httpd_stream *self, buf *out, bool *out_ends) {
    pthread_mutex_lock(&self->lock);
    self->is_listed = false;
    bool is_behind = buf_has_failed(&self->pending);
    *out_ends = self->is_ending;
    buf empty;
    buf_init(&empty, self->options.pending_max);
    *out = self->pending;
    self->pending = empty;
    pthread_mutex_unlock(&self->lock);
    return !is_behind;
}

void stream_gone(httpd_stream *self) {
    CHECK(!self->is_told);
    self->is_told = true;
    self->connection = NULL;
    pthread_mutex_lock(&self->lock);
    self->is_closed = true;
    self->server = NULL;
    pthread_mutex_unlock(&self->lock);
    if (self->options.closed != NULL) self->options.closed(self->options.owner);
    stream_release(self);
}
