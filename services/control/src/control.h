// The control service: what supplies shall be, and why they are not.
#pragma once

#include "service/service.h"

typedef struct control_app {
    service *svc;
    metric *decided_off, *decided_on, *refused, *frozen, *verified, *unknown, *retries, *bad_requests;
} control_app;

extern const service_def CONTROL_SERVICE;
