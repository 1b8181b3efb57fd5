#include "table.h"

#include "base/mem.h"

static char gone;
#define TABLE_GONE ((void *)&gone)
#define CAPACITY_MIN 16

void table_done(table *self) {
    mem_free(self->slots);
    *self = (table){0};
}

void *table_find(const table *self, uint64_t hash, table_equal *equal, const void *key) {
    if (self->capacity == 0) return NULL;
    size_t mask = self->capacity - 1;
    for (size_t at = (size_t)hash & mask; self->slots[at].item; at = (at + 1) & mask) {
        const table_slot *slot = &self->slots[at];
        if (slot->hash == hash && slot->item != TABLE_GONE && equal(slot->item, key)) return slot->item;
    }
    return NULL;
}

static void place(table *self, uint64_t hash, void *item) {
    size_t mask = self->capacity - 1;
    size_t at = (size_t)hash & mask;
    while (self->slots[at].item) at = (at + 1) & mask;
    self->slots[at] = (table_slot){hash, item};
}

// At most two thirds are used, so that every search ends at a free slot.
static void make_room(table *self) {
    if ((self->used + 1) * 3 <= self->capacity * 2) return;
    table old = *self;
    self->capacity = CAPACITY_MIN;
    while ((self->len + 1) * 2 > self->capacity) self->capacity *= 2;
    self->slots = mem_new(self->capacity, sizeof *self->slots);
    self->used = self->len;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].item && old.slots[i].item != TABLE_GONE) place(self, old.slots[i].hash, old.slots[i].item);
    mem_free(old.slots);
}

void table_add(table *self, uint64_t hash, void *item) {
    make_room(self);
    place(self, hash, item);
    self->used++;
    self->len++;
}

void table_remove(table *self, uint64_t hash, const void *item) {
    if (self->capacity == 0) return;
    size_t mask = self->capacity - 1;
    for (size_t at = (size_t)hash & mask; self->slots[at].item; at = (at + 1) & mask) {
        if (self->slots[at].item != item) continue;
        self->slots[at].item = TABLE_GONE;
        self->len--;
        return;
    }
}

void table_each(const table *self, void (*visit)(void *item)) {
    for (size_t i = 0; i < self->capacity; i++)
        if (self->slots[i].item && self->slots[i].item != TABLE_GONE) visit(self->slots[i].item);
}

// FNV-1a with a final mix (murmur3's), so that the low bits depend on all of the key.
uint64_t table_hash(const void *bytes, size_t len, uint64_t seed) {
    uint64_t hash = 14695981039346656037ULL ^ seed;
    for (size_t i = 0; i < len; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211ULL;
    hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDULL;
    return hash ^ hash >> 33;
}
