// A growing byte buffer that cannot be created without its maximum (after curl's dynbuf). Writing past the maximum
// changes nothing and makes the buffer fail: check once with buf_has_failed at the end of a series of writes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/sv.h"

typedef struct buf {
    char *ptr;
    size_t len;
    size_t capacity;
    size_t max;
    bool failed;
} buf;

void buf_init(buf *self, size_t max);
void buf_done(buf *self);
void buf_auto(buf *self);   // for AUTO(buf)
void buf_clear(buf *self);  // empty and no longer failed; keeps the memory
bool buf_has_failed(const buf *self);
sv buf_view(const buf *self);     // valid until the next write
const char *buf_cstr(buf *self);  // NUL-terminated, valid until the next write; the NUL does not count
void buf_add(buf *self, sv bytes);
void buf_add_byte(buf *self, char byte);
void buf_add_i64(buf *self, int64_t value);
void buf_add_hex(buf *self, const void *bytes, size_t len);  // lower case
void buf_addf(buf *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Extends by `len` bytes and returns where they start, or NULL when that passes the maximum.
char *buf_reserve(buf *self, size_t len);
void buf_drop_front(buf *self, size_t len);
