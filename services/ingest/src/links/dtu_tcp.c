// The port of transparent links: accepts, logs in, claims the session, carries bytes to and from the bus, notices
// silence. A link says who it is in its first line, within ten seconds; a newcomer never displaces a link that was heard
// within its heartbeat.
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/util.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "links/dtu.h"
#include "links/source.h"

#define LOGIN_MS 10000
#define LINE_SILENCE_MS 200
#define TICK_MS 200
#define SESSION_TELL_MS 10000
#define LOST_HEARTBEATS 3
#define INPUT_MAX 4096
#define BACKLOG 1024

int64_t dtu_random_below(int64_t bound) {
    uint64_t random = 0;
    random_fill(&random, sizeof random);
    return bound > 0 ? (int64_t)(random % (uint64_t)bound) : 0;
}

void dtu_after(struct event *timer, int64_t ms) {
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    evtimer_add(timer, &wait);
}

static uint64_t hash_gateway(int64_t num) { return table_hash(&num, sizeof num, 3); }

static bool serves(const void *item, const void *key) { return ((const dtu_link *)item)->session.gateway->num == *(const int64_t *)key; }

// ---- a link's end ----

void dtu_link_close(dtu_link *self, const char *why) {
    if (self->state == LINK_CLOSING) return;
    bool was_up = self->state == LINK_UP;
    if (was_up) {
        pthread_mutex_lock(&self->owner->lock);
        table_remove(&self->owner->served, hash_gateway(self->gateway->num), self);
        pthread_mutex_unlock(&self->owner->lock);
        bookkeeper_session_closed(self->owner->app->bookkeeper, &self->session);
        metric_add(self->owner->count.connected, -1);
        LOG_INFO("a link ended", LOG_I("gateway", self->gateway->num), LOG_S("why", why));
    } else {
        metric_add(self->owner->count.refused, 1);
        LOG_INFO("a link did not get in", LOG_S("remote", self->remote), LOG_S("why", why));
    }
    self->state = LINK_CLOSING;  // freed by the next tick: callers may still hold it
    dtu_bus_done(self);
    bufferevent_disable(self->socket, EV_READ | EV_WRITE);
    evtimer_del(self->deadline);
    evtimer_del(self->silence);
    evtimer_del(self->bus_timer);
}

static void link_free(dtu_link *self) {
    bufferevent_free(self->socket);
    event_free(self->deadline);
    event_free(self->silence);
    event_free(self->bus_timer);
    mem_free(self);
}

// ---- log-in ----

static dtu_link *link_of_gateway(dtu *self, const registry_gateway *gateway) {
    for (size_t i = 0; i < self->links.len; i++) {
        dtu_link *link = self->links.items[i];
        if (link->gateway == gateway && (link->state == LINK_UP || link->state == LINK_CLAIMING)) return link;
    }
    return NULL;
}

// Why the registration does not let this link in; NULL: it does, and *out_gateway is whose it is.
static const char *look_up(dtu_link *self, registry_gateway **out_gateway) {
    registry *known = self->owner->app->registry;
    const char *why = NULL;
    registry_read_lock(known);
    registry_gateway *gateway = registry_gateway_by_registration(known, (sv){self->line, self->line_len});
    if (!gateway || gateway->kind != GATEWAY_DTU_TCP)
        why = "unknown registration";
    else if (gateway->is_disabled)
        why = "the gateway is disabled";
    else if (!source_is_allowed(sv_of(gateway->allowed_sources), sv_of(self->remote)))
        why = "the address is not one of the gateway's";
    else
        self->heartbeat_ms = gateway->heartbeat_s * SECOND_MS;
    *out_gateway = gateway;
    registry_unlock(known);
    return why;
}

static void tell_displacement(dtu_link *self, registry_gateway *gateway) {
    device_event event = {.kind = "gateway_conflict", .gateway = gateway};
    AUTO(buf) detail;
    buf_init(&detail, sizeof event.detail - 1);
    buf_addf(&detail, "{\"remote\":\"%s\"}", self->remote);
    sv_copy_truncated(buf_view(&detail), event.detail, sizeof event.detail);
    bookkeeper_event(self->owner->app->bookkeeper, &event);
}

static void log_in(dtu_link *self) {
    registry_gateway *gateway = NULL;
    const char *why = look_up(self, &gateway);
    if (why) {
        dtu_link_close(self, why);
        return;
    }
    dtu_link *other = link_of_gateway(self->owner, gateway);
    if (other && clock_monotonic_ms() - other->heard_ms <= self->heartbeat_ms) {
        tell_displacement(self, gateway);
        dtu_link_close(self, "another link of this gateway is alive");
        return;
    }
    if (other) dtu_link_close(other, "silent, and the gateway came anew");
    self->gateway = gateway;
    self->state = LINK_CLAIMING;
    self->session = (session_claim){.gateway = gateway, .link_id = self->id};
    sv_copy_truncated(sv_of(self->remote), self->session.remote, sizeof self->session.remote);
    evtimer_del(self->silence);
    dtu_after(self->deadline, LOGIN_MS);
    if (!bookkeeper_claim(self->owner->app->bookkeeper, &self->session)) dtu_link_close(self, "too many log-ins at once");
}

// Collects the first line; what follows it is dropped, nobody was asked anything yet.
static void take_line(dtu_link *self, sv bytes) {
    for (; bytes.len; bytes = sv_skip(bytes, 1)) {
        char c = bytes.ptr[0];
        if (c == '\r' || c == '\n') {
            if (self->line_len == 0) continue;
            log_in(self);
            return;
        }
        if (self->line_len == sizeof self->line || c < ' ' || c > '~') {
            dtu_link_close(self, "the registration is no line of text");
            return;
        }
        self->line[self->line_len++] = c;
    }
    if (self->line_len) dtu_after(self->silence, LINE_SILENCE_MS);
}

static void on_silence(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    dtu_link *self = context;
    if (self->state == LINK_LOGGING_IN && self->line_len) log_in(self);
}

static void on_deadline(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    dtu_link *self = context;
    if (self->state == LINK_LOGGING_IN) dtu_link_close(self, "no registration in time");
    if (self->state == LINK_CLAIMING) dtu_link_close(self, "the session could not be claimed in time");
}

static void go_up(dtu_link *self, int64_t epoch) {
    self->session.epoch = epoch;
    self->session.is_granted = true;
    self->state = LINK_UP;
    self->told_ms = clock_monotonic_ms();
    evtimer_del(self->deadline);
    pthread_mutex_lock(&self->owner->lock);
    table_add(&self->owner->served, hash_gateway(self->gateway->num), self);
    pthread_mutex_unlock(&self->owner->lock);
    metric_add(self->owner->count.connected, 1);
    LOG_INFO("a link is up", LOG_I("gateway", self->gateway->num), LOG_S("remote", self->remote));
    dtu_bus_start(self);
}

// ---- bytes ----

static void on_bytes(struct bufferevent *socket, void *context) {
    dtu_link *self = context;
    char bytes[INPUT_MAX];
    size_t len;
    while (self->state != LINK_CLOSING && (len = bufferevent_read(socket, bytes, sizeof bytes)) > 0) {
        self->heard_ms = clock_monotonic_ms();
        if (self->state == LINK_LOGGING_IN) {
            take_line(self, (sv){bytes, len});
        } else if (self->state == LINK_UP) {
            presence_gateway_heard(self->owner->app->presence, self->gateway, service_now(self->owner->app->svc));
            dtu_bus_bytes(self, (sv){bytes, len});
        }
    }
}

static void on_end(struct bufferevent *socket, short what, void *context) {
    (void)socket;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) dtu_link_close(context, "the connection ended");
}

static void set_keepalive(evutil_socket_t fd) {
    static const struct {
        int option, value;
    } OPTIONS[] = {{TCP_NODELAY, 1}, {TCP_KEEPIDLE, 60}, {TCP_KEEPINTVL, 10}, {TCP_KEEPCNT, 3}, {TCP_USER_TIMEOUT, 30000}};
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    for (size_t i = 0; i < ARRAY_LEN(OPTIONS); i++)
        (void)setsockopt(fd, IPPROTO_TCP, OPTIONS[i].option, &OPTIONS[i].value, sizeof OPTIONS[i].value);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int address_len, void *context) {
    (void)listener, (void)address_len;
    dtu *self = context;
    if (self->links.len >= self->links_max) {
        metric_add(self->count.refused, 1);
        evutil_closesocket(fd);
        return;
    }
    dtu_link *link = mem_new(1, sizeof *link);
    link->owner = self;
    link->id = ++self->next_id;
    link->heard_ms = clock_monotonic_ms();
    source_format(address, link->remote, sizeof link->remote);
    set_keepalive(fd);
    link->socket = bufferevent_socket_new(self->base, fd, BEV_OPT_CLOSE_ON_FREE);
    CHECK(link->socket);
    link->deadline = evtimer_new(self->base, on_deadline, link);
    link->silence = evtimer_new(self->base, on_silence, link);
    link->bus_timer = evtimer_new(self->base, dtu_bus_timer, link);
    CHECK(link->deadline && link->silence && link->bus_timer);
    bufferevent_setcb(link->socket, on_bytes, NULL, on_end, link);
    bufferevent_setwatermark(link->socket, EV_READ, 0, INPUT_MAX);
    bufferevent_enable(link->socket, EV_READ | EV_WRITE);
    dtu_after(link->deadline, LOGIN_MS);
    vec_push(&self->links, link);
}

// ---- the loop's other work ----

static dtu_link *link_by_id(dtu *self, uint64_t id) {
    for (size_t i = 0; i < self->links.len; i++)
        if (self->links.items[i]->id == id) return self->links.items[i];
    return NULL;
}

static void take_claim(dtu *self, const session_claim *claim) {
    dtu_link *link = link_by_id(self, claim->link_id);
    if (!link) {
        if (claim->is_granted) bookkeeper_session_closed(self->app->bookkeeper, claim);
    } else if (link->state == LINK_CLAIMING && claim->is_granted) {
        go_up(link, claim->epoch);
    } else if (link->state == LINK_CLAIMING) {
        tell_displacement(link, link->gateway);
        dtu_link_close(link, "another replica serves this gateway");
    } else if (link->state == LINK_UP && !claim->is_granted && claim->epoch == link->session.epoch) {
        dtu_link_close(link, "another replica took the session");
    }
}

// Between the dispatcher's look and this the link may have gone.
static void take_order(dtu *self, const line_order *order) {
    pthread_mutex_lock(&self->lock);
    dtu_link *link = table_find(&self->served, hash_gateway(order->gateway), serves, &order->gateway);
    pthread_mutex_unlock(&self->lock);
    if (link && link->session.epoch == order->epoch) {
        dtu_order_add(link, order);
        return;
    }
    bool may_repeat = order->operation != LINE_SWITCH_OFF && order->operation != LINE_READ_NOW;
    line_result result = line_result_of(order, may_repeat ? LINE_AGAIN : LINE_FAILED, "gateway_offline");
    dispatcher_result(self->app->dispatcher, &result);
}

// The answer for a link that has gone needs no one: the order was ended with it, and nothing was sent.
static void take_order_claim(dtu *self, const line_claim *claim) {
    dtu_link *link = link_by_id(self, claim->link_id);
    if (link && link->state == LINK_UP) dtu_order_claimed(link, claim);
}

// What other threads left; its own memory, because what is done with it may leave more.
typedef struct mail {
    VEC(session_claim) claims;
    VEC(line_order) orders;
    VEC(line_claim) order_claims;
} mail;

static void take_mail(dtu *self, mail *out) {
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->claims.len; i++) vec_push(&out->claims, self->claims.items[i]);
    for (size_t i = 0; i < self->orders.len; i++) vec_push(&out->orders, self->orders.items[i]);
    for (size_t i = 0; i < self->order_claims.len; i++) vec_push(&out->order_claims, self->order_claims.items[i]);
    if (self->orders.len) crypto_wipe(self->orders.items, self->orders.len * sizeof *self->orders.items);
    vec_clear(&self->claims);
    vec_clear(&self->orders);
    vec_clear(&self->order_claims);
    pthread_mutex_unlock(&self->lock);
}

static void on_mail(evutil_socket_t fd, short what, void *context) {
    (void)what;
    dtu *self = context;
    uint64_t rung = 0;
    mail taken = {0};
    (void)!read(fd, &rung, sizeof rung);
    take_mail(self, &taken);
    for (size_t i = 0; i < taken.claims.len; i++) take_claim(self, &taken.claims.items[i]);
    for (size_t i = 0; i < taken.orders.len; i++) take_order(self, &taken.orders.items[i]);
    for (size_t i = 0; i < taken.order_claims.len; i++) take_order_claim(self, &taken.order_claims.items[i]);
    if (taken.orders.len) crypto_wipe(taken.orders.items, taken.orders.len * sizeof *taken.orders.items);
    vec_done(&taken.claims);
    vec_done(&taken.orders);
    vec_done(&taken.order_claims);
}

static void tick_link(dtu_link *self, int64_t now_ms) {
    if (self->state != LINK_UP) return;
    if (now_ms - self->heard_ms > LOST_HEARTBEATS * self->heartbeat_ms) {
        dtu_link_close(self, "silent for three heartbeats");
        return;
    }
    int64_t tell_ms = self->heartbeat_ms / 3 < SESSION_TELL_MS ? self->heartbeat_ms / 3 : SESSION_TELL_MS;
    if (now_ms - self->told_ms >= tell_ms && self->heard_ms > self->told_ms) {
        self->told_ms = now_ms;
        bookkeeper_session_seen(self->owner->app->bookkeeper, &self->session);
    }
    dtu_bus_tick(self);
}

static void reap(dtu *self) {
    for (size_t i = self->links.len; i-- > 0;) {
        if (self->links.items[i]->state != LINK_CLOSING) continue;
        link_free(self->links.items[i]);
        self->links.items[i] = self->links.items[--self->links.len];
    }
}

static bool must_drain(dtu *self) {
    pthread_mutex_lock(&self->lock);
    bool is_draining = self->is_draining;
    pthread_mutex_unlock(&self->lock);
    return is_draining;
}

static void on_tick(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    dtu *self = context;
    int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < self->links.len; i++) tick_link(self->links.items[i], now_ms);
    if (must_drain(self)) dtu_drain_tick(self, now_ms);
    reap(self);
    if (service_is_stopping(self->app->svc)) event_base_loopbreak(self->base);
}

static void run(service *svc, void *context) {
    (void)svc;
    dtu *self = context;
    event_base_dispatch(self->base);
    for (size_t i = 0; i < self->links.len; i++) dtu_link_close(self->links.items[i], "the service stops");
    reap(self);
}

// ---- from other threads ----

static void ring(dtu *self) {
    uint64_t one = 1;
    (void)!write(self->mail_fd, &one, sizeof one);
}

static void claimed(ingest *app, size_t index, const session_claim *claim) {
    dtu *self = app->links[index];
    pthread_mutex_lock(&self->lock);
    vec_push(&self->claims, *claim);
    pthread_mutex_unlock(&self->lock);
    ring(self);
}

static bool take_handed_order(ingest *app, size_t index, const line_order *order) {
    dtu *self = app->links[index];
    pthread_mutex_lock(&self->lock);
    const dtu_link *link = table_find(&self->served, hash_gateway(order->gateway), serves, &order->gateway);
    bool is_served = link && link->session.epoch == order->epoch;
    if (is_served) vec_push(&self->orders, *order);
    pthread_mutex_unlock(&self->lock);
    if (is_served) ring(self);
    return is_served;
}

static void order_claimed(ingest *app, size_t index, const line_claim *claim) {
    dtu *self = app->links[index];
    pthread_mutex_lock(&self->lock);
    vec_push(&self->order_claims, *claim);
    pthread_mutex_unlock(&self->lock);
    ring(self);
}

// ---- life ----

static err_t listen_on(dtu *self, const char *address, bool reuse_port, fault *out_fault) {
    struct sockaddr_storage where;
    int len = sizeof where;
    if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&where, &len) != 0)
        return fault_set(out_fault, ERR_BAD_INPUT, "PENSTOCK_INGEST_TCP_LISTEN", "\"%.100s\" is no address and port", address);
    unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | (reuse_port ? LEV_OPT_REUSEABLE_PORT : 0u);
    self->listener = evconnlistener_new_bind(self->base, on_connection, self, flags, BACKLOG, (struct sockaddr *)&where, len);
    if (self->listener) return ERR_OK;
    return fault_set(out_fault, ERR_UNAVAILABLE, "PENSTOCK_INGEST_TCP_LISTEN", "cannot listen on %.100s", address);
}

static void register_metrics(dtu *self) {
    self->count.connected = metric_gauge("penstock_ingest_links", "Transparent links that are up", NULL);
    self->count.refused = metric_counter("penstock_ingest_links_refused_total", "Connections that did not get in", NULL);
    self->count.requests = metric_counter("penstock_ingest_bus_requests_total", "Questions sent to meters", NULL);
    self->count.answers = metric_counter("penstock_ingest_bus_answers_total", "Answers that met their question", NULL);
    self->count.timeouts = metric_counter("penstock_ingest_bus_timeouts_total", "Questions without an answer in time", NULL);
    self->count.mismatches = metric_counter("penstock_ingest_bus_mismatches_total", "Frames that answer nothing that was asked", NULL);
    self->count.skipped_bytes = metric_counter("penstock_ingest_bus_skipped_bytes_total", "Bytes that belong to no frame", NULL);
    self->count.echoes = metric_counter("penstock_ingest_bus_echoes_total", "Requests that came back", NULL);
    self->count.bad_frames = metric_counter("penstock_ingest_bus_bad_frames_total", "Answers whose content cannot be", NULL);
    self->count.skipped =
        metric_counter("penstock_ingest_polls_skipped_total", "Rounds of meters left out: billing is behind, or a quota is used up", NULL);
    self->count.unjournaled =
        metric_counter("penstock_ingest_bus_unjournaled_total", "Readings of meters that the journal did not take", NULL);
}

static err_t start(ingest *app, size_t index, fault *out_fault) {
    dtu *self = mem_new(1, sizeof *self);
    const settings *set = service_settings(app->svc);
    self->app = app;
    self->index = index;
    self->links_max = (size_t)settings_int(set, "PENSTOCK_INGEST_LINKS_MAX");
    self->drain_ms = settings_int(set, "PENSTOCK_INGEST_DRAIN_S") * SECOND_MS;
    self->relay_wait_ms = settings_int(set, "PENSTOCK_INGEST_RELAY_WAIT_S") * SECOND_MS;
    self->valve_wait_ms = settings_int(set, "PENSTOCK_INGEST_VALVE_WAIT_S") * SECOND_MS;
    pthread_mutex_init(&self->lock, NULL);
    register_metrics(self);
    app->links[index] = self;
    self->base = event_base_new();
    self->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->base && self->mail_fd >= 0);
    self->mail_event = event_new(self->base, self->mail_fd, EV_READ | EV_PERSIST, on_mail, self);
    self->tick = event_new(self->base, -1, EV_PERSIST, on_tick, self);
    CHECK(self->mail_event && self->tick);
    event_add(self->mail_event, NULL);
    event_add(self->tick, &(struct timeval){.tv_usec = TICK_MS * 1000});
    err_t err = listen_on(self, settings_text(set, "PENSTOCK_INGEST_TCP_LISTEN"), settings_bool(set, "PENSTOCK_REUSE_PORT"), out_fault);
    if (!err) service_spawn(app->svc, "dtu", run, self);
    return err;
}

static void drain(ingest *app, size_t index) {
    dtu *self = app->links[index];
    if (!self) return;
    pthread_mutex_lock(&self->lock);
    self->is_draining = true;
    pthread_mutex_unlock(&self->lock);
}

static bool is_drained(ingest *app, size_t index) {
    const dtu *self = app->links[index];
    return !self || atomic_load(&self->has_drained);
}

static void stop(ingest *app, size_t index) {
    dtu *self = app->links[index];
    if (!self) return;
    if (self->listener) evconnlistener_free(self->listener);
    event_free(self->tick);
    event_free(self->mail_event);
    event_base_free(self->base);
    close(self->mail_fd);
    vec_done(&self->claims);
    vec_done(&self->orders);
    vec_done(&self->order_claims);
    vec_done(&self->links);
    table_done(&self->served);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
    app->links[index] = NULL;
}

const ingest_link *dtu_tcp_link(void) {
    static const ingest_link SELF = {.name = "dtu_tcp",
                                     .start = start,
                                     .drain = drain,
                                     .is_drained = is_drained,
                                     .stop = stop,
                                     .take_order = take_handed_order,
                                     .order_claimed = order_claimed,
                                     .claimed = claimed};
    return &SELF;
}
