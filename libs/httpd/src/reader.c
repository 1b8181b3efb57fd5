// See reader.h. Heads and chunk framing are read byte by byte with one state each; bodies in whole pieces.
#include "reader.h"

#include <string.h>

#include "base/check.h"

#define EXTENSION_MAX 128
#define CHUNK_DIGITS_MAX 15

static reader_step refuse(reader *self, refusal why);
static reader_step feed_head(reader *self, sv *bytes);
static reader_step feed_body(reader *self, sv *bytes);
static bool feed_chunk_framing(reader *self, char byte);

void reader_init(reader *self, reader_limits limits) {
    *self = (reader){.limits = limits};
    buf_init(&self->text, limits.head_max);
    buf_init(&self->body, 0);
}

void reader_done(reader *self) {
    buf_done(&self->text);
    buf_done(&self->body);
    arena_free(self->memory);
    self->memory = NULL;
}

void reader_next(reader *self) {
    reader_limits limits = self->limits;
    reader_done(self);
    reader_init(self, limits);
}

bool reader_has_begun(const reader *self) { return self->text.len > 0; }

static reader_step refuse(reader *self, refusal why) {
    self->why = why;
    return READER_REFUSED;
}

reader_step reader_feed(reader *self, sv *bytes) {
    if (self->why != REFUSAL_NONE) return READER_REFUSED;
    if (self->state == READING_HEAD) return feed_head(self, bytes);
    return feed_body(self, bytes);
}

// The end is CR LF CR LF. A LF without its CR is refused at once instead of waiting for an end that never comes. The
// verdict is that of the first offending byte, however the bytes are cut into pieces.
static reader_step feed_head(reader *self, sv *bytes) {
    static const char END[] = "\r\n\r\n";
    size_t used = 0;
    while (used < bytes->len && self->end_marker < 4) {
        if (self->text.len + used == self->limits.head_max) return refuse(self, REFUSAL_HEAD_TOO_LARGE);
        char byte = bytes->ptr[used++];
        if (byte == END[self->end_marker])
            self->end_marker++;
        else if (byte == '\n' || self->end_marker % 2 == 1)
            return refuse(self, REFUSAL_BARE_LF);
        else
            self->end_marker = byte == '\r' ? 1 : 0;
        if (self->end_marker == 2 && self->text.len + used == 2) return refuse(self, REFUSAL_REQUEST_LINE);
    }
    buf_add(&self->text, (sv){bytes->ptr, used});
    *bytes = sv_skip(*bytes, used);
    CHECK(!buf_has_failed(&self->text));
    if (self->end_marker < 4) return READER_MORE;
    self->memory =
        arena_new(self->limits.arena_max + 2 * self->limits.head_max + (self->limits.fields_max + 2) * sizeof(head_field) + 4096);
    refusal why = head_parse(arena_copy(self->memory, buf_view(&self->text)), self->limits.fields_max, self->memory, &self->head);
    return why == REFUSAL_NONE ? READER_HEAD : refuse(self, why);
}

void reader_accept_body(reader *self, size_t body_max) {
    self->body_max = body_max;
    buf_done(&self->body);
    buf_init(&self->body, body_max);
    self->left = self->head.content_length;
    self->state = self->head.is_chunked ? READING_SIZE : READING_LENGTH;
    if (self->left > body_max) self->why = REFUSAL_BODY_TOO_LARGE;
}

static void take_body(reader *self, sv *bytes) {
    size_t count = self->left < bytes->len ? (size_t)self->left : bytes->len;
    buf_add(&self->body, (sv){bytes->ptr, count});
    *bytes = sv_skip(*bytes, count);
    self->left -= count;
}

static reader_step feed_body(reader *self, sv *bytes) {
    if (self->state == READING_LENGTH) {
        if (bytes->len > 0) take_body(self, bytes);
        if (self->left > 0) return READER_MORE;
        self->state = READ_ALL;
    }
    while (self->state != READ_ALL && bytes->len > 0) {
        if (self->state == READING_CHUNK) {
            take_body(self, bytes);
            if (self->left == 0) self->state = READING_CHUNK_CR;
            continue;
        }
        if (!feed_chunk_framing(self, bytes->ptr[0])) return refuse(self, REFUSAL_CHUNK);
        *bytes = sv_skip(*bytes, 1);
        if (self->state == READING_SIZE_LF && self->left > self->body_max - self->body.len) return refuse(self, REFUSAL_BODY_TOO_LARGE);
    }
    return self->state == READ_ALL ? READER_COMPLETE : READER_MORE;
}

static int hex_value(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static bool feed_size_digit(reader *self, char byte) {
    int digit = hex_value(byte);
    if (digit >= 0) {
        self->left = self->left << 4 | (uint64_t)digit;
        self->has_digit = true;
        return ++self->line_len <= CHUNK_DIGITS_MAX;
    }
    self->state = byte == ';' ? READING_EXTENSION : READING_SIZE_LF;
    self->line_len = 0;
    return self->has_digit && (byte == ';' || byte == '\r');
}

// Trailers are read to their end and dropped; only the empty line that ends them is looked for.
static bool feed_trailer(reader *self, char byte) {
    static const char END[] = "\r\n";
    bool at_line_start = self->line_len == 0;
    if (self->end_marker == 1) {
        if (byte != '\n') return false;
        self->end_marker = 0;
        if (self->has_digit) self->state = READ_ALL;
        self->line_len = 0;
        return true;
    }
    if (byte == END[0]) {
        self->has_digit = at_line_start;
        self->end_marker = 1;
        return true;
    }
    self->line_len++;
    return byte != '\n' && byte != '\0' && !(at_line_start && (byte == ' ' || byte == '\t')) &&
           ++self->trailer_len <= self->limits.head_max;
}

static bool feed_chunk_framing(reader *self, char byte) {
    switch (self->state) {
        case READING_SIZE: return feed_size_digit(self, byte);
        case READING_EXTENSION:
            if (byte == '\r') self->state = READING_SIZE_LF;
            return byte == '\r' || (byte >= 0x20 && byte < 0x7f && ++self->line_len <= EXTENSION_MAX);
        case READING_SIZE_LF:
            self->state = self->left == 0 ? READING_TRAILER : READING_CHUNK;
            self->end_marker = 0;
            self->line_len = 0;
            return byte == '\n';
        case READING_CHUNK_CR: self->state = READING_CHUNK_LF; return byte == '\r';
        case READING_CHUNK_LF:
            self->state = READING_SIZE;
            self->has_digit = false;
            self->line_len = 0;
            return byte == '\n';
        case READING_TRAILER: return feed_trailer(self, byte);
        case READING_HEAD:
        case READING_LENGTH:
        case READING_CHUNK:
        case READ_ALL: break;
    }
    BUG("chunk framing asked for in another state");
}
