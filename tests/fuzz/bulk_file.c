// Any file of sales: refused whole with its line, or every row read or carrying its problem.
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "sales/bulk_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *memory = arena_new(16u << 20);
    bulk_row *rows = NULL;
    size_t count = 0;
    fault why = {0};
    if (bulk_file_read(sv_slice(data, size), memory, &rows, &count, &why) == ERR_OK) {
        CHECK(count >= 1 && count <= BULK_ROWS_MAX);
        for (size_t i = 0; i < count; i++) CHECK(rows[i].problem ? rows[i].amount == 0 : rows[i].amount > 0);
    } else {
        CHECK(why.reason[0]);
    }
    arena_free(memory);
    return 0;
}
