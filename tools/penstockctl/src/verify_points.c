// Usage points, one after the other: their base charges tile time and register, and charging all their stored readings
// again gives what was charged.
#include <stdarg.h>
#include <stdio.h>

#include "ctl_sql.h"
#include "explaining/stored.h"
#include "setups/setups.h"
#include "verify.h"
#include "verify_conservation.h"

#define POINTS_PER_LOAD 256
#define RATING_CACHE_ENTRIES 4096
#define HOLDERS_MAX 64
#define CONSERVATION_BYTES_MAX (64u << 20)

typedef struct point_row {
    int32_t company;
    int64_t num, channel, last_value;
    int32_t epoch;
    instant_ms last_at;
    bool is_stopped, is_waiting, is_recharged;
} point_row;

typedef struct charge_line {
    int64_t id, account, channel, from_value, to_value, quantity, version_num;
    money_micro amount;
    int32_t epoch;
    int16_t kind;
    instant_ms from_at, to_at;
} charge_line;

typedef VEC(charge_line) charge_list;

// Sums by account: what was charged less what charging again gives.
typedef struct account_sums {
    size_t len;
    int64_t account[HOLDERS_MAX];
    money_micro amount[HOLDERS_MAX];
    int64_t quantity[HOLDERS_MAX];
} account_sums;

typedef struct verifier {
    db *conn;
    setups *setups;
    rating_cache *cache;
    verify_points *out;
    charging_outcome outcome;
    charge_list charges;
    size_t base_count;  // base charges come first
    closed_windows closed;
    conserved total;
} verifier;

static err_t point_verify(verifier *self, const point_row *point);

void verify_differ(verify_check *self, const char *format, ...) {
    self->differences++;
    if (self->example_count == VERIFY_EXAMPLES_MAX) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->examples[self->example_count++], sizeof self->examples[0], format, arguments);
    va_end(arguments);
}

static err_t batch_verify(verifier *self, const point_row *points, size_t count, instant_ms now) {
    setups_key keys[POINTS_PER_LOAD];
    for (size_t i = 0; i < count; i++) keys[i] = (setups_key){points[i].company, points[i].num};
    setups_forget_all(self->setups);
    err_t err = setups_load(self->setups, self->conn, keys, count, now);
    for (size_t i = 0; i < count && !err; i++) err = point_verify(self, &points[i]);
    return err;
}

err_t verify_points_run(db *conn, int32_t company, instant_ms now, verify_points *out) {
    *out = (verify_points){.tiling = {.name = "base charges tile each usage point"},
                           .rating = {.name = "charging again gives the same amounts"},
                           .closes = {.name = "closing tier windows again comes to the same"},
                           .conservation = {.name = "registers rose by what was charged"},
                           .position = {.name = "points stand at their last reading"},
                           .copies = {.name = "packed days hold what was read"}};
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_SETUPS all = setups_new(zones);
    AUTO_RATING_CACHE cache = rating_cache_new(RATING_CACHE_ENTRIES);
    verifier self = {.conn = conn, .setups = all, .cache = cache, .out = out, .total = {.is_exact = true}};
    buf_init(&out->conservation_lines, CONSERVATION_BYTES_MAX);
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_VERIFY_POINTS, DB_PARAMS(company ? DB_I32(company) : DB_NULL), &rows);
    point_row batch[POINTS_PER_LOAD];
    size_t len = 0;
    for (size_t i = 0; i < rows.len && !err; i++) {
        batch[len++] = (point_row){.company = (int32_t)db_i64(&rows, i, 0),
                                   .num = db_i64(&rows, i, 1),
                                   .channel = db_i64(&rows, i, 2),
                                   .epoch = (int32_t)db_i64(&rows, i, 3),
                                   .last_at = db_time(&rows, i, 4),
                                   .last_value = db_i64(&rows, i, 5),
                                   .is_stopped = db_bool(&rows, i, 6),
                                   .is_waiting = db_bool(&rows, i, 7),
                                   .is_recharged = db_bool(&rows, i, 9)};
        if (len < POINTS_PER_LOAD && i + 1 < rows.len) continue;
        err = batch_verify(&self, batch, len, now);
        len = 0;
    }
    buf_addf(&out->conservation_lines, "    all: ");
    conserved_tell(&self.total, &out->conservation_lines);
    charging_outcome_done(&self.outcome);
    vec_done(&self.charges);
    vec_done(&self.closed);
    return err;
}

static err_t charges_read(verifier *self, int64_t point) {
    vec_clear(&self->charges);
    self->base_count = 0;
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_VERIFY_POINT_CHARGES, DB_PARAMS(DB_I64(point)), &rows);
    if (err) return err;
    vec_reserve(&self->charges, rows.len);
    for (size_t i = 0; i < rows.len; i++) {
        charge_line line = {.id = db_i64(&rows, i, 0),
                            .kind = (int16_t)db_i64(&rows, i, 1),
                            .account = db_i64(&rows, i, 2),
                            .channel = db_i64(&rows, i, 3),
                            .epoch = (int32_t)db_i64(&rows, i, 4),
                            .from_at = db_time(&rows, i, 5),
                            .to_at = db_time(&rows, i, 6),
                            .from_value = db_i64(&rows, i, 7),
                            .to_value = db_i64(&rows, i, 8),
                            .quantity = db_i64(&rows, i, 9),
                            .amount = db_i64(&rows, i, 10),
                            .version_num = db_i64(&rows, i, 11)};
        if (line.kind == 0) self->base_count++;
        vec_push(&self->charges, line);
    }
    return ERR_OK;
}

// Each base charge begins where the one before it ended; where the channel changed, at its installation.
static void tiling_check(verifier *self, const point_row *point, const charging_setup *setup) {
    verify_check *check = &self->out->tiling;
    instant_ms at = INSTANT_MIN;
    int64_t value = 0, channel = 0;
    for (size_t i = 0; i < self->base_count; i++) {
        const charge_line *line = &self->charges.items[i];
        check->checked++;
        if (line->channel != channel) {
            const charging_installation *inst = charging_installation_at(setup, line->channel, line->from_at);
            if (!inst || line->from_at != inst->from || line->from_value != inst->opening_value)
                verify_differ(check, "charge %lld of usage point %lld does not begin where its channel was installed", (long long)line->id,
                              (long long)point->num);
            else if (line->from_at < at)
                verify_differ(check, "charge %lld of usage point %lld overlaps the one before it", (long long)line->id,
                              (long long)point->num);
        } else if (line->from_at != at || line->from_value != value) {
            verify_differ(check, "charge %lld of usage point %lld begins at %lld and %lld, the one before it ended at %lld and %lld",
                          (long long)line->id, (long long)point->num, (long long)line->from_at, (long long)line->from_value, (long long)at,
                          (long long)value);
        }
        at = line->to_at;
        value = line->to_value;
        channel = line->channel;
    }
    self->out->position.checked++;
    if (self->base_count && (at != point->last_at || value != point->last_value))
        verify_differ(&self->out->position, "usage point %lld stands at %lld and %lld, its last charge ended at %lld and %lld",
                      (long long)point->num, (long long)point->last_at, (long long)point->last_value, (long long)at, (long long)value);
}

static void sums_add(account_sums *sums, int64_t account, money_micro amount, int64_t quantity) {
    size_t i = 0;
    while (i < sums->len && sums->account[i] != account) i++;
    if (i == HOLDERS_MAX) return;
    if (i == sums->len) {
        sums->account[sums->len++] = account;
        sums->amount[i] = sums->quantity[i] = 0;
    }
    sums->amount[i] += amount;
    sums->quantity[i] += quantity;
}

// Charging again, with the sums of the pieces that lie in each base charge taken off it; where nothing was corrected
// each must come out even.
typedef struct rerun {
    size_t base;         // the base charge the next piece belongs to
    money_micro amount;  // of its pieces so far
    int64_t quantity;
    account_sums sums;
    bool is_strict;
} rerun;

static void base_close(verifier *self, const point_row *point, rerun *run) {
    const charge_line *line = &self->charges.items[run->base++];
    if (run->is_strict && (line->amount != run->amount || line->quantity != run->quantity))
        verify_differ(&self->out->rating, "charge %lld of usage point %lld is %lld for %lld, charging again gives %lld for %lld",
                      (long long)line->id, (long long)point->num, (long long)line->amount, (long long)line->quantity,
                      (long long)run->amount, (long long)run->quantity);
    run->amount = 0;
    run->quantity = 0;
}

static void piece_take(verifier *self, const point_row *point, rerun *run, const charging_piece *piece) {
    sums_add(&run->sums, piece->account, -piece->amount, -piece->quantity);
    if (!run->is_strict || run->base >= self->base_count) return;
    const charge_line *line = &self->charges.items[run->base];
    bool is_inside = piece->from_at >= line->from_at && piece->to_at <= line->to_at && piece->account == line->account &&
                     piece->version_num == line->version_num && piece->channel == line->channel;
    if (!is_inside) {
        verify_differ(&self->out->rating, "charge %lld of usage point %lld does not cover the reading at %lld", (long long)line->id,
                      (long long)point->num, (long long)piece->to_at);
        run->is_strict = false;  // what follows is shifted: the sums tell
        return;
    }
    run->amount += piece->amount;
    run->quantity += piece->quantity;
    if (piece->to_at == line->to_at) base_close(self, point, run);
}

// Independent of charging: registers are counted, not charged again.
static void conservation_check(verifier *self, const point_row *point, const charging_setup *setup, const stored_polls *polls) {
    conserved one = {0};
    conserved_count(setup, polls, point->channel, point->last_value, &one);
    for (size_t i = 0; i < self->charges.len; i++)
        *(self->charges.items[i].account ? &one.charged : &one.unheld) += self->charges.items[i].quantity;
    self->out->conservation.checked++;
    if (!conserved_holds(&one))
        verify_differ(
            &self->out->conservation, "usage point %lld: registers %lld and estimated %lld, but charged %lld and held by nobody %lld",
            (long long)point->num, (long long)one.registers, (long long)one.estimated, (long long)one.charged, (long long)one.unheld);
    self->total.registers += one.registers;
    self->total.estimated += one.estimated;
    self->total.charged += one.charged;
    self->total.unheld += one.unheld;
    self->total.meters += one.meters;
    self->total.rollovers += one.rollovers;
    self->total.is_exact = self->total.is_exact && one.is_exact;
    if (one.meters < 2 && one.rollovers == 0) return;
    buf_addf(&self->out->conservation_lines, "    usage point %lld, %zu meters, %zu rollovers: ", (long long)point->num, one.meters,
             one.rollovers);
    conserved_tell(&one, &self->out->conservation_lines);
}

static err_t rating_check(verifier *self, const point_row *point, const charging_setup *setup) {
    AUTO(stored_polls) polls = {0};
    fault why = {0};
    err_t err = stored_polls_load(self->conn, setup, (stored_range){INSTANT_MIN, point->last_at, INSTANT_MAX}, &polls, &why);
    if (err && why.err) {
        verify_differ(&self->out->rating, "%.180s", why.reason);
        return ERR_OK;
    }
    if (err) return err;
    self->out->copies.checked += (int64_t)polls.list.len;
    if (polls.contradictions)
        verify_differ(&self->out->copies, "%zu readings of usage point %lld differ between row and packed day", polls.contradictions,
                      (long long)point->num);
    conservation_check(self, point, setup, &polls);
    vec_clear(&self->closed);
    rerun run = {.is_strict = self->base_count == self->charges.len && !point->is_recharged};
    charging_point again;
    charging_point_init(&again);
    for (size_t i = 0; i < polls.list.len; i++) {
        vec_clear(&self->outcome.pieces);
        charging_answer answer = charging_apply(setup, self->cache, &again, &polls.list.items[i], &self->outcome);
        self->out->readings++;
        closed_windows_take(&self->closed, setup, &self->outcome);
        if (answer != CHARGING_CHARGED && answer != CHARGING_IGNORED)
            verify_differ(&self->out->rating, "the stored reading of usage point %lld at %lld would be %s", (long long)point->num,
                          (long long)polls.list.items[i].at, charging_answer_text(answer));
        for (size_t p = 0; p < self->outcome.pieces.len; p++) piece_take(self, point, &run, &self->outcome.pieces.items[p]);
    }
    self->out->rating.checked += (int64_t)self->charges.len;
    if (run.is_strict && run.base < self->base_count)
        verify_differ(&self->out->rating, "charge %lld of usage point %lld has no readings", (long long)self->charges.items[run.base].id,
                      (long long)point->num);
    for (size_t i = 0; i < self->charges.len; i++)
        sums_add(&run.sums, self->charges.items[i].account, self->charges.items[i].amount, self->charges.items[i].quantity);
    for (size_t i = 0; i < run.sums.len; i++) {
        if (run.sums.amount[i] != 0)
            verify_differ(&self->out->rating, "account %lld at usage point %lld was charged %lld more than its readings give",
                          (long long)run.sums.account[i], (long long)point->num, (long long)run.sums.amount[i]);
        if (run.sums.quantity[i] != 0)
            verify_differ(&self->out->rating, "account %lld at usage point %lld was charged for %lld more than its readings give",
                          (long long)run.sums.account[i], (long long)point->num, (long long)run.sums.quantity[i]);
    }
    return closed_windows_verify(self->conn, point->num, &self->closed, &self->out->closes);
}

static err_t point_verify(verifier *self, const point_row *point) {
    if (point->is_stopped || point->is_waiting) {
        self->out->waiting++;
        return ERR_OK;
    }
    const charging_setup *setup = setups_find(self->setups, point->num);
    if (!setup) {
        const char *why = setups_fault(self->setups, point->num);
        verify_differ(&self->out->rating, "usage point %lld: %.120s", (long long)point->num, why ? why : "has no setup");
        return ERR_OK;
    }
    err_t err = charges_read(self, point->num);
    if (err) return err;
    tiling_check(self, point, setup);
    return rating_check(self, point, setup);
}
