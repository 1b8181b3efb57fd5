// Bytes of one connection → complete requests. Pure: no socket, no clock. A refusal is final: behind it nobody can say
// where the next request begins.
#pragma once

#include "base/buf.h"
#include "head.h"

typedef struct reader_limits {
    size_t head_max;
    size_t fields_max;
    size_t arena_max;  // beyond the head
} reader_limits;

typedef enum reader_step {
    READER_MORE,      // all bytes were taken
    READER_HEAD,      // `head` is there: call reader_accept_body, then feed again (also with no bytes)
    READER_COMPLETE,  // head and body are there: take them, then reader_next
    READER_REFUSED    // `why` says it
} reader_step;

typedef struct reader {
    reader_limits limits;
    enum {
        READING_HEAD,
        READING_LENGTH,
        READING_SIZE,
        READING_EXTENSION,
        READING_SIZE_LF,
        READING_CHUNK,
        READING_CHUNK_CR,
        READING_CHUNK_LF,
        READING_TRAILER,
        READ_ALL
    } state;
    buf text;             // the head as it comes in
    unsigned end_marker;  // how much of CR LF CR LF has been seen
    arena *memory;        // holds the head once complete
    request_head head;
    buf body;
    size_t body_max;
    uint64_t left;       // of the body or of the chunk
    size_t line_len;     // of the current line of chunk framing
    size_t trailer_len;  // of all trailers
    bool has_digit;
    refusal why;
} reader;

void reader_init(reader *self, reader_limits limits);
void reader_done(reader *self);
bool reader_has_begun(const reader *self);
reader_step reader_feed(reader *self, sv *bytes);
void reader_accept_body(reader *self, size_t body_max);
// Ready for the next request on the connection; what was not taken is freed.
void reader_next(reader *self);
