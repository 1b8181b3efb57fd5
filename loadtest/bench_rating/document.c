#include <stdio.h>

#include "base/check.h"
#include "bench.h"
#include "documents/tariff_document.h"
#include "documents/zone_files.h"

#define ROUNDS 200
#define DOCUMENT_NS_MAX 1000000

static const char DOCUMENT[] =
    "{\"code\":\"bench\",\"utility\":\"electricity\",\"unit\":\"kWh\",\"currency\":\"CNY\",\"time_zone\":\"Asia/Shanghai\","
    "\"effective_from\":\"2024-01-01T00:00:00+08:00\",\"periods\":[\"critical_peak\",\"peak\",\"flat\",\"valley\",\"deep_valley\"],"
    "\"calendar\":[{\"from\":\"07-01\",\"to\":\"09-30\",\"days\":[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"workday\"],\"bands\":["
    "{\"from\":\"08:00\",\"to\":\"11:00\",\"period\":\"peak\"},{\"from\":\"11:00\",\"to\":\"13:00\",\"period\":\"flat\"},"
    "{\"from\":\"13:00\",\"to\":\"15:00\",\"period\":\"critical_peak\"},{\"from\":\"15:00\",\"to\":\"22:00\",\"period\":\"flat\"},"
    "{\"from\":\"22:00\",\"to\":\"08:00\",\"period\":\"valley\"}]},"
    "{\"from\":\"01-01\",\"to\":\"12-31\",\"days\":[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\",\"workday\",\"holiday\"],"
    "\"bands\":[{\"from\":\"08:00\",\"to\":\"12:00\",\"period\":\"peak\"},{\"from\":\"12:00\",\"to\":\"14:00\",\"period\":\"deep_valley\"},"
    "{\"from\":\"14:00\",\"to\":\"22:00\",\"period\":\"flat\"},{\"from\":\"22:00\",\"to\":\"08:00\",\"period\":\"valley\"}]}],"
    "\"holidays\":[\"2024-01-01\",\"2024-02-10\",\"2024-05-01\",\"2024-10-01\"],\"workdays\":[\"2024-02-04\",\"2024-10-12\"],"
    "\"tiers\":{\"over\":\"month\",\"kind\":\"graduated\",\"upper\":[\"240\",\"400\"]},\"lines\":["
    "{\"name\":\"energy\",\"kind\":\"quantity\",\"quantity_rounding\":{\"mode\":\"truncate\",\"scale\":0},\"prices\":{"
    "\"critical_peak\":[\"1.41\",\"1.46\",\"1.71\"],\"peak\":[\"1.03\",\"1.08\",\"1.33\"],\"flat\":[\"0.61\",\"0.66\",\"0.91\"],"
    "\"valley\":[\"0.29\",\"0.34\",\"0.59\"],\"deep_valley\":[\"0.19\",\"0.24\",\"0.49\"]}},"
    "{\"name\":\"surcharge\",\"kind\":\"quantity\",\"prices\":{\"*\":[\"0\",\"0.05\",\"0.1\"]},\"free_quantity\":\"50\"},"
    "{\"name\":\"rent\",\"kind\":\"fixed\",\"amount\":\"15\",\"per\":\"month\",\"prorate\":\"day\"},"
    "{\"name\":\"fund\",\"kind\":\"percent\",\"rate\":\"0.0125\",\"of\":[\"energy\",\"surcharge\"]},"
    "{\"name\":\"least\",\"kind\":\"minimum\",\"amount\":\"20\",\"of\":[\"energy\",\"surcharge\"]},"
    "{\"name\":\"tax\",\"kind\":\"percent\",\"rate\":\"0.13\",\"of\":[\"energy\",\"surcharge\",\"rent\",\"fund\",\"least\"]}],"
    "\"rounding\":{\"mode\":\"half_up\",\"scale\":2,\"at\":\"total\"}}";

bool run_document(void) {
    zone_set *zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    int64_t ns = 0;
    for (int round = 0; round <= ROUNDS; round++) {
        int64_t begin = cpu_ns();
        AUTO_TARIFF_DOCUMENT read = NULL;
        fault why = {0};
        if (tariff_document_read(sv_of(DOCUMENT), &(tariff_reading){.use = TARIFF_FOR_CHARGING, .zones = zones}, &read, &why)) {
            fprintf(stderr, "bench-rating: %s: %s\n", why.place, why.reason);
            check_failed("the document was refused", __FILE__, __LINE__);
        }
        if (round > 0) ns += cpu_ns() - begin;  // the first one reads the zone's file
    }
    zone_set_free(zones);
    printf("\"document_bytes\":%zu,\"parse_and_compile_us\":%lld,", sizeof DOCUMENT - 1, (long long)(ns / ROUNDS / 1000));
    return ns <= (int64_t)ROUNDS * DOCUMENT_NS_MAX;
}
