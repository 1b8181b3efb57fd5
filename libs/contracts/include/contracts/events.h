// Types of events: the vocabulary of outbox rows.
#pragma once

#include "base/sv.h"
#include "contracts/streams.h"

typedef enum event_type {
#define EVENT(name, stream, text, fields, meaning) EVENT_##name,
#include "contracts/events.def"
#undef EVENT
    EVENT_COUNT
} event_type;

const char *event_text(event_type type);
stream_id event_stream(event_type type);
const char *event_fields(event_type type);
const char *event_meaning(event_type type);
bool event_parse(sv text, event_type *out_type);
