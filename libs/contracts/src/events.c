#include "contracts/events.h"

#include "base/check.h"
#include "base/mem.h"

static const struct {
    const char *text, *fields, *meaning;
    stream_id stream;
} EVENTS[] = {
#define EVENT(id, stream, text, fields, meaning) {text, fields, meaning, STREAM_##stream},
#include "contracts/events.def"
#undef EVENT
};

const char *event_text(event_type type) {
    CHECK(type < EVENT_COUNT);
    return EVENTS[type].text;
}

stream_id event_stream(event_type type) {
    CHECK(type < EVENT_COUNT);
    return EVENTS[type].stream;
}

const char *event_fields(event_type type) {
    CHECK(type < EVENT_COUNT);
    return EVENTS[type].fields;
}

const char *event_meaning(event_type type) {
    CHECK(type < EVENT_COUNT);
    return EVENTS[type].meaning;
}

bool event_parse(sv text, event_type *out_type) {
    for (size_t i = 0; i < ARRAY_LEN(EVENTS); i++) {
        if (!sv_equal(sv_of(EVENTS[i].text), text)) continue;
        *out_type = (event_type)i;
        return true;
    }
    return false;
}
