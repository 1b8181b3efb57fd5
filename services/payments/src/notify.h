// Where payment channels send their notifications: POST /notify/{channel}/{merchant}. The path only selects keys. A
// notification is verified over its raw bytes, stored and applied in one transaction, and then answered: any answer of the
// 200s ends the channel's repetitions, so it is given for nothing that is not committed.
#pragma once

#include "committer.h"
#include "merchants.h"

typedef struct notify notify;

err_t notify_start(service *svc, merchants *known, committer *sink, notify **out_notify, fault *out_fault) MUST_CHECK;
void notify_drain(notify *self);
void notify_free(notify *self);
