// What every meter protocol offers to those who only look at bytes: the command line and the log of a link.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sv.h"

// Told in the order of the input. Any callback may be NULL.
typedef struct protocol_sink {
    void *context;
    // One good frame as a JSON object, without a line end.
    void (*frame)(void *context, sv json);
    // Bytes that belong to no frame. `is_bad_frame`: they began like one and `reason` (one word: checksum, length,
    // truncated) says what broke; else the reason is "garbage".
    void (*skipped)(void *context, uint64_t offset, uint64_t count, bool is_bad_frame, sv reason, sv detail);
    // A frame with good checksum whose content cannot be what it claims: reason as above or not_bcd, time, item.
    void (*refused)(void *context, uint64_t offset, sv reason, sv detail);
} protocol_sink;

typedef struct protocol {
    const char *name;
    const char *title;
    // Takes the bytes as a complete recording: what is incomplete at the end is truncated.
    void (*decode)(sv bytes, const protocol_sink *sink);
} protocol;

#define PROTOCOL(name) const protocol *name##_protocol(void);
#include "protocols/protocols.def"
#undef PROTOCOL

const protocol *protocol_find(sv name);  // NULL when there is none
size_t protocol_count(void);
const protocol *protocol_at(size_t index);
