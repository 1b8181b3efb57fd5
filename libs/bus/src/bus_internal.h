// Shared by the files of this library only.
#pragma once

#include <hiredis/hiredis.h>

#include "bus/bus.h"

struct bus {
    redisContext *redis;  // NULL while not connected
    bool is_unix;
    int port;
    char host[256];  // or socket path
    char error_text[200];
    int64_t retry_at_ms;  // monotonic; before it no attempt is made
    uint32_t back_off_ms;
};

err_t bus_connected(bus *self);
err_t bus_patience(bus *self, int64_t timeout_ms);
// The next pipelined answer, caller frees; an error answer becomes ERR_UNAVAILABLE.
err_t bus_reply(bus *self, redisReply **out_reply);
err_t bus_lost(bus *self);                     // the connection is gone
err_t bus_failed(bus *self, const char *why);  // it stands, but refused
void bus_answered(bus *self);
