// What other services tell: wishes, balances, devices, and what became of commands.
#pragma once

#include "service/service.h"

err_t events_request(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t events_balance(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t events_device(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t events_result(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
