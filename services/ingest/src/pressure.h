// How far billing is behind, and what that means for taking in: readings that could not be charged in time are better
// kept in the gateways' memory than in the journal. Where no billing worker lives at all, the journal goes on taking
// them: it is on disk, a gateway's memory is small.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/service.h"

typedef struct pressure pressure;

// `lag_max_ms`: over it taking in is held back, until the lag is below half of it.
pressure *pressure_new(service *svc, int64_t lag_max_ms);
void pressure_free(pressure *self);
// The thread: looks at billing's beats each second.
void pressure_run(service *svc, void *self);

// Any thread.
bool pressure_is_high(const pressure *self);
// For Retry-After: grows with the lag, and differs from call to call so that not all come back at once.
int64_t pressure_retry_after_s(const pressure *self);
// Every reading of a bus is a register that only grows: while the pressure is high only every second round is asked.
bool pressure_skips_round(const pressure *self, uint32_t round);
// Who was told to wait is not silent: while the pressure is high and shortly after.
bool pressure_excuses_silence(const pressure *self);
