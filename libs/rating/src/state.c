#include "rating/state.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "tariff_compiled.h"

#define FORMAT_ONE 1
#define FLAG_LIFE 1     // the window without ends
#define FLAG_CARRIED 2  // earlier versions were used in this window
#define EXACT_SCALE_MAX 27
#define VARINT_BYTES_MAX 19

void rating_state_init(rating_state *self) {
    memset(self, 0, offsetof(rating_state, used_milli));
    self->used_milli[0] = 0;
}

int64_t rating_state_used_milli(const rating_state *self) {
    int64_t used = self->before_milli;
    for (size_t i = 0; i < (size_t)self->periods * self->steps; i++) used += self->used_milli[i];
    return used;
}

static bool exact_equal(exact_amount a, exact_amount b) { return a.value == b.value && (a.scale == b.scale || a.value == 0); }

bool rating_state_equal(const rating_state *a, const rating_state *b) {
    if (a->version != b->version || a->window.from != b->window.from || a->window.to != b->window.to) return false;
    if (a->charged_micro != b->charged_micro || a->before_milli != b->before_milli) return false;
    if (!exact_equal(a->carried, b->carried) || !exact_equal(a->priced, b->priced)) return false;
    if (a->periods != b->periods || a->steps != b->steps) return false;
    size_t cells = (size_t)a->periods * a->steps;
    return cells == 0 || memcmp(a->used_milli, b->used_milli, cells * sizeof a->used_milli[0]) == 0;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value) {
    while (value >= 0x80) {
        *at++ = (uint8_t)(0x80 | (uint8_t)(value & 0x7F));
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_wide(uint8_t *at, unsigned __int128 value) {
    while (value > UINT64_MAX) {
        *at++ = (uint8_t)(0x80 | (uint8_t)(value & 0x7F));
        value >>= 7;
    }
    return put_u64(at, (uint64_t)value);
}

// Small negative numbers stay short: 0, -1, 1, -2 become 0, 1, 2, 3.
static unsigned __int128 zigzag(int128 value) { return ((unsigned __int128)value << 1) ^ (unsigned __int128)(value >> 127); }

static uint64_t zigzag_u64(int64_t value) { return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63); }

static int128 unzigzag(unsigned __int128 value) { return (int128)(value >> 1) ^ -(int128)(value & 1); }

static uint8_t *put_exact(uint8_t *at, exact_amount amount) {
    *at++ = (uint8_t)amount.scale;
    return put_wide(at, zigzag(amount.value));
}

size_t rating_state_pack(const rating_state *self, uint8_t out[RATING_STATE_BYTES_MAX]) {
    uint8_t *at = out;
    *at++ = FORMAT_ONE;
    if (self->version == 0) return 1;
    size_t cells = (size_t)self->periods * self->steps;
    CHECK(self->periods <= TARIFF_PERIODS_MAX && self->steps <= RATING_STEPS_MAX);
    bool is_life = self->window.from == INSTANT_MIN;
    bool has_carried = self->before_milli != 0 || self->carried.value != 0;
    *at++ = (uint8_t)((is_life ? FLAG_LIFE : 0) | (has_carried ? FLAG_CARRIED : 0));
    at = put_u64(at, self->version);
    *at++ = (uint8_t)self->periods;
    *at++ = (uint8_t)self->steps;
    if (!is_life) {
        at = put_u64(at, zigzag_u64(self->window.from / SECOND_MS));
        at = put_u64(at, (uint64_t)((self->window.to - self->window.from) / SECOND_MS));
    }
    at = put_u64(at, zigzag_u64(self->charged_micro));
    at = put_exact(at, self->priced);
    if (has_carried) {
        at = put_u64(at, (uint64_t)self->before_milli);
        at = put_exact(at, self->carried);
    }
    for (size_t i = 0; i < cells; i++) at = put_u64(at, (uint64_t)self->used_milli[i]);
    return (size_t)(at - out);
}

typedef struct unpacking {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    const char *reason;  // NULL while all is well
} unpacking;

static void spoil(unpacking *self, const char *reason) {
    if (!self->reason) self->reason = reason;
}

static uint8_t take_byte(unpacking *self) {
    if (self->at == self->end) spoil(self, "the bytes end early");
    return self->reason ? 0 : *self->at++;
}

static unsigned __int128 take_varint(unpacking *self) {
    unsigned __int128 value = 0;
    for (int i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = take_byte(self);
        if (i == VARINT_BYTES_MAX - 1 && byte > 3) break;
        value |= (unsigned __int128)(byte & 0x7F) << (7 * i);
        if (!(byte & 0x80)) return value;
    }
    spoil(self, "a number is too long");
    return 0;
}

// Numbers of up to eight bytes, nearly all, without 128-bit arithmetic.
static bool take_narrow(unpacking *self, uint64_t *out_value) {
    uint64_t value = 0;
    const uint8_t *at = self->at;
    for (int shift = 0; at < self->end && shift < 56; shift += 7) {
        value |= (uint64_t)(*at & 0x7F) << shift;
        if (*at++ & 0x80) continue;
        self->at = at;
        *out_value = value;
        return true;
    }
    return false;
}

static unsigned __int128 take_number(unpacking *self) {
    uint64_t narrow;
    return take_narrow(self, &narrow) ? narrow : take_varint(self);
}

static uint64_t take_u64(unpacking *self, uint64_t max) {
    uint64_t value;
    if (!take_narrow(self, &value)) {
        unsigned __int128 wide = take_varint(self);
        if (wide > UINT64_MAX) spoil(self, "a number is out of bounds");
        value = (uint64_t)wide;
    }
    if (value > max) spoil(self, "a number is out of bounds");
    return self->reason ? 0 : value;
}

static int64_t take_i64(unpacking *self, int64_t min, int64_t max) {
    int128 value = unzigzag(take_number(self));
    if (value >= min && value <= max) return (int64_t)value;
    spoil(self, "a number is out of bounds");
    return 0;
}

static exact_amount take_exact(unpacking *self) {
    exact_amount amount = {.scale = take_byte(self)};
    if (amount.scale > EXACT_SCALE_MAX) spoil(self, "a scale is out of bounds");
    amount.value = unzigzag(take_number(self));
    return amount;
}

static void take_window(unpacking *self, bool is_life, time_window *out_window) {
    *out_window = (time_window){INSTANT_MIN, INSTANT_MAX};
    if (is_life) return;
    out_window->from = take_i64(self, INSTANT_MIN / SECOND_MS + 1, INSTANT_MAX / SECOND_MS) * SECOND_MS;
    out_window->to = out_window->from + (int64_t)take_u64(self, 400 * 86400) * SECOND_MS;
}

static void take_body(unpacking *self, rating_state *out) {
    uint8_t flags = take_byte(self);
    if (flags & ~(FLAG_LIFE | FLAG_CARRIED)) spoil(self, "unknown flags");
    out->version = take_u64(self, UINT64_MAX);
    out->periods = take_byte(self);
    out->steps = take_byte(self);
    if (out->version == 0 || out->periods < 1 || out->periods > TARIFF_PERIODS_MAX || out->steps < 1 || out->steps > RATING_STEPS_MAX)
        spoil(self, "version, periods or tiers are out of bounds");
    if (self->reason) return;
    take_window(self, flags & FLAG_LIFE, &out->window);
    out->charged_micro = take_i64(self, INT64_MIN, INT64_MAX);
    out->priced = take_exact(self);
    if (flags & FLAG_CARRIED) {
        out->before_milli = (int64_t)take_u64(self, QUANTITY_LIMIT_MILLI);
        out->carried = take_exact(self);
    }
    int64_t used = out->before_milli;
    for (size_t i = 0; i < (size_t)out->periods * out->steps; i++) {
        out->used_milli[i] = (int64_t)take_u64(self, QUANTITY_LIMIT_MILLI);
        used += out->used_milli[i];
    }
    if (used > QUANTITY_LIMIT_MILLI) spoil(self, "quantities are out of bounds");
}

err_t rating_state_unpack(sv bytes, rating_state *out_state, fault *out_fault) {
    const uint8_t *start = (const uint8_t *)bytes.ptr;
    unpacking in = {.start = start, .at = start, .end = start + bytes.len};
    rating_state_init(out_state);
    if (bytes.len == 0) return ERR_OK;
    if (take_byte(&in) != FORMAT_ONE) spoil(&in, "unknown format");
    if (bytes.len > 1) take_body(&in, out_state);
    if (in.at != in.end) spoil(&in, "bytes after the end");
    if (!in.reason) return ERR_OK;
    rating_state_init(out_state);
    char place[32];
    snprintf(place, sizeof place, "offset %zu", (size_t)(in.at - start));
    return fault_set(out_fault, ERR_MALFORMED, place, "%s", in.reason);
}
