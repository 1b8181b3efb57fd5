// Writes what is not a reading: sessions of links, contacts, last values, device events. One
// thread with its own connection, so that a loop that serves sockets never waits for the database. Everything handed
// over is bounded; what does not fit is refused (claims) or dropped and counted (all else).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "registry.h"

typedef struct bookkeeper bookkeeper;
struct ingest;

#define REMOTE_MAX 64

// A link wants to be the one that serves a gateway.
typedef struct session_claim {
    registry_gateway *gateway;
    uint64_t link_id;
    char remote[REMOTE_MAX];
    bool is_granted;  // filled for the answer
    int64_t epoch;
} session_claim;

bookkeeper *bookkeeper_new(struct ingest *app);
void bookkeeper_free(bookkeeper *self);
void bookkeeper_run(service *svc, void *self);

// The answer comes by ingest_link.claimed on the bookkeeper's thread. False: the queue is full.
bool bookkeeper_claim(bookkeeper *self, const session_claim *claim);
// The session is alive; if another replica took it meanwhile, ingest_link.claimed says so with is_granted false.
void bookkeeper_session_seen(bookkeeper *self, const session_claim *session);
void bookkeeper_session_closed(bookkeeper *self, const session_claim *session);

// An event without consequence elsewhere: it is kept and shown. `kind` and `detail` (a JSON object) are copied.
typedef struct device_event {
    const char *kind;
    const registry_gateway *gateway;
    const registry_meter *meter;  // may be NULL
    char detail[200];
} device_event;

void bookkeeper_event(bookkeeper *self, const device_event *event);
