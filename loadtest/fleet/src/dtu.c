#include "dtu.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "backoff.h"
#include "base/mem.h"

#define HEARTBEAT "penstock-alive\r\n"
#define INPUT_MAX 4096
#define OUTGOING_MAX 64
#define BYTE_PAUSE_MS 1
#define GARBAGE_MAX 64
#define READ_ANSWER 0x91
#define CONTROL_RELAY 0x1C

// What is about to be sent: an answer with all that its faults put around it.
typedef struct outgoing {
    fleet_dtu *owner;
    struct outgoing *next;
    struct event *timer;
    fleet_meter *meter;
    fleet_frame answer;
    bool is_true;  // an undamaged answer, worth a line of truth
    bool by_byte;
    bool cuts;
    size_t len, sent;
    uint8_t bytes[4 * FLEET_FRAME_MAX + GARBAGE_MAX];
} outgoing;

struct fleet_dtu {
    fleet_world *fleet;
    fleet_gateway *gateway;
    struct bufferevent *link;  // NULL: not connected
    struct event *retry;
    struct event *heartbeat;
    outgoing *sending;
    outgoing *held;  // the answer that a later one overtakes
    size_t sending_count;
    fleet_backoff backoff;
    bool is_up;
};

static struct timeval timeval_of(int64_t ms) { return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000}; }

static void after(struct event *timer, int64_t ms) {
    struct timeval wait = timeval_of(ms);
    evtimer_add(timer, &wait);
}

static bool strikes(fleet_dtu *self, fleet_meter *meter, fleet_fault kind, int64_t *out_value) {
    instant_ms now = fleet_now(self->fleet).wall;
    bool hit = fleet_fault_strikes(&self->gateway->faults, kind, now, out_value);
    if (!hit && meter) hit = fleet_fault_strikes(&meter->faults, kind, now, out_value);
    self->fleet->stats.faults += hit;
    return hit;
}

static void outgoing_free(outgoing *item) {
    if (!item) return;
    event_free(item->timer);
    mem_free(item);
}

static void outgoing_unlink(fleet_dtu *self, outgoing *item) {
    for (outgoing **at = &self->sending; *at; at = &(*at)->next)
        if (*at == item) {
            *at = item->next;
            self->sending_count--;
            break;
        }
}

static void drop_outgoing(fleet_dtu *self) {
    while (self->sending) {
        outgoing *item = self->sending;
        outgoing_unlink(self, item);
        outgoing_free(item);
    }
    outgoing_free(self->held);
    self->held = NULL;
}

static void link_lost(fleet_dtu *self) {
    drop_outgoing(self);
    if (self->is_up) self->fleet->stats.connected--;
    self->is_up = false;
    if (self->link) bufferevent_free(self->link);
    self->link = NULL;
    evtimer_del(self->heartbeat);
    self->fleet->stats.disconnects++;
    if (!self->fleet->stopping) after(self->retry, fleet_backoff_next_ms(&self->backoff));
}

// ---- sending

static void log_truth(fleet_dtu *self, const outgoing *item) {
    uint32_t data_id = item->answer.len >= 8 ? fleet_data_id(&item->answer) : 0;
    if (!item->is_true || item->answer.control != READ_ANSWER || data_id >> 16 != 0x0001) return;
    unsigned tariff = data_id >> 8 & 0xFF;
    size_t count = (size_t)(item->answer.len - 4) / 4;
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (!fleet_bcd_get(item->answer.data + 4 + 4 * i, 4, &value)) return;
        fleet_truth_add_reading(&self->fleet->truth, &(fleet_truth_reading){.event = "answered",
                                                                            .gateway = self->gateway->name,
                                                                            .meter = item->meter,
                                                                            .reg = (fleet_register)(tariff == 0xFF ? i : tariff),
                                                                            .value = (int64_t)value,
                                                                            .at = fleet_now(self->fleet).wall});
    }
}

static void sent_whole(fleet_dtu *self, outgoing *item) {
    self->fleet->stats.answers++;
    log_truth(self, item);
    bool cuts = item->cuts;
    outgoing_unlink(self, item);
    outgoing_free(item);
    if (cuts) link_lost(self);
}

static void send_some(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    outgoing *item = arg;
    fleet_dtu *self = item->owner;
    size_t end = item->cuts ? item->len / 2 : item->len;
    size_t step = item->by_byte ? 1 : end - item->sent;
    bufferevent_write(self->link, item->bytes + item->sent, step);
    item->sent += step;
    if (item->sent < end)
        after(item->timer, BYTE_PAUSE_MS);
    else
        sent_whole(self, item);
}

static void start_sending(fleet_dtu *self, outgoing *item, int64_t delay_ms) {
    item->next = self->sending;
    self->sending = item;
    self->sending_count++;
    after(item->timer, delay_ms);
}

static void append(outgoing *item, const uint8_t *bytes, size_t len) {
    if (len > sizeof item->bytes - item->len) return;
    memcpy(item->bytes + item->len, bytes, len);
    item->len += len;
}

static void append_garbage(fleet_dtu *self, outgoing *item, int64_t count) {
    for (int64_t i = 0; i < (count ? count : 8) && i < GARBAGE_MAX; i++) {
        uint8_t byte = (uint8_t)fleet_mix(self->gateway->faults.seed, (uint64_t)(self->fleet->stats.answers * 64 + i));
        append(item, &byte, 1);
    }
}

// Puts the answer on the wire as the ordered faults want it.
static void compose(fleet_dtu *self, outgoing *item, const fleet_frame *request) {
    uint8_t wire[FLEET_FRAME_MAX];
    int64_t value;
    if (strikes(self, item->meter, FLEET_FAULT_ECHO, NULL)) append(item, wire, fleet_frame_encode(request, 0, wire));
    if (strikes(self, item->meter, FLEET_FAULT_GARBAGE, &value)) append_garbage(self, item, value);
    if (strikes(self, item->meter, FLEET_FAULT_WRONG_DI, NULL) && item->answer.len >= 4) {
        item->answer.data[2] ^= 0x01;
        item->is_true = false;
    }
    size_t len = fleet_frame_encode(&item->answer, 4, wire);
    if (strikes(self, item->meter, FLEET_FAULT_WRONG_CHECKSUM, NULL)) {
        wire[len - 2] ^= 0x55;
        item->is_true = false;
    }
    append(item, wire, len);
    if (strikes(self, item->meter, FLEET_FAULT_DUPLICATE, NULL)) append(item, wire, len);
    item->by_byte = strikes(self, item->meter, FLEET_FAULT_SEGMENTS, NULL);
    item->cuts = strikes(self, item->meter, FLEET_FAULT_CUT, NULL);
    if (item->cuts) item->is_true = false;
}

static void answer_with(fleet_dtu *self, fleet_meter *meter, const fleet_frame *request, const fleet_frame *answer) {
    int64_t slow_ms;
    if (strikes(self, meter, FLEET_FAULT_SILENT, NULL) || self->sending_count >= OUTGOING_MAX) return;
    if (request->control == CONTROL_RELAY && strikes(self, meter, FLEET_FAULT_LOSE_ANSWER, NULL)) return;
    outgoing *item = mem_new(1, sizeof *item);
    *item = (outgoing){.owner = self, .meter = meter, .answer = *answer, .is_true = true};
    item->timer = evtimer_new(self->fleet->base, send_some, item);
    compose(self, item, request);
    strikes(self, meter, FLEET_FAULT_SLOW, &slow_ms);
    int64_t delay_ms = self->gateway->answer_ms + slow_ms;
    if (!self->held && strikes(self, meter, FLEET_FAULT_REORDERED, NULL)) {
        self->held = item;
        return;
    }
    start_sending(self, item, delay_ms);
    if (!self->held) return;
    start_sending(self, self->held, delay_ms + 2);
    self->held = NULL;
}

// ---- receiving

// Several meters answer one wildcard at once: nobody can read what comes of it.
static void collide(fleet_dtu *self) {
    uint8_t noise[20];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)fleet_mix(self->gateway->faults.seed, i);
    bufferevent_write(self->link, noise, sizeof noise);
}

static bool meter_takes(fleet_dtu *self, fleet_meter *meter, const fleet_frame *request, fleet_frame *out_answer) {
    bool was_told = meter->told_open, was_kept = meter->keep_power, was_allowed = meter->close_allowed;
    int64_t clock_before_ms = meter->clock_offset_ms;
    bool answers = fleet_meter_answer(meter, request, fleet_now(self->fleet), out_answer);
    bool changed = was_told != meter->told_open || was_kept != meter->keep_power || was_allowed != meter->close_allowed ||
                   clock_before_ms != meter->clock_offset_ms || meter->settings_changed;
    if (meter->told.is_new) fleet_truth_add_control(&self->fleet->truth, meter, fleet_now(self->fleet).wall);
    meter->told.is_new = meter->settings_changed = false;
    fleet_meter_look(self->fleet, meter, changed);
    return answers;
}

static void take_request(fleet_dtu *self, const fleet_frame *request) {
    static const uint8_t EVERYBODY[6] = {0x99, 0x99, 0x99, 0x99, 0x99, 0x99};
    self->fleet->stats.requests++;
    bool is_broadcast = memcmp(request->address, EVERYBODY, sizeof EVERYBODY) == 0;
    fleet_meter *only = NULL;
    size_t addressed = 0;
    for (size_t i = 0; i < self->gateway->meter_count; i++) {
        if (!is_broadcast && !fleet_meter_is_addressed(&self->gateway->meters[i], request)) continue;
        only = &self->gateway->meters[i];
        addressed++;
        fleet_frame none;
        if (is_broadcast) meter_takes(self, only, request, &none);
    }
    if (is_broadcast || addressed == 0) return;
    fleet_frame answer;
    if (addressed > 1)
        collide(self);
    else if (meter_takes(self, only, request, &answer))
        answer_with(self, only, request, &answer);
}

static void on_bytes(struct bufferevent *link, void *arg) {
    fleet_dtu *self = arg;
    struct evbuffer *input = bufferevent_get_input(link);
    for (;;) {
        size_t len = evbuffer_get_length(input), used;
        if (len == 0) return;
        fleet_frame request;
        bool found = fleet_frame_find(evbuffer_pullup(input, -1), len, &used, &request);
        evbuffer_drain(input, used);
        if (!found) break;
        take_request(self, &request);
    }
    if (evbuffer_get_length(input) > INPUT_MAX) evbuffer_drain(input, evbuffer_get_length(input));
}

// ---- the link

static void on_heartbeat(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    fleet_dtu *self = arg;
    if (!strikes(self, NULL, FLEET_FAULT_SILENT, NULL)) bufferevent_write(self->link, HEARTBEAT, sizeof HEARTBEAT - 1);
    after(self->heartbeat, self->gateway->heartbeat_ms);
}

static void on_event(struct bufferevent *link, short what, void *arg) {
    fleet_dtu *self = arg;
    if (!(what & BEV_EVENT_CONNECTED)) {
        link_lost(self);
        return;
    }
    int on = 1;
    setsockopt(bufferevent_getfd(link), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fleet_backoff_reset(&self->backoff);
    self->is_up = true;
    self->fleet->stats.connected++;
    bufferevent_write(link, self->gateway->name, strlen(self->gateway->name));
    bufferevent_write(link, "\r\n", 2);
    after(self->heartbeat, self->gateway->heartbeat_ms);
}

static void on_retry(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    fleet_dtu *self = arg;
    struct sockaddr_storage address;
    int len = sizeof address;
    if (evutil_parse_sockaddr_port(self->fleet->config.tcp, (struct sockaddr *)&address, &len)) return;
    self->link = bufferevent_socket_new(self->fleet->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    bufferevent_setcb(self->link, on_bytes, NULL, on_event, self);
    bufferevent_enable(self->link, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(self->link, (struct sockaddr *)&address, len)) link_lost(self);
}

fleet_dtu *fleet_dtu_new(fleet_world *fleet, fleet_gateway *gateway, int64_t delay_ms) {
    fleet_dtu *self = mem_new(1, sizeof *self);
    self->fleet = fleet;
    self->gateway = gateway;
    self->backoff.seed = gateway->faults.seed;
    self->retry = evtimer_new(fleet->base, on_retry, self);
    self->heartbeat = evtimer_new(fleet->base, on_heartbeat, self);
    after(self->retry, delay_ms);
    return self;
}

void fleet_dtu_free(fleet_dtu *self) {
    if (!self) return;
    drop_outgoing(self);
    if (self->link) bufferevent_free(self->link);
    event_free(self->retry);
    event_free(self->heartbeat);
    mem_free(self);
}
