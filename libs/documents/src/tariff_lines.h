// The "lines" of a tariff document.
#pragma once

#include "base/arena.h"
#include "documents/tariff_document.h"
#include "json/json.h"
#include "rating/tariff.h"

// Where prices by index come from, and which values were used.
typedef struct index_reading {
    const price_indices *indices;  // may be NULL
    int32_t month;
    size_t used_count;
    const price_index *used[TARIFF_INDICES_MAX];
} index_reading;

// Needs the spec's periods. Names and lists live in the document and the arena.
void tariff_lines_read(json_reader *r, arena *memory, const json_node *root, tariff_spec *spec, index_reading *indices);
