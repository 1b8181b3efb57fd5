// A transparent gateway: it connects, sends its registration line and heartbeats, and puts every request of the server
// on its bus, where the addressed meter answers.
#pragma once

#include "fleet.h"

typedef struct fleet_dtu fleet_dtu;

// Connects after `delay_ms`; borrows fleet and gateway.
fleet_dtu *fleet_dtu_new(fleet_world *fleet, fleet_gateway *gateway, int64_t delay_ms);
void fleet_dtu_free(fleet_dtu *self);
