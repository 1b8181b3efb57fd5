// Any bytes: parsed or refused; what parses can be walked, and each refusal has a place.
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"

static void walk(json_reader *r, const json_node *node) {
    char place[120];
    json_pointer(node, place, sizeof place);
    if (json_node_kind(node) == JSON_KIND_OBJECT) {
        json_node member = {0};
        while (json_next(r, node, &member)) walk(r, &member);
    } else if (json_node_kind(node) == JSON_KIND_ARRAY) {
        for (size_t i = 0; i < json_array_len(r, node); i++) {
            json_node item = json_item(r, node, i);
            walk(r, &item);
        }
    } else {
        json_reader scalar;
        json_reader_init(&scalar);
        char scratch[JSON_DECIMAL_TEXT_MAX];
        (void)json_read_decimal_text(&scalar, node, scratch);
        (void)json_read_instant(&scalar, node);
        if (json_reader_failed(&scalar) && !scalar.fault.place[0]) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    AUTO_JSON doc = NULL;
    fault why = {0};
    if (json_parse(sv_slice(bytes, len), (json_limits){4096, JSON_DEPTH_MAX}, &doc, &why)) {
        if (!why.place[0] || !why.reason[0]) abort();
        return 0;
    }
    json_reader reader;
    json_reader_init(&reader);
    json_node root = json_root(doc);
    walk(&reader, &root);
    return json_reader_failed(&reader) ? (abort(), 0) : 0;
}
