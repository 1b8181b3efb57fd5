// Any body of a push: refused whole, or each reading taken or refused with a place and a reason.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "metering/register.h"
#include "push_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *memory = arena_new(16u << 20);
    json_doc *doc = NULL;
    push_reading *readings = NULL;
    size_t count = 0;
    fault why = {0};
    if (push_body_parse(sv_slice(data, size), 1u << 20, memory, &doc, &readings, &count, &why) == ERR_OK) {
        CHECK(count <= PUSH_READINGS_MAX);
        for (size_t i = 0; i < count; i++) {
            const push_reading *r = &readings[i];
            if (r->is_refused)
                CHECK(r->place[0] == '/' && r->detail[0] && r->reason < REFUSAL_COUNT);
            else
                CHECK(register_is_known(r->reg) && r->meter.len > 0 && r->port >= 1 && r->channel >= 1 && r->channel <= 36);
        }
    } else {
        CHECK(why.reason[0]);
    }
    json_doc_free(doc);
    arena_free(memory);
    return 0;
}
