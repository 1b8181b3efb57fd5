// The conservation of usage: what the registers of all meters of a usage point rose by is what was charged, and nothing else.
#pragma once

#include "explaining/stored.h"
#include "verify.h"

// Milli-units of one usage point.
typedef struct conserved {
    int64_t registers;  // rise of the registers over all installations and epochs, after their ratios, as far as charged
    int64_t estimated;  // of dead displays, declared with their replacement: nobody read it
    int64_t charged;    // to accounts
    int64_t unheld;     // usage nobody held: counted, not charged
    size_t meters, rollovers;
    bool is_exact;  // no ratio leaves a remainder
} conserved;

// Counts the registers from the stored readings alone, up to where the point stands. `estimated` is filled from the
// installations that closed with an estimate: what their closing values add to their last readings.
void conserved_count(const charging_setup *setup, const stored_polls *polls, int64_t channel_now, int64_t value_now, conserved *out);
bool conserved_holds(const conserved *self);
// Both sides on a line.
void conserved_tell(const conserved *self, buf *out);
