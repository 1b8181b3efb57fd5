// Binary form of parameters (the receive functions of the server's types).
#include <string.h>

#include "base/check.h"
#include "db_internal.h"

void db_encode_u16(char *out, uint16_t value) {
    value = __builtin_bswap16(value);
    memcpy(out, &value, sizeof value);
}

void db_encode_u32(char *out, uint32_t value) {
    value = __builtin_bswap32(value);
    memcpy(out, &value, sizeof value);
}

void db_encode_u64(char *out, uint64_t value) {
    value = __builtin_bswap64(value);
    memcpy(out, &value, sizeof value);
}

static char *reserve(buf *out, size_t len) {
    char *at = buf_reserve(out, len);
    CHECK(at);  // callers bound their batches far below ENCODED_MAX
    return at;
}

static void add_u16(buf *out, uint16_t value) { db_encode_u16(reserve(out, 2), value); }

static void add_u32(buf *out, uint32_t value) { db_encode_u32(reserve(out, 4), value); }

static void add_u64(buf *out, uint64_t value) { db_encode_u64(reserve(out, 8), value); }

static void add_sized(buf *out, sv bytes) {
    add_u32(out, (uint32_t)bytes.len);
    if (bytes.len) memcpy(reserve(out, bytes.len), bytes.ptr, bytes.len);
}

typedef struct array_kind {
    db_kind kind;
    uint32_t array_oid, other_oid, element_oid;
} array_kind;

static const array_kind ARRAYS[] = {
    {DB_KIND_I16_ARRAY, OID_INT2_ARRAY, 0, OID_INT2},
    {DB_KIND_I32_ARRAY, OID_INT4_ARRAY, 0, OID_INT4},
    {DB_KIND_I64_ARRAY, OID_INT8_ARRAY, OID_XID8_ARRAY, OID_INT8},
    {DB_KIND_BOOL_ARRAY, OID_BOOL_ARRAY, 0, OID_BOOL},
    {DB_KIND_TEXT_ARRAY, OID_TEXT_ARRAY, OID_VARCHAR_ARRAY, OID_TEXT},
    {DB_KIND_BYTES_ARRAY, OID_BYTEA_ARRAY, 0, OID_BYTEA},
    {DB_KIND_TIME_ARRAY, OID_TIMESTAMPTZ_ARRAY, 0, OID_TIMESTAMPTZ},
    {DB_KIND_DATE_ARRAY, OID_DATE_ARRAY, 0, OID_DATE},
    {DB_KIND_UUID_ARRAY, OID_UUID_ARRAY, 0, OID_UUID},
};

static const array_kind *array_kind_of(db_kind kind) {
    for (size_t i = 0; i < ARRAY_LEN(ARRAYS); i++)
        if (ARRAYS[i].kind == kind) return &ARRAYS[i];
    return NULL;
}

static uint64_t time_bits(instant_ms at) { return (uint64_t)((at - POSTGRES_EPOCH_MS) * 1000); }

static uint32_t date_bits(int64_t days) { return (uint32_t)(int32_t)(days - POSTGRES_EPOCH_DAYS); }

static bool is_null_element(const db_param *param, size_t at) {
    if (param->nulls && param->nulls[at]) return true;
    bool holds_views = param->kind == DB_KIND_TEXT_ARRAY || param->kind == DB_KIND_BYTES_ARRAY;
    return holds_views && !((const sv *)param->items)[at].ptr;
}

static void add_element(buf *out, const db_param *param, size_t at) {
    switch (param->kind) {
        case DB_KIND_I16_ARRAY: add_u32(out, 2), add_u16(out, (uint16_t)((const int16_t *)param->items)[at]); return;
        case DB_KIND_I32_ARRAY: add_u32(out, 4), add_u32(out, (uint32_t)((const int32_t *)param->items)[at]); return;
        case DB_KIND_I64_ARRAY: add_u32(out, 8), add_u64(out, (uint64_t)((const int64_t *)param->items)[at]); return;
        case DB_KIND_BOOL_ARRAY: add_u32(out, 1), *reserve(out, 1) = ((const bool *)param->items)[at] ? 1 : 0; return;
        case DB_KIND_TIME_ARRAY: add_u32(out, 8), add_u64(out, time_bits(((const instant_ms *)param->items)[at])); return;
        case DB_KIND_DATE_ARRAY: add_u32(out, 4), add_u32(out, date_bits(((const int32_t *)param->items)[at])); return;
        case DB_KIND_UUID_ARRAY: add_sized(out, sv_slice(((const uuid *)param->items)[at].bytes, 16)); return;
        case DB_KIND_TEXT_ARRAY:
        case DB_KIND_BYTES_ARRAY: add_sized(out, ((const sv *)param->items)[at]); return;
        case DB_KIND_NULL:
        case DB_KIND_INT:
        case DB_KIND_BOOL:
        case DB_KIND_TEXT:
        case DB_KIND_BYTES:
        case DB_KIND_TIME:
        case DB_KIND_DATE:
        case DB_KIND_UUID: BUG("not an array");
    }
}

static bool encode_array(buf *out, const db_param *param, uint32_t oid) {
    const array_kind *kind = array_kind_of(param->kind);
    if (!kind || (oid != kind->array_oid && (!kind->other_oid || oid != kind->other_oid))) return false;
    uint32_t element_oid = oid == OID_XID8_ARRAY ? OID_XID8 : oid == OID_VARCHAR_ARRAY ? OID_VARCHAR : kind->element_oid;
    add_u32(out, param->len ? 1 : 0);
    char *has_nulls = reserve(out, 4);
    db_encode_u32(has_nulls, 0);
    size_t flag_at = (size_t)(has_nulls - out->ptr);
    add_u32(out, element_oid);
    if (param->len == 0) return true;
    add_u32(out, (uint32_t)param->len);
    add_u32(out, 1);
    for (size_t i = 0; i < param->len; i++) {
        if (is_null_element(param, i)) {
            add_u32(out, UINT32_MAX);
            db_encode_u32(out->ptr + flag_at, 1);
        } else {
            add_element(out, param, i);
        }
    }
    return true;
}

static bool encode_int(buf *out, int64_t value, uint32_t oid) {
    switch (oid) {
        case OID_INT8:
        case OID_XID8: add_u64(out, (uint64_t)value); return true;
        case OID_INT4:
            if (value < INT32_MIN || value > INT32_MAX) return false;
            add_u32(out, (uint32_t)(int32_t)value);
            return true;
        case OID_OID:
            if (value < 0 || value > UINT32_MAX) return false;
            add_u32(out, (uint32_t)value);
            return true;
        case OID_INT2:
            if (value < INT16_MIN || value > INT16_MAX) return false;
            add_u16(out, (uint16_t)(int16_t)value);
            return true;
        default: return false;
    }
}

static bool encode_text(buf *out, sv text, uint32_t oid) {
    bool fits = oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_BPCHAR || oid == OID_NAME || oid == OID_JSON || oid == OID_JSONB;
    if (!fits) return false;
    if (oid == OID_JSONB) *reserve(out, 1) = 1;  // version of the binary form
    if (text.len) memcpy(reserve(out, text.len), text.ptr, text.len);
    return true;
}

static bool encode_one(buf *out, const db_param *param, uint32_t oid) {
    switch (param->kind) {
        case DB_KIND_NULL: return true;
        case DB_KIND_INT: return encode_int(out, param->number, oid);
        case DB_KIND_BOOL: *reserve(out, 1) = (char)param->number; return oid == OID_BOOL;
        case DB_KIND_TEXT: return encode_text(out, param->bytes, oid);
        case DB_KIND_BYTES:
            if (param->bytes.len) memcpy(reserve(out, param->bytes.len), param->bytes.ptr, param->bytes.len);
            return oid == OID_BYTEA;
        case DB_KIND_TIME: add_u64(out, time_bits(param->number)); return oid == OID_TIMESTAMPTZ;
        case DB_KIND_DATE: add_u32(out, date_bits(param->number)); return oid == OID_DATE;
        case DB_KIND_UUID: memcpy(reserve(out, 16), param->id.bytes, 16); return oid == OID_UUID;
        case DB_KIND_I16_ARRAY:
        case DB_KIND_I32_ARRAY:
        case DB_KIND_I64_ARRAY:
        case DB_KIND_BOOL_ARRAY:
        case DB_KIND_TEXT_ARRAY:
        case DB_KIND_BYTES_ARRAY:
        case DB_KIND_TIME_ARRAY:
        case DB_KIND_DATE_ARRAY:
        case DB_KIND_UUID_ARRAY: return encode_array(out, param, oid);
    }
    return false;
}

static bool is_null(const db_param *param) {
    bool is_view = param->kind == DB_KIND_TEXT || param->kind == DB_KIND_BYTES;
    return param->kind == DB_KIND_NULL || (is_view && !param->bytes.ptr);
}

void db_encode_params(db *self, const prepared *target, db_params params, encoded_params *out_encoded) {
    if ((size_t)target->param_count != params.len || params.len > PARAMS_MAX)
        db_bug(target->statement, "number of parameters", (int64_t)params.len);
    size_t starts[PARAMS_MAX + 1];
    buf_clear(&self->encoded);
    for (size_t i = 0; i < params.len; i++) {
        starts[i] = self->encoded.len;
        if (!is_null(&params.items[i]) && !encode_one(&self->encoded, &params.items[i], target->param_oids[i]))
            db_bug(target->statement, "type or range of parameter $", (int64_t)i + 1);
    }
    starts[params.len] = self->encoded.len;
    const char *base = buf_cstr(&self->encoded);  // stands still from here on
    for (size_t i = 0; i < params.len; i++) {
        out_encoded->values[i] = is_null(&params.items[i]) ? NULL : base + starts[i];
        out_encoded->lengths[i] = (int)(starts[i + 1] - starts[i]);
        out_encoded->formats[i] = 1;
    }
}
