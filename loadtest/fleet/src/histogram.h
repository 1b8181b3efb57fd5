// A histogram of positive whole numbers with a relative error below 1/64, in fixed memory.
#pragma once

#include <stdint.h>

#define FLEET_HISTOGRAM_SUB 64
#define FLEET_HISTOGRAM_BUCKETS (58 * FLEET_HISTOGRAM_SUB + FLEET_HISTOGRAM_SUB)

typedef struct fleet_histogram {
    uint64_t counts[FLEET_HISTOGRAM_BUCKETS];
    uint64_t count;
    int64_t max;
} fleet_histogram;

// Negative values count as 0.
void fleet_histogram_add(fleet_histogram *self, int64_t value, uint64_t times);
// The smallest value that at least permille / 1000 of all do not exceed, rounded up to its bucket's end; 0 when empty.
int64_t fleet_histogram_quantile(const fleet_histogram *self, uint64_t permille);
