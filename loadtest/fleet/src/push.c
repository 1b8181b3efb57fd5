#include "push.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>
#include <stdio.h>
#include <string.h>

#include "backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "json/json.h"
#include "push_body.h"

#define PENDING_MAX 200000
#define REQUEST_TIMEOUT_S 10
#define SAMPLE_BYTES_MAX 192
#define CUT_AFTER_MS 2
#define BURST_WATCH_MS 100
#define SHORTEST_INTERVAL_US 1000
#define ANSWER_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct fleet_push {
    fleet_world *fleet;
    fleet_gateway *gateway;
    VEC(fleet_sample) queue;  // [head, len) waits; the first in_flight of them are on their way
    size_t head;
    size_t in_flight;
    size_t batch;   // shrinks when the server finds a body too large
    size_t repeat;  // an acknowledged batch of this many is sent once more; its truth is already logged
    uint64_t counter;
    int64_t interval_us;
    bool in_burst;
    int64_t due_us;  // monotonic: the next sample's appointed time
    struct event *sampling;
    struct event *sending;
    struct event *cutting;
    struct evhttp_connection *connection;
    struct evhttp_request *request;
    fleet_backoff backoff;
};

static void try_send(fleet_push *self);

static void after(struct event *timer, int64_t ms) {
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    evtimer_add(timer, &wait);
}

static int64_t monotonic_us(void) { return clock_monotonic_ns() / 1000; }

static bool strikes(fleet_push *self, fleet_fault kind, int64_t *out_value) {
    bool hit = fleet_fault_strikes(&self->gateway->faults, kind, fleet_now(self->fleet).wall, out_value);
    self->fleet->stats.faults += hit;
    return hit;
}

// ---- sampling

static void add_sample(fleet_push *self, uint32_t meter, fleet_register reg, fleet_time now) {
    if (self->queue.len - self->head >= PENDING_MAX) {
        self->fleet->stats.skipped++;
        return;
    }
    fleet_meter *device = &self->gateway->meters[meter];
    fleet_sample sample = {.meter = meter, .reg = (uint8_t)reg, .intended_us = self->due_us};
    sample.value = fleet_register_value(device, reg, now);
    sample.read_at = fleet_meter_clock(device, now.wall);
    vec_push(&self->queue, sample);
    self->fleet->stats.sampled++;
    self->fleet->stats.pending++;
}

// The appointed time: a simulator that was held up makes up for it, and two samples made up in one moment still differ.
static fleet_time appointed_time(const fleet_push *self) {
    fleet_time at = fleet_now(self->fleet);
    int64_t late_ms = (monotonic_us() - self->due_us) / 1000;
    if (late_ms <= 0) return at;
    at.wall -= late_ms;
    at.load -= late_ms * self->fleet->options.time_scale;
    return at;
}

static void sample_meters(fleet_push *self) {
    fleet_time now = appointed_time(self);
    for (uint32_t m = 0; m < self->gateway->meter_count; m++) {
        if (fleet_fault_strikes(&self->gateway->meters[m].faults, FLEET_FAULT_SILENT, now.wall, NULL)) continue;
        for (int reg = 0; reg < FLEET_REGISTER_COUNT; reg++)
            if (self->gateway->registers & 1u << reg) add_sample(self, m, (fleet_register)reg, now);
    }
}

static bool is_burst(const fleet_push *self) {
    const fleet_options *options = &self->fleet->options;
    int64_t elapsed_ms = clock_monotonic_ms() - self->fleet->started_ms;
    return options->rate && options->burst_factor > 1 && elapsed_ms >= options->burst_from_ms &&
           elapsed_ms < options->burst_from_ms + options->burst_ms;
}

// When a burst begins, what is left of the running interval shrinks like the intervals after it: the gateways stay
// spread out.
static void follow_burst(fleet_push *self) {
    bool now_burst = is_burst(self);
    int64_t now_us = monotonic_us();
    if (now_burst && !self->in_burst && self->due_us > now_us)
        self->due_us = now_us + (self->due_us - now_us) / self->fleet->options.burst_factor;
    self->in_burst = now_burst;
}

static int64_t interval_now_us(const fleet_push *self) {
    int64_t interval_us = self->in_burst ? self->interval_us / self->fleet->options.burst_factor : self->interval_us;
    return interval_us > SHORTEST_INTERVAL_US ? interval_us : SHORTEST_INTERVAL_US;
}

static void arm_sampling(fleet_push *self) {
    int64_t wait_ms = (self->due_us - monotonic_us() + 999) / 1000;
    if (self->fleet->options.burst_factor > 1 && wait_ms > BURST_WATCH_MS) wait_ms = BURST_WATCH_MS;
    after(self->sampling, wait_ms > 0 ? wait_ms : 0);
}

static void on_sampling(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    fleet_push *self = arg;
    int64_t slow_ms;
    follow_burst(self);
    bool is_due = self->due_us <= monotonic_us();
    while (self->due_us <= monotonic_us()) {
        sample_meters(self);
        self->due_us += interval_now_us(self);
    }
    arm_sampling(self);
    if (is_due && strikes(self, FLEET_FAULT_SLOW, &slow_ms)) after(self->sending, slow_ms);
    try_send(self);
}

// ---- sending

static void shuffle(fleet_push *self, fleet_sample *samples, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)(fleet_mix(self->backoff.seed, self->counter + i) % i);
        fleet_sample swapped = samples[i - 1];
        samples[i - 1] = samples[other];
        samples[other] = swapped;
    }
}

static void add_headers(fleet_push *self, struct evhttp_request *request, sv body) {
    char timestamp[24], counter[24], signature[FLEET_SIGNATURE_LEN + 1];
    int64_t now_ms = fleet_now(self->fleet).wall;
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)(now_ms / SECOND_MS));
    snprintf(counter, sizeof counter, "%llu", (unsigned long long)self->counter);
    fleet_push_sign(self->gateway, sv_of(timestamp), sv_of(counter), body, signature);
    if (strikes(self, FLEET_FAULT_WRONG_CHECKSUM, NULL)) signature[0] = signature[0] == '0' ? '1' : '0';
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Host", self->fleet->config.http);
    evhttp_add_header(headers, "Content-Type", "application/json");
    evhttp_add_header(headers, "X-Penstock-Key", self->gateway->name);
    evhttp_add_header(headers, "X-Penstock-Timestamp", timestamp);
    evhttp_add_header(headers, "X-Penstock-Counter", counter);
    evhttp_add_header(headers, "X-Penstock-Signature", signature);
}

// ---- answers

static void keep_and_wait(fleet_push *self, int64_t pause_ms) {
    self->in_flight = 0;
    after(self->sending, pause_ms);
}

static void log_result(fleet_push *self, const fleet_sample *sample, bool accepted, sv reason) {
    fleet_truth_add_reading(&self->fleet->truth, &(fleet_truth_reading){.event = accepted ? "acknowledged" : "refused",
                                                                        .gateway = self->gateway->name,
                                                                        .meter = &self->gateway->meters[sample->meter],
                                                                        .reg = (fleet_register)sample->reg,
                                                                        .value = sample->value,
                                                                        .at = sample->read_at,
                                                                        .told_at = fleet_now(self->fleet).wall,
                                                                        .reason = accepted ? SV_NONE : reason});
    if (accepted) {
        self->fleet->stats.acknowledged++;
        fleet_histogram_add(&self->fleet->latency_us, monotonic_us() - sample->intended_us, 1);
    } else {
        self->fleet->stats.refused++;
    }
}

// The whole answer is read before anything is logged: half an answer is no answer.
static bool take_results(fleet_push *self, sv text) {
    AUTO_JSON doc = NULL;
    if (json_parse(text, (json_limits){ANSWER_BYTES_MAX, 4}, &doc, NULL)) return false;
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    json_node results = json_member(&r, &root, "results");
    size_t count = json_array_len(&r, &results);
    if (json_reader_failed(&r) || count != self->in_flight) return false;
    for (size_t i = 0; i < count; i++) {
        json_node result = json_item(&r, &results, i);
        json_node index = json_member(&r, &result, "index"), status = json_member(&r, &result, "status");
        json_node reason = json_optional(&r, &result, "reason");
        int64_t at = json_read_integer(&r, &index, 0, (int64_t)self->in_flight - 1);
        bool accepted = sv_equal(json_read_text(&r, &status), SV("accepted"));
        sv why = json_is_present(&reason) ? json_read_text(&r, &reason) : SV("no reason");
        if (json_reader_failed(&r)) return false;
        if (!self->repeat) log_result(self, &self->queue.items[self->head + (size_t)at], accepted, why);
    }
    return true;
}

// Nothing refused: the list of results need not be looked at.
static bool take_answer(fleet_push *self, sv text) {
    static const char NONE_REFUSED[] = "\"refused\":0,";
    sv head = {text.ptr, text.len < 80 ? text.len : 80};
    if (!memmem(head.ptr, head.len, NONE_REFUSED, sizeof NONE_REFUSED - 1)) return take_results(self, text);
    for (size_t i = 0; i < self->in_flight && !self->repeat; i++) log_result(self, &self->queue.items[self->head + i], true, SV_NONE);
    return true;
}

static void drop_sent(fleet_push *self) {
    self->fleet->stats.pending -= (int64_t)self->in_flight;
    self->head += self->in_flight;
    self->in_flight = self->repeat = 0;
    if (self->head < self->queue.len / 2) return;
    memmove(self->queue.items, self->queue.items + self->head, (self->queue.len - self->head) * sizeof *self->queue.items);
    self->queue.len -= self->head;
    self->head = 0;
}

static void settled(fleet_push *self) {
    fleet_backoff_reset(&self->backoff);
    if (!self->repeat && strikes(self, FLEET_FAULT_DUPLICATE, NULL)) {
        self->repeat = self->in_flight;
        keep_and_wait(self, 0);
        return;
    }
    drop_sent(self);
    try_send(self);
}

static int64_t retry_after_ms(struct evhttp_request *request) {
    const char *text = evhttp_find_header(evhttp_request_get_input_headers(request), "Retry-After");
    int64_t seconds;
    if (!text || !sv_to_i64(sv_of(text), &seconds) || seconds < 0 || seconds > 60) return 0;
    return seconds * SECOND_MS;
}

static void take_refusal(fleet_push *self, struct evhttp_request *request, int code) {
    int64_t pause_ms = fleet_backoff_next_ms(&self->backoff);
    if (code == 503) {
        self->fleet->stats.busy++;
        int64_t told_ms = retry_after_ms(request);
        if (told_ms) pause_ms = told_ms + pause_ms / 2;
    } else if (code == 409) {
        self->fleet->stats.conflicts++;
        self->counter += 1000;
        pause_ms = 10;
    } else {
        self->fleet->stats.rejected++;
        if (code == 413 && self->batch > 1) self->batch /= 2;
    }
    keep_and_wait(self, pause_ms);
}

static void on_answer(struct evhttp_request *request, void *arg) {
    fleet_push *self = arg;
    self->request = NULL;
    evtimer_del(self->cutting);
    int code = request ? evhttp_request_get_response_code(request) : 0;
    if (code == 0) {
        self->fleet->stats.unanswered++;
        keep_and_wait(self, fleet_backoff_next_ms(&self->backoff));
        return;
    }
    if (code != 200) {
        take_refusal(self, request, code);
        return;
    }
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(input);
    if (take_answer(self, (sv){(const char *)evbuffer_pullup(input, -1), len})) {
        settled(self);
    } else {
        self->fleet->stats.rejected++;
        keep_and_wait(self, fleet_backoff_next_ms(&self->backoff));
    }
}

// ---- the request

static void start_request(fleet_push *self) {
    AUTO(buf) body;
    buf_init(&body, 64 + self->in_flight * SAMPLE_BYTES_MAX);
    fleet_push_body_add(&body, self->gateway, self->queue.items + self->head, self->in_flight);
    if (strikes(self, FLEET_FAULT_GARBAGE, NULL) && body.len) body.ptr[0] = '~';
    uint64_t now_ms = (uint64_t)fleet_now(self->fleet).wall;
    self->counter = self->counter < now_ms ? now_ms : self->counter + 1;
    struct evhttp_request *request = evhttp_request_new(on_answer, self);
    add_headers(self, request, buf_view(&body));
    evbuffer_add(evhttp_request_get_output_buffer(request), body.ptr, body.len);
    self->fleet->stats.pushes++;
    self->request = request;
    if (evhttp_make_request(self->connection, request, EVHTTP_REQ_POST, "/v1/readings") == 0) {
        if (self->request && strikes(self, FLEET_FAULT_CUT, NULL)) after(self->cutting, CUT_AFTER_MS);
        return;
    }
    if (self->request == NULL) return;  // the answer callback has already run
    self->request = NULL;
    self->fleet->stats.unanswered++;
    keep_and_wait(self, fleet_backoff_next_ms(&self->backoff));
}

static void try_send(fleet_push *self) {
    size_t waiting = self->queue.len - self->head;
    if (self->request || waiting == 0 || evtimer_pending(self->sending, NULL)) return;
    if (strikes(self, FLEET_FAULT_SILENT, NULL)) {
        after(self->sending, SECOND_MS);
        return;
    }
    self->in_flight = waiting < self->batch ? waiting : self->batch;
    if (self->repeat) self->in_flight = self->repeat;
    if (!self->repeat && strikes(self, FLEET_FAULT_REORDERED, NULL)) shuffle(self, self->queue.items + self->head, self->in_flight);
    start_request(self);
}

static void on_sending(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    try_send(arg);
}

static void on_cutting(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    fleet_push *self = arg;
    if (!self->request) return;
    evhttp_cancel_request(self->request);
    self->request = NULL;
    self->fleet->stats.unanswered++;
    keep_and_wait(self, fleet_backoff_next_ms(&self->backoff));
}

// ---- life

static struct evhttp_connection *connection_new(fleet_world *fleet) {
    char host[FLEET_NAME_MAX + 1];
    sv_copy_truncated(sv_of(fleet->config.http), host, sizeof host);
    char *colon = strrchr(host, ':');
    int64_t port = 0;
    if (!colon || !sv_to_i64(sv_of(colon + 1), &port) || port < 1 || port > 65535) return NULL;
    *colon = '\0';
    struct evhttp_connection *connection = evhttp_connection_base_new(fleet->base, NULL, host, (uint16_t)port);
    evhttp_connection_set_timeout(connection, REQUEST_TIMEOUT_S);
    evhttp_connection_set_max_body_size(connection, ANSWER_BYTES_MAX);
    return connection;
}

fleet_push *fleet_push_new(fleet_world *fleet, fleet_gateway *gateway, int64_t interval_us, int64_t delay_ms) {
    fleet_push *self = mem_new(1, sizeof *self);
    *self = (fleet_push){.fleet = fleet, .gateway = gateway, .batch = gateway->batch, .interval_us = interval_us};
    self->backoff.seed = gateway->faults.seed;
    self->connection = connection_new(fleet);
    self->sampling = evtimer_new(fleet->base, on_sampling, self);
    self->sending = evtimer_new(fleet->base, on_sending, self);
    self->cutting = evtimer_new(fleet->base, on_cutting, self);
    self->due_us = monotonic_us() + delay_ms * 1000;
    after(self->sampling, delay_ms);
    return self;
}

void fleet_push_stop_sampling(fleet_push *self) { evtimer_del(self->sampling); }

bool fleet_push_is_idle(const fleet_push *self) { return self->queue.len == self->head; }

void fleet_push_free(fleet_push *self) {
    if (!self) return;
    if (self->request) evhttp_cancel_request(self->request);
    event_free(self->sampling);
    event_free(self->sending);
    event_free(self->cutting);
    if (self->connection) evhttp_connection_free(self->connection);
    vec_done(&self->queue);
    mem_free(self);
}
