#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

static void file_auto(FILE **self) {
    if (*self && *self != stdin) fclose(*self);
}

bool ctl_file_read(const char *path, size_t max_bytes, arena *memory, sv *out_text) {
    __attribute__((cleanup(file_auto))) FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file) {
        ctl_say("%s: %s", path, strerror(errno));
        return false;
    }
    AUTO(buf) text;
    buf_init(&text, max_bytes + 1);
    char piece[16384];
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0 && !buf_has_failed(&text);) buf_add(&text, sv_slice(piece, got));
    if (ferror(file)) {
        ctl_say("%s: %s", path, strerror(errno));
        return false;
    }
    if (buf_has_failed(&text) || text.len > max_bytes) {
        ctl_say("%s: larger than %zu bytes", path, max_bytes);
        return false;
    }
    *out_text = arena_copy(memory, buf_view(&text));
    return true;
}
