#include "fleet.h"

#include <event2/event.h>
#include <event2/util.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "control.h"
#include "dtu.h"
#include "push.h"
#include "relay.h"
#include "state.h"

#define CONNECT_SPREAD_MS 2000
#define FIRST_PUSH_SPREAD_US 5000000  // a gateway that starts is heard soon, however seldom it pushes
#define TICK_MS 1000
#define DRAIN_TICK_MS 50

typedef struct fleet_run_state {
    fleet_world *fleet;
    struct event *tick, *drain, *interrupt, *terminate, *end;
    int64_t drain_until_ms;
} fleet_run_state;

fleet_time fleet_now(const fleet_world *self) {
    penstock_clock clock = clock_system();
    instant_ms wall = clock_now(&clock);
    instant_ms start = self->config.start_at;
    return (fleet_time){.wall = wall, .load = start + (wall - start) * self->options.time_scale};
}

void fleet_meter_look(fleet_world *self, fleet_meter *meter, bool changed) {
    fleet_time now = fleet_now(self);
    bool moved = fleet_relay_live(meter, now);
    if (moved) fleet_truth_add_relay(&self->truth, meter, now.wall);
    if (moved || changed) fleet_state_add(self->state, meter);
}

void fleet_meter_replaced(fleet_world *self, fleet_meter *meter) {
    fleet_state_add(self->state, meter);
    fleet_truth_add_replaced(&self->truth, meter, fleet_now(self));
}

static void look_at_restless(fleet_world *self) {
    for (size_t g = 0; g < self->config.gateway_count; g++)
        for (size_t m = 0; m < self->config.gateways[g].meter_count; m++) {
            fleet_meter *meter = &self->config.gateways[g].meters[m];
            if (meter->told_open != meter->relay_open || meter->has_settings) fleet_meter_look(self, meter, false);
        }
}

void fleet_stats_add(const fleet_world *self, buf *out) {
    char at[INSTANT_TEXT_MAX];
    instant_format(fleet_now(self).wall, 0, at);
    buf_addf(out, "{\"ok\":true,\"at\":\"%s\",\"gateways\":%zu,\"meters\":%zu", at, self->config.gateway_count,
             fleet_config_meter_count(&self->config));
#define FLEET_STAT(name, text) buf_addf(out, ",\"" #name "\":%" PRId64, self->stats.name);
#include "stats.def"
#undef FLEET_STAT
    const fleet_histogram *latency = &self->latency_us;
    buf_addf(out, ",\"ack_p50_us\":%" PRId64 ",\"ack_p99_us\":%" PRId64 ",\"ack_p999_us\":%" PRId64 ",\"ack_max_us\":%" PRId64 "}\n",
             fleet_histogram_quantile(latency, 500), fleet_histogram_quantile(latency, 990), fleet_histogram_quantile(latency, 999),
             latency->max);
}

static void print_stats(const fleet_world *self) {
    AUTO(buf) line;
    buf_init(&line, 4096);
    fleet_stats_add(self, &line);
    fwrite(line.ptr, 1, line.len, stdout);
    fflush(stdout);
}

static struct timeval timeval_of(int64_t ms) { return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000}; }

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    fleet_run_state *self = arg;
    look_at_restless(self->fleet);
    fleet_truth_flush(&self->fleet->truth);
    if (self->fleet->options.prints_stats) print_stats(self->fleet);
}

void fleet_stop(fleet_world *self) {
    if (self->stopping) {
        event_base_loopbreak(self->base);
        return;
    }
    self->stopping = true;
    for (size_t i = 0; i < self->config.gateway_count; i++)
        if (self->pushes[i]) fleet_push_stop_sampling(self->pushes[i]);
}

static void on_signal(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    fleet_stop(((fleet_run_state *)arg)->fleet);
}

static bool all_idle(const fleet_world *self) {
    for (size_t i = 0; i < self->config.gateway_count; i++)
        if (self->pushes[i] && !fleet_push_is_idle(self->pushes[i])) return false;
    return true;
}

// Once stopping, waits for unacknowledged readings until the deadline.
static void on_drain(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    fleet_run_state *self = arg;
    if (!self->fleet->stopping) return;
    int64_t now_ms = clock_monotonic_ms();
    if (!self->drain_until_ms) self->drain_until_ms = now_ms + self->fleet->options.drain_ms;
    if (all_idle(self->fleet) || now_ms >= self->drain_until_ms) event_base_loopbreak(self->fleet->base);
}

// How often each HTTP gateway takes a round of samples.
static int64_t interval_us_of(const fleet_world *self, const fleet_gateway *gateway) {
    if (!self->options.rate) return gateway->interval_ms * 1000;
    int64_t round = 0;
    for (size_t i = 0; i < self->config.gateway_count; i++) {
        const fleet_gateway *other = &self->config.gateways[i];
        if (other->kind == FLEET_GATEWAY_HTTP) round += (int64_t)other->meter_count * __builtin_popcount(other->registers);
    }
    return round * 1000000 / self->options.rate;
}

static void start_gateways(fleet_world *self) {
    size_t count = self->config.gateway_count;
    self->dtus = mem_new(count + 1, sizeof(fleet_dtu *));
    self->pushes = mem_new(count + 1, sizeof(fleet_push *));
    for (size_t i = 0; i < count; i++) {
        fleet_gateway *gateway = &self->config.gateways[i];
        if (gateway->kind == FLEET_GATEWAY_DTU) {
            self->dtus[i] = fleet_dtu_new(self, gateway, (int64_t)(fleet_mix(self->config.seed, i) % CONNECT_SPREAD_MS));
        } else {
            int64_t interval_us = interval_us_of(self, gateway);
            int64_t spread_us = self->options.rate || interval_us < FIRST_PUSH_SPREAD_US ? interval_us : FIRST_PUSH_SPREAD_US;
            self->pushes[i] = fleet_push_new(self, gateway, interval_us, spread_us * (int64_t)i / (int64_t)count / 1000);
        }
    }
}

static err_t check_address(const fleet_world *self, fleet_gateway_kind kind, const char *key, const char *text, fault *out_fault) {
    struct sockaddr_storage address;
    int len = sizeof address;
    for (size_t i = 0; i < self->config.gateway_count; i++) {
        if (self->config.gateways[i].kind != kind) continue;
        if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&address, &len) == 0 && strrchr(text, ':')) return ERR_OK;
        return fault_set(out_fault, ERR_BAD_INPUT, key, "is not a numeric address and port");
    }
    return ERR_OK;
}

static void stop_gateways(fleet_world *self) {
    for (size_t i = 0; self->dtus && i < self->config.gateway_count; i++) fleet_dtu_free(self->dtus[i]);
    for (size_t i = 0; self->pushes && i < self->config.gateway_count; i++) fleet_push_free(self->pushes[i]);
    mem_free(self->dtus);
    mem_free(self->pushes);
}

static void write_finals(fleet_world *self) {
    fleet_time now = fleet_now(self);
    for (size_t g = 0; g < self->config.gateway_count; g++)
        for (size_t m = 0; m < self->config.gateways[g].meter_count; m++)
            fleet_truth_add_final(&self->truth, &self->config.gateways[g].meters[m], now);
}

static void add_timer(struct event *timer, int64_t ms) {
    struct timeval wait = timeval_of(ms);
    event_add(timer, &wait);
}

static void loop(fleet_world *self) {
    fleet_run_state run = {.fleet = self};
    run.tick = event_new(self->base, -1, EV_PERSIST, on_tick, &run);
    run.drain = event_new(self->base, -1, EV_PERSIST, on_drain, &run);
    run.interrupt = evsignal_new(self->base, SIGINT, on_signal, &run);
    run.terminate = evsignal_new(self->base, SIGTERM, on_signal, &run);
    run.end = evtimer_new(self->base, on_signal, &run);
    add_timer(run.tick, TICK_MS);
    add_timer(run.drain, DRAIN_TICK_MS);
    event_add(run.interrupt, NULL);
    event_add(run.terminate, NULL);
    if (self->options.duration_ms) add_timer(run.end, self->options.duration_ms);
    start_gateways(self);
    event_base_dispatch(self->base);
    write_finals(self);
    if (self->options.prints_stats) print_stats(self);
    stop_gateways(self);
    struct event *const events[] = {run.tick, run.drain, run.interrupt, run.terminate, run.end};
    for (size_t i = 0; i < ARRAY_LEN(events); i++) event_free(events[i]);
}

static void allow_many_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static err_t open_all(fleet_world *self, fault *out_fault) {
    err_t err = check_address(self, FLEET_GATEWAY_DTU, "/tcp", self->config.tcp, out_fault);
    if (!err) err = check_address(self, FLEET_GATEWAY_HTTP, "/http", self->config.http, out_fault);
    if (!err) err = fleet_truth_open(self->options.truth_path, self->options.truth_every, &self->truth, out_fault);
    if (!err) err = fleet_state_open(self->options.state_path, &self->config, &self->state, out_fault);
    if (!err) err = fleet_control_open(self, self->options.control_path, &self->control, out_fault);
    return err;
}

err_t fleet_run(fleet_config *take_config, const fleet_options *options, fault *out_fault) {
    fleet_world *self = mem_new(1, sizeof *self);
    self->config = *take_config;
    *take_config = (fleet_config){0};
    self->options = *options;
    self->started_ms = clock_monotonic_ms();
    allow_many_files();
    signal(SIGPIPE, SIG_IGN);
    self->base = event_base_new();
    err_t err = open_all(self, out_fault);
    if (!err) loop(self);
    fleet_control_close(self->control);
    event_base_free(self->base);
    fleet_truth_close(&self->truth);
    if (self->state) fclose(self->state);
    fleet_config_done(&self->config);
    mem_free(self);
    return err;
}
