#include "timeline.h"

#include <stdlib.h>

void timeline_done(timeline *self) {
    vec_done(&self->assignments);
    vec_done(&self->versions);
    vec_done(&self->decided);
    vec_done(&self->spans);
}

void timeline_assign(timeline *self, int64_t tariff, instant_ms from, bool is_own) {
    timeline_assignment made = {tariff, from, is_own};
    vec_push(&self->assignments, made);
}

void timeline_publish(timeline *self, int64_t tariff, int64_t version_num, instant_ms from, size_t row) {
    bool is_assigned = false;
    for (size_t i = 0; i < self->assignments.len; i++) is_assigned |= self->assignments.items[i].tariff == tariff;
    timeline_version made = {tariff, version_num, from, row};
    if (is_assigned) vec_push(&self->versions, made);
}

static const timeline_assignment *assignment_at(const timeline *self, instant_ms at) {
    const timeline_assignment *found = NULL;
    for (size_t i = 0; i < self->assignments.len; i++) {
        const timeline_assignment *each = &self->assignments.items[i];
        if (each->from <= at && (!found || each->is_own >= found->is_own)) found = each;
    }
    return found;
}

static const timeline_version *version_at(const timeline *self, int64_t tariff, instant_ms at) {
    const timeline_version *found = NULL;
    for (size_t i = 0; i < self->versions.len; i++)
        if (self->versions.items[i].tariff == tariff && self->versions.items[i].from <= at) found = &self->versions.items[i];
    return found;
}

static int compare_instants(const void *a, const void *b) {
    instant_ms x = *(const instant_ms *)a;
    instant_ms y = *(const instant_ms *)b;
    return (x > y) - (x < y);
}

void timeline_decide(timeline *self, int64_t version_num, instant_ms from, size_t row) {
    while (self->decided.len > 0 && self->decided.items[self->decided.len - 1].from >= from) self->decided.len--;
    timeline_span span = {from, version_num, row};
    bool is_same = self->decided.len > 0 && self->decided.items[self->decided.len - 1].version_num == version_num;
    if (!is_same) vec_push(&self->decided, span);
}

static void span_push(timeline *self, timeline_span span) {
    int64_t previous = self->spans.len ? self->spans.items[self->spans.len - 1].version_num : 0;
    if (span.version_num != previous) vec_push(&self->spans, span);
}

static timeline_span known_from(const timeline *self, instant_ms at) {
    const timeline_assignment *assigned = assignment_at(self, at);
    const timeline_version *version = assigned ? version_at(self, assigned->tariff, at) : NULL;
    return (timeline_span){at, version ? version->num : 0, version ? version->row : 0};
}

void timeline_resolve(timeline *self, instant_ms boundary) {
    vec_clear(&self->spans);
    bool is_decided = self->decided.len > 0;
    for (size_t i = 0; i < self->decided.len && self->decided.items[i].from < boundary; i++) span_push(self, self->decided.items[i]);
    if (is_decided && boundary == INSTANT_MAX) return;
    size_t count = self->assignments.len + self->versions.len + 1;
    instant_ms *cuts = mem_new(count, sizeof *cuts);
    for (size_t i = 0; i < self->assignments.len; i++) cuts[i] = self->assignments.items[i].from;
    for (size_t i = 0; i < self->versions.len; i++) cuts[self->assignments.len + i] = self->versions.items[i].from;
    cuts[count - 1] = boundary;
    qsort(cuts, count, sizeof *cuts, compare_instants);
    for (size_t i = 0; i < count; i++)
        if (!is_decided || cuts[i] >= boundary) span_push(self, known_from(self, cuts[i]));
    mem_free(cuts);
}
