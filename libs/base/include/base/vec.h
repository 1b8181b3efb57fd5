// Typed growing arrays: `VEC(int64_t) nums = {0};` then vec_push, .items[i], .len; vec_done frees. The caller bounds
// what it pushes.
#pragma once

#include <stddef.h>

#include "base/mem.h"

#define VEC(type)        \
    struct {             \
        type *items;     \
        size_t len;      \
        size_t capacity; \
    }

#define vec_push(vec, value)                  \
    do {                                      \
        vec_reserve((vec), (vec)->len + 1);   \
        (vec)->items[(vec)->len++] = (value); \
    } while (0)

#define vec_reserve(vec, wanted)                                                          \
    do {                                                                                  \
        if ((vec)->capacity < (wanted)) {                                                 \
            (vec)->capacity = vec_next_capacity((vec)->capacity, (wanted));               \
            (vec)->items = mem_grow((vec)->items, (vec)->capacity, sizeof *(vec)->items); \
        }                                                                                 \
    } while (0)

#define vec_clear(vec) ((void)((vec)->len = 0))

#define vec_done(vec)                     \
    do {                                  \
        mem_free((vec)->items);           \
        (vec)->items = NULL;              \
        (vec)->len = (vec)->capacity = 0; \
    } while (0)

size_t vec_next_capacity(size_t capacity, size_t wanted);
