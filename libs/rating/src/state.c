#include "rating/state.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "tariff_compiled.h"

#define FORMAT_TWO 2
#define FLAG_LIFE 1     // the window without ends
#define FLAG_CARRIED 2  // earlier versions were used in this window
#define FLAG_ACCRUED 4  // fixed lines accrue
#define FLAG_REST 8     // a price ends in shares of its last decimal
#define FLAG_AHEAD 16   // volume tiers
#define AHEAD_OF_WINDOW (RATING_AHEAD_FROM | RATING_AHEAD_TO)
#define AHEAD_OF_CLOCKS (RATING_AHEAD_WINDOWS | RATING_AHEAD_DAYS)
#define EXACT_SCALE_MAX 27
#define VARINT_BYTES_MAX 19

void rating_state_init(rating_state *self) {
    memset(self, 0, offsetof(rating_state, used_milli));
    self->used_milli[0] = 0;
}

size_t rating_state_room(const tariff *self) {
    if (self->tier_kind == TIER_KIND_VOLUME) return sizeof(rating_state);
    size_t bytes = offsetof(rating_state, used_milli) + (size_t)self->periods * self->steps * sizeof(int64_t);
    return (bytes + _Alignof(rating_state) - 1) / _Alignof(rating_state) * _Alignof(rating_state);
}

void rating_state_hand_over(rating_state *self) {
    rating_accrued clocks = self->accrued;
    rating_state_init(self);
    self->accrued.windows_until = clocks.windows_until;
    self->accrued.days_until = clocks.days_until;
    self->accrued.dates_ahead = clocks.dates_ahead;
}

int64_t rating_state_used_milli(const rating_state *self) {
    int64_t used = self->before_milli;
    for (size_t i = 0; i < (size_t)self->periods * self->steps; i++) used += self->used_milli[i];
    return used;
}

static bool exact_equal(exact_amount a, exact_amount b) { return a.value == b.value && (a.scale == b.scale || a.value == 0); }

static bool ahead_equal(const rating_ahead *a, uint32_t a_count, const rating_ahead *b, uint32_t b_count) {
    if (a_count != b_count) return false;
    for (uint32_t i = 0; i < a_count; i++) {
        exact_amount left = {a[i].value, a[i].scale}, right = {b[i].value, b[i].scale};
        if (a[i].upper_milli != b[i].upper_milli || a[i].rest != b[i].rest || !exact_equal(left, right)) return false;
    }
    return true;
}

bool rating_state_equal(const rating_state *a, const rating_state *b) {
    if (a->version != b->version || a->window.from != b->window.from || a->window.to != b->window.to) return false;
    if (a->charged_micro != b->charged_micro || a->before_milli != b->before_milli) return false;
    if (!exact_equal(a->carried, b->carried) || !exact_equal(a->priced, b->priced)) return false;
    if (a->carried_rest != b->carried_rest || a->priced_rest != b->priced_rest) return false;
    if (memcmp(&a->accrued, &b->accrued, sizeof a->accrued) != 0) return false;
    if (!ahead_equal(a->carried_ahead, a->carried_ahead_count, b->carried_ahead, b->carried_ahead_count)) return false;
    if (!ahead_equal(a->priced_ahead, a->priced_ahead_count, b->priced_ahead, b->priced_ahead_count)) return false;
    if (a->periods != b->periods || a->steps != b->steps || a->window_dates_ahead != b->window_dates_ahead) return false;
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

// Clocks stand at local midnights, which are whole seconds; 0 is a clock that never ran.
static uint8_t *put_clock(uint8_t *at, instant_ms clock) { return put_u64(at, clock == 0 ? 0 : 1 + zigzag_u64(clock / SECOND_MS)); }

static uint8_t *put_accrued(uint8_t *at, const rating_accrued *accrued) {
    at = put_clock(at, accrued->windows_until);
    at = put_clock(at, accrued->days_until);
    at = put_u64(at, (uint64_t)accrued->windows);
    at = put_u64(at, (uint64_t)accrued->shares);
    return put_u64(at, (uint64_t)accrued->days);
}

static uint8_t *put_ahead(uint8_t *at, const rating_ahead *list, uint32_t count) {
    *at++ = (uint8_t)count;
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count) at = put_u64(at, (uint64_t)list[i].upper_milli);
        at = put_exact(at, (exact_amount){list[i].value, list[i].scale});
        at = put_u64(at, (uint64_t)list[i].rest);
    }
    return at;
}

size_t rating_state_pack(const rating_state *self, uint8_t out[RATING_STATE_BYTES_MAX]) {
    uint8_t *at = out;
    *at++ = FORMAT_TWO;
    bool has_clocks = self->accrued.windows_until != 0 || self->accrued.days_until != 0;
    if (self->version == 0 && !has_clocks) return 1;
    size_t cells = (size_t)self->periods * self->steps;
    CHECK(self->periods <= TARIFF_PERIODS_MAX && self->steps <= RATING_STEPS_MAX);
    bool is_life = self->window.from == INSTANT_MIN;
    bool has_carried = self->before_milli != 0 || self->carried.value != 0 || self->carried_rest != 0;
    bool has_rest = self->carried_rest != 0 || self->priced_rest != 0;
    bool has_ahead = self->carried_ahead_count > 0 || self->priced_ahead_count > 0;
    *at++ = (uint8_t)((is_life ? FLAG_LIFE : 0) | (has_carried ? FLAG_CARRIED : 0) | (has_clocks ? FLAG_ACCRUED : 0) |
                      (has_rest ? FLAG_REST : 0) | (has_ahead ? FLAG_AHEAD : 0));
    if (has_clocks || !is_life) *at++ = (uint8_t)(self->window_dates_ahead | (uint64_t)self->accrued.dates_ahead);
    if (has_clocks) at = put_accrued(at, &self->accrued);
    at = put_u64(at, self->version);
    if (self->version == 0) return (size_t)(at - out);
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
    if (has_rest) {
        at = put_u64(at, (uint64_t)self->carried_rest);
        at = put_u64(at, (uint64_t)self->priced_rest);
    }
    if (has_ahead) {
        at = put_ahead(at, self->carried_ahead, self->carried_ahead_count);
        at = put_ahead(at, self->priced_ahead, self->priced_ahead_count);
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

static instant_ms take_clock(unpacking *self) {
    uint64_t clock = take_u64(self, UINT64_MAX);
    if (clock == 0) return 0;
    int128 seconds = unzigzag(clock - 1);
    if (seconds > INSTANT_MIN / SECOND_MS && seconds <= INSTANT_MAX / SECOND_MS) return (int64_t)seconds * SECOND_MS;
    spoil(self, "a clock is out of bounds");
    return 0;
}

#define COUNTED_MAX (1LL << 40)

static void take_accrued(unpacking *self, rating_accrued *out) {
    out->windows_until = take_clock(self);
    out->days_until = take_clock(self);
    out->windows = (int64_t)take_u64(self, COUNTED_MAX);
    out->shares = (int64_t)take_u64(self, COUNTED_MAX);
    out->days = (int64_t)take_u64(self, COUNTED_MAX);
}

static void take_ahead(unpacking *self, rating_ahead *list, uint32_t *out_count) {
    uint8_t count = take_byte(self);
    if (count > RATING_AHEAD_MAX) {
        spoil(self, "too many tiers");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        list[i].upper_milli = i + 1 < count ? (int64_t)take_u64(self, INT64_MAX - 1) : INT64_MAX;
        if (i > 0 && list[i].upper_milli <= list[i - 1].upper_milli) spoil(self, "tiers do not rise");
        exact_amount amount = take_exact(self);
        list[i].value = amount.value;
        list[i].scale = amount.scale;
        list[i].rest = (int32_t)take_u64(self, RATING_SHARES - 1);
    }
    *out_count = count;
}

static void take_body(unpacking *self, rating_state *out) {
    uint8_t flags = take_byte(self);
    if (flags & ~(FLAG_LIFE | FLAG_CARRIED | FLAG_ACCRUED | FLAG_REST | FLAG_AHEAD)) spoil(self, "unknown flags");
    uint8_t ahead = (flags & FLAG_ACCRUED) || !(flags & FLAG_LIFE) ? take_byte(self) : 0;
    out->window_dates_ahead = ahead & AHEAD_OF_WINDOW;
    out->accrued.dates_ahead = ahead & AHEAD_OF_CLOCKS;
    if (ahead & ~((flags & FLAG_LIFE ? 0 : AHEAD_OF_WINDOW) | (flags & FLAG_ACCRUED ? AHEAD_OF_CLOCKS : 0))) spoil(self, "unknown dates");
    if (flags & FLAG_ACCRUED) take_accrued(self, &out->accrued);
    bool has_clocks = out->accrued.windows_until != 0 || out->accrued.days_until != 0;
    if ((flags & FLAG_ACCRUED) && !has_clocks) spoil(self, "clocks that never began");
    out->version = take_u64(self, UINT64_MAX);
    if (out->version == 0 && flags == FLAG_ACCRUED) return;
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
    if (flags & FLAG_REST) {
        out->carried_rest = (int32_t)take_u64(self, RATING_SHARES - 1);
        out->priced_rest = (int32_t)take_u64(self, RATING_SHARES - 1);
    }
    if (flags & FLAG_AHEAD) {
        take_ahead(self, out->carried_ahead, &out->carried_ahead_count);
        take_ahead(self, out->priced_ahead, &out->priced_ahead_count);
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
    if (take_byte(&in) != FORMAT_TWO) spoil(&in, "unknown format");
    if (bytes.len > 1) take_body(&in, out_state);
    if (in.at != in.end) spoil(&in, "bytes after the end");
    if (!in.reason) return ERR_OK;
    rating_state_init(out_state);
    char place[32];
    snprintf(place, sizeof place, "offset %zu", (size_t)(in.at - start));
    return fault_set(out_fault, ERR_MALFORMED, place, "%s", in.reason);
}
