#include "base/sv.h"

#include <string.h>

sv sv_of(const char *cstr) { return cstr ? (sv){cstr, strlen(cstr)} : SV_NONE; }

sv sv_slice(const void *ptr, size_t len) { return (sv){ptr, len}; }

bool sv_equal(sv a, sv b) { return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0); }

static char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

bool sv_equal_nocase(sv a, sv b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i])) return false;
    return true;
}

int sv_compare(sv a, sv b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool sv_starts_with(sv text, sv prefix) { return text.len >= prefix.len && sv_equal((sv){text.ptr, prefix.len}, prefix); }

sv sv_skip(sv text, size_t count) {
    if (count >= text.len) return (sv){text.ptr + text.len, 0};
    return (sv){text.ptr + count, text.len - count};
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

sv sv_trim(sv text) {
    while (text.len && is_space(text.ptr[0])) text = sv_skip(text, 1);
    while (text.len && is_space(text.ptr[text.len - 1])) text.len--;
    return text;
}

bool sv_find(sv text, char byte, size_t *out_at) {
    const char *found = text.len ? memchr(text.ptr, byte, text.len) : NULL;
    if (!found) return false;
    *out_at = (size_t)(found - text.ptr);
    return true;
}

bool sv_next(sv *rest, char byte, sv *out_head) {
    if (!rest->ptr) return false;
    size_t at = 0;
    if (sv_find(*rest, byte, &at)) {
        *out_head = (sv){rest->ptr, at};
        *rest = (sv){rest->ptr + at + 1, rest->len - at - 1};
    } else {
        *out_head = *rest;
        *rest = SV_NONE;
    }
    return true;
}

// Length of the UTF-8 sequence that starts at text, 0 when it is not well-formed (Unicode 15, table 3-7).
static size_t utf8_sequence(sv text) {
    const uint8_t *b = (const uint8_t *)text.ptr;
    if (b[0] < 0x80) return 1;
    size_t len = b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : 2;
    if (b[0] < 0xC2 || b[0] > 0xF4 || text.len < len) return 0;
    uint8_t low = b[0] == 0xE0 ? 0xA0 : b[0] == 0xF0 ? 0x90 : 0x80;
    uint8_t high = b[0] == 0xED ? 0x9F : b[0] == 0xF4 ? 0x8F : 0xBF;
    if (b[1] < low || b[1] > high) return 0;
    for (size_t i = 2; i < len; i++)
        if (b[i] < 0x80 || b[i] > 0xBF) return 0;
    return len;
}

bool sv_is_utf8(sv text) {
    while (text.len) {
        size_t len = utf8_sequence(text);
        if (len == 0) return false;
        text = sv_skip(text, len);
    }
    return true;
}

bool sv_to_u64(sv text, uint64_t *out_value) {
    if (text.len == 0 || (text.len > 1 && text.ptr[0] == '0')) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9') return false;
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(c - '0'), &value)) return false;
    }
    *out_value = value;
    return true;
}

bool sv_to_i64(sv text, int64_t *out_value) {
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t magnitude = 0;
    if (!sv_to_u64(negative ? sv_skip(text, 1) : text, &magnitude)) return false;
    if (negative && magnitude == 0) return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return false;
    *out_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sv_hex_decode(sv text, uint8_t *out) {
    if (text.len % 2 != 0) return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit(text.ptr[i]);
        int low = hex_digit(text.ptr[i + 1]);
        if (high < 0 || low < 0) return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void sv_copy_truncated(sv text, char *out, size_t size) {
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len) memcpy(out, text.ptr, len);
    out[len] = '\0';
}
