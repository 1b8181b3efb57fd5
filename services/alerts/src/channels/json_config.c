#include "json_config.h"

sv config_text(json_reader *reader, const json_node *root, const char *key, size_t max, arena *memory) {
    json_node node = json_member(reader, root, key);
    return arena_copy(memory, json_read_text_bounded(reader, &node, max));
}

sv config_text_or(json_reader *reader, const json_node *root, const char *key, size_t max, const char *fallback, arena *memory) {
    json_node node = json_optional(reader, root, key);
    if (!json_is_present(&node)) return sv_of(fallback);
    return arena_copy(memory, json_read_text_bounded(reader, &node, max));
}

sv config_url(json_reader *reader, const json_node *root, const char *key, const char *fallback, arena *memory) {
    json_node node = json_optional(reader, root, key);
    if (!json_is_present(&node)) return sv_of(fallback);
    sv url = arena_copy(memory, json_read_text_bounded(reader, &node, 500));
    bool is_safe =
        sv_starts_with(url, SV("https://")) || sv_starts_with(url, SV("http://127.0.0.1")) || sv_starts_with(url, SV("http://[::1]"));
    if (!json_reader_failed(reader) && !is_safe) json_refuse(reader, &node, "the address must begin with https://");
    return url;
}
