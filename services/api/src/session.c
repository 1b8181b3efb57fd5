// Log-in, log-out, and what a session may. No transaction is open while a password is hashed: that takes tens of
// milliseconds and 64 MiB, and only a few run at once.
#include "session.h"

#include <time.h>

#include "answer.h"
#include "api_sql.h"
#include "base/check.h"
#include "base/json_text.h"
#include "call.h"
#include "crypto/crypto.h"
#include "crypto/password.h"
#include "json/json.h"

#define TOKEN_BYTES 32
#define LOGIN_BODY_MAX 4096
#define HASH_WAIT_MS 3000
#define FREE_FAILURES 5  // then 1 s, 2 s, 4 s … between attempts, and the window when there were ten
#define FAILURES_MAX 10

// A hash nobody's password gives: an unknown company or login costs the same time as a wrong password.
static const char NOBODYS_HASH[] = "$argon2id$v=19$m=65536,t=3,p=1$cGVuc3RvY2stbm9ib2R5cw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

typedef struct log_in {
    api_worker *worker;
    httpd_request *request;
    httpd_response *response;
    instant_ms now;
    sv company_code, login, password;
    int32_t company;       // 0: unknown
    int64_t operator_num;  // 0: unknown
    sv hash;
    int64_t failures;
    instant_ms failed_at;
} log_in;

static err_t read_credentials(log_in *self, json_doc **out_doc, fault *out_fault);
static err_t look_up(log_in *self);
static bool may_try(log_in *self);
static err_t check_password(log_in *self, bool *out_right);
static err_t note_failure(log_in *self);
static err_t open_session(log_in *self);
static void write_session(json_writer *out, const api_session *session);

static void set_cookie(const api_app *app, const httpd_request *request, httpd_response *response, const char *token, int64_t max_age_s) {
    bool is_secure = app->is_behind_proxy && sv_equal_nocase(httpd_request_header(request, "x-forwarded-proto"), SV("https"));
    AUTO(buf) cookie;
    buf_init(&cookie, 512);
    buf_addf(&cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s", SESSION_COOKIE, token, (long long)max_age_s,
             is_secure ? "; Secure" : "");
    httpd_response_header(response, "Set-Cookie", buf_view(&cookie));
}

// Browsers name the origin of every request that is not a plain GET; whoever sends none is no browser.
bool check_origin(const httpd_request *request, httpd_response *response) {
    sv origin = httpd_request_header(request, "origin");
    sv site = httpd_request_header(request, "sec-fetch-site");
    bool is_same = site.len == 0 || sv_equal(site, SV("same-origin")) || sv_equal(site, SV("none"));
    if (origin.len > 0) {
        size_t at = 0;
        bool has_scheme = sv_starts_with(origin, SV("http://")) || sv_starts_with(origin, SV("https://"));
        is_same = is_same && has_scheme && sv_find(origin, '/', &at) &&
                  sv_equal_nocase(sv_skip(origin, at + 2), httpd_request_header(request, "host"));
    }
    if (is_same) return true;
    fault why;
    (void)fault_set(&why, ERR_FORBIDDEN, "Origin", "the request comes from another site");
    answer_problem(response, PROBLEM_CSRF, &why);
    return false;
}

void create_session(httpd_request *request, httpd_response *response, void *worker_context) {
    log_in self = {.worker = worker_context, .request = request, .response = response};
    self.now = service_now(self.worker->app->svc);
    if (!check_origin(request, response)) return;
    AUTO_JSON doc = NULL;
    fault why = {0};
    bool is_right = false;
    err_t err = read_credentials(&self, &doc, &why);
    if (!err) err = look_up(&self);
    if (!err && !may_try(&self)) return;
    if (!err) err = check_password(&self, &is_right);
    if (!err) err = is_right ? open_session(&self) : note_failure(&self);
    if (err)
        answer_problem(response, problem_of(err), &why);
    else if (!is_right)
        answer_problem(response, PROBLEM_WRONG_LOGIN, NULL);
}

static err_t read_credentials(log_in *self, json_doc **out_doc, fault *out_fault) {
    static const char *const KEYS[] = {"company", "login", "password", NULL};
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(httpd_request_body(self->request), (json_limits){LOGIN_BODY_MAX, 1}, out_doc, out_fault);
    if (err) return err;
    json_node root = json_root(*out_doc);
    json_allow_only(&reader, &root, KEYS);
    json_node company = json_member(&reader, &root, KEYS[0]);
    json_node login = json_member(&reader, &root, KEYS[1]);
    json_node password = json_member(&reader, &root, KEYS[2]);
    self->company_code = json_read_text_bounded(&reader, &company, 64);
    self->login = json_read_text_bounded(&reader, &login, 64);
    self->password = json_read_text_bounded(&reader, &password, 256);
    return json_reader_fault(&reader, out_fault);
}

static err_t look_up(log_in *self) {
    err_t err = api_worker_connect(self->worker);
    if (err) return err;
    db *conn = self->worker->conn;
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) company = {0};
    AUTO(db_rows) row = {0};
    err = db_begin(conn, &tx);
    if (!err) err = db_query_one(conn, &SQL_COMPANY_BY_CODE, DB_PARAMS(DB_TEXT(self->company_code)), &company);
    if (err || db_is_null(&company, 0, 0)) return err;
    self->company = (int32_t)db_i64(&company, 0, 0);
    err = db_set_company(conn, self->company);
    if (!err) err = db_query_one(conn, &SQL_LOGIN_OPERATOR, DB_PARAMS(DB_TEXT(self->login)), &row);
    if (err) return err;
    self->operator_num = db_i64(&row, 0, 0);
    if (!db_is_null(&row, 0, 1)) self->hash = arena_copy(httpd_request_arena(self->request), db_text(&row, 0, 1));
    self->failures = db_i64(&row, 0, 2);
    self->failed_at = db_time(&row, 0, 3);
    return ERR_OK;
}

// Increasing delay instead of lock-out: whoever knows a login must not be able to lock its owner out for long.
static bool may_try(log_in *self) {
    int64_t wait_ms = guesses_wait_ms(self->worker->app->guesses, httpd_request_remote(self->request), self->now);
    int64_t since_ms = self->now - self->failed_at;
    if (self->failures >= FREE_FAILURES && since_ms < GUESS_WINDOW_MS) {
        int64_t delay_ms = self->failures >= FAILURES_MAX ? GUESS_WINDOW_MS : SECOND_MS << (self->failures - FREE_FAILURES);
        if (delay_ms - since_ms > wait_ms) wait_ms = delay_ms - since_ms;
    }
    if (wait_ms <= 0) return true;
    answer_problem(self->response, PROBLEM_LOGIN_DELAYED, NULL);
    httpd_response_retry_after(self->response, (wait_ms + SECOND_MS - 1) / SECOND_MS);
    return false;
}

// Waits for its turn at most HASH_WAIT_MS.
static bool begin_hash(api_app *app) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HASH_WAIT_MS / 1000;
    pthread_mutex_lock(&app->hash_lock);
    int result = 0;
    while (app->hashes_free == 0 && result == 0) result = pthread_cond_timedwait(&app->hash_ended, &app->hash_lock, &until);
    bool is_turn = app->hashes_free > 0;
    if (is_turn) app->hashes_free--;
    pthread_mutex_unlock(&app->hash_lock);
    return is_turn;
}

static void end_hash(api_app *app) {
    pthread_mutex_lock(&app->hash_lock);
    app->hashes_free++;
    pthread_cond_signal(&app->hash_ended);
    pthread_mutex_unlock(&app->hash_lock);
}

static err_t check_password(log_in *self, bool *out_right) {
    if (!begin_hash(self->worker->app)) return ERR_BUSY;
    bool matches = crypto_password_verify(self->password, self->hash.len > 0 ? self->hash : sv_of(NOBODYS_HASH));
    end_hash(self->worker->app);
    *out_right = matches && self->operator_num != 0;
    return ERR_OK;
}

static err_t note_failure(log_in *self) {
    guesses_add(self->worker->app->guesses, httpd_request_remote(self->request), self->now);
    if (self->company == 0) return ERR_OK;
    db *conn = self->worker->conn;
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_set_company(conn, self->company);
    if (!err)
        err = db_exec(conn, &SQL_LOGIN_FAILED, DB_PARAMS(DB_TEXT(self->login), DB_TIME(self->now), DB_TIME(self->now - GUESS_WINDOW_MS)),
                      NULL);
    return err ? err : db_commit(&tx);
}

static err_t add_session(log_in *self, db *conn, const uint8_t digest[32]) {
    sv bytes = sv_slice(digest, CRYPTO_SHA256_LEN);
    err_t err =
        db_exec(conn, &SQL_SESSION_ADD,
                DB_PARAMS(DB_BYTES(bytes), DB_I64(self->operator_num), DB_TIME(self->now), DB_TIME(self->now + SESSION_LIFETIME_MS)), NULL);
    if (!err) err = db_exec(conn, &SQL_LOGIN_SUCCEEDED, DB_PARAMS(DB_TEXT(self->login)), NULL);
    if (err) return err;
    AUTO(buf) detail;
    buf_init(&detail, 512);
    buf_add(&detail, SV("{\"address\":"));
    json_text_add(&detail, httpd_request_remote(self->request));
    buf_add_byte(&detail, '}');
    return db_exec(
        conn, &SQL_AUDIT_ADD,
        DB_PARAMS(DB_TIME(self->now), DB_TEXT(self->login), DB_CSTR("log_in"), DB_CSTR("operator"), DB_NULL, DB_TEXT(buf_view(&detail))),
        NULL);
}

static err_t open_session(log_in *self) {
    char secret[TOKEN_BYTES * 4 / 3 + 2];
    crypto_token(TOKEN_BYTES, secret);
    arena *memory = httpd_request_arena(self->request);
    const char *token = arena_printf(memory, "%d.%s", self->company, secret);
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(sv_of(token), digest);
    db *conn = self->worker->conn;
    const api_session *session = NULL;
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_set_company(conn, self->company);
    if (!err) err = add_session(self, conn, digest);
    if (!err) err = session_find(conn, self->company, digest, self->now, memory, &session);
    if (!err) err = db_commit(&tx);
    if (err) return err;
    guesses_forget(self->worker->app->guesses, httpd_request_remote(self->request));
    set_cookie(self->worker->app, self->request, self->response, token, SESSION_LIFETIME_MS / SECOND_MS);
    httpd_response_json(self->response, 201);
    httpd_response_header(self->response, "Cache-Control", SV("no-store"));
    json_writer out;
    json_writer_init(&out, httpd_response_body(self->response));
    write_session(&out, session);
    return ERR_OK;
}

bool session_token_read(sv token, int32_t *out_company, uint8_t out_digest[32]) {
    sv rest = token;
    sv number;
    int64_t company = 0;
    if (token.len > 80 || !sv_next(&rest, '.', &number) || rest.len != 43 || !sv_to_i64(number, &company)) return false;
    if (company <= 0 || company > INT32_MAX) return false;
    *out_company = (int32_t)company;
    crypto_sha256(token, out_digest);
    return true;
}

static unsigned role_of(sv text) {
    if (sv_equal(text, SV("manager"))) return ROLE_MANAGER;
    if (sv_equal(text, SV("clerk"))) return ROLE_CLERK;
    if (sv_equal(text, SV("technician"))) return ROLE_TECHNICIAN;
    return sv_equal(text, SV("viewer")) ? ROLE_VIEWER : 0;
}

err_t session_find(db *conn, int32_t company, const uint8_t digest[32], instant_ms now, arena *memory, const api_session **out_session) {
    AUTO(db_rows) row = {0};
    AUTO(db_rows) roles = {0};
    err_t err = db_query_one(conn, &SQL_SESSION_FIND, DB_PARAMS(DB_BYTES(sv_slice(digest, CRYPTO_SHA256_LEN)), DB_TIME(now)), &row);
    if (err == ERR_NOT_FOUND) return ERR_UNAUTHENTIC;
    if (!err) err = db_query(conn, &SQL_SESSION_ROLES, DB_PARAMS(DB_I64(db_i64(&row, 0, 0))), &roles);
    if (err) return err;
    api_session *self = ARENA_NEW(memory, api_session);
    *self = (api_session){.company = company,
                          .operator_num = db_i64(&row, 0, 0),
                          .expires_at = db_time(&row, 0, 1),
                          .operator_id = db_uuid(&row, 0, 2),
                          .login = arena_copy(memory, db_text(&row, 0, 3)),
                          .name = arena_copy(memory, db_text(&row, 0, 4)),
                          .locale = arena_copy(memory, db_text(&row, 0, 5)),
                          .company_id = db_uuid(&row, 0, 6),
                          .company_code = arena_copy(memory, db_text(&row, 0, 7)),
                          .company_name = arena_copy(memory, db_text(&row, 0, 8)),
                          .roles = ARENA_ARRAY(memory, granted_role, roles.len + 1),
                          .role_count = roles.len};
    for (size_t i = 0; i < roles.len; i++) self->roles[i] = (granted_role){role_of(db_text(&roles, i, 0)), db_i64(&roles, i, 1)};
    *out_session = self;
    return ERR_OK;
}

static const struct {
    const char *text;
    unsigned roles;
} PERMISSIONS[] = {
#define PERMISSION(name, text, roles) {text, roles},
#include "permissions.def"
#undef PERMISSION
};

bool session_may(const api_session *self, permission what) {
    for (size_t i = 0; i < self->role_count; i++)
        if (what == PERMISSION_NONE || (PERMISSIONS[what].roles & self->roles[i].role) != 0) return true;
    return what == PERMISSION_NONE;
}

bool session_scope(const api_session *self, permission what, arena *memory, const int64_t **out_properties, size_t *out_count) {
    int64_t *properties = ARENA_ARRAY(memory, int64_t, self->role_count + 1);
    size_t count = 0;
    *out_properties = NULL;
    *out_count = 0;
    if (what == PERMISSION_NONE) return true;
    for (size_t i = 0; i < self->role_count; i++) {
        if ((PERMISSIONS[what].roles & self->roles[i].role) == 0) continue;
        if (self->roles[i].property == 0) return true;
        properties[count++] = self->roles[i].property;
    }
    *out_properties = properties;
    *out_count = count;
    return count > 0;
}

static void write_id(json_writer *out, uuid id) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(id, text);
    json_put_text(out, "id", sv_of(text));
}

static void write_session(json_writer *out, const api_session *session) {
    json_open_object(out);
    json_key(out, "company");
    json_open_object(out);
    write_id(out, session->company_id);
    json_put_text(out, "code", session->company_code);
    json_put_text(out, "name", session->company_name);
    json_close_object(out);
    json_key(out, "operator");
    json_open_object(out);
    write_id(out, session->operator_id);
    json_put_text(out, "login", session->login);
    json_put_text(out, "name", session->name);
    json_put_text(out, "language", session->locale);
    json_close_object(out);
    json_key(out, "permissions");
    json_open_array(out);
    for (size_t i = 0; i < ARRAY_LEN(PERMISSIONS); i++)
        if (session_may(session, (permission)i)) json_add_text(out, sv_of(PERMISSIONS[i].text));
    json_close_array(out);
    json_put_instant(out, "expires_at", session->expires_at, 0);
    json_close_object(out);
}

err_t get_session(api_call *call, fault *out_fault) {
    (void)out_fault;
    write_session(&call->out, call->session);
    return ERR_OK;
}

void delete_session(httpd_request *request, httpd_response *response, void *worker_context) {
    api_worker *worker = worker_context;
    if (!check_origin(request, response)) return;
    sv token;
    int32_t company;
    uint8_t digest[CRYPTO_SHA256_LEN];
    if (httpd_request_cookie(request, SESSION_COOKIE, &token) && session_token_read(token, &company, digest)) {
        err_t err = api_worker_connect(worker);
        AUTO(db_tx) tx = {0};
        if (!err) err = db_begin(worker->conn, &tx);
        if (!err) err = db_set_company(worker->conn, company);
        if (!err) err = db_exec(worker->conn, &SQL_SESSION_DELETE, DB_PARAMS(DB_BYTES(sv_slice(digest, sizeof digest))), NULL);
        if (!err) err = db_commit(&tx);
        if (err) {
            answer_problem(response, problem_of(err), NULL);
            return;
        }
    }
    httpd_response_status(response, 204);
    set_cookie(worker->app, request, response, "", 0);
}
