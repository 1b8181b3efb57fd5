// The skeleton of every service: settings, logs, start checks, admin port (/livez /readyz /metrics), signals, worker
// threads, the outbox relay, the consumer loop, and shutdown in fixed order: not ready → stop taking (drain) → join the
// threads → stop → close.
//
//   int main(int argc, char **argv) {
//       static const service_def DEF = {.name = "ingest", …};
//       return service_main(&DEF, argc, argv);
//   }
//
// Exit codes: 0 stopped as asked; 2 refused to start, the reason is the last line on stderr; 1 anything else.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "base/instant.h"
#include "bus/bus.h"
#include "db/db.h"
#include "service/metrics.h"
#include "service/settings.h"

typedef struct service service;

// One fact that passes between services: a row of a producer's outbox.
typedef struct service_event {
    uuid id;
    const char *stream;  // from contracts/streams.def
    sv type;             // from contracts/events.def
    int32_t company;
    int64_t subject;  // num of what the event is about
    int64_t version;  // rises per subject; a consumer drops what is older than what it has
    instant_ms at;
    sv payload;  // JSON object
} service_event;

// A consumed stream. `handle` runs in an open transaction on `conn` in which the event was just entered in the inbox:
// it does its effects there and returns ERR_OK (commit), or an error. Errors of class "later" are tried again;
// any other makes a dead letter of the event with the fault's reason. Delivery is at least once into the loop and
// effectively once into the handler's effects.
typedef struct service_consumer {
    const char *stream;
    err_t (*handle)(service *svc, db *conn, const service_event *event, arena *memory, fault *out_fault);
} service_consumer;

// A health check: false makes /readyz answer 503 and name it. Must not block.
typedef struct service_check {
    const char *name;
    bool (*is_ready)(service *svc);
} service_check;

typedef struct service_def {
    const char *name;                   // lower case; the database role is penstock_<name>, the schema <name>
    const char *summary;                // one line for --help
    const char *worker_role;            // role of relay and consumers, who serve all companies; NULL: penstock_<name>
    const char *admin_listen;           // default of PENSTOCK_ADMIN_LISTEN
    const setting *settings;            // ends with a NULL name; may be NULL
    int32_t schema_version;             // the oldest schema it can work on
    const service_consumer *consumers;  // ends with a NULL stream; may be NULL
    bool has_outbox;                    // <schema>.outbox exists: run the relay
    const service_check *checks;        // ends with a NULL name; may be NULL
    // Opens what it needs and spawns its threads; fills a fault on refusal.
    err_t (*start)(service *svc, fault *out_fault);
    void (*drain)(service *svc);  // stop taking new work; may be NULL; must return quickly
    // Asked many times a second behind drain, while all threads still work, until it is true or a second signal comes:
    // what was taken is brought to its end. May be NULL; bounds itself.
    bool (*is_drained)(service *svc);
    void (*stop)(service *svc);  // after all spawned threads have ended; may be NULL
} service_def;

int service_main(const service_def *def, int argc, char **argv);

// The service's own data, set by start.
void service_set_state(service *self, void *state);
void *service_state(const service *self);
const settings *service_settings(const service *self);
const penstock_clock *service_clock(const service *self);
instant_ms service_now(const service *self);
// Identity of this process, fresh at each start: names it in beats and sessions.
uuid service_instance(const service *self);

// Connection options with the role and time-outs of this service; adjust before db_open. application_name is
// penstock-<service>/<purpose>.
db_options service_db_options(const service *self, const char *purpose);
// Opens or resets, with jittered back-off, until it succeeds or the service stops (ERR_UNAVAILABLE).
err_t service_db_connect(service *self, const db_options *options, db **in_out_conn) MUST_CHECK;
// A new bus handle on PENSTOCK_REDIS; it connects by itself and never blocks longer than its deadlines.
bus *service_bus_new(service *self);

// A thread of the service; joined at shutdown. It must return soon after service_is_stopping turns true.
void service_spawn(service *self, const char *name, void (*run)(service *svc, void *context), void *context);
bool service_is_stopping(const service *self);
// Sleeps up to `timeout_ms`; returns true as soon as the service is stopping.
bool service_wait(service *self, int32_t timeout_ms);
// Begins the shutdown from inside, e.g. when a listener dies; the process exits with 1.
void service_fail(service *self, const char *why);
// Wakes the outbox relay after a commit that wrote outbox rows; without it the relay looks every second.
void service_ring_relay(service *self);
