#include "json/json_writer.h"

#include "base/check.h"
#include "base/json_text.h"

void json_writer_init(json_writer *self, buf *out) { *self = (json_writer){.out = out}; }

// Before a value: its comma, unless a key has just been written.
static void begin_value(json_writer *self) {
    uint32_t bit = 1u << self->depth;
    if (!self->has_key && (self->used & bit)) {
        CHECK(self->depth > 0);  // one value at the top
        buf_add_byte(self->out, ',');
    }
    self->used |= bit;
    self->has_key = false;
}

static void open(json_writer *self, char bracket) {
    begin_value(self);
    CHECK(self->depth + 1 < JSON_WRITER_DEPTH_MAX);
    self->depth++;
    self->used &= ~(1u << self->depth);
    buf_add_byte(self->out, bracket);
}

static void close_with(json_writer *self, char bracket) {
    CHECK(self->depth > 0 && !self->has_key);
    self->depth--;
    buf_add_byte(self->out, bracket);
}

void json_open_object(json_writer *self) { open(self, '{'); }

void json_close_object(json_writer *self) { close_with(self, '}'); }

void json_open_array(json_writer *self) { open(self, '['); }

void json_close_array(json_writer *self) { close_with(self, ']'); }

void json_key(json_writer *self, const char *key) {
    CHECK(self->depth > 0 && !self->has_key);
    begin_value(self);
    json_text_add(self->out, sv_of(key));
    buf_add_byte(self->out, ':');
    self->has_key = true;
}

void json_add_text(json_writer *self, sv text) {
    begin_value(self);
    json_text_add(self->out, text);
}

void json_add_integer(json_writer *self, int64_t value) {
    begin_value(self);
    buf_add_i64(self->out, value);
}

void json_add_boolean(json_writer *self, bool value) {
    begin_value(self);
    buf_add(self->out, value ? SV("true") : SV("false"));
}

void json_add_null(json_writer *self) {
    begin_value(self);
    buf_add(self->out, SV("null"));
}

void json_add_instant(json_writer *self, instant_ms at, int32_t offset_s) {
    char text[INSTANT_TEXT_MAX];
    size_t len = instant_format(at, offset_s, text);
    json_add_text(self, (sv){text, len});
}

void json_add_raw(json_writer *self, sv json) {
    begin_value(self);
    buf_add(self->out, json);
}

void json_put_text(json_writer *self, const char *key, sv text) {
    json_key(self, key);
    json_add_text(self, text);
}

void json_put_integer(json_writer *self, const char *key, int64_t value) {
    json_key(self, key);
    json_add_integer(self, value);
}

void json_put_boolean(json_writer *self, const char *key, bool value) {
    json_key(self, key);
    json_add_boolean(self, value);
}

void json_put_null(json_writer *self, const char *key) {
    json_key(self, key);
    json_add_null(self);
}

void json_put_instant(json_writer *self, const char *key, instant_ms at, int32_t offset_s) {
    json_key(self, key);
    json_add_instant(self, at, offset_s);
}
