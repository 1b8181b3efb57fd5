// The usual interval, priced by what it adds.
#pragma once

#include "tariff_compiled.h"

// An interval that lies in the open window, in one period and in one step, begins no calendar window of a fixed line and
// changes no version: the price rises by the products of one cell. False, with nothing changed, where it is another, or
// where it cannot be charged: rating_charge then goes the whole way and gives the answer.
bool quick_charge(const tariff *tariff, rating_cache *cache, rating_state *state, const rating_interval *interval,
                  rating_result *out_result);
