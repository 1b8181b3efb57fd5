#include "base/id.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/clock.h"

#define NUM_EPOCH_MS 1704067200000LL  // 2024-01-01T00:00:00Z

void random_fill(void *out, size_t len) {
    uint8_t *at = out;
    while (len > 0) {
        size_t chunk = len < 256 ? len : 256;  // getrandom never returns short up to 256 bytes
        CHECK(getrandom(at, chunk, 0) == (ssize_t)chunk);
        at += chunk;
        len -= chunk;
    }
}

uuid uuid_v7(instant_ms at, const uint8_t random[10]) {
    uuid id;
    for (int i = 0; i < 6; i++) id.bytes[i] = (uint8_t)((uint64_t)at >> (40 - 8 * i));
    memcpy(id.bytes + 6, random, 10);
    id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0F));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3F));
    return id;
}

uuid uuid_v7_now(void) {
    uint8_t random[10];
    random_fill(random, sizeof random);
    penstock_clock system = clock_system();
    return uuid_v7(clock_now(&system), random);
}

bool uuid_parse(sv text, uuid *out_id) {
    if (text.len != UUID_TEXT_LEN) return false;
    char hex[32];
    size_t len = 0;
    for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash != (text.ptr[i] == '-')) return false;
        if (!is_dash) hex[len++] = text.ptr[i];
    }
    return sv_hex_decode((sv){hex, sizeof hex}, out_id->bytes);
}

void uuid_format(uuid id, char out[UUID_TEXT_LEN + 1]) {
    char *at = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
        at += snprintf(at, 3, "%02x", id.bytes[i]);
    }
}

int64_t num_next(num_series *self, instant_ms at) {
    CHECK(self->replica < 1024);
    int64_t ms = at - NUM_EPOCH_MS;
    CHECK(ms > 0 && ms < (1LL << 41));
    if (ms > self->last_ms) {
        self->last_ms = ms;
        self->counter = 0;
    } else if (++self->counter == 4096) {
        self->last_ms++;
        self->counter = 0;
    }
    return self->last_ms << 22 | (int64_t)self->replica << 12 | self->counter;
}

instant_ms num_instant(int64_t num) { return (num >> 22) + NUM_EPOCH_MS; }
