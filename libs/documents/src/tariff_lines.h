// The "lines" of a tariff document.
#pragma once

#include "base/arena.h"
#include "json/json.h"
#include "rating/tariff.h"

// Needs the spec's periods. Names and lists live in the document and the arena.
void tariff_lines_read(json_reader *r, arena *memory, const json_node *root, tariff_spec *spec);
