// `penstockctl frame decode`: what recorded bytes say, one JSON object per frame.
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "command.h"
#include "protocols/protocol.h"

// As much as fits a command line's argument list on any system.
#define BYTES_MAX (1u << 20)
// Skipped bytes are shown up to here.
#define SHOWN_MAX 32

typedef struct telling {
    sv bytes;
    size_t frames;
    size_t bad;
} telling;

static void tell_frame(void *context, sv json) {
    telling *self = context;
    self->frames++;
    printf("%.*s\n", SV_ARG(json));
}

static void tell_skipped(void *context, uint64_t offset, uint64_t count, bool is_bad_frame, sv reason, sv detail) {
    telling *self = context;
    char hex[3 * SHOWN_MAX + 1] = "";
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++) snprintf(hex + 3 * i, 4, " %02X", (uint8_t)self->bytes.ptr[offset + i]);
    self->bad += is_bad_frame;
    if (is_bad_frame)
        ctl_say("frame decode: bad frame at byte %llu: %.*s: %.*s; skipped %llu bytes:%s%s", (unsigned long long)offset, SV_ARG(reason),
                SV_ARG(detail), (unsigned long long)count, hex, count > SHOWN_MAX ? " …" : "");
    else
        ctl_say("frame decode: skipped %llu bytes of garbage at byte %llu:%s%s", (unsigned long long)count, (unsigned long long)offset, hex,
                count > SHOWN_MAX ? " …" : "");
}

static void tell_refused(void *context, uint64_t offset, sv reason, sv detail) {
    telling *self = context;
    self->bad++;
    ctl_say("frame decode: bad frame at byte %llu: %.*s: %.*s", (unsigned long long)offset, SV_ARG(reason), SV_ARG(detail));
}

// Joins hex digits over blanks, ':' and argument ends. False: told on stderr.
static bool read_hex(int argc, char **argv, buf *out) {
    int high = -1;
    for (int i = 0; i < argc; i++) {
        for (const char *at = argv[i]; *at; at++) {
            if (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r' || *at == ':') continue;
            const char pair[2] = {'0', *at};
            uint8_t digit = 0;
            if (!sv_hex_decode(sv_slice(pair, 2), &digit)) {
                ctl_say("frame decode: '%s': character %zu is no hexadecimal digit", argv[i], (size_t)(at - argv[i]) + 1);
                return false;
            }
            if (high >= 0) buf_add_byte(out, (char)(high << 4 | digit));
            high = high < 0 ? digit : -1;
        }
    }
    if (high >= 0)
        ctl_say("frame decode: an odd number of hexadecimal digits");
    else if (buf_has_failed(out))
        ctl_say("frame decode: more than %u bytes", BYTES_MAX);
    else
        return true;
    return false;
}

static const protocol *read_protocol(const char *name) {
    const protocol *found = protocol_find(sv_of(name));
    if (found) return found;
    fprintf(stderr, "penstockctl: frame decode: %s%s%s; known:", name ? "unknown protocol '" : "--protocol is missing", name ? name : "",
            name ? "'" : "");
    for (size_t i = 0; i < protocol_count(); i++) fprintf(stderr, " %s", protocol_at(i)->name);
    fputc('\n', stderr);
    return NULL;
}

int ctl_frame_decode(int argc, char **argv) {
    const char *protocol_name = NULL;
    const ctl_option options[] = {{"--protocol", "NAME", "dlt645: DL/T 645-2007, electricity meters", &protocol_name, NULL}, {0}};
    const ctl_usage usage = {"frame decode", "HEX…",
                             "Prints one JSON object per frame found in the bytes. What lies between frames is skipped and told on\n"
                             "stderr. Exit 2: there was a bad frame (checksum, length, not BCD, truncated), or none at all.",
                             options};
    int exit_code = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &exit_code)) return exit_code;
    const protocol *spoken = read_protocol(protocol_name);
    if (!spoken) return CTL_BAD_INPUT;
    AUTO(buf) bytes;
    buf_init(&bytes, BYTES_MAX);
    if (!read_hex(argc, argv, &bytes)) return CTL_BAD_INPUT;
    telling heard = {.bytes = buf_view(&bytes)};
    spoken->decode(heard.bytes, &(protocol_sink){&heard, tell_frame, tell_skipped, tell_refused});
    if (heard.frames == 0 && heard.bad == 0) {
        ctl_say("frame decode: no frame in %zu bytes", heard.bytes.len);
        return CTL_BAD_INPUT;
    }
    return heard.bad ? CTL_BAD_INPUT : CTL_OK;
}
