// The table of routes with a session.
#pragma once

#include "app.h"
#include "call.h"
#include "session.h"

typedef struct api_route {
    api_handler handler;
    permission permission;
    bool is_write;
} api_route;

// Finds the session, opens the transaction, checks the permission, runs the handler, answers.
void api_serve(const api_route *route, httpd_request *request, httpd_response *response, api_worker *worker);

extern const httpd_route API_ROUTES[];
extern const size_t API_ROUTE_COUNT;
