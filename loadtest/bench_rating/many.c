// States in memory as a service that rates without a database between would keep them: the bytes that charging touches,
// one state behind the other, walked in order; neighbours have different tariffs.
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "bench.h"

typedef struct many {
    tariff **tariffs;
    size_t tariff_count;
    uint8_t *states;
    size_t room;
    size_t points;
    rating_cache *cache;
} many;

static void charge_slot(const many *self, int64_t slot, measure *out) {
    size_t of = 0;
    for (size_t point = 0; point < self->points; point++) {
        rating_state *state = (rating_state *)(void *)(self->states + point * self->room);
        rating_interval reading = reading_of(point, slot);
        rating_result result;
        if (rating_charge(self->tariffs[of], self->cache, state, &reading, &result, NULL) != RATING_OK) BUG("a reading was not rated");
        out->charged += result.amount_micro;
        out->readings++;
        if (++of == self->tariff_count) of = 0;
    }
}

static measure charge_day(const many *self) {
    measure out = {0}, before_it = {0};
    charge_slot(self, -1, &before_it);  // opens the windows
    int64_t allocated = allocations, begin = cpu_ns();
    for (int64_t slot = 0; slot < READINGS_PER_DAY; slot++) charge_slot(self, slot, &out);
    out.ns = cpu_ns() - begin;
    out.allocations = allocations - allocated;
    return out;
}

bool run_many(const bench_options *options, const zone *in_zone) {
    many self = {.tariff_count = (size_t)options->many_tariffs, .points = (size_t)options->many_points, .cache = rating_cache_new(4096)};
    self.tariffs = mem_new(self.tariff_count, sizeof(tariff *));
    for (size_t i = 0; i < self.tariff_count; i++) self.tariffs[i] = full_language(in_zone, 100 + i);
    self.room = rating_state_room(self.tariffs[0]);
    measure floor = measure_arithmetic(options->many_points, 3);
    self.states = mem_new(self.points, self.room);
    measure charged = charge_day(&self);
    printf("\"many_points\":%zu,\"many_tariffs\":%zu,\"many_state_bytes\":%zu,\"many_memory_mib\":%zu,", self.points, self.tariff_count,
           self.room, self.points * self.room >> 20);
    print_ns("many_floor", &floor);
    print_ns("many", &charged);
    printf("\"many_allocations\":%lld,", (long long)charged.allocations);
    mem_free(self.states);
    for (size_t i = 0; i < self.tariff_count; i++) tariff_free(self.tariffs[i]);
    mem_free(self.tariffs);
    rating_cache_free(self.cache);
    return charged.allocations == 0 && charged.ns <= RATING_NS_MAX * charged.readings;
}
