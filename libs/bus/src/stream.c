// Streams: publishing, reading behind a cursor, trimming by time.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "bus_internal.h"

#define PIPELINE_MAX 256
#define CURSORS_MAX 1100  // every partition's stream and some more

// Takes all answers of a pipeline, so that the connection stays usable; the first error wins.
static err_t collect(bus *self, size_t count) {
    err_t first = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = NULL;
        err_t err = bus_reply(self, &reply);
        if (!err) freeReplyObject(reply);
        if (err && !first) first = err;
        if (!self->redis) return first;
    }
    return first;
}

static err_t publish_some(bus *self, const bus_entry *entries, size_t len) {
    for (size_t i = 0; i < len; i++) {
        const char *words[] = {"XADD", entries[i].stream, "*", "e", entries[i].payload.ptr ? entries[i].payload.ptr : ""};
        size_t lengths[] = {4, strlen(entries[i].stream), 1, 1, entries[i].payload.len};
        if (redisAppendCommandArgv(self->redis, 5, words, lengths) != REDIS_OK) return bus_lost(self);
    }
    return collect(self, len);
}

err_t bus_publish(bus *self, const bus_entry *entries, size_t len) {
    err_t err = bus_connected(self);
    for (size_t at = 0; !err && at < len; at += PIPELINE_MAX)
        err = publish_some(self, entries + at, len - at < PIPELINE_MAX ? len - at : PIPELINE_MAX);
    return err;
}

void bus_cursor_init(bus_cursor *self, const char *stream) {
    CHECK(strlen(stream) < sizeof self->stream);
    *self = (bus_cursor){0};
    sv_copy_truncated(sv_of(stream), self->stream, sizeof self->stream);
}

static bool take_id(const redisReply *entry, bus_cursor *cursor) {
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || entry->element[0]->type != REDIS_REPLY_STRING) return false;
    sv id = sv_slice(entry->element[0]->str, (size_t)entry->element[0]->len);
    if (id.len >= sizeof cursor->last_id) return false;
    sv_copy_truncated(id, cursor->last_id, sizeof cursor->last_id);
    return true;
}

// A new cursor stands behind the newest entry there is.
static err_t place_cursors(bus *self, bus_cursor *cursors, size_t count) {
    size_t asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (cursors[i].last_id[0]) continue;
        if (redisAppendCommand(self->redis, "XREVRANGE %s + - COUNT 1", cursors[i].stream) != REDIS_OK) return bus_lost(self);
        asked++;
    }
    err_t first = ERR_OK;
    for (size_t i = 0; i < count && asked > 0; i++) {
        if (cursors[i].last_id[0]) continue;
        asked--;
        redisReply *reply = NULL;
        err_t err = bus_reply(self, &reply);
        if (err && !first) first = err;
        if (!self->redis) return first;
        if (err) continue;
        bool is_empty = reply->type != REDIS_REPLY_ARRAY || reply->elements == 0;
        if (is_empty || !take_id(reply->element[0], &cursors[i])) snprintf(cursors[i].last_id, sizeof cursors[i].last_id, "0-0");
        freeReplyObject(reply);
    }
    return first;
}

static err_t send_read(bus *self, const bus_cursor *cursors, size_t count, size_t max_entries, int32_t wait_ms, arena *memory) {
    const char **words = ARENA_ARRAY(memory, const char *, count * 2 + 6);
    size_t len = 0;
    words[len++] = "XREAD";
    words[len++] = "COUNT";
    words[len++] = arena_printf(memory, "%zu", max_entries);
    if (wait_ms > 0) {
        words[len++] = "BLOCK";
        words[len++] = arena_printf(memory, "%d", wait_ms);
    }
    words[len++] = "STREAMS";
    for (size_t i = 0; i < count; i++) words[len++] = cursors[i].stream;
    for (size_t i = 0; i < count; i++) words[len++] = cursors[i].last_id;
    return redisAppendCommandArgv(self->redis, (int)len, words, NULL) == REDIS_OK ? ERR_OK : bus_lost(self);
}

// Fields of an entry: name, value, name, value … ; ours is `e`, others are not for us.
static bool find_payload(const redisReply *entry, sv *out_payload) {
    const redisReply *fields = entry->element[1];
    if (fields->type != REDIS_REPLY_ARRAY) return false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];
        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING) continue;
        if (name->len != 1 || name->str[0] != 'e') continue;
        *out_payload = sv_slice(value->str, (size_t)value->len);
        return true;
    }
    return false;
}

static void take_entries(const redisReply *of_stream, bus_cursor *cursors, size_t count, arena *memory, bus_messages *out) {
    if (of_stream->type != REDIS_REPLY_ARRAY || of_stream->elements != 2) return;
    const redisReply *name = of_stream->element[0], *entries = of_stream->element[1];
    if (name->type != REDIS_REPLY_STRING || entries->type != REDIS_REPLY_ARRAY) return;
    size_t stream = 0;
    while (stream < count && !sv_equal(sv_of(cursors[stream].stream), sv_slice(name->str, (size_t)name->len))) stream++;
    for (size_t i = 0; stream < count && i < entries->elements; i++) {
        sv payload = SV_NONE;
        if (!take_id(entries->element[i], &cursors[stream]) || !find_payload(entries->element[i], &payload)) continue;
        out->items[out->len++] = (bus_message){.stream = stream, .payload = arena_copy(memory, payload)};
    }
}

err_t bus_read(bus *self, bus_cursor *cursors, size_t cursor_count, size_t max_entries, int32_t wait_ms, arena *memory,
               bus_messages *out_messages) {
    CHECK(cursor_count > 0 && cursor_count <= CURSORS_MAX && max_entries > 0);
    *out_messages = (bus_messages){0};
    err_t err = bus_connected(self);
    if (!err) err = place_cursors(self, cursors, cursor_count);
    if (!err) err = send_read(self, cursors, cursor_count, max_entries, wait_ms, memory);
    if (!err) err = bus_patience(self, BUS_COMMAND_TIMEOUT_MS + wait_ms);
    redisReply *reply = NULL;
    if (!err) err = bus_reply(self, &reply);
    if (!err) err = bus_patience(self, BUS_COMMAND_TIMEOUT_MS);
    if (err) {
        if (reply) freeReplyObject(reply);
        return err;
    }
    if (reply->type == REDIS_REPLY_ARRAY) {
        out_messages->items = ARENA_ARRAY(memory, bus_message, max_entries * reply->elements + 1);
        for (size_t i = 0; i < reply->elements; i++) take_entries(reply->element[i], cursors, cursor_count, memory, out_messages);
    }
    freeReplyObject(reply);
    return ERR_OK;
}

// By the clock of Redis, which made the ids.
static err_t redis_now_ms(bus *self, int64_t *out_ms) {
    if (redisAppendCommand(self->redis, "TIME") != REDIS_OK) return bus_lost(self);
    redisReply *reply = NULL;
    err_t err = bus_reply(self, &reply);
    if (err) return err;
    int64_t seconds = 0;
    bool is_good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
                   sv_to_i64(sv_slice(reply->element[0]->str, (size_t)reply->element[0]->len), &seconds);
    freeReplyObject(reply);
    if (!is_good) return bus_failed(self, "TIME answered something else");
    *out_ms = seconds * 1000;
    return ERR_OK;
}

err_t bus_trim(bus *self, const char *const *streams, size_t len) {
    int64_t now_ms = 0;
    err_t err = bus_connected(self);
    if (!err) err = redis_now_ms(self, &now_ms);
    if (err) return err;
    for (size_t i = 0; i < len; i++)
        if (redisAppendCommand(self->redis, "XTRIM %s MINID ~ %lld", streams[i], (long long)(now_ms - BUS_RETENTION_MS)) != REDIS_OK)
            return bus_lost(self);
    return collect(self, len);
}
