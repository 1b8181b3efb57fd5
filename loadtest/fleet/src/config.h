// The fleet's configuration, one JSON document:
//
//   {"seed":1, "tcp":"127.0.0.1:8645", "http":"127.0.0.1:8081", "start_at":"2026-11-21T00:00:00+08:00",
//    "gateways":[
//      {"kind":"dtu", "registration":"…", "heartbeat_s":60, "answer_ms":30, "meters":[
//        {"address":"123456789012", "profile":"shop", "start_wh":123450, "phases":1, "password":"02000000"}]},
//      {"kind":"http", "key":"…", "secret":"…hex…", "interval_s":30, "batch":500, "registers":["active_energy_total"],
//       "meters":[…]}],
//    "faults":[{"fault":"slow", "gateway":"…", "value":2500, "permille":500, "for_ms":60000}]}
//
// Required: gateways, and in them kind, registration or key and secret, meters; in a meter address and profile. start_at
// is the instant at which registers show start_wh (default: when the program starts). A meter may have "number" (twelve
// digits, default its address), "clock_offset_ms", and "travel_ms": how long its valve is on its way; without it, it has a
// relay.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sv.h"
#include "meter.h"
#include "truth.h"

#define FLEET_NAME_MAX 64
#define FLEET_SECRET_MAX 64
#define FLEET_METERS_PER_GATEWAY_MAX 4096
#define FLEET_BATCH_MAX 5000
#define FLEET_CONFIG_BYTES_MAX ((size_t)256 * 1024 * 1024)

typedef enum fleet_gateway_kind { FLEET_GATEWAY_DTU, FLEET_GATEWAY_HTTP } fleet_gateway_kind;

typedef struct fleet_gateway {
    fleet_gateway_kind kind;
    char name[FLEET_NAME_MAX + 1];  // registration id, or key id
    fleet_meter *meters;
    size_t meter_count;
    fleet_faults faults;
    int64_t heartbeat_ms;  // dtu
    int64_t answer_ms;     // dtu: how long a meter thinks
    int64_t interval_ms;   // http
    size_t batch;          // http: readings in one push
    uint8_t secret[FLEET_SECRET_MAX];
    size_t secret_len;
    uint32_t registers;  // bit set of fleet_register
} fleet_gateway;

typedef struct fleet_config {
    uint64_t seed;
    char tcp[FLEET_NAME_MAX + 1];  // address:port, "" when there is none
    char http[FLEET_NAME_MAX + 1];
    instant_ms start_at;
    fleet_gateway *gateways;
    size_t gateway_count;
} fleet_config;

// `now` is start_at's default. The fault names the offending place.
MUST_CHECK err_t fleet_config_parse(sv text, instant_ms now, fleet_config *out_config, fault *out_fault);
void fleet_config_done(fleet_config *self);

fleet_meter *fleet_config_meter(fleet_config *self, sv address);  // NULL: there is none
fleet_gateway *fleet_config_gateway(fleet_config *self, sv name);
size_t fleet_config_meter_count(const fleet_config *self);
