#include "point_driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "charging/point.h"

#define VERSIONS_MAX 1000
#define HOLDERS_MAX 8
#define HEADS_MAX 4
#define CHANNEL 1

// The point as it was before the poll with this place in the list.
typedef struct point_checkpoint {
    size_t place;
    size_t pieces;
    size_t closes;
    charging_point point;
} point_checkpoint;

struct point_driver {
    zone_set *zones;
    rating_cache *cache;
    charging_setup setup;
    charging_installation installation;
    charging_holder holders[HOLDERS_MAX];
    charging_heads heads[HOLDERS_MAX][HEADS_MAX];
    charging_version versions[VERSIONS_MAX];
    tariff_document *documents[VERSIONS_MAX];
    char *texts[VERSIONS_MAX];
    char *register_names;
    price_indices indices;
    rating_closing closing;
    charging_point point;
    charging_outcome outcome;
    VEC(charging_poll) polls;
    VEC(point_checkpoint) checkpoints;
    VEC(money_micro) closes;
    size_t rated;  // polls of the list that the point stands behind
    fault why;
};

static void drop_versions(point_driver *self) {
    for (size_t i = 0; i < self->setup.version_count; i++) {
        tariff_document_free(self->documents[i]);
        mem_free(self->texts[i]);
    }
    self->setup.version_count = 0;
}

point_driver *point_driver_new(zone_set *zones) {
    point_driver *self = mem_new(1, sizeof *self);
    self->zones = zones;
    return self;
}

void point_driver_free(point_driver *self) {
    drop_versions(self);
    price_indices_done(&self->indices);
    charging_outcome_done(&self->outcome);
    rating_cache_free(self->cache);
    vec_done(&self->polls);
    vec_done(&self->checkpoints);
    vec_done(&self->closes);
    mem_free(self->register_names);
    mem_free(self);
}

static sv word(sv *rest) {
    sv found;
    if (!sv_next(rest, ' ', &found)) exit(2);
    return found;
}

static int64_t number(sv text) {
    int64_t value;
    if (!sv_to_i64(text, &value)) exit(2);
    return value;
}

static char *copy_text(sv text) {
    char *copy = mem_new(text.len + 1, 1);
    if (text.len > 0) memcpy(copy, text.ptr, text.len);
    return copy;
}

static void take_registers(point_driver *self, sv names) {
    mem_free(self->register_names);
    self->register_names = copy_text(names);
    sv rest = sv_of(self->register_names), name;
    while (rest.len > 0 && sv_next(&rest, ',', &name)) {
        if (self->installation.period_count == CHARGING_REGISTERS_MAX) exit(2);
        self->installation.periods[self->installation.period_count++] = name;
    }
}

static void stand_at_the_beginning(point_driver *self) {
    charging_point_init(&self->point);
    vec_clear(&self->outcome.pieces);
    vec_clear(&self->closes);
    vec_clear(&self->checkpoints);
    self->rated = 0;
}

void point_begin(point_driver *self, sv rest) {
    drop_versions(self);
    rating_cache_free(self->cache);
    self->cache = rating_cache_new(64);
    self->why = (fault){0};
    self->closing = (rating_closing){0};
    vec_clear(&self->polls);
    stand_at_the_beginning(self);
    sv zone_name = word(&rest);
    self->installation = (charging_installation){.channel = CHANNEL,
                                                 .from = number(word(&rest)),
                                                 .to = INSTANT_MAX,
                                                 .closing_value = -1,
                                                 .ratio_num = 1,
                                                 .ratio_den = 1,
                                                 .limits = {.resolution = 1}};
    self->setup = (charging_setup){.usage_point = 1,
                                   .installation_count = 1,
                                   .installations = &self->installation,
                                   .holders = self->holders,
                                   .versions = self->versions};
    (void)!zone_set_find(self->zones, zone_name, &self->setup.zone, &self->why);
    take_registers(self, rest);
}

void point_take_indices(point_driver *self, sv rest) {
    buf csv;
    buf_init(&csv, 1 << 20);
    buf_add(&csv, SV("index,month,value,provisional\n"));
    for (size_t i = 0; i < rest.len; i++) buf_add_byte(&csv, rest.ptr[i] == ';' ? '\n' : rest.ptr[i]);
    price_indices_done(&self->indices);
    self->indices = (price_indices){0};
    if (price_indices_read(buf_view(&csv), &self->indices, &self->why)) self->indices = (price_indices){0};
    buf_done(&csv);
}

// A version without its own first instant is that of the point's.
static void load_version(point_driver *self, size_t at) {
    instant_ms from = self->versions[at].from;
    tariff_reading how = {.version = at + 1,
                          .use = TARIFF_FOR_CHARGING,
                          .zones = self->zones,
                          .indices = &self->indices,
                          .index_at = from > self->installation.from ? from : self->installation.from};
    tariff_document_free(self->documents[at]);
    self->documents[at] = NULL;
    if (tariff_document_read(sv_of(self->texts[at]), &how, &self->documents[at], &self->why)) return;
    self->versions[at].tariff = tariff_document_tariff(self->documents[at]);
}

void point_take_version(point_driver *self, sv rest) {
    size_t at = self->setup.version_count++;
    if (at == VERSIONS_MAX) exit(2);
    self->versions[at] = (charging_version){.from = number(word(&rest)), .num = (int64_t)at + 1};
    self->texts[at] = copy_text(rest);
    self->documents[at] = NULL;
    load_version(self, at);
}

void point_take_holder(point_driver *self, sv rest) {
    size_t at = self->setup.holder_count++;
    if (at == HOLDERS_MAX) exit(2);
    charging_holder *holder = &self->holders[at];
    *holder = (charging_holder){.account = number(word(&rest)), .purse = 1, .heads = self->heads[at]};
    holder->from = number(word(&rest));
    holder->to = number(word(&rest));
    holder->opened_at = number(word(&rest));
    sv one;
    while (rest.len > 0 && sv_next(&rest, ',', &one)) {
        sv from;
        if (holder->heads_count == HEADS_MAX || !sv_next(&one, ':', &from)) exit(2);
        self->heads[at][holder->heads_count++] = (charging_heads){number(from), (int32_t)number(one)};
    }
}

void point_take_closing(point_driver *self, const rating_closing *closing) { self->closing = *closing; }

static void close_windows(point_driver *self) {
    for (size_t i = 0; i < self->outcome.windows.len; i++) {
        const charging_window *window = &self->outcome.windows.items[i];
        if (!window->is_closed) continue;
        money_micro amount = 0;
        rating_answer given = rating_close(self->versions[window->version_num - 1].tariff, &window->state, &self->closing, &amount);
        if (given != RATING_OK) fault_set(&self->why, ERR_BAD_INPUT, "close", "%s", rating_answer_text(given));
        vec_push(&self->closes, amount);
    }
}

static void rate(point_driver *self, rating_cache *cache) {
    const charging_poll *poll = &self->polls.items[self->rated];
    size_t pieces = self->outcome.pieces.len, closes = self->closes.len;
    charging_answer answer = charging_apply(&self->setup, cache, &self->point, poll, &self->outcome);
    if (answer == CHARGING_UNRATABLE)
        fault_set(&self->why, ERR_BAD_INPUT, "rating", "%s", rating_answer_text(self->outcome.rating));
    else if (answer != CHARGING_CHARGED)
        fault_set(&self->why, ERR_BAD_INPUT, "charging", "%s", charging_answer_text(answer));
    if (self->why.err) return;
    if (self->outcome.asks_checkpoint)
        vec_push(&self->checkpoints, ((point_checkpoint){self->rated, pieces, closes, self->outcome.before}));
    close_windows(self);
    uint8_t packed[CHARGING_POINT_BYTES_MAX];
    charging_point back;
    size_t len = charging_point_pack(&self->point, packed);
    if (charging_point_unpack(sv_slice(packed, len), &back, NULL) || !charging_point_equal(&self->point, &back)) exit(3);
    self->point = back;
    self->rated++;
}

static void rate_all(point_driver *self, rating_cache *cache) {
    while (self->rated < self->polls.len && !self->why.err) rate(self, cache);
}

// Back to the last checkpoint at which no poll from `place` on was rated.
static void go_back(point_driver *self, size_t place) {
    while (self->checkpoints.len > 0 && self->checkpoints.items[self->checkpoints.len - 1].place > place) self->checkpoints.len--;
    if (self->checkpoints.len == 0) {
        stand_at_the_beginning(self);
        return;
    }
    point_checkpoint last = self->checkpoints.items[--self->checkpoints.len];
    self->point = last.point;
    self->outcome.pieces.len = last.pieces;
    self->closes.len = last.closes;
    self->rated = last.place;
}

static size_t place_of(const point_driver *self, instant_ms at) {
    size_t place = self->polls.len;
    while (place > 0 && self->polls.items[place - 1].at >= at) place--;
    return place;
}

void point_take_reading(point_driver *self, sv rest) {
    charging_poll poll = {.channel = CHANNEL, .at = number(word(&rest))};
    poll.value = number(word(&rest));
    sv one;
    while (rest.len > 0 && sv_next(&rest, ',', &one)) poll.registers[poll.register_count++] = number(one);
    size_t place = place_of(self, poll.at);
    bool is_known = place < self->polls.len && self->polls.items[place].at == poll.at;
    if (!is_known) {
        vec_push(&self->polls, poll);
        memmove(&self->polls.items[place + 1], &self->polls.items[place], (self->polls.len - 1 - place) * sizeof poll);
    }
    self->polls.items[place] = poll;
    if (place < self->rated) go_back(self, place);
    rate_all(self, self->cache);
}

void point_remove_reading(point_driver *self, sv rest) {
    size_t place = place_of(self, number(rest));
    if (place == self->polls.len) exit(2);
    memmove(&self->polls.items[place], &self->polls.items[place + 1], (self->polls.len - 1 - place) * sizeof self->polls.items[0]);
    self->polls.len--;
    go_back(self, place);
    rate_all(self, self->cache);
}

void point_take_final_indices(point_driver *self, sv rest) {
    point_take_indices(self, rest);
    for (size_t i = 0; i < self->setup.version_count; i++) load_version(self, i);
    rating_cache_free(self->cache);
    self->cache = rating_cache_new(64);
    stand_at_the_beginning(self);
    rate_all(self, self->cache);
}

static void write_amounts(const point_driver *self, buf *out) {
    for (size_t i = 0; i < self->outcome.pieces.len; i++) buf_addf(out, "%lld ", (long long)self->outcome.pieces.items[i].amount);
    buf_add_byte(out, ';');
    for (size_t i = 0; i < self->closes.len; i++) buf_addf(out, " %lld", (long long)self->closes.items[i]);
}

void point_tell(point_driver *self, buf *out, fault *out_why) {
    buf again;
    buf_init(&again, 1 << 20);
    if (!self->why.err) {
        size_t before = buf_view(out).len;
        write_amounts(self, out);
        charging_point reached = self->point;
        stand_at_the_beginning(self);
        rate_all(self, NULL);
        write_amounts(self, &again);
        if (!sv_equal(buf_view(&again), sv_skip(buf_view(out), before)) || !charging_point_equal(&reached, &self->point))
            fault_set(&self->why, ERR_BAD_INPUT, "replay", "the readings in order come to something else");
    }
    buf_done(&again);
    *out_why = self->why;
}
