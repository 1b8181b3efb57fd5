// The consumers: what each stream's facts mean to people.
#pragma once

#include "service/service.h"

err_t balances_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t payments_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t control_events_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t device_events_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
err_t message_requests_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
