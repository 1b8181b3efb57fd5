#include "base/clock.h"

#include <time.h>

static instant_ms system_now(const penstock_clock *self) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + self->shift_ms;
}

static instant_ms manual_now(const penstock_clock *self) { return self->shift_ms; }

penstock_clock clock_system(void) { return (penstock_clock){.now = system_now, .shift_ms = 0}; }

penstock_clock clock_manual(instant_ms at) { return (penstock_clock){.now = manual_now, .shift_ms = at}; }

instant_ms clock_now(const penstock_clock *self) { return self->now(self); }

int64_t clock_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_monotonic_ms(void) { return clock_monotonic_ns() / 1000000; }
