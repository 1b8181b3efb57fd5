#include "push_body.h"

#include <string.h>

#include "crypto/crypto.h"

static void add_sample(buf *out, const fleet_gateway *gateway, const fleet_sample *sample) {
    fleet_register reg = (fleet_register)sample->reg;
    char value[FLEET_DECIMAL_MAX], read_at[INSTANT_TEXT_MAX];
    size_t value_len = fleet_decimal_format(sample->value, fleet_register_decimals(reg), value);
    size_t read_at_len = instant_format(sample->read_at, FLEET_UTC_OFFSET_S, read_at);
    buf_add(out, SV("{\"meter\":\""));
    buf_add(out, (sv){gateway->meters[sample->meter].address_text, 12});
    buf_add(out, SV("\",\"register\":\""));
    buf_add(out, sv_of(fleet_register_name(reg)));
    buf_add(out, SV("\",\"value\":\""));
    buf_add(out, (sv){value, value_len});
    buf_add(out, SV("\",\"unit\":\""));
    buf_add(out, sv_of(fleet_register_unit(reg)));
    buf_add(out, SV("\",\"read_at\":\""));
    buf_add(out, (sv){read_at, read_at_len});
    buf_add(out, SV("\"}"));
}

void fleet_push_body_add(buf *out, const fleet_gateway *gateway, const fleet_sample *samples, size_t count) {
    buf_add(out, SV("{\"readings\":["));
    for (size_t i = 0; i < count; i++) {
        if (i) buf_add_byte(out, ',');
        add_sample(out, gateway, &samples[i]);
    }
    buf_add(out, SV("]}"));
}

void fleet_push_sign(const fleet_gateway *gateway, sv timestamp, sv counter, sv body, char out[FLEET_SIGNATURE_LEN + 1]) {
    static const char DIGITS[] = "0123456789abcdef";
    const sv pieces[] = {sv_of(gateway->name), SV("\n"), timestamp, SV("\n"), counter, SV("\n"), body};
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_hmac_sha256_pieces((sv){(const char *)gateway->secret, gateway->secret_len}, pieces, sizeof pieces / sizeof pieces[0], digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = DIGITS[digest[i] >> 4];
        out[2 * i + 1] = DIGITS[digest[i] & 15];
    }
    out[FLEET_SIGNATURE_LEN] = '\0';
}
