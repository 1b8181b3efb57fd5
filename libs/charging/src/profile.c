#include "charging/profile.h"

int64_t charging_gap_after_ms(int64_t poll_interval_ms) {
    int64_t polls = poll_interval_ms * CHARGING_GAP_POLLS;
    return polls > CHARGING_GAP_MIN_MS ? polls : CHARGING_GAP_MIN_MS;
}

// 1970-01-01 was a Thursday.
static int kind_of_day(int64_t day) {
    int64_t weekday = ((day + 3) % 7 + 7) % 7;  // Monday 0
    return weekday >= 5;
}

static int128 weight_of_day(const charging_profile *self, int kind) {
    int128 sum = 0;
    for (int i = 0; i < CHARGING_SLOTS; i++) sum += self->milli[kind][i];
    return sum * CHARGING_SLOT_MS;
}

// Usual use times time over [from, to): whole days of 24 hours at once, else half hour by half hour.
static int128 weight_of(const charging_profile *self, const zone *local, instant_ms from, instant_ms to) {
    int128 sum = 0;
    for (instant_ms at = from; at < to;) {
        local_time now = zone_local_time(local, at);
        int kind = kind_of_day(now.day);
        if (now.ms_of_day == 0 && at + DAY_MS <= to && zone_day_start(local, now.day + 1) == at + DAY_MS) {
            sum += weight_of_day(self, kind);
            at += DAY_MS;
            continue;
        }
        instant_ms end = at + CHARGING_SLOT_MS - now.ms_of_day % CHARGING_SLOT_MS;
        if (end > to) end = to;
        sum += (int128)self->milli[kind][now.ms_of_day / CHARGING_SLOT_MS] * (end - at);
        at = end;
    }
    return sum;
}

int64_t charging_profile_split(const charging_profile *self, const zone *local, int64_t quantity, instant_ms from, instant_ms to,
                               instant_ms at) {
    int128 whole = self ? weight_of(self, local, from, to) : 0;
    if (whole == 0) return (int64_t)((int128)quantity * (at - from) / (to - from));
    return (int64_t)(quantity * weight_of(self, local, from, at) / whole);
}

charging_spread charging_spread_of(const charging_profile *profile, const zone *local, instant_ms from, instant_ms to) {
    return (charging_spread){profile, local, from, to, from, profile ? weight_of(profile, local, from, to) : 0, 0};
}

bool charging_spread_next(charging_spread *self, instant_ms *out_until) {
    if (self->at >= self->to) return false;
    local_time now = zone_local_time(self->local, self->at);
    instant_ms end = self->at + CHARGING_SLOT_MS - now.ms_of_day % CHARGING_SLOT_MS;
    if (end > self->to) end = self->to;
    if (self->whole != 0)
        self->done += (int128)self->profile->milli[kind_of_day(now.day)][now.ms_of_day / CHARGING_SLOT_MS] * (end - self->at);
    self->at = *out_until = end;
    return true;
}

int64_t charging_spread_used(const charging_spread *self, int64_t quantity) {
    if (self->whole == 0) return (int64_t)((int128)quantity * (self->at - self->from) / (self->to - self->from));
    return (int64_t)(quantity * self->done / self->whole);
}

int64_t charging_profile_usual(const charging_profile *self, const zone *local, instant_ms from, instant_ms to) {
    return (int64_t)(weight_of(self, local, from, to) / CHARGING_SLOT_MS);
}

void charging_profile_add(charging_profile_sums *self, const zone *local, instant_ms from, instant_ms to, int64_t quantity) {
    if (quantity < 0 || to <= from || to - from > CHARGING_GAP_MIN_MS) return;
    int64_t taken = 0;
    for (instant_ms at = from; at < to;) {
        local_time now = zone_local_time(local, at);
        instant_ms end = at + CHARGING_SLOT_MS - now.ms_of_day % CHARGING_SLOT_MS;
        if (end > to) end = to;
        int64_t until = (int64_t)((int128)quantity * (end - from) / (to - from));
        int kind = kind_of_day(now.day), slot = (int)(now.ms_of_day / CHARGING_SLOT_MS);
        if (__builtin_add_overflow(self->milli[kind][slot], until - taken, &self->milli[kind][slot])) return;
        self->ms[kind][slot] += end - at;
        taken = until;
        at = end;
    }
}

void charging_profile_take(charging_profile *self, const charging_profile_sums *sums) {
    for (int kind = 0; kind < 2; kind++) {
        for (int slot = 0; slot < CHARGING_SLOTS; slot++) {
            int seen = sums->ms[kind][slot] > 0 ? kind : !kind;
            int64_t ms = sums->ms[seen][slot];
            int128 usual = ms > 0 ? (int128)sums->milli[seen][slot] * CHARGING_SLOT_MS / ms : 0;
            self->milli[kind][slot] = usual < UINT32_MAX ? (uint32_t)usual : UINT32_MAX;
        }
    }
}

// Format 1: every weight as a variable-length integer, seven bits a byte, low first; weekdays before weekends.
#define PROFILE_FORMAT 1

static bool is_unknown(const charging_profile *self) {
    for (int i = 0; i < 2 * CHARGING_SLOTS; i++)
        if (self->milli[i / CHARGING_SLOTS][i % CHARGING_SLOTS] != 0) return false;
    return true;
}

size_t charging_profile_pack(const charging_profile *self, uint8_t out[CHARGING_PROFILE_BYTES_MAX]) {
    if (is_unknown(self)) return 0;
    size_t len = 0;
    out[len++] = PROFILE_FORMAT;
    for (int i = 0; i < 2 * CHARGING_SLOTS; i++) {
        uint32_t rest = self->milli[i / CHARGING_SLOTS][i % CHARGING_SLOTS];
        for (; rest >= 0x80; rest >>= 7) out[len++] = (uint8_t)(rest | 0x80);
        out[len++] = (uint8_t)rest;
    }
    return len;
}

err_t charging_profile_unpack(sv bytes, charging_profile *out_profile, fault *out_fault) {
    charging_profile made = *out_profile;
    for (int i = 0; i < 2 * CHARGING_SLOTS; i++) made.milli[i / CHARGING_SLOTS][i % CHARGING_SLOTS] = 0;
    bool is_right = bytes.len == 0 || bytes.ptr[0] == PROFILE_FORMAT;
    size_t at = 1;
    for (int i = 0; bytes.len > 0 && is_right && i < 2 * CHARGING_SLOTS; i++) {
        uint64_t value = 0;
        int shift = 0;
        bool is_open = true;
        for (; is_open && at < bytes.len && shift < 35; shift += 7, at++) {
            value |= (uint64_t)((uint8_t)bytes.ptr[at] & 0x7F) << shift;
            is_open = ((uint8_t)bytes.ptr[at] & 0x80) != 0;
        }
        is_right = !is_open && value <= UINT32_MAX;
        made.milli[i / CHARGING_SLOTS][i % CHARGING_SLOTS] = (uint32_t)value;
    }
    if (bytes.len > 0 && at != bytes.len) is_right = false;
    if (!is_right) return fault_set(out_fault, ERR_MALFORMED, "profile", "is no packed profile");
    *out_profile = made;
    return ERR_OK;
}
