// Types of problem documents the API answers with.
#pragma once

#include "base/sv.h"

typedef enum problem {
#define PROBLEM(name, type, http_status, title) PROBLEM_##name,
#include "contracts/problems.def"
#undef PROBLEM
    PROBLEM_COUNT
} problem;

const char *problem_type(problem self);
const char *problem_title(problem self);
int problem_http_status(problem self);
