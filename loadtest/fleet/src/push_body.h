// The body of a push and its signature; see services/ingest for the contract.
#pragma once

#include "base/buf.h"
#include "config.h"

typedef struct fleet_sample {
    uint32_t meter;  // index in the gateway
    uint8_t reg;     // fleet_register
    int64_t value;
    instant_ms read_at;
    int64_t intended_us;  // monotonic: when it should have been sent
} fleet_sample;

#define FLEET_SIGNATURE_LEN 64

void fleet_push_body_add(buf *out, const fleet_gateway *gateway, const fleet_sample *samples, size_t count);
// Lower-case hex of HMAC-SHA256(secret, key "\n" timestamp "\n" counter "\n" body).
void fleet_push_sign(const fleet_gateway *gateway, sv timestamp, sv counter, sv body, char out[FLEET_SIGNATURE_LEN + 1]);
