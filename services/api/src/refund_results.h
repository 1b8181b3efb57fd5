// Consumer of what became of refunds through a payment channel.
#pragma once

#include "service/service.h"

err_t refund_results_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
