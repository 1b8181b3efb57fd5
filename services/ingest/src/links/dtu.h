// Transparent links: a gateway connects, says who it is, and from then on carries the bytes of one serial bus on which
// we are the master. dtu_tcp.c owns sockets and log-in, dtu_bus.c the bus: what to ask next, one request in flight.
// Everything here runs on the loop's thread unless it says otherwise.
#pragma once

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <pthread.h>

#include "links/link.h"
#include "protocols/dlt645.h"
#include "table.h"

#define DTU_HEARTBEAT "penstock-alive"
#define DTU_LINE_MAX 128
#define DTU_URGENT_MAX 64

typedef struct dtu dtu;
typedef struct dtu_link dtu_link;

// One meter on the bus, as this link knows it.
typedef struct dtu_meter {
    registry_meter *meter;
    dlt645_address address;
    int64_t channel;  // 0: none, it is not polled
    int64_t interval_ms;
    int64_t due_ms;  // monotonic
    char serial[GATEWAY_TEXT_MAX];
    uint32_t refused_items[8];  // by step: how often the meter said that it has no such data
    uint32_t rounds;            // how often its turn came, asked or not
    uint32_t misses;            // polls in a row without any answer
    bool is_checked;            // its number was read back, or it has none to read
    bool is_wrong;              // it answered with another number: nothing of it is taken
} dtu_meter;

typedef enum bus_state { BUS_IDLE, BUS_ASKING, BUS_DRAINING } bus_state;

// The request in flight, within the poll of one meter.
typedef struct dtu_job {
    size_t meter;  // index in the plan
    bool is_urgent;
    read_request request;  // when urgent
    size_t step;
    uint32_t data_id;
    int tries;
    bool has_energy;  // the part that is journaled is complete
    bool was_answered;
    instant_ms energy_at;
    size_t value_count;
    struct {
        uint8_t reg;
        int64_t value;
    } values[8];
} dtu_job;

typedef enum link_state { LINK_LOGGING_IN, LINK_CLAIMING, LINK_UP, LINK_CLOSING } link_state;

struct dtu_link {
    dtu *owner;
    uint64_t id;
    link_state state;
    struct bufferevent *socket;
    char remote[REMOTE_MAX];
    char line[DTU_LINE_MAX];
    size_t line_len;
    struct event *deadline;  // of log-in and claim; then the tick
    struct event *silence;   // ends a registration without a line end
    struct event *bus_timer;
    registry_gateway *gateway;
    session_claim session;
    int64_t heard_ms;  // monotonic
    int64_t told_ms;   // when the session was last said to be alive
    int64_t heartbeat_ms;

    dlt645_scanner scanner;
    bus_state bus;
    int64_t drain_until_ms;
    VEC(dtu_meter) plan;
    uint32_t plan_version;
    bool has_job;
    dtu_job job;
    VEC(read_request) urgent;
};

struct dtu {
    ingest *app;
    size_t index;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *tick;
    int mail_fd;
    struct event *mail_event;
    pthread_mutex_t lock;
    VEC(session_claim) claims;        // answers from the bookkeeper; guarded
    VEC(read_request) read_requests;  // guarded
    table served;                     // gateways with a link that is up, by num; guarded
    VEC(dtu_link *) links;
    size_t links_max;
    uint64_t next_id;
    bool is_draining;  // guarded
    struct {
        metric *connected, *refused, *requests, *answers, *timeouts, *mismatches, *skipped_bytes, *echoes, *bad_frames, *unjournaled;
        metric *skipped;
    } count;
};

// dtu_tcp.c
void dtu_link_close(dtu_link *self, const char *why);
void dtu_after(struct event *timer, int64_t ms);
int64_t dtu_random_below(int64_t bound);

// dtu_bus.c
void dtu_bus_start(dtu_link *self);  // the link is up
void dtu_bus_bytes(dtu_link *self, sv bytes);
void dtu_bus_timer(evutil_socket_t fd, short what, void *context);
void dtu_bus_read_now(dtu_link *self, const read_request *request);
void dtu_bus_tick(dtu_link *self);
void dtu_bus_done(dtu_link *self);  // the link goes: what waits is answered

// dtu_poll.c: from answers to the journal.
void dtu_poll_journal(dtu_link *self, dtu_meter *meter, const dtu_job *job);
void dtu_poll_refuse(dtu_link *self, const dtu_meter *meter, const dlt645_frame *frame, refusal_reason reason);
void dtu_poll_values(dtu_link *self, const dtu_meter *meter, const dlt645_message *message, instant_ms at);
