// The admin port: /livez (threads answer), /readyz (can serve), /metrics.
#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "base/log.h"
#include "base/mem.h"
#include "service_internal.h"

static void get_livez(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    httpd_response_json(response, 200);
    buf_add(httpd_response_body(response), SV("{\"status\":\"alive\"}"));
}

static void add_failed(buf *out, size_t *count, const char *name) {
    buf_add(out, (*count)++ > 0 ? SV(",") : SV("{\"failed\":["));
    json_text_add(out, sv_of(name));
}

static void get_readyz(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    service *self = context;
    AUTO(buf) failed = {.max = 2000};
    size_t count = 0;
    if (!atomic_load(&self->is_started)) add_failed(&failed, &count, "started");
    if (service_is_stopping(self)) add_failed(&failed, &count, "stopping");
    if (!atomic_load(&self->database_ok)) add_failed(&failed, &count, "database");
    if (!atomic_load(&self->redis_ok)) add_failed(&failed, &count, "redis");
    bool may_ask = atomic_load(&self->is_started) && !service_is_stopping(self);
    for (const service_check *check = self->def->checks; may_ask && check && check->name; check++)
        if (!check->is_ready(self)) add_failed(&failed, &count, check->name);
    httpd_response_json(response, count ? 503 : 200);
    buf *body = httpd_response_body(response);
    if (count)
        buf_add(body, buf_view(&failed)), buf_add(body, SV("]}"));
    else
        buf_add(body, SV("{\"status\":\"ready\"}"));
}

static void get_metrics(httpd_request *request, httpd_response *response, void *context) {
    (void)request;
    (void)context;
    httpd_response_status(response, 200);
    httpd_response_content_type(response, "text/plain; version=0.0.4; charset=utf-8");
    metrics_write(httpd_response_body(response));
}

static int64_t uptime(void *context) {
    (void)context;
    static int64_t started_ms;
    if (started_ms == 0) started_ms = clock_monotonic_ms();
    return (clock_monotonic_ms() - started_ms) / 1000;
}

err_t service_admin_start(service *self, fault *out_fault) {
    static const httpd_route ROUTES[] = {
        {HTTPD_GET, "/livez", get_livez, 0}, {HTTPD_GET, "/readyz", get_readyz, 0}, {HTTPD_GET, "/metrics", get_metrics, 0}};
    (void)uptime(NULL);
    metric_gauge_read("penstock_uptime_seconds", "Since the start of this process", NULL, uptime, NULL);
    httpd_options options = httpd_options_default();
    options.listen = sv_of(settings_text(self->settings, "PENSTOCK_ADMIN_LISTEN"));
    options.routes = ROUTES;
    options.route_count = ARRAY_LEN(ROUTES);
    options.workers = 1;
    options.queue_max = 16;
    options.connections_max = 64;
    options.response_max = 1u << 20;
    options.user = self;
    err_t err = httpd_start(&options, &self->admin, out_fault);
    if (!err) LOG_INFO("admin port is open", LOG_I("port", httpd_port(self->admin)));
    return err;
}
