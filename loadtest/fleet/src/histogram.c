#include "histogram.h"

// Below 64 each value has a bucket; above, each power of two is cut in 64 equal ones.
static unsigned bucket_of(uint64_t value) {
    if (value < FLEET_HISTOGRAM_SUB) return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - 6;
    return (shift + 1) * FLEET_HISTOGRAM_SUB + (unsigned)((value >> shift) - FLEET_HISTOGRAM_SUB);
}

static uint64_t bucket_end(unsigned bucket) {
    if (bucket < FLEET_HISTOGRAM_SUB) return bucket;
    unsigned shift = bucket / FLEET_HISTOGRAM_SUB - 1;
    uint64_t top = bucket % FLEET_HISTOGRAM_SUB + FLEET_HISTOGRAM_SUB;
    return ((top + 1) << shift) - 1;
}

void fleet_histogram_add(fleet_histogram *self, int64_t value, uint64_t times) {
    uint64_t positive = value < 0 ? 0 : (uint64_t)value;
    self->counts[bucket_of(positive)] += times;
    self->count += times;
    if (value > self->max) self->max = value;
}

int64_t fleet_histogram_quantile(const fleet_histogram *self, uint64_t permille) {
    uint64_t wanted = (self->count * permille + 999) / 1000;
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < FLEET_HISTOGRAM_BUCKETS && self->count; bucket++) {
        seen += self->counts[bucket];
        if (seen < wanted || seen == 0) continue;
        int64_t end = (int64_t)bucket_end(bucket);
        return end < self->max ? end : self->max;
    }
    return 0;
}
