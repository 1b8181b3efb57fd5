// Consumes `read-requests`: what operators want done on the line.
#pragma once

#include "service/service.h"

err_t commands_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
