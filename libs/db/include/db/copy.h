// Binary COPY into one table, inside the caller's transaction. The statement's text is
// `copy schema.table_{leaf} (columns) from stdin (format binary)`; `{leaf}`, when present, is replaced by a number, so
// that rows can go straight into the partition of a day. Rows are encoded into a buffer that leaves in big pieces.
//
//   db_copy copy;
//   err_t err = db_copy_open(conn, &SQL_COPY_CHARGE, 20261121, &copy);
//   db_copy_row(&copy, 2); db_copy_i64(&copy, num); db_copy_time(&copy, at); …
//   if (!err) err = db_copy_close(&copy, &rows);
//
// Row functions do not fail: an error while sending is kept and returned by db_copy_close.
#pragma once

#include "base/buf.h"
#include "db/db.h"

#define DB_NO_LEAF (-1)

typedef struct db_copy {
    db *conn;  // NULL when closed
    const db_statement *statement;
    buf out;
    int64_t rows;
    int columns_left;
    err_t err;
} db_copy;

err_t db_copy_open(db *self, const db_statement *statement, int64_t leaf, db_copy *out_copy) MUST_CHECK;
// Ends the COPY; `out_rows` (may be NULL) is the server's count.
err_t db_copy_close(db_copy *self, int64_t *out_rows) MUST_CHECK;
// Aborts a COPY that was not closed.
void db_copy_auto(db_copy *self);

void db_copy_row(db_copy *self, int columns);
void db_copy_null(db_copy *self);
void db_copy_i16(db_copy *self, int16_t value);
void db_copy_i32(db_copy *self, int32_t value);
void db_copy_i64(db_copy *self, int64_t value);
void db_copy_bool(db_copy *self, bool value);
void db_copy_text(db_copy *self, sv value);  // text and bytea alike; a NULL ptr is NULL
void db_copy_time(db_copy *self, instant_ms at);
void db_copy_date(db_copy *self, int32_t days);
void db_copy_uuid(db_copy *self, uuid id);
