// Names of the streams, and who produces them.
#pragma once

#include "base/sv.h"

#define STREAM_NAME_MAX 64

typedef enum stream_id {
#define STREAM(name, text, producer, is_per_partition, meaning) STREAM_##name,
#include "contracts/streams.def"
#undef STREAM
    STREAM_COUNT
} stream_id;

const char *stream_name(stream_id stream);
// `readings:17`; only for streams that are per partition.
void stream_partition_name(stream_id stream, int32_t partition, char out[STREAM_NAME_MAX]);
// The schema whose outbox feeds a stream; NULL for an unknown name.
const char *stream_producer(sv name);
const char *stream_meaning(stream_id stream);
