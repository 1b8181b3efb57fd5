#include "fault.h"

#include <string.h>

#include "base/mem.h"
#include "fleet/profile.h"

static const char *const FAULT_NAMES[] = {
#define FLEET_FAULT(name, text, value) text,
#include "faults.def"
#undef FLEET_FAULT
};

const char *fleet_fault_name(fleet_fault kind) { return FAULT_NAMES[kind]; }

bool fleet_fault_parse(sv text, fleet_fault *out_fault) {
    for (size_t i = 0; i < ARRAY_LEN(FAULT_NAMES); i++)
        if (sv_equal(text, sv_of(FAULT_NAMES[i]))) {
            *out_fault = (fleet_fault)i;
            return true;
        }
    return false;
}

void fleet_faults_clear(fleet_faults *self) { memset(self->orders, 0, sizeof self->orders); }

bool fleet_fault_strikes(fleet_faults *self, fleet_fault kind, instant_ms now, int64_t *out_value) {
    fleet_fault_order *order = &self->orders[kind];
    if (out_value) *out_value = 0;
    if (!order->active) return false;
    if (now >= order->until) {
        order->active = false;
        return false;
    }
    if (fleet_mix(self->seed, self->opportunities++) % 1000 >= order->permille) return false;
    if (out_value) *out_value = order->value;
    return true;
}
