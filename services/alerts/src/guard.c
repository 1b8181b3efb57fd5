#include "guard.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

typedef struct block4 {
    uint32_t base;
    int bits;
} block4;

// RFC 6890 and its registry: what is not globally reachable.
static const block4 CLOSED[] = {
    {0x00000000, 8},   // this network
    {0x0A000000, 8},   // private
    {0x64400000, 10},  // shared, carrier-grade NAT
    {0x7F000000, 8},   // loopback
    {0xA9FE0000, 16},  // link-local
    {0xAC100000, 12},  // private
    {0xC0000000, 24},  // protocol assignments
    {0xC0000200, 24},  // documentation
    {0xC0586300, 24},  // 6to4 relay
    {0xC0A80000, 16},  // private
    {0xC6120000, 15},  // benchmarking
    {0xC6336400, 24},  // documentation
    {0xCB007100, 24},  // documentation
    {0xE0000000, 3},   // multicast, reserved, broadcast
};

static bool is_public4(uint32_t address) {
    for (size_t i = 0; i < ARRAY_LEN(CLOSED); i++)
        if (((address ^ CLOSED[i].base) >> (32 - CLOSED[i].bits)) == 0) return false;
    return true;
}

static uint32_t be32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_public6(const uint8_t a[16]) {
    static const uint8_t ZERO[12] = {0};
    static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    static const uint8_t NAT64[12] = {0x00, 0x64, 0xFF, 0x9B};
    if (memcmp(a, MAPPED, 12) == 0 || memcmp(a, NAT64, 12) == 0) return is_public4(be32(a + 12));
    if (memcmp(a, ZERO, 12) == 0) return false;                                      // ::, ::1, IPv4-compatible
    if (a[0] == 0x20 && a[1] == 0x02) return is_public4(be32(a + 2));                // 6to4
    if (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0 && a[3] == 0) return false;        // Teredo
    if (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0D && a[3] == 0xB8) return false;  // documentation
    return (a[0] & 0xE0) == 0x20;                                                    // 2000::/3, the global unicast block
}

bool guard_is_public(const struct sockaddr *address, size_t address_len) {
    if (address->sa_family == AF_INET && address_len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6 && address_len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return is_public6(in.sin6_addr.s6_addr);
    }
    return false;
}

bool guard_may_connect(void *owner, const struct sockaddr *address, size_t address_len) {
    (void)owner;
    return guard_is_public(address, address_len);
}
