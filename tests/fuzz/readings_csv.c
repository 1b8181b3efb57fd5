// Any bytes: readings in rising order, or a refusal that names the line.
#include <stdint.h>
#include <stdlib.h>

#include "documents/usage_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    AUTO(readings_csv) readings = {0};
    fault why = {0};
    if (readings_csv_read(sv_slice(bytes, len), &readings, &why)) {
        if (!sv_starts_with(sv_of(why.place), SV("line ")) || !why.reason[0] || readings.list.len) abort();
        return 0;
    }
    for (size_t i = 1; i < readings.list.len; i++) {
        if (readings.list.items[i].at <= readings.list.items[i - 1].at) abort();
        if (readings.list.items[i].value_milli < readings.list.items[i - 1].value_milli) abort();
    }
    return 0;
}
