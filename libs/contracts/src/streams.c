#include "contracts/streams.h"

#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

static const struct {
    const char *name, *producer, *meaning;
    bool is_per_partition;
} STREAMS[] = {
#define STREAM(id, text, producer, is_per_partition, meaning) {text, producer, meaning, is_per_partition},
#include "contracts/streams.def"
#undef STREAM
};

const char *stream_name(stream_id stream) {
    CHECK(stream < STREAM_COUNT);
    return STREAMS[stream].name;
}

void stream_partition_name(stream_id stream, int32_t partition, char out[STREAM_NAME_MAX]) {
    CHECK(stream < STREAM_COUNT && STREAMS[stream].is_per_partition && partition >= 0);
    snprintf(out, STREAM_NAME_MAX, "%s:%d", STREAMS[stream].name, partition);
}

const char *stream_producer(sv name) {
    for (size_t i = 0; i < ARRAY_LEN(STREAMS); i++)
        if (sv_equal(sv_of(STREAMS[i].name), name)) return STREAMS[i].producer;
    return NULL;
}

const char *stream_meaning(stream_id stream) {
    CHECK(stream < STREAM_COUNT);
    return STREAMS[stream].meaning;
}
