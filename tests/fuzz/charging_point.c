// A packed point from the database: whatever unpacks, packs to the same bytes again.
#include <string.h>

#include "base/check.h"
#include "charging/point.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    charging_point point;
    charging_point again;
    uint8_t packed[CHARGING_POINT_BYTES_MAX];
    if (charging_point_unpack(sv_slice(data, size), &point, NULL) != ERR_OK) return 0;
    size_t len = charging_point_pack(&point, packed);
    CHECK(len <= sizeof packed);
    CHECK(charging_point_unpack(sv_slice(packed, len), &again, NULL) == ERR_OK);
    CHECK(charging_point_equal(&point, &again));
    return 0;
}
