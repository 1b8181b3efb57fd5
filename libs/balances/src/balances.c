#include "balances/balances.h"

#include "balances_sql.h"

err_t balances_at(db *conn, const balance_question *asked, money_micro *out_balances) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(
        conn, &SQL_BALANCES_AT,
        DB_PARAMS(DB_I32(asked->company), DB_I64_ARRAY(asked->purses, asked->count), DB_TIME(asked->as_of), DB_TIME(asked->known_at)),
        &rows);
    for (size_t i = 0; i < rows.len; i++) out_balances[i] = db_i64(&rows, i, 0);
    return err;
}
