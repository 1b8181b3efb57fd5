// What moves a meter's relay or valve besides the order it was just given: its own travel, the thresholds and the daily
// schedule it was told to keep.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "fleet/profile.h"
#include "meter.h"

const char *fleet_cause_name(fleet_cause cause);

// Tells the relay where to be. A valve takes its travel time; a stuck one stays. close_allowed: it waits for the key.
void fleet_relay_tell(fleet_meter *self, bool open, fleet_cause cause, fleet_time now);
// Lets the meter act on its own as far as its time has come. True: the relay moved. Cheap for a meter with nothing to do.
bool fleet_relay_live(fleet_meter *self, fleet_time now);

// The values a meter keeps when they are written: how many bytes, 0 when it keeps none under that identifier.
size_t fleet_setting_find(fleet_meter *self, uint32_t data_id, uint8_t **out_bytes);
bool fleet_setting_is_valid(uint32_t data_id, const uint8_t *bytes);
