// Transparent links: a gateway connects, says who it is, and from then on carries the bytes of one serial bus on which
// we are the master. dtu_tcp.c owns sockets and log-in, dtu_bus.c the bus: whose turn it is, one request in flight;
// dtu_order.c what is done to one meter on order.
// Everything here runs on the loop's thread unless it says otherwise.
#pragma once

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdatomic.h>

#include "links/link.h"
#include "protocols/dlt645.h"
#include "table.h"

#define DTU_HEARTBEAT "penstock-alive"
#define DTU_LINE_MAX 128
#define DTU_ORDERS_MAX 256
#define DTU_POLL_STEPS 9

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
    uint32_t refused_items[DTU_POLL_STEPS];  // by step: how often the meter said that it has no such data
    uint32_t rounds;                         // how often its turn came, asked or not
    uint32_t misses;                         // polls in a row without any answer
    bool is_checked;                         // its number was read back, or it has none to read
    bool is_wrong;                           // it answered with another number: nothing of it is taken
} dtu_meter;

// HELD: a turn waits for the dispatcher's word, and nothing else may be asked meanwhile.
typedef enum bus_state { BUS_IDLE, BUS_ASKING, BUS_DRAINING, BUS_HELD } bus_state;

// The poll of one meter.
typedef struct dtu_job {
    size_t meter;  // index in the plan
    bool is_urgent;
    line_order order;  // when urgent
    size_t step;
    int tries;
    bool has_energy;  // the part that is journaled is complete
    bool has_status;
    bool was_answered;
    instant_ms energy_at;
    size_t value_count;
    struct {
        uint8_t reg;
        int64_t value;
    } values[8];
} dtu_job;

// What is asked or sent next for an order; see dtu_order.c.
typedef enum order_step {
    ORDER_NUMBER,
    ORDER_DATE,
    ORDER_TIME,
    ORDER_CLAIM,
    ORDER_ACT,
    ORDER_STATUS,
    ORDER_LOAD,
    ORDER_READ,
    ORDER_WRITE
} order_step;

// An order that waits for its turn, has it, or waits for a relay or valve to show that it moved.
typedef struct dtu_order {
    line_order what;
    order_step step;
    size_t meter;           // index in the plan, valid for the turn
    int64_t due_ms;         // monotonic
    int tries;              // of the question in flight
    bool is_sent;           // the command may have left
    bool is_taken;          // the meter acknowledged it
    const char *refusal;    // what the meter said instead; NULL: nothing
    int64_t show_until_ms;  // monotonic: until then it may be on its way
    int load_looks;
    const char *supply;  // as last read back
    dlt645_time date;
    int64_t clock_s;   // the meter's clock, see dlt645_time_seconds
    int64_t clock_ms;  // monotonic: when that was
    size_t item;       // parameters: which
    bool is_written;
} dtu_order;

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
    bool is_leaving;  // ends with its turn: this replica drains

    dlt645_scanner scanner;
    bus_state bus;
    dlt645_frame asked;  // while asking
    int64_t drain_until_ms;
    VEC(dtu_meter) plan;
    uint32_t plan_version;
    bool was_favoured;  // the last turn went to a meter near the end of its credit
    bool has_job;
    dtu_job job;
    bool has_order;
    dtu_order order;
    VEC(dtu_order) orders;
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
    VEC(session_claim) claims;     // answers from the bookkeeper; guarded
    VEC(line_order) orders;        // guarded
    VEC(line_claim) order_claims;  // guarded
    table served;                  // gateways with a link that is up, by num; guarded
    VEC(dtu_link *) links;
    size_t links_max;
    int64_t relay_wait_ms, valve_wait_ms;
    uint64_t next_id;
    bool is_draining;  // guarded
    int64_t drain_ms;
    int64_t drain_from_ms;  // monotonic; 0: not yet
    size_t drain_links;     // that were up when it began
    atomic_bool has_drained;
    struct {
        metric *connected, *refused, *requests, *answers, *timeouts, *mismatches, *skipped_bytes, *echoes, *bad_frames, *unjournaled;
        metric *skipped;
    } count;
};

// dtu_tcp.c
void dtu_link_close(dtu_link *self, const char *why);
void dtu_after(struct event *timer, int64_t ms);
int64_t dtu_random_below(int64_t bound);

// dtu_drain.c: no newcomers, and the links that are up end one after the other.
void dtu_drain_tick(dtu *self, int64_t now_ms);

// dtu_bus.c
void dtu_bus_start(dtu_link *self);  // the link is up
void dtu_bus_bytes(dtu_link *self, sv bytes);
void dtu_bus_timer(evutil_socket_t fd, short what, void *context);
void dtu_bus_wake(dtu_link *self);  // there is something new to do
void dtu_bus_tick(dtu_link *self);
void dtu_bus_done(dtu_link *self);  // the link goes: what waits is answered
// For the turn of an order: asks, and answers by dtu_order_answer or dtu_order_unanswered.
void dtu_bus_ask(dtu_link *self, const dlt645_frame *frame);
void dtu_bus_end_turn(dtu_link *self);
void dtu_bus_read_now(dtu_link *self, size_t meter, const line_order *order);  // a poll out of turn
// What the meter says its number is, against the installed one.
void dtu_bus_take_number(dtu_link *self, dtu_meter *meter, const dlt645_message *message);

// dtu_order.c
void dtu_order_add(dtu_link *self, const line_order *order);
void dtu_order_claimed(dtu_link *self, const line_claim *claim);
bool dtu_order_take_turn(dtu_link *self);        // false: none is due
int64_t dtu_order_due_ms(const dtu_link *self);  // monotonic; INT64_MAX: there is none
void dtu_order_answer(dtu_link *self, const dlt645_frame *frame);
void dtu_order_unanswered(dtu_link *self);
void dtu_order_end_all(dtu_link *self);  // the link goes

// The data identifier a read, write or their answer begins with; 0: it has none.
static inline uint32_t dtu_frame_item(const dlt645_frame *frame) {
    if (frame->len < 4) return 0;
    return (uint32_t)frame->data[0] | (uint32_t)frame->data[1] << 8 | (uint32_t)frame->data[2] << 16 | (uint32_t)frame->data[3] << 24;
}

// dtu_poll.c: from answers to the journal.
void dtu_poll_journal(dtu_link *self, dtu_meter *meter, const dtu_job *job);
void dtu_poll_refuse(dtu_link *self, const dtu_meter *meter, const dlt645_frame *frame, refusal_reason reason);
void dtu_poll_values(dtu_link *self, const dtu_meter *meter, const dlt645_message *message, instant_ms at);
