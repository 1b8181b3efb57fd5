// The payments service's parts, wired once at start.
#pragma once

#include "caller.h"
#include "committer.h"
#include "merchants.h"
#include "notify.h"
#include "service/service.h"

typedef struct payments {
    service *svc;
    merchants *merchants;
    committer *committer;
    notify *notify;
    callers *callers;
} payments;

extern const service_def PAYMENTS_SERVICE;
