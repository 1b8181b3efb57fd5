// Group commit of notifications: workers hand one in and wait; a committer thread applies what has come together, of one
// company at a time, in one transaction. A batch that fails is applied again one by one, and one that cannot be applied for
// a reason that stays is stored with the outcome "error", so that nothing a channel said is lost.
#pragma once

#include "apply.h"
#include "service/service.h"

typedef struct committer committer;

committer *committer_new(service *svc, size_t waiting_max);
void committer_free(committer *self);
// Returns when it is committed (ERR_OK, with the entry's outcome), or is not: ERR_BUSY, ERR_UNAVAILABLE, ERR_UNCERTAIN.
err_t committer_apply(committer *self, apply_entry *entry);
// The threads; each with a connection of its own.
void committer_run(service *svc, void *context);
