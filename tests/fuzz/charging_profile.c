// A packed profile from the database: whatever unpacks, packs to the same weights again and spreads without losing any.
#include <string.h>

#include "base/check.h"
#include "charging/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static zone *local = NULL;
    if (!local) local = zone_new_fixed(SV("local"), 8 * 3600);
    charging_profile profile = {0}, again = {0};
    uint8_t packed[CHARGING_PROFILE_BYTES_MAX];
    if (charging_profile_unpack(sv_slice(data, size), &profile, NULL) != ERR_OK) return 0;
    size_t len = charging_profile_pack(&profile, packed);
    CHECK(len <= sizeof packed);
    CHECK(charging_profile_unpack(sv_slice(packed, len), &again, NULL) == ERR_OK);
    CHECK(memcmp(again.milli, profile.milli, sizeof again.milli) == 0);
    charging_spread spread = charging_spread_of(&profile, local, 1234567, 1234567 + 3 * DAY_MS);
    instant_ms until = 0;
    while (charging_spread_next(&spread, &until)) CHECK(charging_spread_used(&spread, 1000000) <= 1000000);
    CHECK(charging_spread_used(&spread, 1000000) == 1000000);
    return 0;
}
