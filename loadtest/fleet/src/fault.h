// Faults on order, of one meter or one gateway. A fault strikes with its chance per opportunity until it is cleared or
// its time is over.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/sv.h"

typedef enum fleet_fault {
#define FLEET_FAULT(name, text, value) FLEET_FAULT_##name,
#include "faults.def"
#undef FLEET_FAULT
    FLEET_FAULT_COUNT
} fleet_fault;

typedef struct fleet_fault_order {
    bool active;
    int64_t value;
    uint32_t permille;  // chance per opportunity
    instant_ms until;
} fleet_fault_order;

typedef struct fleet_faults {
    fleet_fault_order orders[FLEET_FAULT_COUNT];
    uint64_t seed;
    uint64_t opportunities;
} fleet_faults;

const char *fleet_fault_name(fleet_fault kind);
bool fleet_fault_parse(sv text, fleet_fault *out_fault);

void fleet_faults_clear(fleet_faults *self);
// Whether the fault happens this time; *out_value (may be NULL) is the order's value then, else 0.
bool fleet_fault_strikes(fleet_faults *self, fleet_fault kind, instant_ms now, int64_t *out_value);
