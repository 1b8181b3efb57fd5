#include "channel.h"

#include "base/check.h"

#define CHANNEL(name, kind, provider) extern const channel CHANNEL_##name;
#include "channels.def"
#undef CHANNEL

static const channel *const CHANNELS[] = {
#define CHANNEL(name, kind, provider) &CHANNEL_##name,
#include "channels.def"
#undef CHANNEL
};

const char *channel_result_text(channel_result result) {
    static const char *const TEXTS[] = {
#define RESULT(name, text, meaning) text,
#include "results.def"
#undef RESULT
    };
    CHECK((size_t)result < ARRAY_LEN(TEXTS));
    return TEXTS[result];
}

size_t channel_count(void) { return ARRAY_LEN(CHANNELS); }

const channel *channel_at(size_t index) {
    CHECK(index < ARRAY_LEN(CHANNELS));
    return CHANNELS[index];
}

const channel *channel_find(sv kind, sv provider) {
    for (size_t i = 0; i < ARRAY_LEN(CHANNELS); i++)
        if (sv_equal(kind, sv_of(CHANNELS[i]->kind)) && sv_equal(provider, sv_of(CHANNELS[i]->provider))) return CHANNELS[i];
    return NULL;
}
