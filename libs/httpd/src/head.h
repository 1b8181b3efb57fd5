// The head of a request (RFC 9112 §2.1–§7), read strictly: what two readers could understand differently is refused.
// Pure; everything returned points into the text that was given.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sv.h"
#include "httpd/request.h"

typedef enum refusal {
#define REFUSAL(name, status, type, detail) REFUSAL_##name,
#include "refusals.def"
#undef REFUSAL
    REFUSAL_COUNT
} refusal;

int refusal_status(refusal why);
const char *refusal_type(refusal why);
const char *refusal_detail(refusal why);

typedef struct head_field {
    sv name;
    sv value;
} head_field;

typedef struct request_head {
    httpd_method method;
    sv method_name;
    sv path;
    sv query;
    bool is_http_1_0;
    bool wants_close;
    bool is_chunked;
    bool expects_continue;
    uint64_t content_length;
    head_field *fields;
    size_t field_count;
} request_head;

// `text` ends with the empty line. Headers go into `memory`.
refusal head_parse(sv text, size_t fields_max, arena *memory, request_head *out);
// The first field of that name; SV_NONE when absent.
sv head_field_of(const request_head *self, sv name);
