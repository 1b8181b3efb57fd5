#include "notify.h"

#include <stdio.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "httpd/server.h"
#include "json/json_writer.h"

#define BODY_MAX 65536
#define HEADERS_JSON_MAX 65536
#define ARENA_MAX (PROVIDER_MEMORY_MAX + (1u << 20))
#define ANSWER_MAX 4096
#define STOP_MS 10000
#define TELL_EVERY_MS 1000  // hostile traffic is counted whole and logged in part

struct notify {
    service *svc;
    merchants *merchants;
    committer *committer;
    httpd *server;
    metric *verdicts[PROVIDER_NOTICE_COUNT];
    metric *outcomes[OUTCOME_COUNT];
    metric *no_merchant, *uncommitted, *seconds;
    _Atomic int64_t told_ms;
};

// One notification on its way.
typedef struct arrival {
    notify *owner;
    httpd_request *request;
    httpd_response *response;
    merchant *merchant;
    arena *memory;
    provider_notification received;
    provider_reading reading;
} arrival;

static void answer(const arrival *self, provider_notice notice, bool stored) {
    provider_reply reply = self->merchant->provider->reply(notice, stored);
    httpd_response_status(self->response, reply.status);
    if (!reply.content_type) return;
    httpd_response_content_type(self->response, reply.content_type);
    buf_add(httpd_response_body(self->response), reply.body);
}

static void tell(const arrival *self, const char *what) {
    int64_t now_ms = clock_monotonic_ms();
    int64_t told_ms = atomic_load(&self->owner->told_ms);
    if (now_ms - told_ms < TELL_EVERY_MS || !atomic_compare_exchange_strong(&self->owner->told_ms, &told_ms, now_ms)) return;
    LOG_WARN(what, LOG_I("company", self->merchant->company), LOG_I("merchant", self->merchant->num),
             LOG_SV("remote", httpd_request_remote(self->request)), LOG_S("verdict", provider_notice_text(self->reading.notice)),
             LOG_SV("why", self->reading.why));
}

// ---- reading ----

static bool is_plain(sv value) {
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || (unsigned char)value.ptr[i] > 0x7e) return false;
    return true;
}

// A header that came twice, or with bytes that two readers could take differently, is refused.
static bool take_headers(arrival *self) {
    const char *const *names = self->merchant->provider->notification_headers;
    for (size_t i = 0; names[i] && i < PROVIDER_NOTIFICATION_HEADERS_MAX; i++) {
        sv value = httpd_request_header(self->request, names[i]);
        if (httpd_request_header_count(self->request, names[i]) > 1 || !is_plain(value)) return false;
        self->received.headers[i] = value;
    }
    return true;
}

static sv headers_json(const arrival *self) {
    const char *const *names = self->merchant->provider->notification_headers;
    AUTO(buf) text = {.max = HEADERS_JSON_MAX};
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    for (size_t i = 0; names[i] && i < PROVIDER_NOTIFICATION_HEADERS_MAX; i++)
        if (self->received.headers[i].ptr) json_put_text(&out, names[i], self->received.headers[i]);
    json_close_object(&out);
    return buf_has_failed(&text) ? SV("{}") : arena_copy(self->memory, buf_view(&text));
}

// ---- storing ----

static void store(arrival *self) {
    const provider_reading *reading = &self->reading;
    apply_notice notice = {.event_id = reading->event_id,
                           .event_type = reading->event_type,
                           .headers = headers_json(self),
                           .body = self->received.body,
                           .plaintext = reading->plaintext,
                           .received_at = self->received.received_at};
    apply_entry entry = {.company = self->merchant->company,
                         .merchant = self->merchant->num,
                         .legal_entity = self->merchant->legal_entity,
                         .channel = sv_of(self->merchant->channel),
                         .fact = reading->notice == PROVIDER_NOTICE_IGNORED ? NULL : &reading->fact,
                         .notice = &notice,
                         .fallback = OUTCOME_IGNORED};
    err_t err = committer_apply(self->owner->committer, &entry);
    CRASH_POINT("payments.before_answer");
    if (err) {
        metric_add(self->owner->uncommitted, 1);
        answer(self, reading->notice, false);
        return;
    }
    metric_add(self->owner->outcomes[entry.outcome], 1);
    if (outcome_alarms(entry.outcome))
        LOG_ERROR("a notification needs a person", LOG_I("company", entry.company), LOG_I("merchant", entry.merchant),
                  LOG_SV("event", notice.event_id), LOG_S("outcome", outcome_text(entry.outcome)),
                  LOG_SV("order", reading->fact.order_number));
    answer(self, reading->notice, entry.outcome != OUTCOME_ERROR);
}

// A key that is another merchant's is an attack; any other may be one the channel has just begun to use.
static void take_unknown_key(arrival *self) {
    if (merchants_serial_is_of_another(self->owner->merchants, self->merchant, self->reading.key_serial)) {
        LOG_ERROR("a notification was signed with another merchant's key", LOG_I("company", self->merchant->company),
                  LOG_I("merchant", self->merchant->num), LOG_SV("remote", httpd_request_remote(self->request)));
        answer(self, PROVIDER_NOTICE_UNAUTHENTIC, false);
        return;
    }
    tell(self, "a notification was signed with a key we do not have");
    merchants_request_keys(self->owner->merchants, self->merchant);
    answer(self, PROVIDER_NOTICE_UNKNOWN_KEY, false);
}

static void judge(arrival *self) {
    switch (self->reading.notice) {
        case PROVIDER_NOTICE_FACT:
        case PROVIDER_NOTICE_ASK:
        case PROVIDER_NOTICE_IGNORED: store(self); return;
        case PROVIDER_NOTICE_UNKNOWN_KEY: take_unknown_key(self); return;
        case PROVIDER_NOTICE_UNREADABLE:
            LOG_ERROR("an authentic notification could not be read", LOG_I("company", self->merchant->company),
                      LOG_I("merchant", self->merchant->num), LOG_SV("why", self->reading.why));
            answer(self, self->reading.notice, false);
            return;
        case PROVIDER_NOTICE_MALFORMED:
        case PROVIDER_NOTICE_UNAUTHENTIC:
            tell(self, "a notification was refused");
            answer(self, self->reading.notice, false);
            return;
        case PROVIDER_NOTICE_PROBE: answer(self, self->reading.notice, false); return;
        case PROVIDER_NOTICE_COUNT: break;
    }
}

static void refuse(httpd_response *response, int status, const char *type, const char *title) {
    httpd_response_problem(response, &(httpd_problem){.status = status, .type = sv_of(type), .title = sv_of(title)});
}

static void read_and_judge(arrival *self) {
    sv encoding = httpd_request_header(self->request, "Content-Encoding");
    if (encoding.ptr && !sv_equal_nocase(encoding, SV("identity"))) {
        refuse(self->response, 415, "unknown-media-type", "The body must not be compressed");
        return;
    }
    if (!take_headers(self)) {
        refuse(self->response, 400, "malformed", "A header came twice or holds other than printable ASCII");
        return;
    }
    if (!self->merchant->opened) {
        httpd_response_error(self->response, ERR_UNAVAILABLE, NULL);
        return;
    }
    self->received.body = httpd_request_body(self->request);
    self->received.received_at = service_now(self->owner->svc);
    self->reading = self->merchant->provider->read_notification(self->merchant->opened, &self->received, self->memory);
    metric_add(self->owner->verdicts[self->reading.notice], 1);
    judge(self);
}

static void handle(httpd_request *request, httpd_response *response, void *context) {
    notify *owner = context;
    int64_t began = clock_monotonic_ns();
    if (!merchants_are_loaded(owner->merchants)) {
        httpd_response_error(response, ERR_UNAVAILABLE, NULL);
        return;
    }
    merchant *found =
        merchants_take_by_path(owner->merchants, httpd_request_param(request, "channel"), httpd_request_param(request, "merchant"));
    if (!found) {
        metric_add(owner->no_merchant, 1);
        refuse(response, 404, "not-found", "There is no such thing");
        return;
    }
    LOG_SCOPE(scope, LOG_I("company", found->company));
    (void)scope;
    arrival self = {.owner = owner, .request = request, .response = response, .merchant = found, .memory = httpd_request_arena(request)};
    read_and_judge(&self);
    merchants_give(found);
    metric_observe_us(owner->seconds, (clock_monotonic_ns() - began) / 1000);
}

// ---- life ----

static void register_metrics(notify *self) {
    char labels[80];
    for (size_t i = 0; i < PROVIDER_NOTICE_COUNT; i++) {
        snprintf(labels, sizeof labels, "verdict=\"%s\"", provider_notice_text((provider_notice)i));
        self->verdicts[i] = metric_counter("penstock_payments_notifications_total", "Notifications by what they proved to be", labels);
    }
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        snprintf(labels, sizeof labels, "outcome=\"%s\"", outcome_text((fact_outcome)i));
        self->outcomes[i] = metric_counter("penstock_payments_applied_total", "Committed notifications by what became of them", labels);
    }
    self->no_merchant = metric_counter("penstock_payments_unknown_paths_total", "Notifications to a merchant that does not exist", NULL);
    self->uncommitted = metric_counter("penstock_payments_uncommitted_total", "Notifications that could not be committed", NULL);
    self->seconds = metric_histogram("penstock_payments_notification_seconds", "From the complete notification to its answer", NULL);
}

static void *worker_new(void *user) { return user; }
static void worker_free(void *context) { (void)context; }

err_t notify_start(service *svc, merchants *known, committer *sink, notify **out_notify, fault *out_fault) {
    static const httpd_route ROUTES[] = {
        {.method = HTTPD_POST, .template = "/notify/{channel}/{merchant}", .handler = handle, .body_max = BODY_MAX}};
    notify *self = mem_new(1, sizeof *self);
    const settings *set = service_settings(svc);
    self->svc = svc;
    self->merchants = known;
    self->committer = sink;
    register_metrics(self);
    httpd_options options = httpd_options_default();
    options.listen = sv_of(settings_text(set, "PENSTOCK_PAYMENTS_LISTEN"));
    options.reuse_port = settings_bool(set, "PENSTOCK_REUSE_PORT");
    options.routes = ROUTES;
    options.route_count = ARRAY_LEN(ROUTES);
    options.body_max = BODY_MAX;
    options.workers = (size_t)settings_int(set, "PENSTOCK_PAYMENTS_WORKERS");
    options.queue_max = (size_t)settings_int(set, "PENSTOCK_PAYMENTS_REQUESTS_WAITING");
    options.arena_max = ARENA_MAX;
    options.response_max = ANSWER_MAX;
    options.connections_max = 4096;
    options.connections_per_address = 0;
    options.requests_per_connection = 1000000;
    options.connection_lifetime_ms = HOUR_MS;
    options.worker_new = worker_new;
    options.worker_free = worker_free;
    options.user = self;
    err_t err = httpd_start(&options, &self->server, out_fault);
    if (err)
        mem_free(self);
    else
        *out_notify = self;
    return err;
}

void notify_drain(notify *self) {
    if (!self || !self->server) return;
    if (!httpd_stop(self->server, STOP_MS)) LOG_WARN("some notifications were cut off; their channels repeat them");
    self->server = NULL;
}

void notify_free(notify *self) {
    notify_drain(self);
    mem_free(self);
}
