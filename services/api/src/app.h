// The service as a whole, and what one HTTP worker holds.
#pragma once

#include <pthread.h>

#include "documents/zone_files.h"
#include "guesses.h"
#include "httpd/server.h"
#include "service/service.h"

typedef struct feed feed;

struct api_app {
    service *svc;
    httpd *http;
    zone_set *zones;
    feed *feed;
    guesses *guesses;  // failed log-ins by address
    // Password hashes that may begin now; each takes 64 MiB while it runs.
    pthread_mutex_t hash_lock;
    pthread_cond_t hash_ended;
    int64_t hashes_free;
    bool is_behind_proxy;
    metric *answers[6];  // by hundreds of the status
    metric *duration;
};
typedef struct api_app api_app;

typedef struct api_worker {
    api_app *app;
    db *conn;  // NULL until it could be opened
} api_worker;

extern const service_def API_SERVICE;

// Opens or repairs the worker's connection, once.
err_t api_worker_connect(api_worker *self) MUST_CHECK;
