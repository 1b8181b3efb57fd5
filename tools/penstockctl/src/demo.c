// penstockctl demo load: two companies with three properties, their past, and the simulator that goes on from there. All
// in one transaction: a demo is loaded whole or not at all.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "command.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "demo_load.h"

#define MEMORY_MAX (4ULL << 30)
#define FLEET_BYTES_MAX (256u << 20)
#define PARTITIONS_DEFAULT "64"
#define PARTITIONS_MAX 1024
#define PASSWORD_BYTES 12

typedef struct demo_request {
    demo_params params;
    const char *fleet_out;  // NULL: none wanted
    long long partitions;
} demo_request;

static int demo_run(const demo_request *request);

int ctl_demo_load(int argc, char **argv) {
    const char *meters = "300", *days = "60", *seed = "1", *fleet_out = NULL;
    const ctl_option options[] = {
        {"--meters", "N", "how many meters (300)", &meters, NULL},
        {"--days", "D", "days of hourly history, 1 to 400 (60)", &days, NULL},
        {"--seed", "S", "another number, another demo (1)", &seed, NULL},
        {"--fleet-out", "FILE", "write the configuration of penstock-fleet, readable by you alone", &fleet_out, NULL},
        {0}};
    const ctl_usage usage = {"demo load", NULL,
                             "Loads two companies with three properties, customers, meters, tariffs and operators, and puts the\n"
                             "past readings into the journal, for billing to charge. PENSTOCK_MASTER_KEY_FILE seals the secrets;\n"
                             "PENSTOCK_INGEST_TCP_LISTEN and PENSTOCK_INGEST_HTTP_LISTEN tell the fleet where to connect.\n"
                             "On a database with a demo it only writes the fleet's configuration.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    demo_request request = {.fleet_out = fleet_out};
    const char *partitions = getenv("PENSTOCK_PARTITIONS");
    long long numbers[3] = {0};
    if (!ctl_option_number("--meters", meters, DEMO_METERS_MIN, DEMO_METERS_MAX, &numbers[0]) ||
        !ctl_option_number("--days", days, 1, 400, &numbers[1]) || !ctl_option_number("--seed", seed, 0, INT64_MAX, &numbers[2]) ||
        !ctl_option_number("PENSTOCK_PARTITIONS", partitions && partitions[0] ? partitions : PARTITIONS_DEFAULT, 1, PARTITIONS_MAX,
                           &request.partitions))
        return CTL_BAD_INPUT;
    penstock_clock clock = clock_system();
    request.params = (demo_params){numbers[0], numbers[1], numbers[2], clock_now(&clock) / HOUR_MS * HOUR_MS};
    return demo_run(&request);
}

static bool keyring_load(crypto_keyring **out_keyring) {
    const char *path = getenv("PENSTOCK_MASTER_KEY_FILE");
    if (!path || !path[0]) {
        ctl_say("PENSTOCK_MASTER_KEY_FILE is not set: it names the key that seals secrets");
        return false;
    }
    fault why = {0};
    if (!crypto_keyring_load(path, out_keyring, &why)) return true;
    ctl_fault(path, &why);
    return false;
}

static bool fleet_write(const demo_request *request, db *conn, const demo_plan *plan, const crypto_keyring *keyring, arena *memory) {
    AUTO(buf) text;
    buf_init(&text, FLEET_BYTES_MAX);
    fault why = {0};
    if (demo_fleet_text(conn, plan, keyring, memory, &text, &why)) {
        ctl_fault("the fleet's configuration", &why);
        return false;
    }
    int fd = open(request->fleet_out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t written = 0;
    while (fd >= 0 && written < text.len) {
        ssize_t more = write(fd, text.ptr + written, text.len - written);
        if (more <= 0) break;
        written += (size_t)more;
    }
    if (fd < 0 || written < text.len || close(fd) != 0) {
        ctl_say("%s: %s", request->fleet_out, strerror(errno));
        return false;
    }
    printf("fleet      %s: %zu gateways, %zu meters\n", request->fleet_out, plan->gateway_count, plan->unit_count);
    return true;
}

static bool operators_prepare(demo_operator *operators) {
    for (size_t i = 0; i < DEMO_OPERATORS; i++) {
        demo_operator *one = &operators[i];
        bool is_manager = i % 2 == 0;
        one->company = i / 2;
        one->login = is_manager ? "manager" : "viewer";
        one->role = one->login;
        crypto_token(PASSWORD_BYTES, one->password);
        if (crypto_password_hash(sv_of(one->password), one->hash)) return false;
    }
    return true;
}

static void demo_print(const demo_load *load, const demo_history *history) {
    const demo_plan *plan = load->plan;
    printf("demo       %d companies, %d properties, %zu meters behind %zu gateways\n", DEMO_COMPANIES, DEMO_PROPERTIES, plan->unit_count,
           plan->gateway_count);
    printf("history    %lld readings of %lld days in %lld blocks, for billing to charge\n", (long long)history->readings,
           (long long)plan->params.days, (long long)history->blocks);
    printf("sold       %lld sales over %lld.%02lld CNY\n", (long long)history->sales, (long long)(history->sold / MONEY_MICRO),
           (long long)(history->sold % MONEY_MICRO / (MONEY_MICRO / 100)));
    for (size_t i = 0; i < DEMO_OPERATORS; i++)
        printf("log-in     company %-8s operator %-8s password %s\n", plan->companies[load->operators[i].company].code,
               load->operators[i].login, load->operators[i].password);
}

// The parameters of the demo that is there already; ERR_NOT_FOUND when there is none.
static err_t loaded_find(db *conn, demo_params *out_params) {
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(conn, &SQL_DEMO_LOADED, DB_NO_PARAMS, &row);
    if (err) return err;
    if (db_i64(&row, 0, 0) != DEMO_PLAN_VERSION) return ERR_STALE;
    *out_params = (demo_params){db_i64(&row, 0, 1), db_i64(&row, 0, 2), db_i64(&row, 0, 3), db_time(&row, 0, 4)};
    return ERR_OK;
}

static int load_tell(db *conn, err_t err, const fault *why) {
    if (why->err) return ctl_fault("demo", why);
    if (strcmp(db_constraint(conn), "company_code_uq") == 0) {
        ctl_say("demo: a company of the demo's name exists that no demo made");
        return CTL_NO;
    }
    return ctl_db_fault(conn, "loading the demo", err);
}

static err_t months_make(demo_load *load) {
    int32_t first = (int32_t)(load->plan->start_at / DAY_MS) - 1, last = (int32_t)(load->now / DAY_MS);
    AUTO(db_rows) made = {0};
    return db_query_one(load->conn, &SQL_DEMO_MONTHS, DB_PARAMS(DB_DATE(first), DB_DATE(last)), &made);
}

static int demo_load_new(const demo_request *request, db *conn, db_tx *tx, const crypto_keyring *keyring, arena *memory) {
    penstock_clock clock = clock_system();
    demo_load *load = ARENA_NEW(memory, demo_load);
    *load = (demo_load){.conn = conn, .memory = memory, .keyring = keyring, .now = clock_now(&clock), .partitions = request->partitions};
    load->plan = demo_plan_new(&request->params, memory);
    if (!operators_prepare(load->operators)) BUG("a made password cannot be hashed");
    demo_history history;
    fault why = {0};
    err_t err = months_make(load);
    if (!err) err = demo_write(load);
    if (!err) err = demo_history_write(load, &history, &why);
    const demo_params *params = &request->params;
    if (!err)
        err = db_exec(conn, &SQL_DEMO_AUDIT,
                      DB_PARAMS(DB_I64(load->plan->companies[0].num), DB_TIME(load->now), DB_I64(DEMO_PLAN_VERSION), DB_I64(params->meters),
                                DB_I64(params->days), DB_I64(params->seed), DB_TIME(params->end_at)),
                      NULL);
    if (!err) err = db_commit(tx);
    if (err) return load_tell(conn, err, &why);
    demo_print(load, &history);
    return !request->fleet_out || fleet_write(request, conn, load->plan, keyring, memory) ? CTL_OK : CTL_NO;
}

static int demo_run(const demo_request *request) {
    AUTO_KEYRING keyring = NULL;
    if (!keyring_load(&keyring)) return CTL_BAD_INPUT;
    db_options how;
    if (!ctl_db_options("penstockctl/demo", &how)) return CTL_BAD_INPUT;
    how.statement_timeout_ms = 0;
    how.idle_in_transaction_timeout_ms = 0;
    AUTO_DB conn = NULL;
    if (!ctl_db_open_with(&how, &conn)) return CTL_NO;
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_exec(conn, &SQL_DEMO_LOCK, DB_NO_PARAMS, NULL);
    if (err) return ctl_db_fault(conn, "waiting for another demo load", err);
    demo_params loaded;
    err = loaded_find(conn, &loaded);
    if (err == ERR_NOT_FOUND) return demo_load_new(request, conn, &tx, keyring, memory);
    if (err == ERR_STALE) {
        ctl_say("demo: the database holds the demo of another version; start with a fresh one");
        return CTL_NO;
    }
    if (err) return ctl_db_fault(conn, "looking for a demo", err);
    printf("demo       loaded before: %lld meters, %lld days, seed %lld; nothing was changed\n", (long long)loaded.meters,
           (long long)loaded.days, (long long)loaded.seed);
    demo_plan *plan = demo_plan_new(&loaded, memory);
    return !request->fleet_out || fleet_write(request, conn, plan, keyring, memory) ? CTL_OK : CTL_NO;
}
