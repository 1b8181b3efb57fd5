// What each data identifier holds, for those who take values apart and those who put them together.
#pragma once

#include "protocols/dlt645.h"

typedef struct dlt645_item {
    uint32_t data_id;
    sv name;
    sv unit;
    uint8_t reg;
    uint8_t bytes;
    uint8_t decimals;
    bool is_signed;
    dlt645_shape shape;
} dlt645_item;

const dlt645_item *dlt645_item_find(uint32_t data_id);  // NULL: unknown
