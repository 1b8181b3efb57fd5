// Price indices: published values by index and month, that tariffs may name instead of a price.
#pragma once

#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"
#include "base/vec.h"
#include "calendar/zone.h"

#define PRICE_INDEX_NAME_MAX 64
#define PRICE_INDICES_CSV_BYTES_MAX (4UL * 1024 * 1024)

typedef struct price_index {
    char name[PRICE_INDEX_NAME_MAX + 1];
    int32_t month;  // year * 12 + month - 1
    int64_t value_micro;
    bool is_provisional;  // a final value will come, and what was charged is trued up
} price_index;

typedef struct price_indices {
    VEC(price_index) list;
} price_indices;

// Header "index,month,value,provisional", then rows such as "gd-lv-1kv,2024-03,0.6453,false". An index and month
// comes once. The place of a fault is "line N". The caller calls price_indices_done.
err_t price_indices_read(sv text, price_indices *out_indices, fault *out_fault) MUST_CHECK;
void price_indices_done(price_indices *self);
void price_indices_auto(price_indices *self);

// NULL when that month was not published.
const price_index *price_indices_find(const price_indices *self, sv name, int32_t month);
// The month of a zone's civil time.
int32_t price_index_month(const zone *in_zone, instant_ms at);
// "YYYY-MM"
#define PRICE_INDEX_MONTH_TEXT_MAX 16
void price_index_month_format(int32_t month, char out[PRICE_INDEX_MONTH_TEXT_MAX]);
