// Consumer of ingest's command results.
#pragma once

#include "service/service.h"

err_t read_results_handle(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault) MUST_CHECK;
