#include "links/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define ADDRESS_BYTES 16

void source_format(const struct sockaddr *address, char *out, size_t size) {
    sv_copy_truncated(SV("unknown"), out, size);
    if (address->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, out, (socklen_t)size);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *ip = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(ip))
            (void)inet_ntop(AF_INET, ip->s6_addr + 12, out, (socklen_t)size);
        else
            (void)inet_ntop(AF_INET6, ip, out, (socklen_t)size);
    }
}

// 4 or 16 bytes; 0 when it is no address.
static size_t parse_address(sv text, uint8_t out[ADDRESS_BYTES]) {
    char terminated[INET6_ADDRSTRLEN + 1];
    if (text.len >= sizeof terminated) return 0;
    sv_copy_truncated(text, terminated, sizeof terminated);
    if (inet_pton(AF_INET, terminated, out) == 1) return 4;
    return inet_pton(AF_INET6, terminated, out) == 1 ? 16 : 0;
}

static bool is_inside(sv network, const uint8_t *address, size_t len) {
    uint8_t base[ADDRESS_BYTES];
    sv width = network;
    sv head = SV_NONE;
    if (!sv_next(&width, '/', &head)) return false;
    int64_t bits = (int64_t)len * 8;
    if (parse_address(head, base) != len) return false;
    if (width.ptr && (!sv_to_i64(width, &bits) || bits < 0 || bits > (int64_t)len * 8)) return false;
    size_t whole = (size_t)bits / 8;
    unsigned rest = (unsigned)bits % 8;
    if (memcmp(base, address, whole) != 0) return false;
    return rest == 0 || (base[whole] ^ address[whole]) >> (8 - rest) == 0;
}

bool source_is_allowed(sv networks, sv address) {
    uint8_t bytes[ADDRESS_BYTES];
    if (networks.len == 0) return true;
    size_t len = parse_address(address, bytes);
    sv network = SV_NONE;
    while (len && sv_next(&networks, ',', &network))
        if (is_inside(network, bytes, len)) return true;
    return false;
}
