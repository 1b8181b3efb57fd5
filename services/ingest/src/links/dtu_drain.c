// A replica that stops lets its links go evenly over the drain time, so that their gateways do not all knock at the others
// at once. A link leaves between two turns of its bus: what a meter was asked is answered and journaled first.
#include "links/dtu.h"

#define LAST_TURN_MS 10000  // for those whose turn lasts longer than the drain time left

static bool is_staying(const dtu_link *self) { return self->state == LINK_UP && !self->is_leaving; }

static void begin(dtu *self, int64_t now_ms) {
    self->drain_from_ms = now_ms;
    if (self->listener) evconnlistener_free(self->listener);
    self->listener = NULL;
    for (size_t i = 0; i < self->links.len; i++) {
        dtu_link *link = self->links.items[i];
        if (link->state == LINK_UP)
            self->drain_links++;
        else
            dtu_link_close(link, "this replica stops");
    }
}

static void leave(dtu_link *self) {
    self->is_leaving = true;
    dtu_bus_wake(self);  // closes it where no turn is on
}

void dtu_drain_tick(dtu *self, int64_t now_ms) {
    if (self->drain_from_ms == 0) begin(self, now_ms);
    int64_t since_ms = now_ms - self->drain_from_ms;
    size_t due = since_ms >= self->drain_ms ? self->drain_links : (size_t)((int64_t)self->drain_links * since_ms / self->drain_ms);
    size_t staying = 0, open = 0;
    for (size_t i = 0; i < self->links.len; i++) staying += is_staying(self->links.items[i]);
    for (size_t i = 0; i < self->links.len && self->drain_links - staying < due; i++) {
        if (!is_staying(self->links.items[i])) continue;
        leave(self->links.items[i]);
        staying--;
    }
    for (size_t i = 0; i < self->links.len; i++) open += self->links.items[i]->state == LINK_UP;
    bool is_over = since_ms >= self->drain_ms + (self->drain_ms > 0 ? LAST_TURN_MS : 0);
    if (open == 0 || is_over) atomic_store(&self->has_drained, true);
}
