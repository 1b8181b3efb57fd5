// The stored readings of one usage point as polls, from an instant on: packed days and hot rows together.
#pragma once

#include "polls.h"
#include "worker.h"

// In the worker's memory. Readings that stand in both places count once.
err_t history_load(worker *self, const charging_setup *setup, instant_ms after, meter_poll **out_polls, size_t *out_count,
                   fault *out_fault) MUST_CHECK;
