// The body of POST /v1/readings, read strictly and reading by reading: one that breaks a rule is refused and the others
// go on. Pure: what needs the registry or the clock comes later.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "json/json.h"
#include "refusal.h"

#define PUSH_READINGS_MAX 5000
#define PUSH_PLACE_MAX 100

typedef struct push_reading {
    bool is_refused;
    refusal_reason reason;
    const char *place;   // JSON pointer, of a refused one
    const char *detail;  // of a refused one
    sv meter;            // bus address; lives as long as the document
    int16_t port;
    int16_t channel;
    uint8_t reg;
    int64_t value;
    instant_ms read_at;
    int64_t channel_num;  // filled by whoever resolves it
} push_reading;

// The whole body is refused (ERR_MALFORMED, ERR_BAD_INPUT, ERR_TOO_LARGE) when it is no JSON object with exactly one
// member "readings", an array of at most PUSH_READINGS_MAX. The caller frees the document; the rest is the arena's.
MUST_CHECK err_t push_body_parse(sv text, size_t max_bytes, arena *memory, json_doc **out_doc, push_reading **out_readings,
                                 size_t *out_count, fault *out_fault);
