// The table of templates against one path.
#pragma once

#include "exchange.h"

typedef struct route_match {
    const httpd_route *route;               // NULL: none of this method
    const char *allow[HTTPD_METHOD_COUNT];  // methods of other routes with this path
    size_t allow_count;
} route_match;

// ERR_BAD_INPUT names the first template that is not "/a/{b}/c".
err_t routes_check(const httpd_route *routes, size_t count, fault *out_fault) MUST_CHECK;
route_match routes_find(const httpd_route *routes, size_t count, httpd_method method, sv path);
// Fills the request's parameters from its path; false when a value cannot be decoded.
bool routes_bind(const httpd_route *route, httpd_request *request);
