// Reads shared by the documents: decimals at a scale, lists with a bound.
#pragma once

#include "json/json.h"
#include "money/money.h"

// A decimal string or an integer at `scale`; refused when negative unless allowed.
int64_t read_decimal(json_reader *r, const json_node *node, int32_t scale);
int64_t read_positive_decimal(json_reader *r, const json_node *node, int32_t scale);
// The array's length, refused when it is not within min to max.
size_t read_array_len(json_reader *r, const json_node *node, size_t min, size_t max);
int64_t read_date(json_reader *r, const json_node *node);
