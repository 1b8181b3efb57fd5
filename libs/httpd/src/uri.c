// See uri.h.
#include "uri.h"

#include <stdint.h>

bool uri_decode(sv text, bool plus_is_space, arena *memory, sv *out_text) {
    char *out = arena_alloc(memory, text.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        if (byte == '%') {
            if (text.len - i < 3 || !sv_hex_decode((sv){text.ptr + i + 1, 2}, &byte)) return false;
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (byte == 0) return false;
        out[len++] = (char)byte;
    }
    sv decoded = {out, len};
    if (!sv_is_utf8(decoded)) return false;
    *out_text = decoded;
    return true;
}

bool uri_query_find(sv query, sv name, arena *memory, sv *out_value) {
    sv rest = query;
    sv pair;
    while (sv_next(&rest, '&', &pair)) {
        sv value = pair;
        sv key;
        sv decoded;
        if (!sv_next(&value, '=', &key) || key.len < name.len || key.len > 3 * name.len) continue;
        if (!uri_decode(key, true, memory, &decoded) || !sv_equal(decoded, name)) continue;
        if (!uri_decode(value, true, memory, out_value)) *out_value = value;
        return true;
    }
    return false;
}

bool uri_cookie_find(sv cookies, sv name, sv *out_value) {
    sv rest = cookies;
    sv pair;
    while (sv_next(&rest, ';', &pair)) {
        sv value = sv_trim(pair);
        sv key;
        if (!sv_next(&value, '=', &key) || value.ptr == NULL || !sv_equal(sv_trim(key), name)) continue;
        value = sv_trim(value);
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"') value = (sv){value.ptr + 1, value.len - 2};
        *out_value = value;
        return true;
    }
    return false;
}
