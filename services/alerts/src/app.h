// The service as a whole.
#pragma once

#include "channels/channel.h"
#include "crypto/secret_box.h"
#include "documents/zone_files.h"
#include "httpd/server.h"
#include "service/service.h"

typedef struct alerts_app {
    service *svc;
    crypto_keyring *keys;
    zone_set *zones;
    httpd *http;
    bool may_reach_private;  // webhooks to addresses of the own network; for a company that runs its own installation
    metric *sent[CHANNEL_RESULT_COUNT], *suppressed;
} alerts_app;

extern const service_def ALERTS_SERVICE;
