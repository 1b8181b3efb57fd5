#include "base/log.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_text.h"

#define LINE_MAX_BYTES 8192
#define SCOPE_MAX_BYTES 1024

static struct {
    char service[32];
    log_level threshold;
} setup = {.threshold = LOG_LEVEL_INFO};

// The rendered fields of the open scopes of this thread, each with a leading comma.
static _Thread_local struct {
    char text[SCOPE_MAX_BYTES];
    size_t len;
} scope;

static const char *const LEVEL_NAMES[] = {"debug", "info", "warn", "error"};

void log_setup(const char *service, log_level threshold) {
    sv_copy_truncated(sv_of(service), setup.service, sizeof setup.service);
    setup.threshold = threshold;
}

bool log_level_parse(sv text, log_level *out_level) {
    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
        if (!sv_equal(text, sv_of(LEVEL_NAMES[i]))) continue;
        *out_level = (log_level)i;
        return true;
    }
    return false;
}

static void add_fields(buf *line, const log_field *fields) {
    for (; fields->key; fields++) {
        buf_add_byte(line, ',');
        json_text_add(line, sv_of(fields->key));
        buf_add_byte(line, ':');
        if (fields->kind == LOG_FIELD_NUMBER)
            buf_add_i64(line, fields->number);
        else
            json_text_add(line, fields->text);
    }
}

void log_write(log_level level, const char *message, const log_field *fields) {
    if (level < setup.threshold) return;
    AUTO(buf) line;
    buf_init(&line, LINE_MAX_BYTES);
    penstock_clock system = clock_system();
    char at[INSTANT_TEXT_MAX];
    instant_format(clock_now(&system), 0, at);
    buf_addf(&line, "{\"at\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"message\":", at, LEVEL_NAMES[level], setup.service);
    json_text_add(&line, sv_of(message));
    buf_add(&line, (sv){scope.text, scope.len});
    size_t before_fields = line.len;
    add_fields(&line, fields);
    if (buf_has_failed(&line)) {  // a field too large for a line: the message still counts
        line.failed = false;
        line.len = before_fields;
        buf_add(&line, SV(",\"truncated\":true"));
    }
    buf_add(&line, SV("}\n"));
    ssize_t written = write(STDOUT_FILENO, line.ptr, line.len);
    (void)written;  // nowhere to report that the log is gone
}

log_scope log_scope_enter(const log_field *fields) {
    log_scope entered = {scope.len};
    AUTO(buf) text;
    buf_init(&text, SCOPE_MAX_BYTES - scope.len);
    add_fields(&text, fields);
    if (!buf_has_failed(&text) && text.len) {
        memcpy(scope.text + scope.len, text.ptr, text.len);
        scope.len += text.len;
    }
    return entered;
}

void log_scope_leave(log_scope *self) { scope.len = self->previous_len; }
