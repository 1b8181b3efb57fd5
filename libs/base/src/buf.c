#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void buf_init(buf *self, size_t max) { *self = (buf){.max = max}; }

void buf_done(buf *self) {
    mem_free(self->ptr);
    *self = (buf){.max = self->max};
}

void buf_auto(buf *self) { buf_done(self); }

void buf_clear(buf *self) {
    self->len = 0;
    self->failed = false;
}

bool buf_has_failed(const buf *self) { return self->failed; }

sv buf_view(const buf *self) { return (sv){self->ptr, self->len}; }

// Makes room for `extra` bytes and one NUL behind them.
static bool make_room(buf *self, size_t extra) {
    if (self->failed || extra > self->max - self->len) {
        self->failed = true;
        return false;
    }
    size_t wanted = self->len + extra + 1;
    if (wanted <= self->capacity) return true;
    size_t capacity = self->capacity ? self->capacity * 2 : 256;
    if (capacity < wanted) capacity = wanted;
    self->ptr = mem_grow(self->ptr, capacity, 1);
    self->capacity = capacity;
    return true;
}

const char *buf_cstr(buf *self) {
    if (self->capacity == 0) {
        self->ptr = mem_grow(NULL, 1, 1);
        self->capacity = 1;
    }
    self->ptr[self->len] = '\0';
    return self->ptr;
}

void buf_add(buf *self, sv bytes) {
    if (!make_room(self, bytes.len) || bytes.len == 0) return;
    memcpy(self->ptr + self->len, bytes.ptr, bytes.len);
    self->len += bytes.len;
}

void buf_add_byte(buf *self, char byte) { buf_add(self, (sv){&byte, 1}); }

void buf_add_i64(buf *self, int64_t value) { buf_addf(self, "%lld", (long long)value); }

void buf_add_hex(buf *self, const void *bytes, size_t len) {
    static const char DIGITS[] = "0123456789abcdef";
    char *out = buf_reserve(self, len * 2);
    for (size_t i = 0; out && i < len; i++) {
        uint8_t byte = ((const uint8_t *)bytes)[i];
        out[2 * i] = DIGITS[byte >> 4];
        out[2 * i + 1] = DIGITS[byte & 15];
    }
}

void buf_addf(buf *self, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || !make_room(self, (size_t)len)) {
        self->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(self->ptr + self->len, (size_t)len + 1, format, args);
    va_end(args);
    self->len += (size_t)len;
}

char *buf_reserve(buf *self, size_t len) {
    if (!make_room(self, len)) return NULL;
    char *start = self->ptr + self->len;
    self->len += len;
    return start;
}

void buf_drop_front(buf *self, size_t len) {
    if (len >= self->len) {
        self->len = 0;
        return;
    }
    memmove(self->ptr, self->ptr + len, self->len - len);
    self->len -= len;
}
