#include "presence.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "table.h"

// A register of a channel, as last written and as it is now.
typedef struct value_slot {
    last_value now;
    int64_t written;
    instant_ms written_at;  // 0: never
    bool is_listed;
} value_slot;

struct presence {
    pthread_mutex_t lock;
    gateway_list gateways;
    meter_list meters;
    table slots;  // value_slot
    VEC(value_slot *) listed;
    size_t listed_head;
    metric *dropped;
};

presence *presence_new(void) {
    presence *self = mem_new(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    self->dropped =
        metric_counter("penstock_ingest_last_values_dropped_total", "Last values not kept because too many channels report", NULL);
    return self;
}

void presence_free(presence *self) {
    if (!self) return;
    table_each(&self->slots, mem_free);
    table_done(&self->slots);
    vec_done(&self->gateways);
    vec_done(&self->meters);
    vec_done(&self->listed);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

// ---- contacts ----

// True when it has to be written and is not listed yet.
static bool hear(contact *of, instant_ms at) {
    if (at > of->seen_at) of->seen_at = at;
    if (of->is_listed || (!of->is_lost && of->seen_at - of->written_at < of->write_every_ms)) return false;
    of->is_listed = true;
    return true;
}

void presence_gateway_heard(presence *self, registry_gateway *gateway, instant_ms at) {
    pthread_mutex_lock(&self->lock);
    if (hear(&gateway->contact, at)) vec_push(&self->gateways, gateway);
    pthread_mutex_unlock(&self->lock);
}

void presence_meter_heard(presence *self, registry_meter *meter, instant_ms at) {
    pthread_mutex_lock(&self->lock);
    if (hear(&meter->contact, at)) vec_push(&self->meters, meter);
    pthread_mutex_unlock(&self->lock);
}

static instant_ms take_contact(contact *of) {
    of->is_listed = false;
    of->written_at = of->seen_at;
    return of->seen_at;
}

void presence_take_gateways(presence *self, size_t max, gateway_list *out, instant_list *out_at) {
    pthread_mutex_lock(&self->lock);
    size_t count = self->gateways.len < max ? self->gateways.len : max;
    for (size_t i = 0; i < count; i++) {
        vec_push(out, self->gateways.items[i]);
        vec_push(out_at, take_contact(&self->gateways.items[i]->contact));
    }
    self->gateways.len -= count;
    if (count) memmove(self->gateways.items, self->gateways.items + count, self->gateways.len * sizeof *self->gateways.items);
    pthread_mutex_unlock(&self->lock);
}

void presence_take_meters(presence *self, size_t max, meter_list *out, instant_list *out_at) {
    pthread_mutex_lock(&self->lock);
    size_t count = self->meters.len < max ? self->meters.len : max;
    for (size_t i = 0; i < count; i++) {
        vec_push(out, self->meters.items[i]);
        vec_push(out_at, take_contact(&self->meters.items[i]->contact));
    }
    self->meters.len -= count;
    if (count) memmove(self->meters.items, self->meters.items + count, self->meters.len * sizeof *self->meters.items);
    pthread_mutex_unlock(&self->lock);
}

void presence_give_back_gateways(presence *self, const gateway_list *list) {
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < list->len; i++) {
        contact *of = &list->items[i]->contact;
        of->written_at = 0;
        if (!of->is_listed) vec_push(&self->gateways, list->items[i]);
        of->is_listed = true;
    }
    pthread_mutex_unlock(&self->lock);
}

void presence_give_back_meters(presence *self, const meter_list *list) {
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < list->len; i++) {
        contact *of = &list->items[i]->contact;
        of->written_at = 0;
        if (!of->is_listed) vec_push(&self->meters, list->items[i]);
        of->is_listed = true;
    }
    pthread_mutex_unlock(&self->lock);
}

instant_ms presence_seen_at(presence *self, const contact *of) {
    pthread_mutex_lock(&self->lock);
    instant_ms at = of->seen_at;
    pthread_mutex_unlock(&self->lock);
    return at;
}

void presence_mark_lost(presence *self, contact *of, bool is_lost) {
    pthread_mutex_lock(&self->lock);
    of->is_lost = is_lost;
    pthread_mutex_unlock(&self->lock);
}

bool presence_is_lost(presence *self, const contact *of) {
    pthread_mutex_lock(&self->lock);
    bool is_lost = of->is_lost;
    pthread_mutex_unlock(&self->lock);
    return is_lost;
}

// ---- values ----

static bool slot_equal(const void *item, const void *key) {
    const last_value *a = &((const value_slot *)item)->now;
    const last_value *b = key;
    return a->channel == b->channel && a->reg == b->reg;
}

static void list_slot(presence *self, value_slot *slot) {
    slot->is_listed = true;
    vec_push(&self->listed, slot);
}

void presence_value(presence *self, const last_value *value) {
    uint64_t hash = table_hash(&value->channel, sizeof value->channel, value->reg);
    pthread_mutex_lock(&self->lock);
    value_slot *slot = table_find(&self->slots, hash, slot_equal, value);
    if (!slot && self->slots.len < VALUES_MAX) {
        slot = mem_new(1, sizeof *slot);
        slot->now = *value;
        table_add(&self->slots, hash, slot);
    }
    if (!slot) metric_add(self->dropped, 1);
    if (slot && value->read_at >= slot->now.read_at) {
        slot->now = *value;
        bool is_due = slot->written_at == 0 || slot->written != value->value || value->received_at - slot->written_at >= VALUE_REPEAT_MS;
        if (is_due && !slot->is_listed) list_slot(self, slot);
    }
    pthread_mutex_unlock(&self->lock);
}

void presence_take_values(presence *self, size_t max, value_list *out) {
    pthread_mutex_lock(&self->lock);
    for (; self->listed_head < self->listed.len && out->len < max; self->listed_head++) {
        value_slot *slot = self->listed.items[self->listed_head];
        slot->is_listed = false;
        slot->written = slot->now.value;
        slot->written_at = slot->now.received_at;
        vec_push(out, slot->now);
    }
    if (self->listed_head >= self->listed.len / 2) {
        self->listed.len -= self->listed_head;
        if (self->listed.len)
            memmove(self->listed.items, self->listed.items + self->listed_head, self->listed.len * sizeof *self->listed.items);
        self->listed_head = 0;
    }
    pthread_mutex_unlock(&self->lock);
}

void presence_give_back_values(presence *self, const value_list *list) {
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < list->len; i++) {
        const last_value *value = &list->items[i];
        uint64_t hash = table_hash(&value->channel, sizeof value->channel, value->reg);
        value_slot *slot = table_find(&self->slots, hash, slot_equal, value);
        slot->written_at = 0;
        if (!slot->is_listed) list_slot(self, slot);
    }
    pthread_mutex_unlock(&self->lock);
}
