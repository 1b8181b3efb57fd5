// Shared by the files of this library only.
#pragma once

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/db.h"

#define PARAMS_MAX 64
#define PREPARED_SLOTS 1024  // a power of two; more than any service has statements
#define ENCODED_MAX (256u << 20)

// Server type numbers (pg_type.dat); they never change.
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_JSON = 114,
    OID_XID8_ARRAY = 271,
    OID_BOOL_ARRAY = 1000,
    OID_BYTEA_ARRAY = 1001,
    OID_INT2_ARRAY = 1005,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_VARCHAR_ARRAY = 1015,
    OID_INT8_ARRAY = 1016,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_DATE_ARRAY = 1182,
    OID_TIMESTAMPTZ = 1184,
    OID_TIMESTAMPTZ_ARRAY = 1185,
    OID_VOID = 2278,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951,
    OID_JSONB = 3802,
    OID_XID8 = 5069
};

#define POSTGRES_EPOCH_MS 946684800000LL  // 2000-01-01T00:00:00Z
#define POSTGRES_EPOCH_DAYS 10957

typedef struct prepared {
    const db_statement *statement;  // NULL: free slot
    char name[64];
    uint32_t *param_oids;
    int param_count;
} prepared;

typedef struct db_texts {  // owned copies behind db_options
    char *conninfo, *user, *application_name, *search_path, *session_options;
} db_texts;

struct db {
    PGconn *pg;
    db_options options;
    db_texts texts;
    bool is_broken;
    bool in_tx;
    bool in_copy;
    err_t tx_err;  // first error of the open transaction
    prepared *slots;
    size_t prepared_count;
    buf encoded;
    char constraint[80];
    char sqlstate[6];
    char error_text[400];
};

// connection.c
db_texts db_texts_copy(db_options *in_out_options);
void db_texts_done(db_texts *self);
// Fills the error fields from a result (may be NULL: connection error) and maps it.
err_t db_note_error(db *self, const PGresult *result);
err_t db_note_broken(db *self, const char *why);

// wait.c: everything that waits does so with a deadline, because a stopped server must not stop the caller for good.
err_t db_flush(db *self);
// The next result; NULL without error is the end of the command's results.
err_t db_next_result(db *self, PGresult **out_result);
// Drains the command and returns its last result, or the first failing one's error.
err_t db_finish(db *self, PGresult **out_result);
int32_t db_patience_ms(const db *self);

// prepare.c
err_t db_prepared(db *self, const db_statement *statement, prepared **out_prepared);
void db_forget_prepared(db *self);

// encode.c
typedef struct encoded_params {
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    int formats[PARAMS_MAX];
} encoded_params;
void db_encode_params(db *self, const prepared *target, db_params params, encoded_params *out_encoded);
void db_encode_u16(char *out, uint16_t value);
void db_encode_u32(char *out, uint32_t value);
void db_encode_u64(char *out, uint64_t value);

// torture.c: makes the k-th operation fail, in test builds only.
typedef enum torture { TORTURE_NONE, TORTURE_BEFORE, TORTURE_AFTER } torture;
torture db_torture_next(void);

// Cuts the socket, so that the next use finds the connection lost.
void db_cut(db *self);
_Noreturn void db_bug(const db_statement *statement, const char *what, int64_t detail);
