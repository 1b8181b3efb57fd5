#include "idempotency.h"

#include "api_sql.h"
#include "crypto/crypto.h"

#define KEY_MIN 8
#define KEY_MAX 80

static sv key_of(const api_call *call) { return httpd_request_header(call->request, "idempotency-key"); }

static sv principal_of(const api_call *call) { return sv_of(arena_printf(call->memory, "operator:%lld", (long long)call->operator_num)); }

// The request is its method, path and body.
static void digest_of(const api_call *call, uint8_t out[CRYPTO_SHA256_LEN]) {
    sv separator = SV("\n");
    const sv pieces[] = {httpd_request_method_name(call->request), separator, httpd_request_path(call->request), separator,
                         httpd_request_body(call->request)};
    crypto_hmac_sha256_pieces(SV("request"), pieces, ARRAY_LEN(pieces), out);
}

err_t idempotency_begin(api_call *call, idempotency_earlier *out_earlier, fault *out_fault) {
    sv key = key_of(call);
    *out_earlier = (idempotency_earlier){0};
    if (key.len < KEY_MIN || key.len > KEY_MAX || !sv_is_utf8(key))
        return api_call_refuse(call, PROBLEM_KEY_REQUIRED, out_fault, "Idempotency-Key",
                               "the request needs an Idempotency-Key of 8 to 80 bytes");
    uint8_t digest[CRYPTO_SHA256_LEN];
    digest_of(call, digest);
    sv wanted = sv_slice(digest, sizeof digest);
    AUTO(db_rows) claimed = {0};
    err_t err = db_query(call->conn, &SQL_IDEMPOTENCY_CLAIM,
                         DB_PARAMS(DB_TEXT(principal_of(call)), DB_TEXT(key), DB_BYTES(wanted), DB_TIME(call->now)), &claimed);
    if (err || claimed.len > 0) return err;
    AUTO(db_rows) found = {0};
    err = db_query_one(call->conn, &SQL_IDEMPOTENCY_FIND, DB_PARAMS(DB_TEXT(principal_of(call)), DB_TEXT(key)), &found);
    if (err) return err;
    if (!crypto_equal(db_bytes(&found, 0, 0), wanted))
        return api_call_refuse(call, PROBLEM_KEY_REUSED, out_fault, "Idempotency-Key", "the key belongs to another request");
    out_earlier->is_there = true;
    out_earlier->body = arena_copy(call->memory, db_text(&found, 0, 2));
    httpd_response_json(call->response, (int)db_i64(&found, 0, 1));
    buf_add(httpd_response_body(call->response), out_earlier->body);
    return ERR_OK;
}

err_t idempotency_end(api_call *call, int status) {
    httpd_response_json(call->response, status);
    return db_exec(call->conn, &SQL_IDEMPOTENCY_ANSWER,
                   DB_PARAMS(DB_TEXT(principal_of(call)), DB_TEXT(key_of(call)), DB_I16(status),
                             DB_TEXT(buf_view(httpd_response_body(call->response)))),
                   NULL);
}
