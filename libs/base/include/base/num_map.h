// A hash map from nums (positive int64) to pointers the map does not own. Open addressing; grows by itself. Not
// thread-safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct num_map_slot {
    int64_t num;  // 0: empty
    void *value;
} num_map_slot;

typedef struct num_map {
    num_map_slot *slots;
    size_t capacity;  // a power of two, or 0
    size_t len;
} num_map;

void num_map_init(num_map *self);
void num_map_done(num_map *self);
void *num_map_find(const num_map *self, int64_t num);  // NULL when absent
// Returns the value that was there before, NULL when there was none. `num` > 0, `value` not NULL.
void *num_map_put(num_map *self, int64_t num, void *value);
void *num_map_remove(num_map *self, int64_t num);
// Walks in no particular order: start with *at = 0; false at the end. Do not change the map meanwhile.
bool num_map_next(const num_map *self, size_t *at, int64_t *out_num, void **out_value);
