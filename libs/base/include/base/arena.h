// Request-, batch- or job-owned memory: nothing inside is freed alone, all of it goes at once. Exceeding the maximum
// aborts, so bound the input first.
#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "base/sv.h"

typedef struct arena arena;

arena *arena_new(size_t max_bytes);
void arena_free(arena *self);
void arena_reset(arena *self);  // keeps one block for reuse
void arena_free_variable(arena **self);
#define AUTO_ARENA __attribute__((cleanup(arena_free_variable))) arena *

size_t arena_used(const arena *self);
// Zeroed, aligned for any object.
__attribute__((returns_nonnull, warn_unused_result)) void *arena_alloc(arena *self, size_t count, size_t size);
sv arena_copy(arena *self, sv text);
// NUL-terminated copy, for third-party edges.
char *arena_cstr(arena *self, sv text);
char *arena_printf(arena *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(self, type) ((type *)arena_alloc((self), 1, sizeof(type)))
#define ARENA_ARRAY(self, type, count) ((type *)arena_alloc((self), (count), sizeof(type)))
