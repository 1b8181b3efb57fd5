// Parameters of a statement. They travel in binary; their server types are asked for once, when the statement is
// prepared. An integer fits smallint, integer, bigint and xid8 alike and is checked against the range of the column it
// meets; any other mismatch between a parameter and the statement is a bug and aborts with the statement's name.
//
//   db_query(conn, &SQL_ACCOUNT_BY_ID, DB_PARAMS(DB_UUID(id), DB_TEXT(name)), &rows)
//
// Views and arrays are borrowed until the call returns.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/instant.h"
#include "base/sv.h"

typedef enum db_kind {
    DB_KIND_NULL,
    DB_KIND_INT,
    DB_KIND_BOOL,
    DB_KIND_TEXT,  // text, varchar, name, json, jsonb
    DB_KIND_BYTES,
    DB_KIND_TIME,  // timestamptz
    DB_KIND_DATE,  // days since 1970-01-01
    DB_KIND_UUID,
    DB_KIND_I16_ARRAY,
    DB_KIND_I32_ARRAY,
    DB_KIND_I64_ARRAY,
    DB_KIND_BOOL_ARRAY,
    DB_KIND_TEXT_ARRAY,
    DB_KIND_BYTES_ARRAY,
    DB_KIND_TIME_ARRAY,
    DB_KIND_DATE_ARRAY,
    DB_KIND_UUID_ARRAY
} db_kind;

typedef struct db_param {
    db_kind kind;
    int64_t number;
    sv bytes;
    uuid id;
    const void *items;
    size_t len;
    const bool *nulls;  // of an array: which elements are NULL; may be NULL
} db_param;

typedef struct db_params {
    const db_param *items;
    size_t len;
} db_params;

#define DB_PARAMS(...) ((db_params){(const db_param[]){__VA_ARGS__}, sizeof((const db_param[]){__VA_ARGS__}) / sizeof(db_param)})
#define DB_NO_PARAMS ((db_params){NULL, 0})

#define DB_NULL ((db_param){.kind = DB_KIND_NULL})
#define DB_I16(value) ((db_param){.kind = DB_KIND_INT, .number = (value)})
#define DB_I32(value) ((db_param){.kind = DB_KIND_INT, .number = (value)})
#define DB_I64(value) ((db_param){.kind = DB_KIND_INT, .number = (value)})
#define DB_BOOL(value) ((db_param){.kind = DB_KIND_BOOL, .number = (value) ? 1 : 0})
// A view whose ptr is NULL is SQL NULL.
#define DB_TEXT(view) ((db_param){.kind = DB_KIND_TEXT, .bytes = (view)})
#define DB_CSTR(cstr) ((db_param){.kind = DB_KIND_TEXT, .bytes = sv_of(cstr)})
#define DB_BYTES(view) ((db_param){.kind = DB_KIND_BYTES, .bytes = (view)})
#define DB_TIME(instant) ((db_param){.kind = DB_KIND_TIME, .number = (instant)})
#define DB_DATE(days) ((db_param){.kind = DB_KIND_DATE, .number = (days)})
#define DB_UUID(uuid_value) ((db_param){.kind = DB_KIND_UUID, .id = (uuid_value)})

// Arrays for `unnest`: int16_t, int32_t, int64_t, bool, sv, sv, instant_ms, int32_t days, uuid.
#define DB_I16_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_I16_ARRAY, .items = (ptr), .len = (n)})
#define DB_I32_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_I32_ARRAY, .items = (ptr), .len = (n)})
#define DB_I64_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_I64_ARRAY, .items = (ptr), .len = (n)})
#define DB_BOOL_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_BOOL_ARRAY, .items = (ptr), .len = (n)})
#define DB_TEXT_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_TEXT_ARRAY, .items = (ptr), .len = (n)})
#define DB_BYTES_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_BYTES_ARRAY, .items = (ptr), .len = (n)})
#define DB_TIME_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_TIME_ARRAY, .items = (ptr), .len = (n)})
#define DB_DATE_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_DATE_ARRAY, .items = (ptr), .len = (n)})
#define DB_UUID_ARRAY(ptr, n) ((db_param){.kind = DB_KIND_UUID_ARRAY, .items = (ptr), .len = (n)})

// The same array, with NULL where `nulls` says true. In arrays of views a NULL ptr is NULL without this.
static inline db_param db_param_with_nulls(db_param param, const bool *nulls) {
    param.nulls = nulls;
    return param;
}
