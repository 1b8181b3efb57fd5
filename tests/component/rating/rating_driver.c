// Rates cases for the comparison with the second implementation. A case is lines on stdin:
//   T <tariff document on one line>        begins a case
//   V <tariff document on one line>        a new version from the last reading on
//   R <milliseconds> <milli-units>         a reading of a cumulative register
//   P <milliseconds> <milli-units>,…       what each period used since the last reading
//   H <heads> <opened at, milliseconds>    the holder from here on
//   C <max demand W> <contracted VA> <power factor in millionths>      known when a window closes
//   Q <from> <to> <milli-units>,… <used before>,…                      a given usage
//   B <from> <to> <millionths> <used before, of one period>            what money buys
// Or a usage point, charged as billing does:
//   Z <zone> <first instant> <period,… of the registers>      begins a case
//   I <index,month,value,provisional;…>
//   D <from> <tariff document>             a version from an instant on
//   O <account> <from> <to> <opened at> <from:heads,…>         who holds the point
//   A <at> <value> <register,…>            a reading as it arrives, late or early
//   X <at>                                 a reading is taken back
//   F <index,month,value,provisional;…>    the final values
//   E                                      tells the amounts of all pieces, and behind ";" of all closed windows
//
//   .                                      ends the case
//   !                                      what was answered so far is wanted now
// and one line on stdout: the amounts charged or quoted, in millionths, or milli-units bought, separated by spaces; or
// "! <place>: <reason>".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "documents/tariff_document.h"
#include "documents/zone_files.h"
#include "point_driver.h"
#include "rating/rating.h"

typedef struct driver {
    zone_set *zones;
    uint64_t version;
    tariff_document *document;
    rating_cache *cache;
    rating_state state;
    rating_holder holder;
    rating_closing closing;
    bool has_previous;
    instant_ms at;
    int64_t value;
    fault why;
    buf answer;
    point_driver *point;
} driver;

static void load(driver *self, sv json) {
    tariff_document_free(self->document);
    self->document = NULL;
    tariff_reading how = {.version = ++self->version, .use = TARIFF_FOR_READINGS, .zones = self->zones};
    (void)!tariff_document_read(json, &how, &self->document, &self->why);
}

static void begin(driver *self, sv json) {
    self->version = 0;
    self->has_previous = false;
    self->why = (fault){0};
    self->holder = (rating_holder){0};
    self->closing = (rating_closing){0};
    buf_clear(&self->answer);
    rating_state_init(&self->state);
    rating_cache_free(self->cache);
    self->cache = rating_cache_new(64);
    load(self, json);
}

static int64_t number(sv text) {
    int64_t value;
    if (!sv_to_i64(text, &value)) exit(2);
    return value;
}

static sv word(sv *rest) {
    sv found;
    if (!sv_next(rest, ' ', &found)) exit(2);
    return found;
}

static void numbers(sv list, int64_t out[TARIFF_PERIODS_MAX]) {
    sv one;
    for (size_t i = 0; i < TARIFF_PERIODS_MAX; i++) out[i] = sv_next(&list, ',', &one) ? number(one) : 0;
}

static void answer(driver *self, rating_answer given, int64_t value) {
    if (given != RATING_OK)
        fault_set(&self->why, ERR_BAD_INPUT, "rating", "%s", rating_answer_text(given));
    else
        buf_addf(&self->answer, "%s%lld", self->answer.len ? " " : "", (long long)value);
}

// Every state goes through its packed form on its way to the next reading.
static void keep_packed(driver *self) {
    uint8_t bytes[RATING_STATE_BYTES_MAX];
    size_t len = rating_state_pack(&self->state, bytes);
    rating_state back;
    if (rating_state_unpack(sv_slice(bytes, len), &back, NULL) || !rating_state_equal(&back, &self->state)) exit(3);
    self->state = back;
}

static void take_reading(driver *self, sv rest, bool by_period) {
    instant_ms at = number(word(&rest));
    int64_t parts[TARIFF_PERIODS_MAX];
    if (by_period) numbers(rest, parts);
    int64_t value = by_period ? 0 : number(rest);
    if (self->has_previous && self->document && !self->why.err) {
        rating_interval interval = {.from = self->at,
                                    .to = at,
                                    .quantity_milli = value - self->value,
                                    .per_period_milli = by_period ? parts : NULL,
                                    .holder = &self->holder,
                                    .closing = &self->closing};
        rating_result result = {0};
        rating_answer given = rating_charge(tariff_document_tariff(self->document), self->cache, &self->state, &interval, &result, NULL);
        answer(self, given, result.amount_micro);
        keep_packed(self);
    }
    self->has_previous = true;
    self->at = at;
    if (!by_period) self->value = value;
}

static rating_usage usage_of(const driver *self, sv *rest) {
    instant_ms from = number(word(rest));
    instant_ms to = number(word(rest));
    return (rating_usage){.from = from,
                          .to = to,
                          .max_demand_w = self->closing.max_demand_w,
                          .contracted_va = self->closing.contracted_va,
                          .power_factor_micro = self->closing.power_factor_micro,
                          .holder = &self->holder};
}

static void quote(driver *self, sv rest) {
    if (self->why.err) return;
    int64_t quantities[TARIFF_PERIODS_MAX], before[TARIFF_PERIODS_MAX];
    rating_usage usage = usage_of(self, &rest);
    numbers(word(&rest), quantities);
    numbers(rest, before);
    usage.quantity_milli = quantities;
    usage.used_before_milli = before;
    AUTO(rating_quote) quoted = {0};
    rating_answer given = rating_quote_usage(tariff_document_tariff(self->document), &usage, &quoted);
    answer(self, given, quoted.total_micro);
}

static void buy(driver *self, sv rest) {
    if (self->why.err) return;
    int64_t before[TARIFF_PERIODS_MAX];
    rating_usage usage = usage_of(self, &rest);
    int64_t amount = number(word(&rest));
    numbers(rest, before);
    static const int64_t NOTHING[TARIFF_PERIODS_MAX];
    usage.quantity_milli = NOTHING;
    usage.used_before_milli = before;
    const tariff *rated = tariff_document_tariff(self->document);
    AUTO(rating_quote) quoted = {0};
    rating_answer given = rating_quote_amount(rated, &usage, amount, rating_bought_step_milli(rated), &quoted);
    if (given == RATING_TOO_LITTLE || given == RATING_NO_BOUND)
        answer(self, RATING_OK, given == RATING_TOO_LITTLE ? -1 : -2);
    else
        answer(self, given, quoted.quantity_milli);
}

static void take_holder(driver *self, sv rest) {
    self->holder.heads = (int32_t)number(word(&rest));
    self->holder.opened_at = number(rest);
}

static void take_closing(driver *self, sv rest) {
    self->closing.max_demand_w = number(word(&rest));
    self->closing.contracted_va = number(word(&rest));
    self->closing.power_factor_micro = number(rest);
    point_take_closing(self->point, &self->closing);
}

static void begin_point(driver *self, sv rest) {
    self->why = (fault){0};
    buf_clear(&self->answer);
    point_begin(self->point, rest);
}

static void end_case(driver *self) {
    if (self->why.err)
        printf("! %s: %s\n", self->why.place, self->why.reason);
    else
        printf("%s\n", buf_cstr(&self->answer));
}

static void run_line(driver *self, sv text) {
    sv rest = text.len > 2 ? sv_skip(text, 2) : SV("");
    switch (text.len ? text.ptr[0] : ' ') {
        case 'T': begin(self, rest); break;
        case 'V': load(self, rest); break;
        case 'R': take_reading(self, rest, false); break;
        case 'P': take_reading(self, rest, true); break;
        case 'H': take_holder(self, rest); break;
        case 'C': take_closing(self, rest); break;
        case 'Q': quote(self, rest); break;
        case 'B': buy(self, rest); break;
        case 'Z': begin_point(self, rest); break;
        case 'I': point_take_indices(self->point, rest); break;
        case 'D': point_take_version(self->point, rest); break;
        case 'O': point_take_holder(self->point, rest); break;
        case 'A': point_take_reading(self->point, rest); break;
        case 'X': point_remove_reading(self->point, rest); break;
        case 'F': point_take_final_indices(self->point, rest); break;
        case '!': fflush(stdout); break;
        case 'E': point_tell(self->point, &self->answer, &self->why); break;
        case '.': end_case(self); break;
        default: exit(2);
    }
}

int main(void) {
    driver self = {.zones = zone_set_new(SV(ZONE_FILES_FOLDER))};
    self.point = point_driver_new(self.zones);
    buf_init(&self.answer, 1 << 20);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    while ((len = getline(&line, &capacity, stdin)) > 0) run_line(&self, sv_trim((sv){line, (size_t)len}));
    free(line);
    tariff_document_free(self.document);
    rating_cache_free(self.cache);
    point_driver_free(self.point);
    zone_set_free(self.zones);
    buf_done(&self.answer);
    return 0;
}
