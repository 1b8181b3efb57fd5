// Whatever the bytes: an error, or readings that pack into a row that unpacks to the same readings.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "metering/day_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t count = 0;
    sv packed = sv_slice(data, size);
    if (day_row_count(packed, &count) != ERR_OK || count > 4096) return 0;
    AUTO_MEM day_reading *readings = mem_new(count + 1, sizeof *readings);
    AUTO_MEM day_reading *again = mem_new(count + 1, sizeof *again);
    size_t len = 0;
    if (day_row_unpack(packed, 0, readings, count, &len) != ERR_OK) return 0;
    CHECK(len == count);
    AUTO(buf) repacked;
    buf_init(&repacked, DAY_ROW_BYTES_MAX);
    CHECK(day_row_pack(readings, len, 0, &repacked) == ERR_OK);
    size_t again_len = 0;
    CHECK(day_row_unpack(buf_view(&repacked), 0, again, count, &again_len) == ERR_OK && again_len == len);
    CHECK(len == 0 || memcmp(readings, again, len * sizeof *again) == 0);
    return 0;
}
