// A stream has two holders, its owner and the loop, and a third while it waits in the server's list of streams with
// something to do. Lock order: stream before server.
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "httpd/server.h"

typedef struct connection connection;

struct httpd_stream {
    pthread_mutex_t lock;
    int holders;
    buf pending;
    bool is_closed;  // nothing more is accepted
    bool is_ending;  // the owner closed it: flush, then end
    bool is_listed;
    httpd *server;  // NULL until the loop has adopted it
    struct httpd_stream *next;

    connection *connection;  // the loop's
    bool is_told;            // the loop's: `closed` was called
    httpd_stream_options options;
};

httpd_stream *stream_new(const httpd_stream_options *options);
void stream_release(httpd_stream *self);
// The loop's side. Adopting lets sends reach the loop; what was sent before is pending.
void stream_adopt(httpd_stream *self, httpd *server, connection *on);
// Moves what is pending to *out (empty before); false when the peer fell behind. *out_ends: nothing will follow.
bool stream_take(httpd_stream *self, buf *out, bool *out_ends);
// Nothing can be sent any more: tells the owner and lets go.
void stream_gone(httpd_stream *self);
