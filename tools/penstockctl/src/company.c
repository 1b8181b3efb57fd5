// penstockctl company create: a paying client with its first legal entity and, when asked for, its first manager.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "command.h"
#include "crypto/crypto.h"
#include "crypto/password.h"
#include "ctl_sql.h"
#include "database.h"
#include "file.h"

#define PASSWORD_FILE_MAX 4096

typedef struct company_request {
    const char *code;
    const char *name;
    const char *operator;       // NULL: none
    const char *password_file;  // NULL: a password is made and printed
} company_request;

typedef struct operator_password {
    char made[64];  // "" when it came from the file
    char hash[CRYPTO_PASSWORD_HASH_MAX];
} operator_password;

static int company_write(const company_request *request, const operator_password *password);

static bool password_prepare(const char *path, operator_password *out) {
    AUTO_ARENA memory = arena_new(64 * 1024);
    sv text;
    out->made[0] = 0;
    if (path) {
        if (!ctl_file_read(path, PASSWORD_FILE_MAX, memory, &text)) return false;
        text = sv_trim(text);
    } else {
        crypto_token(15, out->made);
        text = sv_of(out->made);
    }
    bool is_good = crypto_password_hash(text, out->hash) == ERR_OK;
    if (!is_good) ctl_say("%s: a password has 1 to %d bytes", path ? path : "password", CRYPTO_PASSWORD_MAX);
    return is_good;
}

int ctl_company_create(int argc, char **argv) {
    company_request request = {0};
    const ctl_option options[] = {
        {"--code", "CODE", "what operators type at log-in: lower case letters, digits, hyphens", &request.code, NULL},
        {"--name", "NAME", "its name, also of its first legal entity", &request.name, NULL},
        {"--operator", "LOGIN", "also create a manager with this log-in name", &request.operator, NULL },
         {"--password-file", "FILE", "the manager's password (\"-\": stdin); without it one is made and printed", &request.password_file,
          NULL},
         {0}};
    const ctl_usage usage = {"company create", NULL, "Creates a company with one legal entity and prints their ids.", options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!request.code || !request.name) {
        ctl_say("company create: --code and --name are needed");
        return CTL_BAD_INPUT;
    }
    if (request.password_file && !request.operator) {
        ctl_say("company create: --password-file is for --operator");
        return CTL_BAD_INPUT;
    }
    operator_password password;
    if (request.operator&& !password_prepare(request.password_file, &password)) return CTL_BAD_INPUT;
    return company_write(&request, &password);
}

static int constraint_tell(const db *conn, const company_request *request, err_t err) {
    const char *constraint = db_constraint(conn);
    if (strcmp(constraint, "company_code_uq") == 0)
        ctl_say("--code: the company '%s' exists", request->code);
    else if (strcmp(constraint, "company_code_ck") == 0)
        ctl_say("--code: 2 to 32 lower case letters, digits and hyphens");
    else if (strcmp(constraint, "operator_login_ck") == 0)
        ctl_say("--operator: 2 to 64 lower case letters, digits, '.', '_' and '-'");
    else
        return ctl_db_fault(conn, "creating the company", err);
    return CTL_BAD_INPUT;
}

static err_t operator_write(db *conn, int64_t company, const company_request *request, const operator_password *password) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(
        conn, &SQL_OPERATOR_INSERT,
        DB_PARAMS(DB_I64(company), DB_UUID(uuid_v7_now()), DB_CSTR(request->operator), DB_CSTR(request->operator), DB_CSTR(password->hash)),
        &row);
    if (err) return err;
    return db_exec(conn, &SQL_OPERATOR_ROLE_INSERT, DB_PARAMS(DB_I64(company), DB_I64(db_i64(&row, 0, 0)), DB_CSTR("manager")), NULL);
}

static int company_write(const company_request *request, const operator_password *password) {
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/company", &conn)) return CTL_NO;
    penstock_clock clock = clock_system();
    uuid company_id = uuid_v7_now(), entity_id = uuid_v7_now();
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) row = {0};
    int64_t company = 0;
    err_t err = db_begin(conn, &tx);
    if (!err)
        err =
            db_query_one(conn, &SQL_COMPANY_INSERT,
                         DB_PARAMS(DB_UUID(company_id), DB_CSTR(request->code), DB_CSTR(request->name), DB_TIME(clock_now(&clock))), &row);
    if (!err) {
        company = db_i64(&row, 0, 0);
        err = db_exec(conn, &SQL_LEGAL_ENTITY_INSERT, DB_PARAMS(DB_I64(company), DB_UUID(entity_id), DB_CSTR(request->name)), NULL);
    }
    if (!err && request->operator) err = operator_write(conn, company, request, password);
    if (err) return constraint_tell(conn, request, err);
    err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "creating the company", err);

    char text[UUID_TEXT_LEN + 1];
    uuid_format(company_id, text);
    printf("company       %s  %s\n", text, request->code);
    uuid_format(entity_id, text);
    printf("legal entity  %s\n", text);
    if (request->operator&& password->made[0])
        printf("log-in        %s / %s  password %s\n", request->code, request->operator, password->made);
    return CTL_OK;
}
