// Nothing is lost: every record of a claimed block was stored, set aside with a reason, or repeats what is stored.
#include "ctl_sql.h"
#include "metering/block.h"
#include "verify.h"

typedef struct missing_records {
    size_t len;
    int32_t ordinal[READING_BLOCK_MAX];
    int64_t channel[READING_BLOCK_MAX];
    int16_t reg[READING_BLOCK_MAX];
    instant_ms at[READING_BLOCK_MAX];
    int64_t value[READING_BLOCK_MAX];
} missing_records;

static void missing_find(const reading_record *records, size_t count, const int64_t *kept, size_t kept_count, int32_t company,
                         missing_records *out) {
    bool is_kept[READING_BLOCK_MAX] = {false};
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i] >= 0 && kept[i] < READING_BLOCK_MAX) is_kept[kept[i]] = true;
    out->len = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_kept[i] || (company && records[i].company != company)) continue;
        out->ordinal[out->len] = (int32_t)i;
        out->channel[out->len] = records[i].channel;
        out->reg[out->len] = records[i].reg;
        out->at[out->len] = records[i].at;
        out->value[out->len++] = records[i].value;
    }
}

static err_t block_verify(db *conn, int64_t block, const missing_records *missing, verify_check *out) {
    AUTO(db_rows) lost = {0};
    err_t err = db_query(conn, &SQL_VERIFY_LOST_RECORDS,
                         DB_PARAMS(DB_I32_ARRAY(missing->ordinal, missing->len), DB_I64_ARRAY(missing->channel, missing->len),
                                   DB_I16_ARRAY(missing->reg, missing->len), DB_TIME_ARRAY(missing->at, missing->len),
                                   DB_I64_ARRAY(missing->value, missing->len)),
                         &lost);
    for (size_t i = 0; i < lost.len && !err; i++)
        verify_differ(out, "record %lld of block %lld was claimed but is neither stored nor set aside", (long long)db_i64(&lost, i, 0),
                      (long long)block);
    return err;
}

err_t verify_records_run(db *conn, int32_t company, instant_ms now, verify_check *out) {
    *out = (verify_check){.name = "claimed records are stored or set aside"};
    AUTO(db_rows) total = {0}, rows = {0};
    err_t err = db_query_one(conn, &SQL_VERIFY_CLAIMED_RECORDS, DB_PARAMS(DB_TIME(now)), &total);
    if (err) return err;
    out->checked = db_i64(&total, 0, 0);
    err = db_query(conn, &SQL_VERIFY_INCOMPLETE_BLOCKS, DB_PARAMS(DB_TIME(now)), &rows);
    for (size_t i = 0; i < rows.len && !err; i++) {
        reading_record records[READING_BLOCK_MAX];
        int64_t kept[READING_BLOCK_MAX];
        missing_records missing;
        size_t count = 0;
        if (reading_block_unpack(db_bytes(&rows, i, 1), records, &count)) {
            verify_differ(out, "block %lld cannot be read", (long long)db_i64(&rows, i, 0));
            continue;
        }
        size_t kept_count = db_i64_items(&rows, i, 2, kept, READING_BLOCK_MAX);
        missing_find(records, count, kept, kept_count < READING_BLOCK_MAX ? kept_count : READING_BLOCK_MAX, company, &missing);
        if (missing.len) err = block_verify(conn, db_i64(&rows, i, 0), &missing, out);
    }
    return err;
}
