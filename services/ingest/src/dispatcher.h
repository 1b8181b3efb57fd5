// Takes what waits in ingest.line_command for the gateways this replica serves, hands it to their links, claims
// switch-offs for them, and writes how it ended. One thread with its own connection: a loop that serves sockets never
// waits for the database. What a dead process left behind is ended by whichever replica looks first.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "line_order.h"
#include "service/service.h"

typedef struct dispatcher dispatcher;
struct ingest;

dispatcher *dispatcher_new(struct ingest *app);
void dispatcher_free(dispatcher *self);
void dispatcher_run(service *svc, void *self);

// A link asks, with the meter's clock just read and the bus held, whether a switch-off may go out now. It is always
// answered, by ingest_link.order_claimed on the dispatcher's thread.
typedef struct line_claim {
    line_order order;  // for the answer: which one
    size_t link;       // index of the link in links.def
    uint64_t link_id;
    bool is_claimed;
    char reason[LINE_REASON_MAX];  // why not
} line_claim;

void dispatcher_claim(dispatcher *self, const line_claim *claim);

// An order's end, or that it may be taken again. Exactly one for each order a link took.
void dispatcher_result(dispatcher *self, const line_result *result);

// Writes the event that tells how an order ended; in the caller's transaction.
err_t dispatcher_tell(struct ingest *app, db *conn, const line_result *result) MUST_CHECK;
