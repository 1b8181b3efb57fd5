#include "base/num_map.h"

#include "base/check.h"
#include "base/mem.h"

void num_map_init(num_map *self) { *self = (num_map){0}; }

void num_map_done(num_map *self) {
    mem_free(self->slots);
    *self = (num_map){0};
}

// Fibonacci hashing: nums are nearly consecutive, their high bits after the product are not.
static size_t home(const num_map *self, int64_t num) {
    return (size_t)(((uint64_t)num * 0x9E3779B97F4A7C15u) >> 20) & (self->capacity - 1);
}

// The slot of `num`, or the empty one where it belongs.
static num_map_slot *slot_of(const num_map *self, int64_t num) {
    size_t at = home(self, num);
    while (self->slots[at].num != 0 && self->slots[at].num != num) at = (at + 1) & (self->capacity - 1);
    return &self->slots[at];
}

void *num_map_find(const num_map *self, int64_t num) { return self->capacity ? slot_of(self, num)->value : NULL; }

static void grow(num_map *self) {
    num_map bigger = {.capacity = self->capacity ? self->capacity * 2 : 16, .len = self->len};
    bigger.slots = mem_new(bigger.capacity, sizeof *bigger.slots);
    for (size_t i = 0; i < self->capacity; i++)
        if (self->slots[i].num != 0) *slot_of(&bigger, self->slots[i].num) = self->slots[i];
    mem_free(self->slots);
    *self = bigger;
}

void *num_map_put(num_map *self, int64_t num, void *value) {
    CHECK(num > 0 && value != NULL);
    if ((self->len + 1) * 4 > self->capacity * 3) grow(self);
    num_map_slot *slot = slot_of(self, num);
    void *previous = slot->value;
    if (!previous) self->len++;
    *slot = (num_map_slot){num, value};
    return previous;
}

void *num_map_remove(num_map *self, int64_t num) {
    if (!self->capacity) return NULL;
    num_map_slot *slot = slot_of(self, num);
    void *removed = slot->value;
    if (!removed) return NULL;
    *slot = (num_map_slot){0};
    self->len--;
    // What was pushed past the hole moves back, so that no search ends too early.
    size_t at = (size_t)(slot - self->slots);
    for (size_t next = (at + 1) & (self->capacity - 1); self->slots[next].num != 0; next = (next + 1) & (self->capacity - 1)) {
        num_map_slot moved = self->slots[next];
        self->slots[next] = (num_map_slot){0};
        *slot_of(self, moved.num) = moved;
    }
    return removed;
}

bool num_map_next(const num_map *self, size_t *at, int64_t *out_num, void **out_value) {
    for (; *at < self->capacity; (*at)++) {
        if (self->slots[*at].num == 0) continue;
        *out_num = self->slots[*at].num;
        *out_value = self->slots[*at].value;
        (*at)++;
        return true;
    }
    return false;
}
