#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

static const struct {
    const char *name;
    int http_status;
    err_retry retry;
    const char *text;
} TABLE[] = {
#define ERR(name, http_status, retry, text) [ERR_##name] = {#name, http_status, ERR_RETRY_##retry, text},
#include "base/err.def"
#undef ERR
};

static const size_t TABLE_LEN = sizeof(TABLE) / sizeof(TABLE[0]);

const char *err_name(err_t err) {
    CHECK((size_t)err < TABLE_LEN);
    return TABLE[err].name;
}

const char *err_text(err_t err) {
    CHECK((size_t)err < TABLE_LEN);
    return TABLE[err].text;
}

int err_http_status(err_t err) {
    CHECK((size_t)err < TABLE_LEN);
    return TABLE[err].http_status;
}

err_retry err_retry_class(err_t err) {
    CHECK((size_t)err < TABLE_LEN);
    return TABLE[err].retry;
}

err_t fault_set(fault *out_fault, err_t err, const char *place, const char *reason, ...) {
    if (!out_fault) return err;
    out_fault->err = err;
    snprintf(out_fault->place, sizeof out_fault->place, "%s", place);
    va_list args;
    va_start(args, reason);
    vsnprintf(out_fault->reason, sizeof out_fault->reason, reason, args);
    va_end(args);
    return err;
}
