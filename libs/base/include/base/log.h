// Structured logs: one JSON object per line on stdout, one write per line. `error` wakes somebody; `warn` says what
// happens instead; `info` is for starts, stops and changes of state. Libraries below `service` do not log.
//
//   LOG_WARN("redis refused the write; consumers will sweep", LOG_S("stream", name), LOG_I("partition", p));
//
// Never pass secrets or whole phone numbers.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

typedef enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR } log_level;

typedef struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER } kind;
    sv text;
    int64_t number;
} log_field;

#define LOG_S(key, cstr) ((log_field){(key), LOG_FIELD_TEXT, sv_of(cstr), 0})
#define LOG_SV(key, view) ((log_field){(key), LOG_FIELD_TEXT, (view), 0})
#define LOG_I(key, value) ((log_field){(key), LOG_FIELD_NUMBER, SV_NONE, (int64_t)(value)})

#define LOG_AT(level, message, ...) \
    log_write((level), (message), (const log_field[]){__VA_ARGS__ __VA_OPT__(, ){NULL, LOG_FIELD_TEXT, SV_NONE, 0}})
#define LOG_DEBUG(message, ...) LOG_AT(LOG_LEVEL_DEBUG, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_INFO(message, ...) LOG_AT(LOG_LEVEL_INFO, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_WARN(message, ...) LOG_AT(LOG_LEVEL_WARN, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_ERROR(message, ...) LOG_AT(LOG_LEVEL_ERROR, message __VA_OPT__(, ) __VA_ARGS__)

// Set once by the service skeleton before threads start.
void log_setup(const char *service, log_level threshold);
bool log_level_parse(sv text, log_level *out_level);

// `fields` ends with an entry whose key is NULL.
void log_write(log_level level, const char *message, const log_field *fields);

// Fields that every line of this thread carries until the scope ends; scopes nest. Values are copied.
typedef struct log_scope {
    size_t previous_len;
} log_scope;

log_scope log_scope_enter(const log_field *fields);
void log_scope_leave(log_scope *self);
#define LOG_SCOPE(name, ...)                                   \
    __attribute__((cleanup(log_scope_leave))) log_scope name = \
        log_scope_enter((const log_field[]){__VA_ARGS__ __VA_OPT__(, ){NULL, LOG_FIELD_TEXT, SV_NONE, 0}})
