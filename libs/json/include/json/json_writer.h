// Writing JSON into a buf as a stream: commas and escapes are taken care of, nesting is checked. Check
// buf_has_failed once at the end.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/instant.h"

#define JSON_WRITER_DEPTH_MAX 32

typedef struct json_writer {
    buf *out;
    uint32_t depth;
    uint32_t used;  // bit per depth: something was written there
    bool has_key;
} json_writer;

void json_writer_init(json_writer *self, buf *out);

void json_open_object(json_writer *self);
void json_close_object(json_writer *self);
void json_open_array(json_writer *self);
void json_close_array(json_writer *self);
void json_key(json_writer *self, const char *key);

void json_add_text(json_writer *self, sv text);
void json_add_integer(json_writer *self, int64_t value);
void json_add_boolean(json_writer *self, bool value);
void json_add_null(json_writer *self);
void json_add_instant(json_writer *self, instant_ms at, int32_t offset_s);
void json_add_raw(json_writer *self, sv json);  // one well-formed value

// A key and its value.
void json_put_text(json_writer *self, const char *key, sv text);
void json_put_integer(json_writer *self, const char *key, int64_t value);
void json_put_boolean(json_writer *self, const char *key, bool value);
void json_put_null(json_writer *self, const char *key);
void json_put_instant(json_writer *self, const char *key, instant_ms at, int32_t offset_s);
