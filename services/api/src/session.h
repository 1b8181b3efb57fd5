// Who is asking: sessions, log-in and log-out, roles and what they may.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "base/arena.h"
#include "base/id.h"
#include "base/instant.h"

#define SESSION_COOKIE "penstock_session"
#define SESSION_LIFETIME_MS (12 * HOUR_MS)

enum { ROLE_MANAGER = 1, ROLE_CLERK = 2, ROLE_TECHNICIAN = 4, ROLE_VIEWER = 8 };

typedef enum permission {
#define PERMISSION(name, text, roles) PERMISSION_##name,
#include "permissions.def"
#undef PERMISSION
    PERMISSION_NONE
} permission;

typedef struct granted_role {
    unsigned role;     // one of ROLE_
    int64_t property;  // 0: the whole company
} granted_role;

typedef struct api_session {
    int32_t company;
    int64_t operator_num;
    uuid company_id, operator_id;
    sv company_code, company_name, login, name, locale;
    instant_ms expires_at;
    granted_role *roles;
    size_t role_count;
} api_session;

// The company that a cookie's token names and the token's digest; false when it has no such form.
bool session_token_read(sv token, int32_t *out_company, uint8_t out_digest[32]);
// In a transaction with the company set. ERR_UNAUTHENTIC when there is no such session.
err_t session_find(db *conn, int32_t company, const uint8_t digest[32], instant_ms now, arena *memory,
                   const api_session **out_session) MUST_CHECK;
bool session_may(const api_session *self, permission what);
// The properties on which the permission is held; false when it is held nowhere. *out_properties NULL: on all.
bool session_scope(const api_session *self, permission what, arena *memory, const int64_t **out_properties, size_t *out_count);

// Handlers without a session.
void create_session(httpd_request *request, httpd_response *response, void *worker_context);
void delete_session(httpd_request *request, httpd_response *response, void *worker_context);
// False, and answered 403, when a browser sent the request from another origin.
bool check_origin(const httpd_request *request, httpd_response *response);
