// Running statements and transactions.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "db_internal.h"
#include "db_sql.h"

static err_t send_prepared(db *self, const db_statement *statement, db_params params) {
    prepared *target = NULL;
    err_t err = db_prepared(self, statement, &target);
    if (err) return err;
    encoded_params encoded;
    db_encode_params(self, target, params, &encoded);
    if (!PQsendQueryPrepared(self->pg, target->name, (int)params.len, encoded.values, encoded.lengths, encoded.formats, 1))
        return db_note_error(self, NULL);
    return db_flush(self);
}

static err_t run(db *self, const db_statement *statement, db_params params, PGresult **out_result) {
    CHECK(!self->in_copy);
    if (self->is_broken) return self->in_tx && self->tx_err ? self->tx_err : ERR_UNAVAILABLE;
    if (self->in_tx && self->tx_err) return self->tx_err;
    torture fate = db_torture_next();
    if (fate == TORTURE_BEFORE) db_cut(self);
    err_t err = send_prepared(self, statement, params);
    if (!err) err = db_finish(self, out_result);
    if (fate == TORTURE_AFTER && !err) {
        PQclear(*out_result);
        *out_result = NULL;
        db_cut(self);
        return db_note_broken(self, "cut by the test after the operation");
    }
    return err;
}

err_t db_query(db *self, const db_statement *statement, db_params params, db_rows *out_rows) {
    PGresult *result = NULL;
    err_t err = run(self, statement, params, &result);
    if (err) return err;
    *out_rows = (db_rows){.result = result, .len = (size_t)PQntuples(result), .statement = statement};
    return ERR_OK;
}

err_t db_query_one(db *self, const db_statement *statement, db_params params, db_rows *out_row) {
    db_rows rows = {0};
    err_t err = db_query(self, statement, params, &rows);
    if (err) return err;
    if (rows.len != 1) {
        err = rows.len == 0 ? ERR_NOT_FOUND : ERR_INTERNAL;
        db_rows_done(&rows);
        return err;
    }
    *out_row = rows;
    return ERR_OK;
}

err_t db_exec(db *self, const db_statement *statement, db_params params, int64_t *out_affected) {
    PGresult *result = NULL;
    err_t err = run(self, statement, params, &result);
    if (err) return err;
    int64_t affected = 0;
    if (!sv_to_i64(sv_of(PQcmdTuples(result)), &affected)) affected = 0;
    PQclear(result);
    if (out_affected) *out_affected = affected;
    return ERR_OK;
}

static err_t begin(db *self, const db_statement *statement, db_tx *out_tx) {
    CHECK(!self->in_tx);
    err_t err = db_exec(self, statement, DB_NO_PARAMS, NULL);
    if (err) return err;
    self->in_tx = true;
    self->tx_err = ERR_OK;
    out_tx->conn = self;
    return ERR_OK;
}

err_t db_begin(db *self, db_tx *out_tx) { return begin(self, &SQL_DB_BEGIN, out_tx); }

err_t db_begin_repeatable(db *self, db_tx *out_tx) { return begin(self, &SQL_DB_BEGIN_REPEATABLE, out_tx); }

err_t db_commit(db_tx *self) {
    db *conn = self->conn;
    CHECK(conn && conn->in_tx);
    if (conn->tx_err) {
        err_t err = conn->tx_err;
        db_rollback(self);
        return err;
    }
    PGresult *result = NULL;
    err_t err = run(conn, &SQL_DB_COMMIT, DB_NO_PARAMS, &result);
    bool was_lost = conn->is_broken;
    conn->in_tx = false;
    self->conn = NULL;
    if (err) return was_lost ? ERR_UNCERTAIN : err;
    bool took_effect = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    return took_effect ? ERR_OK : ERR_INTERNAL;
}

void db_rollback(db_tx *self) {
    db *conn = self->conn;
    if (!conn) return;
    self->conn = NULL;
    conn->in_tx = false;
    if (conn->is_broken) return;
    PGresult *result = NULL;
    // What cannot be rolled back in words is rolled back by losing the connection.
    if (PQtransactionStatus(conn->pg) == PQTRANS_ACTIVE || run(conn, &SQL_DB_ROLLBACK, DB_NO_PARAMS, &result)) db_break(conn);
    PQclear(result);
}

void db_tx_auto(db_tx *self) { db_rollback(self); }

err_t db_set_company(db *self, int32_t company) {
    CHECK(self->in_tx);
    return db_exec(self, &SQL_DB_SET_COMPANY, DB_PARAMS(DB_I32(company)), NULL);
}

err_t db_try_lock(db *self, int32_t space, int32_t key, bool *out_taken) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(self, &SQL_DB_TRY_LOCK, DB_PARAMS(DB_I32(space), DB_I32(key)), &row);
    if (!err) *out_taken = db_bool(&row, 0, 0);
    return err;
}

err_t db_unlock(db *self, int32_t space, int32_t key) { return db_exec(self, &SQL_DB_UNLOCK, DB_PARAMS(DB_I32(space), DB_I32(key)), NULL); }
