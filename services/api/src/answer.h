// Problem documents of the api.
#pragma once

#include "base/err.h"
#include "contracts/problems.h"
#include "httpd/response.h"

// `why` (may be NULL) gives detail, and the pointer when its place is one.
void answer_problem(httpd_response *response, problem what, const fault *why);
problem problem_of(err_t err);
