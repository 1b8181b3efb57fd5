// Base64 and base64url (RFC 4648 §4, §5). Decoding refuses what encoding would not have written, so that one value has
// one text.
#include "crypto/crypto.h"

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(buf *out, sv bytes, const char *alphabet, bool padded);
static bool decode(sv text, buf *out, const char *alphabet);

void crypto_base64_add(buf *out, sv bytes) { encode(out, bytes, STANDARD, true); }

bool crypto_base64_decode(sv text, buf *out) {
    if (text.len % 4 != 0) return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=') padding++;
    return decode((sv){text.ptr, text.len - padding}, out, STANDARD);
}

void crypto_base64url_add(buf *out, sv bytes) { encode(out, bytes, URL, false); }

bool crypto_base64url_decode(sv text, buf *out) { return decode(text, out, URL); }

static void encode(buf *out, sv bytes, const char *alphabet, bool padded) {
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) group = group << 8 | (k < have ? (uint8_t)bytes.ptr[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) {
            if (k <= have)
                buf_add_byte(out, alphabet[group >> (18 - 6 * k) & 63]);
            else if (padded)
                buf_add_byte(out, '=');
        }
    }
}

static int value_of(char byte, const char *alphabet) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == alphabet[62]) return 62;
    return byte == alphabet[63] ? 63 : -1;
}

static bool decode(sv text, buf *out, const char *alphabet) {
    size_t before = out->len;
    uint32_t bits = 0;
    unsigned count = 0;
    if (text.len % 4 == 1 || buf_has_failed(out)) return false;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i], alphabet);
        if (value < 0) break;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_add_byte(out, (char)(uint8_t)(bits >> count));
            bits &= (1u << count) - 1;
        }
        if (i + 1 == text.len && bits == 0 && !buf_has_failed(out)) return true;
    }
    if (text.len == 0) return true;
    out->len = before;
    return false;
}
