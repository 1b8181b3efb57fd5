// From routes.def: one entry function for each route, which gives the frame the route's own row.
#include "routes.h"

#include "openapi_text.h"

enum { ACCESS_READ, ACCESS_WRITE };

#define ROUTE(method, template, handler, permission, access)                                               \
    static void enter_##handler(httpd_request *request, httpd_response *response, void *worker) {          \
        static const api_route THIS = {handler, PERMISSION_##permission, ACCESS_##access == ACCESS_WRITE}; \
        api_serve(&THIS, request, response, worker);                                                       \
    }
#include "routes/routes.def"
#undef ROUTE

static void get_openapi(httpd_request *request, httpd_response *response, void *worker_context) {
    (void)request;
    (void)worker_context;
    httpd_response_status(response, 200);
    httpd_response_content_type(response, "application/yaml");
    httpd_response_header(response, "Cache-Control", SV("no-cache"));
    buf_add(httpd_response_body(response), sv_of(OPENAPI_TEXT));
}

const httpd_route API_ROUTES[] = {
#define ROUTE(method, template, handler, permission, access) {HTTPD_##method, template, enter_##handler, 0},
#include "routes/routes.def"
#undef ROUTE
    {HTTPD_POST, "/api/v1/session", create_session, 8192},
    {HTTPD_DELETE, "/api/v1/session", delete_session, 0},
    {HTTPD_GET, "/openapi.yaml", get_openapi, 0},
};
const size_t API_ROUTE_COUNT = ARRAY_LEN(API_ROUTES);
