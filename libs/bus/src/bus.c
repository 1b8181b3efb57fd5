// One Redis connection: opening it with a deadline, leaving it alone after a failure until a back-off has passed.
#include "bus/bus.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "bus_internal.h"

#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_MAX_MS 2000

static bool parse_address(sv address, bus *self) {
    if (sv_starts_with(address, SV("unix:"))) {
        sv path = sv_skip(address, 5);
        if (path.len == 0 || path.ptr[0] != '/' || path.len >= sizeof self->host) return false;
        self->is_unix = true;
        sv_copy_truncated(path, self->host, sizeof self->host);
        return true;
    }
    size_t colon = address.len;
    while (colon > 0 && address.ptr[colon - 1] != ':') colon--;
    int64_t port = 0;
    if (colon < 2 || !sv_to_i64(sv_skip(address, colon), &port) || port < 1 || port > 65535) return false;
    sv host = {address.ptr, colon - 1};
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') host = (sv){host.ptr + 1, host.len - 2};
    if (host.len >= sizeof self->host) return false;
    sv_copy_truncated(host, self->host, sizeof self->host);
    self->port = (int)port;
    return true;
}

err_t bus_new(const char *address, bus **out_bus, fault *out_fault) {
    bus *self = mem_new(1, sizeof *self);
    if (!parse_address(sv_of(address), self)) {
        mem_free(self);
        return fault_set(out_fault, ERR_BAD_INPUT, "address", "\"%.100s\" is neither unix:/path nor host:port", address);
    }
    *out_bus = self;
    return ERR_OK;
}

void bus_free(bus *self) {
    if (!self) return;
    if (self->redis) redisFree(self->redis);
    mem_free(self);
}

const char *bus_error_text(const bus *self) { return self->error_text; }

err_t bus_failed(bus *self, const char *why) {
    sv_copy_truncated(sv_of(why && *why ? why : "no answer"), self->error_text, sizeof self->error_text);
    uint32_t random;
    random_fill(&random, sizeof random);
    self->back_off_ms = self->back_off_ms ? self->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    if (self->back_off_ms > BACK_OFF_MAX_MS) self->back_off_ms = BACK_OFF_MAX_MS;
    // Full jitter, so that many handles do not return in step.
    self->retry_at_ms = clock_monotonic_ms() + 1 + random % self->back_off_ms;
    return ERR_UNAVAILABLE;
}

err_t bus_lost(bus *self) {
    char why[sizeof self->error_text];
    snprintf(why, sizeof why, "%s", self->redis ? self->redis->errstr : "not connected");
    if (self->redis) redisFree(self->redis);
    self->redis = NULL;
    return bus_failed(self, why);
}

void bus_answered(bus *self) { self->back_off_ms = 0; }

static struct timeval time_of_ms(int64_t ms) { return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}; }

err_t bus_patience(bus *self, int64_t timeout_ms) {
    return redisSetTimeout(self->redis, time_of_ms(timeout_ms)) == REDIS_OK ? ERR_OK : bus_lost(self);
}

err_t bus_connected(bus *self) {
    if (clock_monotonic_ms() < self->retry_at_ms) return ERR_UNAVAILABLE;
    if (self->redis) return ERR_OK;
    struct timeval timeout = time_of_ms(BUS_CONNECT_TIMEOUT_MS);
    self->redis =
        self->is_unix ? redisConnectUnixWithTimeout(self->host, timeout) : redisConnectWithTimeout(self->host, self->port, timeout);
    CHECK(self->redis);
    if (self->redis->err) return bus_lost(self);
    if (!self->is_unix) redisEnableKeepAlive(self->redis);
    return bus_patience(self, BUS_COMMAND_TIMEOUT_MS);
}

err_t bus_reply(bus *self, redisReply **out_reply) {
    void *reply = NULL;
    if (redisGetReply(self->redis, &reply) != REDIS_OK || !reply) return bus_lost(self);
    redisReply *answer = reply;
    if (answer->type == REDIS_REPLY_ERROR) {
        err_t err = bus_failed(self, answer->str);
        freeReplyObject(answer);
        return err;
    }
    bus_answered(self);
    *out_reply = answer;
    return ERR_OK;
}

static sv info_value(sv info, sv key) {
    sv line = SV_NONE;
    while (sv_next(&info, '\n', &line)) {
        line = sv_trim(line);
        if (sv_starts_with(line, key) && line.len > key.len && line.ptr[key.len] == ':') return sv_skip(line, key.len + 1);
    }
    return SV_NONE;
}

err_t bus_check(bus *self, fault *out_fault) {
    err_t err = bus_connected(self);
    if (!err && redisAppendCommand(self->redis, "INFO memory") != REDIS_OK) err = bus_lost(self);
    redisReply *reply = NULL;
    if (!err) err = bus_reply(self, &reply);
    if (err) return fault_set(out_fault, ERR_UNAVAILABLE, "redis", "%s", self->error_text);
    sv policy = reply->type == REDIS_REPLY_STRING ? info_value(sv_slice(reply->str, (size_t)reply->len), SV("maxmemory_policy")) : SV_NONE;
    if (!sv_equal(policy, SV("noeviction")))
        err = fault_set(out_fault, ERR_INTERNAL, "redis",
                        "maxmemory-policy is \"%.*s\" and must be noeviction: it would drop whole streams", SV_ARG(policy));
    freeReplyObject(reply);
    return err;
}
