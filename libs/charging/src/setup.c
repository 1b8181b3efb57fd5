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

charging_holding charging_holding_at(const charging_setup *self, instant_ms at) {
    const charging_holder *here = charging_holder_at(self, at);
    if (!here) return (charging_holding){0};
    const charging_holder *first = here, *last = here, *end = self->holders + self->holder_count;
    while (first > self->holders && first[-1].account == here->account && first[-1].to == first->from) first--;
    while (last + 1 < end && last[1].account == here->account && last[1].from == last->to) last++;
    return (charging_holding){here->account, last->purse, first->from, last->to};
}

const charging_version *charging_version_at(const charging_setup *self, instant_ms at) {
    for (size_t i = self->version_count; i-- > 0;)
        if (self->versions[i].from <= at) return &self->versions[i];
    return NULL;
}

static int64_t num_at(const charging_version *list, size_t count, instant_ms at) {
    for (size_t i = count; i > 0; i--)
        if (list[i - 1].from <= at) return list[i - 1].num;
    return 0;
}

instant_ms charging_versions_differ_from(const charging_version *a, size_t a_count, const charging_version *b, size_t b_count) {
    instant_ms first = INSTANT_MAX;
    for (size_t i = 0; i < a_count + b_count; i++) {
        instant_ms at = i < a_count ? a[i].from : b[i - a_count].from;
        if (at < first && num_at(a, a_count, at) != num_at(b, b_count, at)) first = at;
    }
    return first;
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
