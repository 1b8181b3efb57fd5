// libs/db against a real server: types both ways, errors, transactions, COPY, locks, notices, pool.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/copy.h"
#include "db/db.h"
#include "db/pool.h"
#include "infra_test_sql.h"

static db_options test_options(void) {
    const char *conninfo = getenv("PENSTOCK_DATABASE");
    assert_non_null(conninfo);
    db_options options = db_options_default(conninfo, "penstock_admin", "db-test");
    options.idle_in_transaction_timeout_ms = 0;
    return options;
}

static db *open_one(void) {
    db_options options = test_options();
    db *conn = NULL;
    fault why = {0};
    if (db_open(&options, &conn, &why)) fail_msg("%s", why.reason);
    return conn;
}

#define OK(call) assert_int_equal((call), ERR_OK)

static void values_travel_both_ways(void **state) {
    (void)state;
    AUTO_DB conn = open_one();
    OK(db_exec(conn, &SQL_T_CREATE, DB_NO_PARAMS, NULL));
    static const struct {
        int64_t num;
        int16_t small;
        bool flag;
        sv words, bytes;
        instant_ms at;
        int32_t day;
        sv doc;
    } ROWS[] = {
        {1, 0, true, {"", 0}, {"", 0}, 0, 0, {"{}", 2}},
        {INT64_MAX, INT16_MAX, false, {"Zähler 电表", 14}, {"\0\377\n", 3}, 1700000000123LL, 20000, {"{\"a\": 1}", 8}},
        {INT64_MIN, INT16_MIN, true, {"x", 1}, {"y", 1}, -62135596800000LL, -719162, {"[1]", 3}},
        {2, -1, false, {NULL, 0}, {NULL, 0}, 253402300799999LL, 2932896, {NULL, 0}},
    };
    uuid id = uuid_v7_now();
    int64_t affected = 0;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        OK(db_exec(conn, &SQL_T_INSERT,
                   DB_PARAMS(DB_I64(ROWS[i].num), DB_I16(ROWS[i].small), DB_BOOL(ROWS[i].flag), DB_TEXT(ROWS[i].words),
                             DB_BYTES(ROWS[i].bytes), DB_TIME(ROWS[i].at), DB_DATE(ROWS[i].day), DB_UUID(id), DB_TEXT(ROWS[i].doc)),
                   &affected));
        assert_int_equal(affected, 1);
    }
    AUTO(db_rows) rows = {0};
    OK(db_query(conn, &SQL_T_SELECT, DB_NO_PARAMS, &rows));
    assert_int_equal(rows.len, ARRAY_LEN(ROWS));
    static const size_t ORDER[] = {2, 0, 3, 1};
    for (size_t i = 0; i < rows.len; i++) {
        size_t want = ORDER[i];
        assert_true(db_i64(&rows, i, 0) == ROWS[want].num);
        assert_int_equal(db_i64(&rows, i, 1), ROWS[want].small);
        assert_int_equal(db_bool(&rows, i, 2), ROWS[want].flag);
        assert_true(sv_equal(db_text(&rows, i, 3), ROWS[want].words));
        assert_int_equal(db_is_null(&rows, i, 3), ROWS[want].words.ptr == NULL);
        assert_true(sv_equal(db_bytes(&rows, i, 4), ROWS[want].bytes));
        assert_true(db_time(&rows, i, 5) == ROWS[want].at);
        assert_int_equal(db_date(&rows, i, 6), ROWS[want].day);
        assert_memory_equal(db_uuid(&rows, i, 7).bytes, id.bytes, 16);
        assert_true(sv_equal(db_text(&rows, i, 8), ROWS[want].doc));
    }
}

static void arrays_travel_both_ways(void **state) {
    (void)state;
    AUTO_DB conn = open_one();
    static const int64_t A[] = {1, INT64_MIN, INT64_MAX};
    static const int32_t B[] = {1, INT32_MIN, INT32_MAX};
    static const int16_t C[] = {1, INT16_MIN, INT16_MAX};
    static const bool D[] = {true, false, true};
    static const sv E[] = {{"", 0}, {NULL, 0}, {"a\"{,}\\", 6}};
    static const sv F[] = {{"\0", 1}, {"b", 1}, {NULL, 0}};
    static const instant_ms G[] = {0, -1, 1700000000001LL};
    static const int32_t H[] = {0, -1, 20000};
    const uuid I[] = {uuid_v7_now(), uuid_v7_now(), uuid_v7_now()};
    static const bool NULLS[] = {false, true, false};
    AUTO(db_rows) rows = {0};
    OK(db_query(conn, &SQL_T_UNNEST,
                DB_PARAMS(DB_I64_ARRAY(A, 3), DB_I32_ARRAY(B, 3), DB_I16_ARRAY(C, 3), DB_BOOL_ARRAY(D, 3), DB_TEXT_ARRAY(E, 3),
                          DB_BYTES_ARRAY(F, 3), DB_TIME_ARRAY(G, 3), db_param_with_nulls(DB_DATE_ARRAY(H, 3), NULLS), DB_UUID_ARRAY(I, 3)),
                &rows));
    assert_int_equal(rows.len, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(db_i64(&rows, i, 0) == A[i]);
        assert_int_equal(db_i64(&rows, i, 1), B[i]);
        assert_int_equal(db_i64(&rows, i, 2), C[i]);
        assert_int_equal(db_bool(&rows, i, 3), D[i]);
        assert_true(sv_equal(db_text(&rows, i, 4), E[i]));
        assert_int_equal(db_is_null(&rows, i, 4), E[i].ptr == NULL);
        assert_true(sv_equal(db_bytes(&rows, i, 5), F[i]));
        assert_true(db_time(&rows, i, 6) == G[i]);
        assert_int_equal(db_is_null(&rows, i, 7), NULLS[i]);
        if (!NULLS[i]) assert_int_equal(db_date(&rows, i, 7), H[i]);
        assert_memory_equal(db_uuid(&rows, i, 8).bytes, I[i].bytes, 16);
    }
    db_rows_done(&rows);
    OK(db_query(conn, &SQL_T_UNNEST,
                DB_PARAMS(DB_I64_ARRAY(A, 0), DB_I32_ARRAY(B, 0), DB_I16_ARRAY(C, 0), DB_BOOL_ARRAY(D, 0), DB_TEXT_ARRAY(E, 0),
                          DB_BYTES_ARRAY(F, 0), DB_TIME_ARRAY(G, 0), DB_DATE_ARRAY(H, 0), DB_UUID_ARRAY(I, 0)),
                &rows));
    assert_int_equal(rows.len, 0);
    db_rows_done(&rows);
    OK(db_query_one(conn, &SQL_T_ARRAYS, DB_NO_PARAMS, &rows));
    int64_t items[2] = {0};
    assert_int_equal(db_i64_items(&rows, 0, 0, items, 2), 3);
    assert_int_equal(items[1], 2);
    assert_int_equal(db_i64_items(&rows, 0, 1, items, 2), 2);
    assert_int_equal(items[1], 5);
    assert_int_equal(db_i64_items(&rows, 0, 2, items, 2), 2);
    assert_int_equal(items[0], 6);
    assert_int_equal(db_i64_items(&rows, 0, 3, items, 2), 0);
}

static void errors_are_told_apart(void **state) {
    (void)state;
    AUTO_DB conn = open_one();
    OK(db_exec(conn, &SQL_T_CREATE, DB_NO_PARAMS, NULL));
    uuid id = uuid_v7_now();
#define INSERT_ONE               \
    db_exec(conn, &SQL_T_INSERT, \
            DB_PARAMS(DB_I64(1), DB_I16(1), DB_BOOL(true), DB_NULL, DB_NULL, DB_TIME(0), DB_NULL, DB_UUID(id), DB_NULL), NULL)
    OK(INSERT_ONE);
    assert_int_equal(INSERT_ONE, ERR_CONFLICT);
    assert_string_equal(db_constraint(conn), "thing_num_pk");
    assert_string_equal(db_sqlstate(conn), "23505");
    AUTO(db_rows) rows = {0};
    assert_int_equal(db_query(conn, &SQL_T_DIVIDE, DB_PARAMS(DB_I32(0)), &rows), ERR_BAD_INPUT);
    assert_int_equal(db_exec(conn, &SQL_T_RAISE, DB_NO_PARAMS, NULL), ERR_BAD_INPUT);
    assert_int_equal(db_query(conn, &SQL_T_FORBIDDEN, DB_NO_PARAMS, &rows), ERR_FORBIDDEN);
    assert_int_equal(db_query_one(conn, &SQL_T_ONE_OF, DB_PARAMS(DB_CSTR("nobody")), &rows), ERR_NOT_FOUND);
    OK(db_exec(conn, &SQL_T_SET_LOW_TIMEOUT, DB_NO_PARAMS, NULL));
    assert_int_equal(db_query(conn, &SQL_T_SLEEP, DB_PARAMS(DB_I32(5)), &rows), ERR_TIMEOUT);
    assert_false(db_is_broken(conn));
    db_options options = test_options();
    options.conninfo = "host=/nonexistent dbname=x";
    db *none = NULL;
    fault why = {0};
    assert_int_equal(db_open(&options, &none, &why), ERR_UNAVAILABLE);
    assert_true(why.reason[0] != '\0');
    options.conninfo = "no such words";
    assert_int_equal(db_open(&options, &none, &why), ERR_BAD_INPUT);
}

static void sessions_are_set_up(void **state) {
    (void)state;
    AUTO_DB conn = open_one();
    AUTO(db_rows) row = {0};
    OK(db_query_one(conn, &SQL_T_SETTINGS, DB_NO_PARAMS, &row));
    assert_true(sv_equal(db_text(&row, 0, 0), SV("UTC")));
    assert_true(sv_equal(db_text(&row, 0, 1), SV("pg_catalog")));
    assert_true(sv_equal(db_text(&row, 0, 2), SV("5s")));
    assert_true(sv_equal(db_text(&row, 0, 3), SV("db-test")));
}

static int64_t count_things(db *conn) {
    AUTO(db_rows) row = {0};
    OK(db_query_one(conn, &SQL_T_COUNT, DB_NO_PARAMS, &row));
    return db_i64(&row, 0, 0);
}

static err_t insert_num(db *conn, int64_t num) {
    return db_exec(conn, &SQL_T_INSERT, DB_PARAMS(DB_I64(num), DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_NULL),
                   NULL);
}

static err_t leave_early(db *conn) {
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(conn, &tx);
    if (!err) err = insert_num(conn, 7);
    return err ? err : ERR_BUSY;  // without a commit
}

static void transactions_end_with_their_scope(void **state) {
    (void)state;
    AUTO_DB conn = open_one();
    OK(db_exec(conn, &SQL_T_CREATE, DB_NO_PARAMS, NULL));
    assert_int_equal(leave_early(conn), ERR_BUSY);
    assert_int_equal(count_things(conn), 0);
    db_tx tx = {0};
    OK(db_begin(conn, &tx));
    OK(db_set_company(conn, 17));
    AUTO(db_rows) row = {0};
    OK(db_query_one(conn, &SQL_T_COMPANY, DB_NO_PARAMS, &row));
    assert_true(sv_equal(db_text(&row, 0, 0), SV("17")));
    OK(insert_num(conn, 1));
    OK(db_commit(&tx));
    assert_int_equal(count_things(conn), 1);
    db_rows_done(&row);
    OK(db_query_one(conn, &SQL_T_COMPANY, DB_NO_PARAMS, &row));
    assert_int_equal(db_text(&row, 0, 0).len, 0);
    // A failed statement fails the whole transaction with its own error, also at commit.
    OK(db_begin(conn, &tx));
    OK(insert_num(conn, 2));
    assert_int_equal(insert_num(conn, 1), ERR_CONFLICT);
    assert_int_equal(insert_num(conn, 3), ERR_CONFLICT);
    assert_int_equal(db_commit(&tx), ERR_CONFLICT);
    assert_int_equal(count_things(conn), 1);
    // What is refused at commit only is an error of its kind, not uncertain.
    OK(db_exec(conn, &SQL_T_DEFERRED, DB_NO_PARAMS, NULL));
    OK(db_begin(conn, &tx));
    OK(db_exec(conn, &SQL_T_DEFERRED_INSERT, DB_NO_PARAMS, NULL));
    assert_int_equal(db_commit(&tx), ERR_CONFLICT);
    assert_string_equal(db_constraint(conn), "strict_thing_uq");
}

static void kill_backend(int32_t pid) {
    AUTO_DB other = open_one();
    AUTO(db_rows) row = {0};
    OK(db_query_one(other, &SQL_T_KILL, DB_PARAMS(DB_I32(pid)), &row));
    usleep(100 * 1000);
}

static void a_lost_connection_is_known(void **state) {
    (void)state;
    AUTO_DB conn = open_one();
    AUTO(db_rows) row = {0};
    kill_backend(db_backend_pid(conn));
    assert_int_equal(db_query(conn, &SQL_T_SETTINGS, DB_NO_PARAMS, &row), ERR_UNAVAILABLE);
    assert_true(db_is_broken(conn));
    assert_int_equal(db_query(conn, &SQL_T_SETTINGS, DB_NO_PARAMS, &row), ERR_UNAVAILABLE);
    OK(db_reset(conn, NULL));
    OK(db_query(conn, &SQL_T_SETTINGS, DB_NO_PARAMS, &row));
    db_tx tx = {0};
    OK(db_begin(conn, &tx));
    kill_backend(db_backend_pid(conn));
    assert_int_equal(db_commit(&tx), ERR_UNCERTAIN);
    assert_true(db_is_broken(conn));
}

static void copy_writes_rows(void **state) {
    (void)state;
    enum { ROWS = 50000 };
    AUTO_DB conn = open_one();
    OK(db_exec(conn, &SQL_T_CREATE, DB_NO_PARAMS, NULL));
    uuid id = uuid_v7_now();
    db_copy copy = {0};
    OK(db_copy_open(conn, &SQL_T_COPY, DB_NO_LEAF, &copy));
    for (int64_t i = 0; i < ROWS; i++) {
        db_copy_row(&copy, 8);
        db_copy_i64(&copy, i);
        db_copy_i16(&copy, (int16_t)(i % 100));
        db_copy_bool(&copy, i % 2 == 0);
        db_copy_text(&copy, SV("word"));
        db_copy_text(&copy, i % 3 ? SV("\0b") : SV_NONE);
        db_copy_time(&copy, 1700000000000LL + i);
        db_copy_date(&copy, (int32_t)i);
        db_copy_uuid(&copy, id);
    }
    int64_t stored = 0;
    OK(db_copy_close(&copy, &stored));
    assert_int_equal(stored, ROWS);
    AUTO(db_rows) rows = {0};
    OK(db_query(conn, &SQL_T_SELECT, DB_NO_PARAMS, &rows));
    assert_int_equal(rows.len, ROWS);
    assert_true(db_time(&rows, 777, 5) == 1700000000777LL);
    assert_int_equal(db_date(&rows, 777, 6), 777);
    assert_true(db_is_null(&rows, 777, 4));
    assert_true(sv_equal(db_bytes(&rows, 778, 4), SV("\0b")));
    // A violated constraint comes back at the end and nothing stays.
    OK(db_copy_open(conn, &SQL_T_COPY, DB_NO_LEAF, &copy));
    db_copy_row(&copy, 8);
    db_copy_i64(&copy, 5);
    for (int i = 0; i < 7; i++) db_copy_null(&copy);
    assert_int_equal(db_copy_close(&copy, NULL), ERR_CONFLICT);
    assert_string_equal(db_constraint(conn), "thing_num_pk");
    assert_int_equal(count_things(conn), ROWS);
    {
        AUTO(db_copy) abandoned = {0};
        OK(db_copy_open(conn, &SQL_T_COPY, DB_NO_LEAF, &abandoned));
        db_copy_row(&abandoned, 8);
        db_copy_i64(&abandoned, -1);
        for (int i = 0; i < 7; i++) db_copy_null(&abandoned);
    }
    assert_int_equal(count_things(conn), ROWS);
    OK(db_exec(conn, &SQL_T_CREATE_LEAF, DB_NO_PARAMS, NULL));
    OK(db_copy_open(conn, &SQL_T_COPY_LEAF, 20261121, &copy));
    db_copy_row(&copy, 1);
    db_copy_i64(&copy, 5);
    OK(db_copy_close(&copy, NULL));
    AUTO(db_rows) row = {0};
    OK(db_query_one(conn, &SQL_T_COUNT_LEAF, DB_NO_PARAMS, &row));
    assert_int_equal(db_i64(&row, 0, 0), 1);
}

static void locks_belong_to_connections(void **state) {
    (void)state;
    AUTO_DB a = open_one();
    AUTO_DB b = open_one();
    bool taken = false;
    OK(db_try_lock(a, 4711, 1, &taken));
    assert_true(taken);
    OK(db_try_lock(b, 4711, 1, &taken));
    assert_false(taken);
    OK(db_try_lock(b, 4711, 2, &taken));
    assert_true(taken);
    OK(db_unlock(a, 4711, 1));
    OK(db_try_lock(b, 4711, 1, &taken));
    assert_true(taken);
    OK(db_reset(b, NULL));
    for (int i = 0; i < 100; i++) {  // the server notices the lost session a moment later
        OK(db_try_lock(a, 4711, 2, &taken));
        if (taken) break;
        usleep(20 * 1000);
    }
    assert_true(taken);
}

static void notices_arrive(void **state) {
    (void)state;
    AUTO_DB listener = open_one();
    AUTO_DB sender = open_one();
    db_notice notice = {0};
    bool got = true;
    OK(db_listen(listener, "infra_test"));
    OK(db_wait_notice(listener, 20, &notice, &got));
    assert_false(got);
    AUTO(db_rows) row = {0};
    OK(db_query(sender, &SQL_T_NOTIFY, DB_PARAMS(DB_CSTR("hello")), &row));
    OK(db_wait_notice(listener, 2000, &notice, &got));
    assert_true(got);
    assert_string_equal(notice.channel, "infra_test");
    assert_string_equal(notice.payload, "hello");
}

static void *give_later(void *argument) {
    void **both = argument;
    usleep(100 * 1000);
    db_pool_give(both[0], both[1]);
    return NULL;
}

static void pools_are_bounded(void **state) {
    (void)state;
    db_options options = test_options();
    db_pool *pool = db_pool_new(&options, 2);
    db *a = NULL, *b = NULL, *c = NULL;
    OK(db_pool_take(pool, 100, &a));
    OK(db_pool_take(pool, 100, &b));
    int64_t before = clock_monotonic_ms();
    assert_int_equal(db_pool_take(pool, 50, &c), ERR_BUSY);
    assert_in_range(clock_monotonic_ms() - before, 45, 1000);
    int32_t pid_of_a = db_backend_pid(a);
    void *both[] = {pool, a};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, give_later, both), 0);
    OK(db_pool_take(pool, 3000, &c));
    pthread_join(thread, NULL);
    assert_int_equal(db_backend_pid(c), pid_of_a);
    // One given back in the middle of a transaction is not handed on.
    db_tx tx = {0};
    OK(db_begin(c, &tx));
    db_pool_give(pool, c);
    OK(db_pool_take(pool, 100, &c));
    assert_int_not_equal(db_backend_pid(c), pid_of_a);
    db_pool_give(pool, b);
    db_pool_give(pool, c);
    db_pool_free(pool);
}

static void the_kth_operation_can_be_made_to_fail(void **state) {
    (void)state;
#ifndef PENSTOCK_CRASH_POINTS
    skip();
#else
    AUTO_DB conn = open_one();
    AUTO(db_rows) row = {0};
    setenv("PENSTOCK_DB_FAIL", "2:before", 1);
    OK(db_query(conn, &SQL_T_SETTINGS, DB_NO_PARAMS, &row));
    db_rows_done(&row);
    assert_int_equal(db_query(conn, &SQL_T_SETTINGS, DB_NO_PARAMS, &row), ERR_UNAVAILABLE);
    OK(db_reset(conn, NULL));
    OK(db_exec(conn, &SQL_T_CREATE, DB_NO_PARAMS, NULL));  // the 3rd
    db_tx tx = {0};
    OK(db_begin(conn, &tx));
    OK(insert_num(conn, 1));
    setenv("PENSTOCK_DB_FAIL", "6:after", 1);
    assert_int_equal(db_commit(&tx), ERR_UNCERTAIN);
    unsetenv("PENSTOCK_DB_FAIL");
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_travel_both_ways),
        cmocka_unit_test(arrays_travel_both_ways),
        cmocka_unit_test(errors_are_told_apart),
        cmocka_unit_test(sessions_are_set_up),
        cmocka_unit_test(transactions_end_with_their_scope),
        cmocka_unit_test(a_lost_connection_is_known),
        cmocka_unit_test(copy_writes_rows),
        cmocka_unit_test(locks_belong_to_connections),
        cmocka_unit_test(notices_arrive),
        cmocka_unit_test(pools_are_bounded),
        cmocka_unit_test(the_kth_operation_can_be_made_to_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
