// Tells the dashboards, after a commit, which properties changed: best effort, one entry per company.
#include "contracts/streams.h"
#include "worker.h"

static void add_company(const touched_property *properties, size_t count, int32_t company, buf *out) {
    buf_addf(out, "{\"company\":%d,\"properties\":[", company);
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        if (properties[i].company != company) continue;
        buf_addf(out, "%s%lld", is_first ? "" : ",", (long long)properties[i].property);
        is_first = false;
    }
    buf_add(out, SV("]}"));
}

static bool was_before(const touched_property *properties, size_t at) {
    for (size_t i = 0; i < at; i++)
        if (properties[i].company == properties[at].company) return true;
    return false;
}

void board_ring(worker *self, const touched_property *properties, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (was_before(properties, i)) continue;
        AUTO(buf) text = {.max = 1u << 20};
        add_company(properties, count, properties[i].company, &text);
        const bus_entry entry = {stream_name(STREAM_BOARD), buf_view(&text)};
        if (bus_publish(self->voice, &entry, 1)) return;  // the board re-reads by itself now and then
    }
}
