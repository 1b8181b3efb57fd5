// Identifiers. Public ids are UUIDs of version 7 (RFC 9562 §5.7). Rows of hot tables carry a `num`, a 63-bit number
// that rises with time and is unique over replicas.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/sv.h"

typedef struct uuid {
    uint8_t bytes[16];
} uuid;

#define UUID_TEXT_LEN 36

// `random` is fresh entropy from the caller.
uuid uuid_v7(instant_ms at, const uint8_t random[10]);
uuid uuid_v7_now(void);  // system clock and getrandom
bool uuid_parse(sv text, uuid *out_id);
void uuid_format(uuid id, char out[UUID_TEXT_LEN + 1]);

// Numbers for hot rows: 41 bits of milliseconds since 2024-01-01, 10 bits of replica, 12 bits of counter. Not
// thread-safe: one series per writer. A clock that steps back does not repeat numbers: the series keeps its last
// millisecond until time has caught up.
typedef struct num_series {
    uint16_t replica;  // 0–1023, unique among writers that live at the same time
    uint16_t counter;
    int64_t last_ms;
} num_series;

int64_t num_next(num_series *self, instant_ms at);
instant_ms num_instant(int64_t num);  // the millisecond a num was made in

// Fills with entropy of the kernel; aborts if there is none.
void random_fill(void *out, size_t len);
