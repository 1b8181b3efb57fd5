#include "db/copy.h"

#include <string.h>

#include "base/check.h"
#include "db_internal.h"

#define PIECE_BYTES (256u << 10)
#define ROW_BYTES_MAX (16u << 20)

// The statement's text with {leaf} replaced by a number, which is all that can be put there.
static void fill_leaf(const db_statement *statement, int64_t leaf, buf *out) {
    static const char MARK[] = "{leaf}";
    const char *mark = strstr(statement->text, MARK);
    if ((mark != NULL) != (leaf != DB_NO_LEAF) || leaf < DB_NO_LEAF) db_bug(statement, "leaf", leaf);
    if (!mark) {
        buf_add(out, sv_of(statement->text));
        return;
    }
    buf_add(out, sv_slice(statement->text, (size_t)(mark - statement->text)));
    buf_add_i64(out, leaf);
    buf_add(out, sv_of(mark + sizeof MARK - 1));
}

static err_t start(db *self, const db_statement *statement, int64_t leaf) {
    AUTO(buf) text = {.max = 4000};
    fill_leaf(statement, leaf, &text);
    CHECK(!buf_has_failed(&text));
    if (!PQsendQuery(self->pg, buf_cstr(&text))) return db_note_error(self, NULL);
    PGresult *result = NULL;
    err_t err = db_flush(self);
    if (!err) err = db_finish(self, &result);
    if (err) return err;
    if (PQresultStatus(result) != PGRES_COPY_IN) db_bug(statement, "not a copy from stdin", 0);
    PQclear(result);
    return ERR_OK;
}

err_t db_copy_open(db *self, const db_statement *statement, int64_t leaf, db_copy *out_copy) {
    static const char HEADER[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";  // signature, no flags, no extension
    CHECK(!self->in_copy);
    if (self->is_broken) return ERR_UNAVAILABLE;
    if (self->in_tx && self->tx_err) return self->tx_err;
    if (db_torture_next() == TORTURE_BEFORE) db_cut(self);
    err_t err = start(self, statement, leaf);
    if (err) return err;
    self->in_copy = true;
    *out_copy = (db_copy){.conn = self, .statement = statement};
    buf_init(&out_copy->out, PIECE_BYTES + ROW_BYTES_MAX);
    buf_add(&out_copy->out, sv_slice(HEADER, sizeof HEADER));
    return ERR_OK;
}

static void send_piece(db_copy *self) {
    CHECK(!buf_has_failed(&self->out));
    if (!self->err && PQputCopyData(self->conn->pg, self->out.ptr, (int)self->out.len) != 1) self->err = db_note_error(self->conn, NULL);
    if (!self->err) self->err = db_flush(self->conn);
    buf_clear(&self->out);
}

static err_t finish(db_copy *self, const char *error_text, int64_t *out_rows) {
    db *conn = self->conn;
    if (!self->err && PQputCopyEnd(conn->pg, error_text) != 1) self->err = db_note_error(conn, NULL);
    if (!self->err) self->err = db_flush(conn);
    PGresult *result = NULL;
    if (!self->err) self->err = db_finish(conn, &result);
    int64_t rows = 0;
    if (!self->err && !sv_to_i64(sv_of(PQcmdTuples(result)), &rows)) rows = 0;
    PQclear(result);
    conn->in_copy = false;
    self->conn = NULL;
    buf_done(&self->out);
    if (!self->err && out_rows) *out_rows = rows;
    return self->err;
}

err_t db_copy_close(db_copy *self, int64_t *out_rows) {
    CHECK(self->conn && self->columns_left == 0);
    char *trailer = buf_reserve(&self->out, 2);
    CHECK(trailer);
    db_encode_u16(trailer, UINT16_MAX);
    send_piece(self);
    torture fate = db_torture_next();
    if (fate == TORTURE_BEFORE) db_cut(self->conn);
    int64_t sent = self->rows;
    int64_t stored = 0;
    err_t err = finish(self, NULL, &stored);
    if (!err) CHECK(stored == sent);
    if (!err && out_rows) *out_rows = stored;
    return err;
}

void db_copy_auto(db_copy *self) {
    if (self->conn) (void)finish(self, "abandoned", NULL);
}

void db_copy_row(db_copy *self, int columns) {
    if (self->columns_left != 0) db_bug(self->statement, "columns missing in a row", self->columns_left);
    if (self->out.len >= PIECE_BYTES) send_piece(self);
    char *at = buf_reserve(&self->out, 2);
    CHECK(at);
    db_encode_u16(at, (uint16_t)columns);
    self->columns_left = columns;
    self->rows++;
}

// Room for one field of `len` bytes behind its length word.
static char *add_field(db_copy *self, size_t len) {
    char *at = buf_reserve(&self->out, 4 + len);
    CHECK(at && self->columns_left > 0);
    self->columns_left--;
    db_encode_u32(at, (uint32_t)len);
    return at + 4;
}

void db_copy_null(db_copy *self) { db_encode_u32(add_field(self, 0) - 4, UINT32_MAX); }

void db_copy_i16(db_copy *self, int16_t value) { db_encode_u16(add_field(self, 2), (uint16_t)value); }

void db_copy_i32(db_copy *self, int32_t value) { db_encode_u32(add_field(self, 4), (uint32_t)value); }

void db_copy_i64(db_copy *self, int64_t value) { db_encode_u64(add_field(self, 8), (uint64_t)value); }

void db_copy_bool(db_copy *self, bool value) { *add_field(self, 1) = value ? 1 : 0; }

void db_copy_text(db_copy *self, sv value) {
    if (!value.ptr) {
        db_copy_null(self);
        return;
    }
    char *at = add_field(self, value.len);
    if (value.len) memcpy(at, value.ptr, value.len);
}

void db_copy_time(db_copy *self, instant_ms at) { db_encode_u64(add_field(self, 8), (uint64_t)((at - POSTGRES_EPOCH_MS) * 1000)); }

void db_copy_date(db_copy *self, int32_t days) { db_encode_u32(add_field(self, 4), (uint32_t)(days - POSTGRES_EPOCH_DAYS)); }

void db_copy_uuid(db_copy *self, uuid id) { memcpy(add_field(self, 16), id.bytes, 16); }
