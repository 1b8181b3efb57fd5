// PostgreSQL for services: synchronous, one connection per thread, binary both ways, every statement prepared once per
// connection. Nothing here retries: what to do about an error is the caller's decision, and err_retry_class tells it
// which kind of error it is.
//
// Errors of every call that talks to the server:
//   ERR_SERIALIZATION  deadlock or serialization failure: run the whole transaction again
//   ERR_CONFLICT       a constraint refused it; db_constraint names it
//   ERR_TIMEOUT        statement or lock time-out: had no effect
//   ERR_FORBIDDEN      missing grant or row-level security
//   ERR_UNAVAILABLE    no connection, or the server is out of resources or shutting down: the transaction is gone
//   ERR_UNCERTAIN      only from db_commit: the connection died while committing
//   ERR_BAD_INPUT      a data exception (class 22), or an exception raised by a function of ours (P0001)
//   ERR_INTERNAL       any other: a bug of ours or a schema that does not fit
// After an error inside a transaction every further statement fails with the same error until it is rolled back.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/instant.h"
#include "base/mem.h"
#include "base/sv.h"
#include "db/param.h"
#include "db/statement.h"

typedef struct db db;

typedef struct db_options {
    const char *conninfo;          // libpq connection string
    const char *user;              // role when conninfo names none; may be NULL
    const char *application_name;  // shown in pg_stat_activity
    int32_t connect_timeout_ms;
    int32_t statement_timeout_ms;  // 0 = none
    int32_t lock_timeout_ms;
    int32_t idle_in_transaction_timeout_ms;
    int32_t idle_session_timeout_ms;
    int32_t tcp_user_timeout_ms;
    const char *search_path;      // NULL: nothing but pg_catalog, so that every name is qualified
    const char *session_options;  // further "-c name=value" settings of the session; may be NULL
} db_options;

// 5 s to connect, 30 s a statement, 5 s a lock, 2 s idle in transaction, no limit on an idle session, 10 s TCP.
db_options db_options_default(const char *conninfo, const char *user, const char *application_name);

// Opens a connection; texts of `options` are copied. The fault's reason is the server's text.
err_t db_open(const db_options *options, db **out_conn, fault *out_fault) MUST_CHECK;
void db_close(db *self);
void db_auto(db **self);
#define AUTO_DB __attribute__((cleanup(db_auto))) db *
// Drops whatever the connection held (locks, transaction, prepared statements) and connects anew, once.
err_t db_reset(db *self, fault *out_fault) MUST_CHECK;
// The connection is lost; only db_reset and db_close help.
bool db_is_broken(const db *self);
// Breaks the connection on purpose, before giving up on a doubtful state: the server rolls back and frees its locks.
void db_break(db *self);
int32_t db_backend_pid(const db *self);
int db_server_version(const db *self);  // 150020 for 15.20

// Of the last failed call on this connection; empty strings when not applicable.
const char *db_constraint(const db *self);  // name of the violated constraint
const char *db_sqlstate(const db *self);
const char *db_error_text(const db *self);  // for logs: may quote data

// A transaction. An open one rolls back when the variable leaves scope.
typedef struct db_tx {
    db *conn;  // NULL when closed
} db_tx;

err_t db_begin(db *self, db_tx *out_tx) MUST_CHECK;
err_t db_begin_repeatable(db *self, db_tx *out_tx) MUST_CHECK;  // REPEATABLE READ, READ ONLY: one snapshot for several reads
// Closes the transaction whatever the answer. ERR_UNCERTAIN: find out by key before repeating anything.
err_t db_commit(db_tx *self) MUST_CHECK;
void db_rollback(db_tx *self);
void db_tx_auto(db_tx *self);

// Sets app.company for the rest of the transaction; row-level security reads it. First statement of each transaction
// of a role that serves one company at a time.
err_t db_set_company(db *self, int32_t company) MUST_CHECK;

// The rows of an answer, by column index. Reading a column as another type than it has is a bug and aborts.
typedef struct db_rows {
    void *result;
    size_t len;
    const db_statement *statement;
} db_rows;

err_t db_query(db *self, const db_statement *statement, db_params params, db_rows *out_rows) MUST_CHECK;
// Exactly one row, else ERR_NOT_FOUND (none) or ERR_INTERNAL (several).
err_t db_query_one(db *self, const db_statement *statement, db_params params, db_rows *out_row) MUST_CHECK;
// `out_affected` may be NULL.
err_t db_exec(db *self, const db_statement *statement, db_params params, int64_t *out_affected) MUST_CHECK;
void db_rows_done(db_rows *self);
void db_rows_auto(db_rows *self);

bool db_is_null(const db_rows *rows, size_t row, int column);
int64_t db_i64(const db_rows *rows, size_t row, int column);  // smallint, integer, bigint, xid8, oid; NULL reads as 0
bool db_bool(const db_rows *rows, size_t row, int column);    // NULL reads as false
// Views live until the rows are done. NULL reads as SV_NONE. json and jsonb read as their text.
sv db_text(const db_rows *rows, size_t row, int column);
sv db_bytes(const db_rows *rows, size_t row, int column);
instant_ms db_time(const db_rows *rows, size_t row, int column);  // NULL reads as 0; microseconds are cut off
int32_t db_date(const db_rows *rows, size_t row, int column);     // days since 1970-01-01
uuid db_uuid(const db_rows *rows, size_t row, int column);
// One-dimensional integer arrays without NULLs: copies up to `max` elements, returns the length of the array.
size_t db_i64_items(const db_rows *rows, size_t row, int column, int64_t *out_items, size_t max);

// Prepares and describes a statement without running it; for the test that checks every statement against the
// migrated schema. COPY statements are not preparable and are skipped with ERR_OK.
err_t db_describe(db *self, const db_statement *statement, int *out_params, int *out_columns) MUST_CHECK;

// Advisory locks of the session, never blocking. They end with the connection.
err_t db_try_lock(db *self, int32_t space, int32_t key, bool *out_taken) MUST_CHECK;
err_t db_unlock(db *self, int32_t space, int32_t key) MUST_CHECK;

// LISTEN on a channel (lower-case identifier), then wait. One notification per call; `out_got` false: time-out.
// A notification may be lost with the connection: callers also poll.
typedef struct db_notice {
    char channel[64];
    char payload[256];
} db_notice;

err_t db_listen(db *self, const char *channel) MUST_CHECK;
err_t db_wait_notice(db *self, int32_t timeout_ms, db_notice *out_notice, bool *out_got) MUST_CHECK;
