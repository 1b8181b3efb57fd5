// Rings the partitions' streams after a commit. Best effort: billing polls too. Its own thread, so that a Redis that
// hangs never holds up the journal; what does not fit its bounded queue is not rung.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"
#include "service/service.h"

typedef struct bell bell;

bell *bell_new(service *svc);
void bell_free(bell *self);
void bell_run(service *svc, void *self);

void bell_ring(bell *self, const int16_t *partitions, const int64_t *block_ids, size_t count);
// Tells the live board which properties of a company changed.
void bell_board(bell *self, int32_t company, int64_t property);
