// At which time a reading is booked.
#pragma once

#include <stdint.h>

#include "base/instant.h"
#include "metering/block.h"

#define BOOKING_TOLERANCE_MS (5 * MINUTE_MS)
#define BOOKING_HISTORY_MS (35 * DAY_MS)

// The meter's own time when it is within five minutes of the receipt, or older as history records are (flagged HISTORY);
// a time in the future, or older than readings are kept hot, is a wrong clock: booked at receipt and flagged. A wrong
// clock alone never refuses a reading: that would be free power.
static inline instant_ms booking_time(instant_ms read_at, instant_ms received_at, uint16_t *in_out_flags) {
    int64_t age_ms = received_at - read_at;
    if (age_ms < -BOOKING_TOLERANCE_MS || age_ms > BOOKING_HISTORY_MS) {
        *in_out_flags |= READING_RECEIPT_TIME | READING_CLOCK_OFF;
        return received_at;
    }
    if (age_ms > BOOKING_TOLERANCE_MS) *in_out_flags |= READING_HISTORY;
    return read_at;
}
