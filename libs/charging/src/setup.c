#include "charging/setup.h"

const charging_installation *charging_installation_at(const charging_setup *self, int64_t channel, instant_ms at) {
    for (size_t i = self->installation_count; i-- > 0;) {
        const charging_installation *each = &self->installations[i];
        if (each->channel == channel && each->from <= at && at < each->to) return each;
    }
    return NULL;
}

const charging_holder *charging_holder_at(const charging_setup *self, instant_ms at) {
    for (size_t i = self->holder_count; i-- > 0;)
        if (self->holders[i].from <= at && at < self->holders[i].to) return &self->holders[i];
    return NULL;
}

const charging_version *charging_version_at(const charging_setup *self, instant_ms at) {
    for (size_t i = self->version_count; i-- > 0;)
        if (self->versions[i].from <= at) return &self->versions[i];
    return NULL;
}
