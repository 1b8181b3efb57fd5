#include "protocols/protocol.h"

#include "base/mem.h"

typedef const protocol *(*protocol_getter)(void);

static const protocol_getter GETTERS[] = {
#define PROTOCOL(name) name##_protocol,
#include "protocols/protocols.def"
#undef PROTOCOL
};

size_t protocol_count(void) { return ARRAY_LEN(GETTERS); }

const protocol *protocol_at(size_t index) { return index < ARRAY_LEN(GETTERS) ? GETTERS[index]() : NULL; }

const protocol *protocol_find(sv name) {
    for (size_t i = 0; i < ARRAY_LEN(GETTERS); i++)
        if (sv_equal(sv_of(GETTERS[i]()->name), name)) return GETTERS[i]();
    return NULL;
}
