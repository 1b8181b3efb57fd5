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

const charging_profile *charging_profile_of(const charging_setup *self, instant_ms from, instant_ms to) {
    for (size_t i = self->profile_count; i-- > 0;) {
        const charging_profile *each = &self->profiles[i];
        if (each->from <= from && to <= each->to && to - from > each->longer_than_ms) return each;
    }
    return NULL;
}

rating_holder charging_holder_facts(const charging_holder *self, const tariff *version, instant_ms at) {
    instant_ms begin = tariff_window(version, at).from;
    if (self->opened_at > begin) begin = self->opened_at;
    rating_holder facts = {.heads = self->heads_count ? self->heads[0].heads : 0, .opened_at = self->opened_at};
    for (size_t i = 1; i < self->heads_count && self->heads[i].from <= begin; i++) facts.heads = self->heads[i].heads;
    return facts;
}
