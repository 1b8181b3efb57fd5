// What the load function cannot know: relays, replaced meters, set clocks. One JSON line per change, appended; the last
// line of a meter counts. With it a restarted fleet goes on where it stopped.
#pragma once

#include <stdio.h>

#include "base/err.h"
#include "config.h"

// Applies the file, if it exists, and opens it for appending. A NULL path gives a NULL file.
MUST_CHECK err_t fleet_state_open(const char *path, fleet_config *config, FILE **out_file, fault *out_fault);
void fleet_state_add(FILE *file, const fleet_meter *meter);
