// Any bytes: an error, or content within the bound that packs and unpacks to itself.
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mem.h"
#include "zip/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(buf) plain;
    AUTO(buf) packed;
    AUTO(buf) again;
    buf_init(&plain, 65536);
    buf_init(&packed, 1 << 20);
    buf_init(&again, 65536);
    if (zip_gunzip(sv_slice(data, size), &plain, NULL) != ERR_OK) {
        CHECK(plain.len == 0);
        return 0;
    }
    CHECK(plain.len <= 65536 && zip_gzip(buf_view(&plain), &packed) == ERR_OK);
    CHECK(zip_gunzip(buf_view(&packed), &again, NULL) == ERR_OK && sv_equal(buf_view(&plain), buf_view(&again)));
    return 0;
}
