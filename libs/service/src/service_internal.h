// Shared by the files of this library only.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "httpd/server.h"
#include "service/service.h"

#define THREADS_MAX 64

typedef struct service_thread {
    service *svc;
    pthread_t id;
    char name[16];
    void (*run)(service *svc, void *context);
    void *context;
    atomic_bool has_ended;
} service_thread;

struct service {
    const service_def *def;
    settings *settings;
    penstock_clock clock;
    uuid instance;
    void *state;
    const char *schema;  // = def->name
    char worker_role[64];

    pthread_mutex_t lock;
    pthread_cond_t stop_changed;
    pthread_cond_t relay_rung;
    bool is_stopping;
    bool relay_has_work;

    atomic_bool is_started;
    atomic_bool has_failed;
    atomic_bool database_ok;
    atomic_bool redis_ok;  // false only when it answered that it may evict
    service_thread *threads[THREADS_MAX];
    size_t thread_count;
    httpd *admin;
};

// admin.c: /livez /readyz /metrics
err_t service_admin_start(service *self, fault *out_fault);
// checks.c: what a role, a schema and a Redis must be. ERR_UNAVAILABLE: try again; any other error refuses the start.
err_t service_check_database(service *self, db *conn, fault *out_fault);
err_t service_check_redis(service *self, fault *out_fault);
// keeper.c: a thread that keeps the two answers above fresh
void service_keeper_run(service *svc, void *context);
// relay.c
void service_relay_run(service *svc, void *context);
// consumer.c; context: const service_consumer *
void service_consumer_run(service *svc, void *context);
// A connection in the name of the service's worker role, with its own schema on the search path.
db_options service_worker_options(const service *self, const char *purpose);
