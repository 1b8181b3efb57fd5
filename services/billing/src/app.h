// What the threads of one billing process share.
#pragma once

#include <stdatomic.h>

#include "documents/zone_files.h"
#include "service/service.h"

#define PARTITIONS_MAX 1024
#define WORKERS_MAX 16

typedef struct billing_metrics {
    metric *closes, *recharges;
    metric *blocks, *readings, *charged, *ignored, *stored, *late, *quarantined, *dead, *transactions, *retries, *replays, *days;
    metric *transaction_seconds, *visible_seconds;
} billing_metrics;

typedef struct billing_app {
    service *svc;
    zone_set *zones;
    int32_t partitions;      // P
    int32_t batch_readings;  // at most in one transaction
    int32_t batch_ms;        // how long to gather while there is little to do
    size_t cache_points;     // a worker forgets its points beyond this many
    int64_t close_grace_ms;  // a window without a reading after its end closes so long after it
    size_t workers;
    atomic_llong connected;  // workers that hold a connection
    atomic_llong owned;      // partitions of all workers
    atomic_llong lag_ms;     // age of the oldest block taken last, 0 when all is claimed
    billing_metrics metrics;
} billing_app;
