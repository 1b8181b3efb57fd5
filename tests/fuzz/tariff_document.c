// Any bytes: a tariff or a refusal with place and reason; an accepted tariff charges without failing.
#include <stdint.h>
#include <stdlib.h>

#include "documents/tariff_document.h"
#include "rating/rating.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void charge_some(const tariff *rated) {
    rating_state state;
    rating_state_init(&state);
    instant_ms at = 1704067200000;  // 2024-01-01
    for (int i = 0; i < 3; i++) {
        rating_interval interval = {
            .from = at, .to = at + 20 * DAY_MS, .quantity_milli = 123456789, .closing = &(rating_closing){1500, 2000, 850000}};
        rating_result result;
        if (rating_charge(rated, NULL, &state, &interval, &result, NULL) != RATING_OK) abort();
        at = interval.to;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    static zone_set *zones = NULL;
    if (!zones) zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    for (int use = TARIFF_FOR_CHARGING; use <= TARIFF_FOR_QUOTE; use++) {
        AUTO_TARIFF_DOCUMENT document = NULL;
        fault why = {0};
        tariff_reading how = {.use = (tariff_use)use, .zones = zones};
        if (tariff_document_read(sv_slice(bytes, len), &how, &document, &why)) {
            if (!why.place[0] || !why.reason[0]) abort();
        } else if (use != TARIFF_FOR_QUOTE) {
            charge_some(tariff_document_tariff(document));
        }
    }
    return 0;
}
