// Growing, jittered pauses before a retry.
#pragma once

#include <stdint.h>

typedef struct fleet_backoff {
    uint64_t seed;
    uint64_t tries;
    unsigned failures;
} fleet_backoff;

// The pause after one more failure: 200 ms doubling to 5 s, of which a random half to whole is taken.
int64_t fleet_backoff_next_ms(fleet_backoff *self);
void fleet_backoff_reset(fleet_backoff *self);
