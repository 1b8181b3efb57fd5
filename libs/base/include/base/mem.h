// Heap memory that cannot fail: exhaustion aborts, because every input is bounded before it reaches an allocation.
#pragma once

#include <stddef.h>

// Returns zeroed memory for `count` objects of `size` bytes; aborts on overflow of the product. Caller frees.
__attribute__((warn_unused_result, returns_nonnull)) void *mem_new(size_t count, size_t size);

// Resizes to `count` objects of `size` bytes; new bytes are not zeroed. `block` may be NULL.
__attribute__((warn_unused_result, returns_nonnull)) void *mem_grow(void *block, size_t count, size_t size);

// Frees; accepts NULL.
void mem_free(void *block);

// For AUTO_MEM: frees what a pointer variable points to when it leaves scope.
void mem_free_variable(void *pointer_address);
#define AUTO_MEM __attribute__((cleanup(mem_free_variable)))

// AUTO(type) runs type##_auto(type *) when the variable leaves scope. Each handle header defines its own _auto.
#define AUTO(type) __attribute__((cleanup(type##_auto))) type

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
