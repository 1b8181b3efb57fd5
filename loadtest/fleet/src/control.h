// The control socket: a unix socket on which each line is an order (order.h) and each answer a line.
#pragma once

#include "fleet.h"

typedef struct fleet_control fleet_control;

// Replaces a socket file left behind. NULL path: *out_control is NULL.
MUST_CHECK err_t fleet_control_open(fleet_world *fleet, const char *path, fleet_control **out_control, fault *out_fault);
void fleet_control_close(fleet_control *self);
