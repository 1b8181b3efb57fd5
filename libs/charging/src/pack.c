// Variable-length integers (seven bits a byte, low first), signed ones zigzag: small numbers stay small.
#include <string.h>

#include "charging/point.h"

// Format 2 is format 1 with what few points have: a gap behind them, or lines that post at a window's close.
#define PACK_PLAIN 1
#define PACK_WHOLE 2

typedef struct writer {
    uint8_t *out;
    size_t len;
} writer;

static void put(writer *self, int64_t value) {
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    while (bits >= 0x80) {
        self->out[self->len++] = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    self->out[self->len++] = (uint8_t)bits;
}

typedef struct reader {
    sv rest;
    bool failed;
} reader;

static int64_t take(reader *self) {
    uint64_t bits = 0;
    for (int shift = 0; shift < 64 && self->rest.len > 0; shift += 7) {
        uint8_t byte = (uint8_t)self->rest.ptr[0];
        self->rest = sv_skip(self->rest, 1);
        if (shift == 63 && byte > 1) break;
        bits |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
    }
    self->failed = true;
    return 0;
}

static void put_demand(writer *w, const charging_demand *self) {
    put(w, self->window_from);
    put(w, self->average_w);
    put(w, self->register_w);
    put(w, self->active);
    put(w, self->reactive);
    put(w, self->stretch_ms);
    put(w, self->stretch_quantity);
    put(w, self->active_since);
    put(w, self->has_register_last | self->has_reactive_last << 1);
    put(w, self->register_last);
    put(w, self->reactive_last);
}

static void take_demand(reader *r, charging_demand *out) {
    out->window_from = take(r);
    out->average_w = take(r);
    out->register_w = take(r);
    out->active = take(r);
    out->reactive = take(r);
    out->stretch_ms = take(r);
    out->stretch_quantity = take(r);
    out->active_since = take(r);
    int64_t known = take(r);
    if (known < 0 || known > 3) r->failed = true;
    out->has_register_last = known & 1;
    out->has_reactive_last = known >> 1 & 1;
    out->register_last = take(r);
    out->reactive_last = take(r);
}

static bool demand_equal(const charging_demand *a, const charging_demand *b) {
    return a->window_from == b->window_from && a->average_w == b->average_w && a->register_w == b->register_w && a->active == b->active &&
           a->reactive == b->reactive && a->stretch_ms == b->stretch_ms && a->stretch_quantity == b->stretch_quantity &&
           a->active_since == b->active_since && a->has_register_last == b->has_register_last &&
           a->has_reactive_last == b->has_reactive_last && a->register_last == b->register_last && a->reactive_last == b->reactive_last;
}

static bool has_demand(const charging_demand *self) { return !demand_equal(self, &(charging_demand){0}); }

size_t charging_point_pack(const charging_point *self, uint8_t out[CHARGING_POINT_BYTES_MAX]) {
    writer w = {out, 0};
    bool is_plain = self->estimated_since == 0 && !has_demand(&self->demand);
    w.out[w.len++] = is_plain ? PACK_PLAIN : PACK_WHOLE;
    put(&w, self->channel);
    put(&w, self->epoch);
    put(&w, self->last_at);
    put(&w, self->last_value);
    put(&w, self->register_count);
    for (uint32_t i = 0; i < self->register_count; i++) put(&w, self->registers[i]);
    put(&w, self->account);
    put(&w, self->purse);
    put(&w, self->charged_total);
    put(&w, self->quantity_total);
    put(&w, self->checkpoint_due);
    if (!is_plain) put(&w, self->estimated_since);
    if (!is_plain) put_demand(&w, &self->demand);
    uint8_t rating[RATING_STATE_BYTES_MAX];
    size_t rating_len = rating_state_pack(&self->rating, rating);
    put(&w, (int64_t)rating_len);  // so that a cut row is noticed
    memcpy(w.out + w.len, rating, rating_len);
    return w.len + rating_len;
}

err_t charging_point_unpack(sv bytes, charging_point *out_point, fault *out_fault) {
    if (bytes.len == 0 || (bytes.ptr[0] != PACK_PLAIN && bytes.ptr[0] != PACK_WHOLE))
        return fault_set(out_fault, ERR_MALFORMED, "offset 0", "is no packed point");
    reader r = {sv_skip(bytes, 1), false};
    charging_point point;
    charging_point_init(&point);
    point.channel = take(&r);
    int64_t epoch = take(&r);
    point.last_at = take(&r);
    point.last_value = take(&r);
    int64_t count = take(&r);
    if (count < 0 || count > CHARGING_REGISTERS_MAX || epoch < 0 || epoch > INT32_MAX) r.failed = true;
    for (int64_t i = 0; !r.failed && i < count; i++) point.registers[i] = take(&r);
    point.epoch = (int32_t)epoch;
    point.register_count = (uint32_t)count;
    point.account = take(&r);
    point.purse = take(&r);
    point.charged_total = take(&r);
    point.quantity_total = take(&r);
    point.checkpoint_due = take(&r);
    if (bytes.ptr[0] == PACK_WHOLE) {
        point.estimated_since = take(&r);
        take_demand(&r, &point.demand);
    }
    int64_t rating_len = take(&r);
    if (r.failed || rating_len < 0 || (uint64_t)rating_len != r.rest.len)
        return fault_set(out_fault, ERR_MALFORMED, "point", "ends early or holds a number out of range");
    err_t err = rating_state_unpack(r.rest, &point.rating, out_fault);
    if (!err) *out_point = point;
    return err;
}

bool charging_point_equal(const charging_point *a, const charging_point *b) {
    for (uint32_t i = 0; i < a->register_count && i < b->register_count; i++)
        if (a->registers[i] != b->registers[i]) return false;
    return a->channel == b->channel && a->epoch == b->epoch && a->last_at == b->last_at && a->last_value == b->last_value &&
           a->register_count == b->register_count && a->account == b->account && a->purse == b->purse &&
           a->charged_total == b->charged_total && a->quantity_total == b->quantity_total && a->checkpoint_due == b->checkpoint_due &&
           a->estimated_since == b->estimated_since && demand_equal(&a->demand, &b->demand) && rating_state_equal(&a->rating, &b->rating);
}
