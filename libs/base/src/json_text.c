#include "base/json_text.h"

// Bytes of the well-formed UTF-8 character at the front, 0 when there is none.
static size_t utf8_length(sv text) {
    for (size_t len = 1; len <= 4 && len <= text.len; len++)
        if (sv_is_utf8((sv){text.ptr, len})) return len;
    return 0;
}

void json_text_add(buf *out, sv text) {
    buf_add_byte(out, '"');
    while (text.len) {
        unsigned char c = (unsigned char)text.ptr[0];
        size_t len = utf8_length(text);
        if (len == 0)
            buf_add(out, SV("\xEF\xBF\xBD"));
        else if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c == '\n')
            buf_add(out, SV("\\n"));
        else if (c < 0x20 || c == 0x7F)
            buf_addf(out, "\\u%04x", c);
        else
            buf_add(out, (sv){text.ptr, len});
        text = sv_skip(text, len ? len : 1);
    }
    buf_add_byte(out, '"');
}
