// Operating errors. Three kinds of "no" are never mixed: a bug aborts (check.h), an operating error is an err_t,
// a domain answer has its own enum in its own library.
#pragma once

typedef enum err {
#define ERR(name, http_status, retry, text) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
} err_t;

// What a caller may do about an error: give up, repeat later, or find out what happened before doing anything.
typedef enum err_retry { ERR_RETRY_NO, ERR_RETRY_LATER, ERR_RETRY_UNKNOWN } err_retry;

#define MUST_CHECK __attribute__((warn_unused_result))

const char *err_name(err_t err);
const char *err_text(err_t err);
int err_http_status(err_t err);
err_retry err_retry_class(err_t err);

// A refusal that names the place and the reason: `place` is a JSON pointer, "line 3, column 2", "--tariff" or an
// offset; `reason` is one English sentence without a full stop. Filled only when a function returns an error.
typedef struct fault {
    err_t err;
    char place[120];
    char reason[200];
} fault;

// Fills *out_fault (which may be NULL) and returns `err`, so that a parser can `return fault_set(…)`.
err_t fault_set(fault *out_fault, err_t err, const char *place, const char *reason, ...) __attribute__((format(printf, 4, 5)));
