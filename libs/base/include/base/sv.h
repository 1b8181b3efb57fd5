// String views: borrowed bytes with a length, not NUL-terminated. Interfaces take views; `char *` appears only at
// third-party edges.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sv {
    const char *ptr;
    size_t len;
} sv;

#define SV(literal) ((sv){("" literal ""), sizeof(literal) - 1})
#define SV_NONE ((sv){NULL, 0})
// For printf: "%.*s", SV_ARG(view).
#define SV_ARG(view) (int)(view).len, (view).ptr

sv sv_of(const char *cstr);  // NULL gives SV_NONE
sv sv_slice(const void *ptr, size_t len);
bool sv_equal(sv a, sv b);
bool sv_equal_nocase(sv a, sv b);  // ASCII only
int sv_compare(sv a, sv b);        // bytewise, shorter first
bool sv_starts_with(sv text, sv prefix);
sv sv_skip(sv text, size_t count);  // without the first `count` bytes; empty when shorter
sv sv_trim(sv text);                // without leading and trailing ASCII white space
bool sv_find(sv text, char byte, size_t *out_at);
// Splits at the first `byte`: *out_head before it, *rest behind it. False at the end of the text.
bool sv_next(sv *rest, char byte, sv *out_head);
bool sv_is_utf8(sv text);

// Decimal integers with optional '-', no plus, no white space, no leading zeros beyond "0". False on overflow.
bool sv_to_i64(sv text, int64_t *out_value);
bool sv_to_u64(sv text, uint64_t *out_value);
// Hex pairs, either case, no separators. `out` must hold text.len / 2 bytes.
bool sv_hex_decode(sv text, uint8_t *out);

// Copies to a NUL-terminated array of `size` bytes, truncating; for log and error texts only.
void sv_copy_truncated(sv text, char *out, size_t size);
