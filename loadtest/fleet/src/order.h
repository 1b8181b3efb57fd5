// Orders to the fleet: JSON objects from the configuration's "faults" and from the control socket, one a line.
//
//   {"do":"fault","fault":"slow","meter":"…" or "gateway":"…" or neither for all,"value":2500,"permille":500,"for_ms":60000}
//   {"do":"clear"}                                    ends all faults (of the named meter or gateway)
//   {"do":"replace","meter":"…","number":"…","start_wh":0}    another device at the same address
//   {"do":"set_register","meter":"…","start_wh":999999900}    rollover: 1 000 000 kWh show as 0
//   {"do":"press_key","meter":"…"}                    closes a relay that was allowed to close
//   {"do":"register","meter":"…"}                     what the meter shows now
//   {"do":"status"}                                   the statistics line
//   {"do":"stop"}                                     as SIGTERM
//
// Every order is answered by one JSON line with "ok".
#pragma once

#include "base/buf.h"
#include "base/sv.h"
#include "config.h"
#include "json/json.h"

struct fleet_world;

#define FLEET_ORDER_BYTES_MAX 4096

// Applies one fault order ("do" may be left out) to meters and gateways; `now` starts its time.
void fleet_order_fault_node(fleet_config *config, json_reader *r, const json_node *order, instant_ms now);
// Carries out one line of the control socket and appends the answer line.
void fleet_order_take(struct fleet_world *fleet, sv line, buf *answer);
