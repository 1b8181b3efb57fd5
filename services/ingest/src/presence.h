// Who was heard when, and the newest value of each register, gathered in memory and written by the bookkeeper in
// batches: contacts once in a while for each device, values on change and otherwise each 5 minutes.
// Display only: what is lost when the process dies is what nobody had written yet.
#pragma once

#include "base/vec.h"
#include "registry.h"

#define VALUE_REPEAT_MS (5 * MINUTE_MS)
#define VALUES_MAX 200000  // remembered; beyond, values are dropped and counted

typedef struct presence presence;

typedef struct last_value {
    int64_t channel;
    int64_t value;
    instant_ms read_at;
    instant_ms received_at;
    int32_t company;
    uint8_t reg;
    uint8_t quality;
} last_value;

presence *presence_new(void);
void presence_free(presence *self);

void presence_gateway_heard(presence *self, registry_gateway *gateway, instant_ms at);
void presence_meter_heard(presence *self, registry_meter *meter, instant_ms at);
void presence_value(presence *self, const last_value *value);

// For the bookkeeper: takes what waits, the oldest first, at most `max`.
typedef VEC(registry_gateway *) gateway_list;
typedef VEC(registry_meter *) meter_list;
typedef VEC(last_value) value_list;
typedef VEC(instant_ms) instant_list;

void presence_take_gateways(presence *self, size_t max, gateway_list *out, instant_list *out_at);
void presence_take_meters(presence *self, size_t max, meter_list *out, instant_list *out_at);
void presence_take_values(presence *self, size_t max, value_list *out);
// What could not be written waits again.
void presence_give_back_gateways(presence *self, const gateway_list *list);
void presence_give_back_meters(presence *self, const meter_list *list);
void presence_give_back_values(presence *self, const value_list *list);

// Reads and marks, for the watch over silence.
instant_ms presence_seen_at(presence *self, const contact *of);
void presence_mark_lost(presence *self, contact *of, bool is_lost);
bool presence_is_lost(presence *self, const contact *of);
