// The threads that hand messages to their channels.
#pragma once

#include "app.h"

void courier_run(service *svc, void *context);  // context: alerts_app
// What a receipt or an answer says of a message, in an open transaction: the end of it, the delivered warning, the next
// way where this one failed.
typedef struct message_end {
    int32_t company;
    int64_t num;
    const char *state;
    sv reason;
    sv provider_id;
    instant_ms next_at;
    int64_t cost_micro;
    bool tries_next;
} message_end;
err_t courier_end(alerts_app *app, db *conn, const message_end *self, arena *memory, fault *out_fault) MUST_CHECK;
