// Which tariff version prices a point when. What is known: assignments (the point's own beat the property's) crossed with
// the versions of the assigned tariffs. What was decided: the versions that rated its usage so far.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/vec.h"

typedef struct timeline_assignment {
    int64_t tariff;
    instant_ms from;
    bool is_own;
} timeline_assignment;

typedef struct timeline_version {
    int64_t tariff;
    int64_t num;
    instant_ms from;
    size_t row;  // the caller's
} timeline_version;

// From `from` on this version applies; version_num 0: none.
typedef struct timeline_span {
    instant_ms from;
    int64_t version_num;
    size_t row;
} timeline_span;

typedef struct timeline {
    VEC(timeline_assignment) assignments;
    VEC(timeline_version) versions;
    VEC(timeline_span) decided;
    VEC(timeline_span) spans;
} timeline;

void timeline_done(timeline *self);
// Both in the order in which they take effect; of two with the same instant the later call wins.
void timeline_assign(timeline *self, int64_t tariff, instant_ms from, bool is_own);
// Versions of tariffs nobody was assigned are dropped.
void timeline_publish(timeline *self, int64_t tariff, int64_t version_num, instant_ms from, size_t row);
// In the order of the decisions: each hides what earlier ones said of its instant and after.
void timeline_decide(timeline *self, int64_t version_num, instant_ms from, size_t row);
// Fills `spans`, rising, neighbours differing: before `boundary` as it was decided, from there on as it is known. Empty
// when nothing ever applies. Without decisions the boundary does not count.
void timeline_resolve(timeline *self, instant_ms boundary);
