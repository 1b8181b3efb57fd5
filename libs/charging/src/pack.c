// Variable-length integers (seven bits a byte, low first), signed ones zigzag: small numbers stay small.
#include <string.h>

#include "charging/point.h"

#define PACK_VERSION 1

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

size_t charging_point_pack(const charging_point *self, uint8_t out[CHARGING_POINT_BYTES_MAX]) {
    writer w = {out, 0};
    w.out[w.len++] = PACK_VERSION;
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
    uint8_t rating[RATING_STATE_BYTES_MAX];
    size_t rating_len = rating_state_pack(&self->rating, rating);
    put(&w, (int64_t)rating_len);  // so that a cut row is noticed
    memcpy(w.out + w.len, rating, rating_len);
    return w.len + rating_len;
}

err_t charging_point_unpack(sv bytes, charging_point *out_point, fault *out_fault) {
    if (bytes.len == 0 || bytes.ptr[0] != PACK_VERSION) return fault_set(out_fault, ERR_MALFORMED, "offset 0", "is no packed point");
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
           rating_state_equal(&a->rating, &b->rating);
}
