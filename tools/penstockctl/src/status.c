// penstockctl status: is everything alive, does work pile up, what went wrong, and the line that keeps counting.
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "command.h"
#include "ctl_sql.h"
#include "database.h"
#include "json/json_writer.h"
#include "money/money.h"

#define REPLICAS_MAX 64
#define CURRENCIES_MAX 16
#define ALIVE_MS (10 * SECOND_MS)  // a replica beats at least this often
#define RATE_WINDOW_MS (30 * SECOND_MS)
#define NUM_TIME_SHIFT 22  // a num holds its milliseconds above 10 bits of replica and 12 of counter
#define WATCH_US 2000000
#define OUT_MAX (1u << 20)

typedef struct status_replica {
    char service[16];
    int64_t num;
    char host[64];
    instant_ms started_at;
    instant_ms beat_at;
} status_replica;

typedef struct status_amount {
    char currency[8];
    money_micro amount;
} status_amount;

// Columns of status_counts, in order, with their names.
#define COUNTS(COUNT)                                               \
    COUNT(OUTBOX_INGEST, "outbox_ingest", "unpublished, ingest")    \
    COUNT(OUTBOX_BILLING, "outbox_billing", "unpublished, billing") \
    COUNT(OUTBOX_API, "outbox_api", "unpublished, api")             \
    COUNT(DEAD_LETTERS, "dead_letters", "dead letters")             \
    COUNT(QUARANTINE, "quarantine", "in quarantine")                \
    COUNT(REFUSED, "refused_last_hour", "refused, last hour")       \
    COUNT(STOPPED, "points_stopped", "usage points stopped")        \
    COUNT(REPLAYS, "replays_waiting", "replays waiting")            \
    COUNT(RECHARGES, "recharges_waiting", "recharges waiting")

enum {
#define COUNT(name, key, text) COUNT_##name,
    COUNTS(COUNT)
#undef COUNT
        COUNT_COUNT
};

typedef struct status {
    instant_ms at;
    size_t replica_count;
    status_replica replicas[REPLICAS_MAX];
    int64_t blocks_waiting;
    int64_t readings_waiting;
    int64_t oldest_waiting_ms;  // −1: none waits
    int64_t counts[COUNT_COUNT];
    int64_t meters, meters_online, meters_silent;
    int64_t readings_in_window;
    size_t amount_count;
    status_amount charged_today[CURRENCIES_MAX];
} status;

static err_t status_read(db *conn, status *out);
static void line_write(const status *self, buf *out);
static void table_write(const status *self, buf *out);
static void json_write(const status *self, buf *out);

int ctl_status(int argc, char **argv) {
    bool is_line = false, is_json = false, is_watch = false;
    const ctl_option options[] = {{"--line", NULL, "one line that counts", NULL, &is_line},
                                  {"--json", NULL, "one JSON object", NULL, &is_json},
                                  {"--watch", NULL, "again every two seconds, until interrupted", NULL, &is_watch},
                                  {0}};
    const ctl_usage usage = {"status", NULL,
                             "Tells which replicas beat, which work waits and since when, what was refused or quarantined, which\n"
                             "meters are in contact, and what was charged today. Exit 1 when the database cannot tell.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/status", &conn)) return CTL_NO;
    do {
        status now;
        err_t err = status_read(conn, &now);
        if (err) return ctl_db_fault(conn, "reading the status", err);
        AUTO(buf) out;
        buf_init(&out, OUT_MAX);
        if (is_watch && !is_line && !is_json && isatty(STDOUT_FILENO)) buf_add(&out, SV("\033[H\033[2J"));
        if (is_json)
            json_write(&now, &out);
        else if (is_line)
            line_write(&now, &out);
        else
            table_write(&now, &out);
        fwrite(out.ptr, 1, out.len, stdout);
        fflush(stdout);
    } while (is_watch && !ferror(stdout) && usleep(WATCH_US) == 0);
    return CTL_OK;
}

static err_t replicas_read(db *conn, status *out) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_STATUS_REPLICAS, DB_NO_PARAMS, &rows);
    for (size_t i = 0; !err && i < rows.len && i < REPLICAS_MAX; i++) {
        status_replica *one = &out->replicas[out->replica_count++];
        sv_copy_truncated(db_text(&rows, i, 0), one->service, sizeof one->service);
        one->num = db_i64(&rows, i, 1);
        sv_copy_truncated(db_text(&rows, i, 2), one->host, sizeof one->host);
        one->started_at = db_time(&rows, i, 3);
        one->beat_at = db_time(&rows, i, 4);
    }
    return err;
}

static err_t work_read(db *conn, status *out) {
    AUTO(db_rows) backlog = {0};
    err_t err = db_query_one(conn, &SQL_STATUS_BACKLOG, DB_PARAMS(DB_TIME(out->at)), &backlog);
    if (err) return err;
    out->blocks_waiting = db_i64(&backlog, 0, 0);
    out->readings_waiting = db_i64(&backlog, 0, 1);
    out->oldest_waiting_ms = out->blocks_waiting ? out->at - db_time(&backlog, 0, 2) : -1;
    num_series first = {0};
    int64_t since = num_next(&first, out->at - RATE_WINDOW_MS) >> NUM_TIME_SHIFT << NUM_TIME_SHIFT;
    AUTO(db_rows) claimed = {0};
    err = db_query_one(conn, &SQL_STATUS_CHARGED_BLOCKS, DB_PARAMS(DB_TIME(out->at), DB_I64(since)), &claimed);
    if (err) return err;
    out->readings_in_window = db_i64(&claimed, 0, 0);
    AUTO(db_rows) counts = {0};
    err = db_query_one(conn, &SQL_STATUS_COUNTS, DB_PARAMS(DB_TIME(out->at)), &counts);
    for (int i = 0; i < COUNT_COUNT && !err; i++) out->counts[i] = db_i64(&counts, 0, i);
    return err;
}

static err_t money_read(db *conn, status *out) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_STATUS_CHARGED_TODAY, DB_PARAMS(DB_TIME(out->at)), &rows);
    for (size_t i = 0; !err && i < rows.len && i < CURRENCIES_MAX; i++) {
        status_amount *one = &out->charged_today[out->amount_count++];
        sv_copy_truncated(db_text(&rows, i, 0), one->currency, sizeof one->currency);
        one->amount = db_i64(&rows, i, 1);
    }
    return err;
}

static err_t status_read(db *conn, status *out) {
    penstock_clock clock = clock_system();
    *out = (status){.at = clock_now(&clock)};
    err_t err = replicas_read(conn, out);
    if (!err) err = work_read(conn, out);
    if (!err) err = money_read(conn, out);
    if (err) return err;
    AUTO(db_rows) meters = {0};
    err = db_query_one(conn, &SQL_STATUS_METERS, DB_NO_PARAMS, &meters);
    if (err) return err;
    out->meters = db_i64(&meters, 0, 0);
    out->meters_online = db_i64(&meters, 0, 1);
    out->meters_silent = db_i64(&meters, 0, 2);
    return ERR_OK;
}

static bool is_alive(const status *self, const status_replica *replica) { return self->at - replica->beat_at <= ALIVE_MS; }

// Money as people read it: to the currency's decimals, rounded half up.
static void amount_add(buf *out, const status_amount *amount) {
    currency known;
    int32_t decimals = currency_parse(sv_of(amount->currency), &known) ? currency_exponent(known) : 2;
    money_micro rounded = amount->amount;
    if (!money_round(amount->amount, decimals, ROUNDING_HALF_UP, &rounded)) rounded = amount->amount;
    char text[DECIMAL_TEXT_MAX];
    decimal_format(rounded, MONEY_SCALE, decimals, text);
    buf_addf(out, "%s %s", text, amount->currency);
}

static void rate_add(const status *self, buf *out) {
    int64_t tenths = self->readings_in_window * 10 * SECOND_MS / RATE_WINDOW_MS;
    buf_addf(out, "%lld.%lld", (long long)(tenths / 10), (long long)(tenths % 10));
}

static void money_add_all(const status *self, buf *out) {
    if (self->amount_count == 0) buf_add(out, SV("0"));
    for (size_t i = 0; i < self->amount_count; i++) {
        if (i > 0) buf_add(out, SV(" + "));
        amount_add(out, &self->charged_today[i]);
    }
}

static void line_write(const status *self, buf *out) {
    buf_addf(out, "%lld of %lld meters online · ", (long long)self->meters_online, (long long)self->meters);
    rate_add(self, out);
    buf_add(out, SV(" readings/s · charged today "));
    money_add_all(self, out);
    if (self->blocks_waiting)
        buf_addf(out, " · %lld readings wait (%lld s)", (long long)self->readings_waiting,
                 (long long)(self->oldest_waiting_ms / SECOND_MS));
    if (self->counts[COUNT_DEAD_LETTERS]) buf_addf(out, " · %lld dead letters", (long long)self->counts[COUNT_DEAD_LETTERS]);
    if (self->counts[COUNT_QUARANTINE]) buf_addf(out, " · %lld in quarantine", (long long)self->counts[COUNT_QUARANTINE]);
    buf_add_byte(out, '\n');
}

static void table_write(const status *self, buf *out) {
    static const char *const TEXTS[] = {
#define COUNT(name, key, text) text,
        COUNTS(COUNT)
#undef COUNT
    };
    buf_add(out, SV("service   replica  host                 beat       up\n"));
    for (size_t i = 0; i < self->replica_count; i++) {
        const status_replica *one = &self->replicas[i];
        buf_addf(out, "%-9s %7lld  %-20s %-9s  %llds\n", one->service, (long long)one->num, one->host,
                 is_alive(self, one) ? "alive" : "silent", (long long)((one->beat_at - one->started_at) / SECOND_MS));
    }
    if (self->replica_count == 0) buf_add(out, SV("(no replica has ever beaten)\n"));
    buf_addf(out, "\n%-22s %lld (%lld readings)\n", "blocks waiting", (long long)self->blocks_waiting, (long long)self->readings_waiting);
    if (self->blocks_waiting) buf_addf(out, "%-22s %lld s\n", "oldest waits", (long long)(self->oldest_waiting_ms / SECOND_MS));
    for (int i = 0; i < COUNT_COUNT; i++) buf_addf(out, "%-22s %lld\n", TEXTS[i], (long long)self->counts[i]);
    buf_addf(out, "\n%-22s %lld: %lld online, %lld silent, %lld never heard\n", "meters", (long long)self->meters,
             (long long)self->meters_online, (long long)self->meters_silent,
             (long long)(self->meters - self->meters_online - self->meters_silent));
    buf_addf(out, "%-22s ", "readings/s");
    rate_add(self, out);
    buf_addf(out, "\n%-22s ", "charged today");
    money_add_all(self, out);
    buf_add_byte(out, '\n');
}

static void json_write(const status *self, buf *out) {
    static const char *const KEYS[] = {
#define COUNT(name, key, text) key,
        COUNTS(COUNT)
#undef COUNT
    };
    json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_put_instant(&json, "at", self->at, 0);
    json_key(&json, "replicas");
    json_open_array(&json);
    for (size_t i = 0; i < self->replica_count; i++) {
        const status_replica *one = &self->replicas[i];
        json_open_object(&json);
        json_put_text(&json, "service", sv_of(one->service));
        json_put_integer(&json, "replica", one->num);
        json_put_text(&json, "host", sv_of(one->host));
        json_put_boolean(&json, "is_alive", is_alive(self, one));
        json_put_instant(&json, "started_at", one->started_at, 0);
        json_put_instant(&json, "beat_at", one->beat_at, 0);
        json_close_object(&json);
    }
    json_close_array(&json);
    json_put_integer(&json, "blocks_waiting", self->blocks_waiting);
    json_put_integer(&json, "readings_waiting", self->readings_waiting);
    if (self->blocks_waiting)
        json_put_integer(&json, "oldest_waiting_ms", self->oldest_waiting_ms);
    else
        json_put_null(&json, "oldest_waiting_ms");
    for (int i = 0; i < COUNT_COUNT; i++) json_put_integer(&json, KEYS[i], self->counts[i]);
    json_put_integer(&json, "meters", self->meters);
    json_put_integer(&json, "meters_online", self->meters_online);
    json_put_integer(&json, "meters_silent", self->meters_silent);
    json_put_integer(&json, "readings_last_30_s", self->readings_in_window);
    json_key(&json, "charged_today");
    json_open_object(&json);
    for (size_t i = 0; i < self->amount_count; i++) {
        char text[DECIMAL_TEXT_MAX];
        decimal_format(self->charged_today[i].amount, MONEY_SCALE, 2, text);
        json_put_text(&json, self->charged_today[i].currency, sv_of(text));
    }
    json_close_object(&json);
    json_close_object(&json);
    buf_add_byte(out, '\n');
}
