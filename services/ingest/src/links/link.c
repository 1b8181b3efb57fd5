#include "links/link.h"

#include "base/mem.h"

typedef const ingest_link *(*link_getter)(void);

static const link_getter GETTERS[] = {
#define LINK(name) name##_link,
#include "links/links.def"
#undef LINK
};

size_t link_count(void) { return ARRAY_LEN(GETTERS); }
const ingest_link *link_at(size_t index) { return GETTERS[index](); }
