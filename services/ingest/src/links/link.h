// A link is a way in for readings: one file, one line in links.def. It resolves what came to channels through the
// registry, submits to the journal, and tells presence whom it heard.
#pragma once

#include "ingest.h"

typedef struct ingest_link {
    const char *name;
    // Opens the port and spawns threads; keeps its state in app->links[index].
    err_t (*start)(ingest *app, size_t index, fault *out_fault);
    // No new work; answers what is in flight within a few seconds.
    void (*drain)(ingest *app, size_t index);
    // Behind drain: nothing is left to wait for. May be NULL; bounds itself.
    bool (*is_drained)(ingest *app, size_t index);
    void (*stop)(ingest *app, size_t index);  // frees; also after a start that failed or never was
    // Something to do with a meter. True: this link has the gateway's session of the order's epoch, and will end it by
    // dispatcher_result, once. NULL: it has no way down.
    bool (*take_order)(ingest *app, size_t index, const line_order *order);
    // The answer to dispatcher_claim; NULL like take_order.
    void (*order_claimed)(ingest *app, size_t index, const line_claim *claim);
    // What presence tells of a reply to an earlier claim; may be NULL. See bookkeeper.h.
    void (*claimed)(ingest *app, size_t index, const session_claim *claim);
} ingest_link;

#define LINK(name) const ingest_link *name##_link(void);
#include "links/links.def"
#undef LINK

size_t link_count(void);
const ingest_link *link_at(size_t index);
