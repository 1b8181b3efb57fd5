#include "base/mem.h"

#include <stdlib.h>

#include "base/check.h"

void *mem_new(size_t count, size_t size) {
    void *block = calloc(count ? count : 1, size ? size : 1);
    CHECK(block != NULL);
    return block;
}

void *mem_grow(void *block, size_t count, size_t size) {
    size_t bytes = 0;
    CHECK(!__builtin_mul_overflow(count, size, &bytes));
    void *grown = realloc(block, bytes ? bytes : 1);
    CHECK(grown != NULL);
    return grown;
}

void mem_free(void *block) { free(block); }

void mem_free_variable(void *pointer_address) { free(*(void **)pointer_address); }
