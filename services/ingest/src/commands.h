// Consumes `commands` (what control wants done) and `read-requests` (what operators want read): each becomes a row that
// waits for the replica with the gateway's session, or is answered at once when it cannot be done.
#pragma once

#include "service/service.h"

err_t commands_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t commands_handle_read(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
