// Files below one folder, as a handler: precompressed siblings, caching, and the index of a single-page application.
#pragma once

#include "httpd/server.h"

// Whether a path may be a file at all.
bool files_serve_path(const httpd_options *options, sv path);
// `context` is the httpd_options.
void files_handle(httpd_request *request, httpd_response *response, void *context);
