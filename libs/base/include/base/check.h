// Assertions that stay on in release builds. A failed CHECK is a bug in Penstock, never bad input: it prints one
// JSON line to stderr and aborts; the supervisor restarts the process and PostgreSQL still holds the truth.
#pragma once

#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (__builtin_expect(!(condition), 0)) check_failed(#condition, __FILE__, __LINE__); \
    } while (0)

#define BUG(what) check_failed((what), __FILE__, __LINE__)

_Noreturn void check_failed(const char *what, const char *file, int line);
