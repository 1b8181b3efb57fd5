// A bounded set of connections for threads that come and go; a thread waits for one up to its deadline.
#pragma once

#include "db/db.h"

typedef struct db_pool db_pool;

// Opens no connection yet; texts of `options` are copied.
db_pool *db_pool_new(const db_options *options, size_t size);
void db_pool_free(db_pool *self);  // every connection must have been given back

// ERR_BUSY when none came free within `wait_ms`, ERR_UNAVAILABLE when the server cannot be reached.
err_t db_pool_take(db_pool *self, int32_t wait_ms, db **out_conn) MUST_CHECK;
// A broken connection, or one with an open transaction, is closed; the next taker opens a new one.
void db_pool_give(db_pool *self, db *take_conn);
