// Gateways that push: POST /v1/readings, signed. A handler is straight: authenticate, inflate, parse, resolve, journal
// and wait, answer. Accepted means journaled.
#include <pthread.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/mem.h"
#include "contracts/problems.h"
#include "crypto/crypto.h"
#include "httpd/server.h"
#include "links/booking.h"
#include "links/link.h"
#include "metering/register.h"
#include "push_body.h"
#include "zip/zip.h"

#define BODY_MAX (2u << 20)  // as sent, and inflated
#define ANSWER_MAX (2u << 20)
#define ARENA_MAX (8u << 20)
#define TIMESTAMP_TOLERANCE_S 300
#define SIGNATURE_LEN (2 * CRYPTO_SHA256_LEN)
#define STOP_MS 3000
#define RAW_TEXT_MAX 512

typedef struct http_push {
    ingest *app;
    httpd *server;
    metric *accepted, *refused, *unauthentic, *conflicts, *busy;
} http_push;

// One request on its way.
typedef struct push {
    http_push *link;
    httpd_request *request;
    httpd_response *response;
    arena *memory;
    registry_gateway *gateway;
    int32_t company;
    int64_t counter;
    push_reading *readings;
    size_t count;
    registry_meter **meters;  // of each reading that is not refused
    instant_ms received_at;
    journal_entry entry;
} push;

static void answer_problem(push *self, problem what, const char *detail) {
    httpd_response_problem(self->response, &(httpd_problem){problem_http_status(what), sv_of(problem_type(what)),
                                                            sv_of(problem_title(what)), sv_of(detail), SV_NONE});
}

// ---- who sent it ----

static bool refuse_sender(push *self, const char *detail) {
    metric_add(self->link->unauthentic, 1);
    answer_problem(self, PROBLEM_UNAUTHENTIC, detail);
    return false;
}

// What is compared must not tell a stranger which keys exist: without a gateway the signature is still computed.
static bool is_signed(push *self, const registry_gateway *gateway, sv key, sv timestamp, sv counter) {
    static const char NOBODY[] = "no gateway has this secret";
    sv signature = httpd_request_header(self->request, "X-Penstock-Signature");
    sv secret = gateway ? sv_slice(gateway->secret, gateway->secret_len) : sv_of(NOBODY);
    const sv pieces[] = {key, SV("\n"), timestamp, SV("\n"), counter, SV("\n"), httpd_request_body(self->request)};
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_hmac_sha256_pieces(secret, pieces, ARRAY_LEN(pieces), digest);
    uint8_t given[CRYPTO_SHA256_LEN] = {0};
    bool is_hex = signature.len == SIGNATURE_LEN && sv_hex_decode(signature, given);
    bool is_equal = crypto_equal(sv_slice(digest, sizeof digest), sv_slice(given, sizeof given));
    return is_hex && is_equal && gateway && gateway->secret_len > 0 && !gateway->is_disabled;
}

static bool authenticate(push *self) {
    sv key = httpd_request_header(self->request, "X-Penstock-Key");
    sv timestamp = httpd_request_header(self->request, "X-Penstock-Timestamp");
    sv counter = httpd_request_header(self->request, "X-Penstock-Counter");
    registry_read_lock(self->link->app->registry);
    self->gateway = registry_gateway_by_key(self->link->app->registry, key);
    bool is_right = is_signed(self, self->gateway, key, timestamp, counter);
    self->company = self->gateway ? self->gateway->company : 0;
    registry_unlock(self->link->app->registry);
    if (!is_right) return refuse_sender(self, "the key is unknown or the signature is not over key, timestamp, counter and body");
    int64_t at_s = 0;
    if (!sv_to_i64(timestamp, &at_s) || at_s > INSTANT_MAX / SECOND_MS || at_s < 0)
        return refuse_sender(self, "X-Penstock-Timestamp is no number of seconds since 1970");
    int64_t off_s = self->received_at / SECOND_MS - at_s;
    if (off_s > TIMESTAMP_TOLERANCE_S || off_s < -TIMESTAMP_TOLERANCE_S)
        return refuse_sender(self, "X-Penstock-Timestamp is more than 300 s from the server's clock");
    if (sv_to_i64(counter, &self->counter) && self->counter > 0) return true;
    answer_problem(self, PROBLEM_MALFORMED, "X-Penstock-Counter is no whole number from 1 to 9223372036854775807");
    return false;
}

// The sender is heard, so it is in contact; what it says comes later.
static bool is_held_back(push *self) {
    ingest *app = self->link->app;
    if (!pressure_is_high(app->pressure)) return false;
    metric_add(self->link->busy, 1);
    presence_gateway_heard(app->presence, self->gateway, self->received_at);
    answer_problem(self, PROBLEM_BUSY, "readings wait to be billed");
    httpd_response_retry_after(self->response, pressure_retry_after_s(app->pressure));
    return true;
}

static bool is_over_quota(push *self) {
    ingest *app = self->link->app;
    int64_t retry_s = 0;
    if (quota_take(app->quota, self->company, (int64_t)self->count, &retry_s)) return false;
    presence_gateway_heard(app->presence, self->gateway, self->received_at);
    answer_problem(self, PROBLEM_TOO_MANY, "the company's readings per second are used up");
    httpd_response_retry_after(self->response, retry_s);
    return true;
}

// ---- what it says ----

static bool inflate_body(push *self, sv *in_out_body, buf *inflated) {
    sv encoding = httpd_request_header(self->request, "Content-Encoding");
    if (encoding.len == 0 || sv_equal_nocase(encoding, SV("identity"))) return true;
    if (!sv_equal_nocase(encoding, SV("gzip"))) {
        httpd_response_problem(self->response, &(httpd_problem){415, SV("unsupported-encoding"), SV("The content encoding is not known"),
                                                                SV("only gzip"), SV_NONE});
        return false;
    }
    fault why = {0};
    err_t err = zip_gunzip(*in_out_body, inflated, &why);
    if (err) httpd_response_error(self->response, err, &why);
    *in_out_body = buf_view(inflated);
    return !err;
}

static void refuse_reading(push_reading *reading, arena *memory, size_t index, const char *member, refusal_reason reason) {
    reading->is_refused = true;
    reading->reason = reason;
    reading->place = arena_printf(memory, "/readings/%zu/%s", index, member);
    reading->detail = refusal_meaning(reason);
}

// Finds meter and channel; 0: refused.
static int64_t resolve(push *self, size_t index) {
    push_reading *reading = &self->readings[index];
    registry_meter *meter = registry_meter_at(self->link->app->registry, self->gateway, reading->port, reading->meter);
    int64_t channel = meter ? registry_channel(meter, reading->channel) : 0;
    if (!meter)
        refuse_reading(reading, self->memory, index, "meter", REFUSAL_UNKNOWN_METER);
    else if (channel == 0)
        refuse_reading(reading, self->memory, index, "channel", REFUSAL_UNKNOWN_CHANNEL);
    self->meters[index] = meter;
    reading->channel_num = channel;
    return channel;
}

static void add_refusal(push *self, refusal *refusals, const push_reading *reading) {
    const char *raw = arena_printf(self->memory, "meter %.*s port %d channel %d register %.*s", SV_ARG(reading->meter), reading->port,
                                   reading->channel, SV_ARG(register_describe(reading->reg).text));
    refusals[self->entry.refusal_count++] = (refusal){.company = self->company,
                                                      .gateway = self->gateway->num,
                                                      .reason = reading->reason,
                                                      .place = sv_of(reading->place),
                                                      .detail = sv_of(reading->detail),
                                                      .raw = sv_of(raw)};
}

static void add_record(push *self, const push_reading *reading, const registry_meter *meter, int64_t channel) {
    if (!register_is_stored(reading->reg)) return;
    uint16_t flags = READING_PUSHED;
    instant_ms at = booking_time(reading->read_at, self->received_at, &flags);
    self->entry.records[self->entry.record_count++] = (journal_record){.partition = meter->partition,
                                                                       .record = {.channel = channel,
                                                                                  .at = at,
                                                                                  .value = reading->value,
                                                                                  .reg = reading->reg,
                                                                                  .quality = QUALITY_MEASURED,
                                                                                  .flags = flags,
                                                                                  .company = meter->company}};
}

static void resolve_all(push *self) {
    refusal *refusals = ARENA_ARRAY(self->memory, refusal, self->count + 1);
    self->meters = ARENA_ARRAY(self->memory, registry_meter *, self->count + 1);
    self->entry = (journal_entry){.gateway = self->gateway, .counter = self->counter, .refusals = refusals};
    self->entry.records = ARENA_ARRAY(self->memory, journal_record, self->count + 1);
    registry_read_lock(self->link->app->registry);
    for (size_t i = 0; i < self->count; i++) {
        push_reading *reading = &self->readings[i];
        int64_t channel = reading->is_refused ? 0 : resolve(self, i);
        if (reading->is_refused)
            add_refusal(self, refusals, reading);
        else
            add_record(self, reading, self->meters[i], channel);
    }
    registry_unlock(self->link->app->registry);
}

// ---- the answer ----

static void tell_presence(push *self) {
    ingest *app = self->link->app;
    presence_gateway_heard(app->presence, self->gateway, self->received_at);
    for (size_t i = 0; i < self->count; i++) {
        const push_reading *reading = &self->readings[i];
        if (reading->is_refused) continue;
        uint16_t flags = 0;
        presence_meter_heard(app->presence, self->meters[i], self->received_at);
        presence_value(app->presence, &(last_value){.channel = reading->channel_num,
                                                    .value = reading->value,
                                                    .read_at = booking_time(reading->read_at, self->received_at, &flags),
                                                    .received_at = self->received_at,
                                                    .company = self->company,
                                                    .reg = reading->reg,
                                                    .quality = QUALITY_MEASURED});
    }
}

static void answer_results(push *self) {
    size_t refused = self->entry.refusal_count;
    metric_add(self->link->accepted, (int64_t)(self->count - refused));
    metric_add(self->link->refused, (int64_t)refused);
    httpd_response_json(self->response, 200);
    buf *out = httpd_response_body(self->response);
    buf_addf(out, "{\"accepted\":%zu,\"refused\":%zu,\"results\":[", self->count - refused, refused);
    for (size_t i = 0; i < self->count; i++) {
        const push_reading *reading = &self->readings[i];
        buf_add(out, i ? SV(",{\"index\":") : SV("{\"index\":"));
        buf_add_i64(out, (int64_t)i);
        if (!reading->is_refused) {
            buf_add(out, SV(",\"status\":\"accepted\"}"));
            continue;
        }
        buf_add(out, SV(",\"status\":\"refused\",\"reason\":\""));
        buf_add(out, sv_of(refusal_text(reading->reason)));
        buf_add(out, SV("\",\"detail\":"));
        json_text_add(out, sv_of(arena_printf(self->memory, "%s: %s", reading->place, reading->detail)));
        buf_add_byte(out, '}');
    }
    buf_add(out, SV("]}"));
}

static void handle(httpd_request *request, httpd_response *response, void *context) {
    http_push *link = context;
    push self = {.link = link, .request = request, .response = response, .memory = httpd_request_arena(request)};
    self.received_at = service_now(link->app->svc);
    if (!registry_is_loaded(link->app->registry)) {
        httpd_response_error(response, ERR_UNAVAILABLE, NULL);
        return;
    }
    if (!authenticate(&self) || is_held_back(&self)) return;
    LOG_SCOPE(scope, LOG_I("company", self.company), LOG_I("gateway", self.gateway->num));
    (void)scope;
    AUTO(buf) inflated;
    AUTO_JSON doc = NULL;
    fault why = {0};
    buf_init(&inflated, BODY_MAX);
    sv body = httpd_request_body(request);
    if (!inflate_body(&self, &body, &inflated)) return;
    err_t err = push_body_parse(body, BODY_MAX, self.memory, &doc, &self.readings, &self.count, &why);
    if (err) {
        httpd_response_error(response, err, &why);
        return;
    }
    if (is_over_quota(&self)) return;
    resolve_all(&self);
    err = journal_submit_and_wait(link->app->journal, &self.entry);
    CRASH_POINT("ingest.before_answer");
    if (err == ERR_CONFLICT) {
        metric_add(link->conflicts, 1);
        answer_problem(&self, PROBLEM_COUNTER_NOT_RAISED, "");
    } else if (err) {
        httpd_response_error(response, err, NULL);
    } else {
        tell_presence(&self);
        answer_results(&self);
    }
}

// ---- life ----

static void *worker_new(void *user) { return user; }
static void worker_free(void *context) { (void)context; }

static err_t start(ingest *app, size_t index, fault *out_fault) {
    static const httpd_route ROUTES[] = {{.method = HTTPD_POST, .template = "/v1/readings", .handler = handle, .body_max = BODY_MAX}};
    http_push *self = mem_new(1, sizeof *self);
    const settings *set = service_settings(app->svc);
    self->app = app;
    self->accepted = metric_counter("penstock_ingest_pushed_total", "Readings pushed over HTTP", "result=\"accepted\"");
    self->refused = metric_counter("penstock_ingest_pushed_total", "Readings pushed over HTTP", "result=\"refused\"");
    self->unauthentic = metric_counter("penstock_ingest_push_unauthentic_total", "Requests whose sender could not be established", NULL);
    self->conflicts = metric_counter("penstock_ingest_push_conflicts_total", "Requests whose counter did not rise", NULL);
    self->busy = metric_counter("penstock_ingest_pushes_busy_total", "Requests told to come again because billing is behind", NULL);
    app->links[index] = self;
    httpd_options options = httpd_options_default();
    options.listen = sv_of(settings_text(set, "PENSTOCK_INGEST_HTTP_LISTEN"));
    options.reuse_port = settings_bool(set, "PENSTOCK_REUSE_PORT");
    options.routes = ROUTES;
    options.route_count = ARRAY_LEN(ROUTES);
    options.body_max = BODY_MAX;
    options.workers = (size_t)settings_int(set, "PENSTOCK_INGEST_WORKERS");
    options.queue_max = (size_t)settings_int(set, "PENSTOCK_INGEST_REQUESTS_WAITING");
    options.arena_max = ARENA_MAX;
    options.response_max = ANSWER_MAX;
    options.connections_max = (size_t)settings_int(set, "PENSTOCK_INGEST_LINKS_MAX");
    options.connections_per_address = 0;
    options.requests_per_connection = 1000000;
    options.connection_lifetime_ms = HOUR_MS;
    options.worker_new = worker_new;
    options.worker_free = worker_free;
    options.user = self;
    return httpd_start(&options, &self->server, out_fault);
}

static void drain(ingest *app, size_t index) {
    http_push *self = app->links[index];
    if (!self || !self->server) return;
    if (!httpd_stop(self->server, STOP_MS)) LOG_WARN("some pushes were cut off; their gateways send them again");
    self->server = NULL;
}

static void stop(ingest *app, size_t index) {
    drain(app, index);
    mem_free(app->links[index]);
    app->links[index] = NULL;
}

const ingest_link *http_push_link(void) {
    static const ingest_link SELF = {.name = "http_push", .start = start, .drain = drain, .stop = stop};
    return &SELF;
}
