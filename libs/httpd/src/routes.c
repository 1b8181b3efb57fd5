// See routes.h. A linear scan: tables have tens of rows, and a segment compare ends at the first difference.
#include "routes.h"

#include <string.h>

#include "uri.h"

static const char *const METHODS[HTTPD_METHOD_COUNT] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

static bool is_parameter(sv segment) { return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}'; }

err_t routes_check(const httpd_route *routes, size_t count, fault *out_fault) {
    for (size_t i = 0; i < count; i++) {
        sv rest = sv_of(routes[i].template);
        sv segment;
        size_t params = 0;
        if (rest.len == 0 || rest.ptr[0] != '/' || routes[i].handler == NULL)
            return fault_set(out_fault, ERR_BAD_INPUT, routes[i].template, "a template begins with '/' and has a handler");
        while (sv_next(&rest, '/', &segment)) {
            size_t at;
            params += is_parameter(segment);
            if (!is_parameter(segment) && (sv_find(segment, '{', &at) || sv_find(segment, '}', &at)))
                return fault_set(out_fault, ERR_BAD_INPUT, routes[i].template, "a parameter is one whole segment");
        }
        if (params > PARAMS_MAX) return fault_set(out_fault, ERR_BAD_INPUT, routes[i].template, "more than %d parameters", PARAMS_MAX);
    }
    return ERR_OK;
}

static bool matches(sv template, sv path) {
    sv wanted;
    sv given;
    while (sv_next(&template, '/', &wanted)) {
        if (!sv_next(&path, '/', &given)) return false;
        if (is_parameter(wanted) ? given.len == 0 : !sv_equal(wanted, given)) return false;
    }
    return path.ptr == NULL;
}

static void add_allowed(route_match *match, const char *method) {
    for (size_t i = 0; i < match->allow_count; i++)
        if (strcmp(match->allow[i], method) == 0) return;
    match->allow[match->allow_count++] = method;
}

route_match routes_find(const httpd_route *routes, size_t count, httpd_method method, sv path) {
    route_match match = {0};
    httpd_method wanted = method == HTTPD_HEAD ? HTTPD_GET : method;
    for (size_t i = 0; i < count; i++) {
        if (!matches(sv_of(routes[i].template), path)) continue;
        if (match.route == NULL && (routes[i].method == wanted || routes[i].method == method)) match.route = &routes[i];
        add_allowed(&match, METHODS[routes[i].method]);
        if (routes[i].method == HTTPD_GET) add_allowed(&match, METHODS[HTTPD_HEAD]);
    }
    return match;
}

bool routes_bind(const httpd_route *route, httpd_request *request) {
    sv template = sv_of(route->template);
    sv path = request->head.path;
    sv wanted;
    sv given;
    request->route_template = template;
    while (sv_next(&template, '/', &wanted) && sv_next(&path, '/', &given)) {
        if (!is_parameter(wanted)) continue;
        size_t at = request->param_count++;
        request->param_names[at] = (sv){wanted.ptr + 1, wanted.len - 2};
        if (!uri_decode(given, false, request->memory, &request->param_values[at])) return false;
    }
    return true;
}
