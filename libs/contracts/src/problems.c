#include "contracts/problems.h"

#include "base/check.h"

static const struct {
    const char *type, *title;
    int http_status;
} PROBLEMS[] = {
#define PROBLEM(name, type, http_status, title) {type, title, http_status},
#include "contracts/problems.def"
#undef PROBLEM
};

const char *problem_type(problem self) {
    CHECK(self < PROBLEM_COUNT);
    return PROBLEMS[self].type;
}

const char *problem_title(problem self) {
    CHECK(self < PROBLEM_COUNT);
    return PROBLEMS[self].title;
}

int problem_http_status(problem self) {
    CHECK(self < PROBLEM_COUNT);
    return PROBLEMS[self].http_status;
}
