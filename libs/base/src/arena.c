// Chained blocks, each at least 16 KiB; the newest one is filled by bumping an offset.
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define BLOCK_MIN 16384

typedef struct block {
    struct block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
} block;

struct arena {
    block *head;
    size_t max_bytes;
    size_t used;
};

arena *arena_new(size_t max_bytes) {
    arena *self = mem_new(1, sizeof *self);
    self->max_bytes = max_bytes;
    return self;
}

static void free_chain(block *first) {
    while (first) {
        block *next = first->next;
        mem_free(first);
        first = next;
    }
}

void arena_free(arena *self) {
    if (!self) return;
    free_chain(self->head);
    mem_free(self);
}

void arena_free_variable(arena **self) { arena_free(*self); }

void arena_reset(arena *self) {
    if (self->head) {
        free_chain(self->head->next);
        self->head->next = NULL;
        self->head->used = 0;
    }
    self->used = 0;
}

size_t arena_used(const arena *self) { return self->used; }

void *arena_alloc(arena *self, size_t count, size_t size) {
    size_t bytes = 0;
    CHECK(!__builtin_mul_overflow(count, size, &bytes) && bytes <= SIZE_MAX / 2);
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    CHECK(bytes <= self->max_bytes - self->used);
    if (!self->head || self->head->size - self->head->used < bytes) {
        size_t block_size = bytes > BLOCK_MIN ? bytes : BLOCK_MIN;
        block *fresh = mem_grow(NULL, sizeof(block) + block_size, 1);
        *fresh = (block){.next = self->head, .size = block_size};
        self->head = fresh;
    }
    void *start = self->head->bytes + self->head->used;
    self->head->used += bytes;
    self->used += bytes;
    return memset(start, 0, bytes);
}

char *arena_cstr(arena *self, sv text) {
    char *copy = arena_alloc(self, text.len + 1, 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    return copy;
}

sv arena_copy(arena *self, sv text) { return (sv){arena_cstr(self, text), text.len}; }

char *arena_printf(arena *self, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    char *text = arena_alloc(self, (size_t)len + 1, 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
