#include "backoff.h"

#include "fleet/profile.h"

#define FIRST_MS 200
#define LAST_MS 5000

int64_t fleet_backoff_next_ms(fleet_backoff *self) {
    int64_t whole_ms = self->failures < 5 ? FIRST_MS << self->failures : LAST_MS;
    self->failures++;
    return whole_ms / 2 + (int64_t)(fleet_mix(self->seed, self->tries++) % (uint64_t)(whole_ms / 2));
}

void fleet_backoff_reset(fleet_backoff *self) { self->failures = 0; }
