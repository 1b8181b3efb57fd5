// Settings of a service: one table gives parsing, defaults, ranges, --help, --check-config and --print-config. Values
// come from environment variables; a secret may come from the file named by <NAME>_FILE instead. A value that breaks
// its rule refuses the start and names the setting.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum setting_kind {
    SETTING_TEXT,     // min and max: its length
    SETTING_INT,      // decimal
    SETTING_BOOL,     // 1, 0, true, false, yes, no
    SETTING_ADDRESS,  // host:port or unix:/path
    SETTING_CHOICE,   // one of `choices`
    SETTING_PATH      // a file that must be readable at start, unless empty
} setting_kind;

typedef struct setting {
    const char *name;  // "PENSTOCK_…"
    setting_kind kind;
    const char *fallback;  // NULL: required
    int64_t min, max;      // both 0: no limit
    const char *choices;   // "debug|info|warn|error"
    bool is_secret;        // masked wherever it is shown; may come from a file
    const char *help;      // one line
} setting;

typedef struct settings settings;

// `tables`: arrays of settings, each ending with an entry whose name is NULL; the list itself ends with NULL.
err_t settings_load(const setting *const *tables, settings **out_settings, fault *out_fault) MUST_CHECK;
void settings_free(settings *self);

// A name that is in no table, or of another kind, is a bug.
const char *settings_text(const settings *self, const char *name);  // any kind but int and bool; "" when empty
int64_t settings_int(const settings *self, const char *name);
bool settings_bool(const settings *self, const char *name);

void settings_print(const settings *self, buf *out);         // NAME=value lines, secrets as ****
void settings_help(const setting *const *tables, buf *out);  // one block for each setting
