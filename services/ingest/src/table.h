// A hash table of pointers with open addressing. Items are the caller's; a key is whatever `equal` compares.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct table_slot {
    uint64_t hash;
    void *item;  // NULL: free; TABLE_GONE: removed
} table_slot;

typedef struct table {
    table_slot *slots;
    size_t capacity;  // a power of two, or 0
    size_t used;      // including removed ones
    size_t len;
} table;

typedef bool table_equal(const void *item, const void *key);

void table_done(table *self);
void *table_find(const table *self, uint64_t hash, table_equal *equal, const void *key);
// The caller has made sure that no equal item is in it.
void table_add(table *self, uint64_t hash, void *item);
void table_remove(table *self, uint64_t hash, const void *item);

void table_each(const table *self, void (*visit)(void *item));

uint64_t table_hash(const void *bytes, size_t len, uint64_t seed);
