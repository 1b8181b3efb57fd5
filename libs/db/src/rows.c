// Reading binary answers. Every getter checks the column's type: a mismatch is a statement that changed under its code.
#include <string.h>

#include "db_internal.h"

void db_rows_done(db_rows *self) {
    PQclear(self->result);
    self->result = NULL;
    self->len = 0;
}

void db_rows_auto(db_rows *self) { db_rows_done(self); }

// The bytes of a field, SV_NONE when NULL.
static sv field(const db_rows *rows, size_t row, int column) {
    const PGresult *result = rows->result;
    if (!result || row >= rows->len || column < 0 || column >= PQnfields(result)) db_bug(rows->statement, "no such row or column", column);
    if (PQgetisnull(result, (int)row, column)) return SV_NONE;
    return sv_slice(PQgetvalue(result, (int)row, column), (size_t)PQgetlength(result, (int)row, column));
}

static uint32_t type_of(const db_rows *rows, int column) { return PQftype(rows->result, column); }

static _Noreturn void wrong_type(const db_rows *rows, int column) { db_bug(rows->statement, "type of column", column); }

static uint16_t read_u16(const char *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap16(value);
}

static uint32_t read_u32(const char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap32(value);
}

static uint64_t read_u64(const char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

bool db_is_null(const db_rows *rows, size_t row, int column) { return !field(rows, row, column).ptr; }

int64_t db_i64(const db_rows *rows, size_t row, int column) {
    sv bytes = field(rows, row, column);
    switch (type_of(rows, column)) {
        case OID_INT8:
        case OID_XID8: return bytes.ptr ? (int64_t)read_u64(bytes.ptr) : 0;
        case OID_INT4: return bytes.ptr ? (int32_t)read_u32(bytes.ptr) : 0;
        case OID_OID: return bytes.ptr ? read_u32(bytes.ptr) : 0;
        case OID_INT2: return bytes.ptr ? (int16_t)read_u16(bytes.ptr) : 0;
        default: wrong_type(rows, column);
    }
}

bool db_bool(const db_rows *rows, size_t row, int column) {
    sv bytes = field(rows, row, column);
    if (type_of(rows, column) != OID_BOOL) wrong_type(rows, column);
    return bytes.ptr && bytes.ptr[0] != 0;
}

sv db_text(const db_rows *rows, size_t row, int column) {
    sv bytes = field(rows, row, column);
    switch (type_of(rows, column)) {
        case OID_TEXT:
        case OID_VARCHAR:
        case OID_BPCHAR:
        case OID_NAME:
        case OID_JSON: return bytes;
        case OID_JSONB: return bytes.ptr ? sv_skip(bytes, 1) : SV_NONE;
        default: wrong_type(rows, column);
    }
}

sv db_bytes(const db_rows *rows, size_t row, int column) {
    sv bytes = field(rows, row, column);
    if (type_of(rows, column) != OID_BYTEA) wrong_type(rows, column);
    return bytes;
}

instant_ms db_time(const db_rows *rows, size_t row, int column) {
    sv bytes = field(rows, row, column);
    if (type_of(rows, column) != OID_TIMESTAMPTZ) wrong_type(rows, column);
    if (!bytes.ptr) return 0;
    int64_t micros = (int64_t)read_u64(bytes.ptr);
    if (micros == INT64_MAX) return INSTANT_MAX;  // infinity
    if (micros == INT64_MIN) return INSTANT_MIN;
    int64_t ms = micros / 1000 - (micros % 1000 < 0 ? 1 : 0);
    return ms + POSTGRES_EPOCH_MS;
}

int32_t db_date(const db_rows *rows, size_t row, int column) {
    sv bytes = field(rows, row, column);
    if (type_of(rows, column) != OID_DATE) wrong_type(rows, column);
    return bytes.ptr ? (int32_t)read_u32(bytes.ptr) + POSTGRES_EPOCH_DAYS : 0;
}

uuid db_uuid(const db_rows *rows, size_t row, int column) {
    sv bytes = field(rows, row, column);
    if (type_of(rows, column) != OID_UUID) wrong_type(rows, column);
    uuid id = {{0}};
    if (bytes.ptr) memcpy(id.bytes, bytes.ptr, sizeof id.bytes);
    return id;
}

size_t db_i64_items(const db_rows *rows, size_t row, int column, int64_t *out_items, size_t max) {
    sv bytes = field(rows, row, column);
    uint32_t oid = type_of(rows, column);
    size_t width = oid == OID_INT2_ARRAY ? 2 : oid == OID_INT4_ARRAY ? 4 : oid == OID_INT8_ARRAY || oid == OID_XID8_ARRAY ? 8 : 0;
    if (width == 0) wrong_type(rows, column);
    if (!bytes.ptr || bytes.len < 20) return 0;  // NULL or empty: no dimensions
    if (read_u32(bytes.ptr) != 1 || read_u32(bytes.ptr + 4) != 0) db_bug(rows->statement, "array of more dimensions or with NULLs", column);
    size_t len = read_u32(bytes.ptr + 12);
    const char *at = bytes.ptr + 20;
    for (size_t i = 0; i < len && i < max; i++, at += 4 + width) {
        const char *item = at + 4;
        out_items[i] = width == 2 ? (int16_t)read_u16(item) : width == 4 ? (int32_t)read_u32(item) : (int64_t)read_u64(item);
    }
    return len;
}
