// Every statement of one set is prepared and described against the migrated schema: a renamed column, a wrong type or a
// missing function is found here and not at the first use.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "db/db.h"

static db *open_database(void) {
    const char *conninfo = getenv("PENSTOCK_OWNER_DATABASE");
    if (conninfo == NULL) conninfo = getenv("PENSTOCK_DATABASE");
    if (conninfo == NULL) fail_msg("PENSTOCK_OWNER_DATABASE names no database");
    db_options options = db_options_default(conninfo, NULL, "statements");
#ifdef STATEMENTS_SEARCH_PATH
    options.search_path = STATEMENTS_SEARCH_PATH;
#endif
    db *conn = NULL;
    fault why = {0};
    if (db_open(&options, &conn, &why) != ERR_OK) fail_msg("%s", why.reason);
    return conn;
}

static void each_statement_fits_the_schema(void **state) {
    (void)state;
    AUTO_DB conn = open_database();
    size_t refused = 0;
    assert_true(STATEMENTS_COUNT > 0);
    for (size_t i = 0; i < STATEMENTS_COUNT; i++) {
        int params = -1;
        int columns = -1;
        err_t err = db_describe(conn, STATEMENTS[i], &params, &columns);
        if (err != ERR_OK) print_error("%s: %s\n", STATEMENTS[i]->name, db_error_text(conn));
        refused += err != ERR_OK;
    }
    assert_int_equal(refused, 0);
}

// The test itself must notice: one that names what is not there, one with a type that does not fit.
static void a_statement_that_does_not_fit_is_noticed(void **state) {
    (void)state;
    AUTO_DB conn = open_database();
    static const db_statement BAD[] = {{"bad_table", "select 1 from core.no_such_table"},
                                       {"bad_type", "select 1 from core.company where company_id = $1 and code = $1"}};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        int params = 0;
        int columns = 0;
        assert_int_not_equal(db_describe(conn, &BAD[i], &params, &columns), ERR_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_statement_fits_the_schema),
        cmocka_unit_test(a_statement_that_does_not_fit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
