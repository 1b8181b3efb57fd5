// Redis Streams as doorbells. Nothing is true only here: whatever Redis answers, callers go on by polling PostgreSQL.
// One handle per thread. It connects when first used, with a deadline; after a failure further calls answer
// ERR_UNAVAILABLE at once until the jittered back-off has passed.
//
// Every call may return ERR_UNAVAILABLE (no connection, time-out, LOADING, OOM, MISCONF, READONLY, NOGROUP, any error
// answer); bus_error_text says why.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/sv.h"

typedef struct bus bus;

#define BUS_STREAM_MAX 64
#define BUS_CONNECT_TIMEOUT_MS 1000
#define BUS_COMMAND_TIMEOUT_MS 1000
#define BUS_RETENTION_MS (10 * 60 * 1000)

// `address`: "unix:/path" or "host:port". A malformed address is refused with a fault.
err_t bus_new(const char *address, bus **out_bus, fault *out_fault) MUST_CHECK;
void bus_free(bus *self);
const char *bus_error_text(const bus *self);

// Refuses (ERR_INTERNAL, with the reason) a Redis that may evict keys or that cannot be asked; ERR_UNAVAILABLE when it
// is not there, which is no reason to refuse a start.
err_t bus_check(bus *self, fault *out_fault) MUST_CHECK;

// One entry for a stream: one field `e` holding `payload`.
typedef struct bus_entry {
    const char *stream;
    sv payload;
} bus_entry;

// Pipelined. ERR_OK: all were taken. Else an unknown part was: publish again, readers are idempotent.
err_t bus_publish(bus *self, const bus_entry *entries, size_t len) MUST_CHECK;

// Reading position of one stream. Starts behind what is there; what was missed is the sweep's.
typedef struct bus_cursor {
    char stream[BUS_STREAM_MAX];
    char last_id[48];
} bus_cursor;

void bus_cursor_init(bus_cursor *self, const char *stream);

// An entry read; `stream` indexes the cursors, the payload lives in the arena.
typedef struct bus_message {
    size_t stream;
    sv payload;
} bus_message;

typedef struct bus_messages {
    bus_message *items;
    size_t len;
} bus_messages;

// Waits up to `wait_ms` for entries behind the cursors and moves these forward. No entry: ERR_OK and len 0. At most
// `max_entries` of each stream. After a FLUSHALL the cursors stay valid, because ids rise with the clock of Redis.
err_t bus_read(bus *self, bus_cursor *cursors, size_t cursor_count, size_t max_entries, int32_t wait_ms, arena *memory,
               bus_messages *out_messages) MUST_CHECK;

// Drops entries older than BUS_RETENTION_MS, by their ids.
err_t bus_trim(bus *self, const char *const *streams, size_t len) MUST_CHECK;
