#include "bell.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"
#include "contracts/streams.h"

#define WAITING_MAX 8192
#define PAYLOAD_MAX 8192
#define WAKE_MS 1000
#define TRIM_EVERY_MS 60000
#define PARTITIONS_END 1024

typedef struct ring {
    int16_t partition;
    int64_t block_id;
} ring;

typedef struct board_change {
    int32_t company;
    int64_t property;
} board_change;

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    VEC(ring) rings;
    VEC(board_change) changes;
    metric *missed;
    bool used[PARTITIONS_END];  // streams to trim; the thread's own
};

bell *bell_new(service *svc) {
    (void)svc;
    bell *self = mem_new(1, sizeof *self);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->rung, &attr);
    pthread_condattr_destroy(&attr);
    self->missed = metric_counter("penstock_ingest_rings_missed_total", "Journaled blocks whose stream was not rung", NULL);
    return self;
}

void bell_free(bell *self) {
    if (!self) return;
    vec_done(&self->rings);
    vec_done(&self->changes);
    pthread_cond_destroy(&self->rung);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

void bell_ring(bell *self, const int16_t *partitions, const int64_t *block_ids, size_t count) {
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < count; i++) {
        if (self->rings.len < WAITING_MAX)
            vec_push(&self->rings, ((ring){partitions[i], block_ids[i]}));
        else
            metric_add(self->missed, 1);
    }
    pthread_cond_signal(&self->rung);
    pthread_mutex_unlock(&self->lock);
}

void bell_board(bell *self, int32_t company, int64_t property) {
    pthread_mutex_lock(&self->lock);
    bool is_known = self->changes.len >= WAITING_MAX;
    for (size_t i = 0; i < self->changes.len && !is_known; i++)
        is_known = self->changes.items[i].company == company && self->changes.items[i].property == property;
    if (!is_known) vec_push(&self->changes, ((board_change){company, property}));
    pthread_cond_signal(&self->rung);
    pthread_mutex_unlock(&self->lock);
}

typedef struct work {
    VEC(ring) rings;
    VEC(board_change) changes;
} work;

static void wait_for_work(bell *self, work *out) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAKE_MS / 1000;
    vec_clear(&out->rings);
    vec_clear(&out->changes);
    pthread_mutex_lock(&self->lock);
    while (self->rings.len == 0 && self->changes.len == 0)
        if (pthread_cond_timedwait(&self->rung, &self->lock, &until) != 0) break;
    for (size_t i = 0; i < self->rings.len; i++) vec_push(&out->rings, self->rings.items[i]);
    for (size_t i = 0; i < self->changes.len; i++) vec_push(&out->changes, self->changes.items[i]);
    vec_clear(&self->rings);
    vec_clear(&self->changes);
    pthread_mutex_unlock(&self->lock);
}

// The rings come sorted by partition from each flush: neighbours share an entry.
static void publish_rings(bell *self, bus *redis, const work *todo) {
    AUTO(buf) payload;
    buf_init(&payload, PAYLOAD_MAX);
    for (size_t i = 0; i < todo->rings.len;) {
        int16_t partition = todo->rings.items[i].partition;
        size_t first = i;
        buf_clear(&payload);
        for (; i < todo->rings.len && todo->rings.items[i].partition == partition && payload.len + 8 <= PAYLOAD_MAX; i++) {
            uint64_t id = htobe64((uint64_t)todo->rings.items[i].block_id);
            buf_add(&payload, sv_slice(&id, sizeof id));
        }
        char stream[STREAM_NAME_MAX];
        stream_partition_name(STREAM_READINGS, partition, stream);
        if (partition >= 0 && partition < PARTITIONS_END) self->used[partition] = true;
        if (bus_publish(redis, &(bus_entry){stream, buf_view(&payload)}, 1)) metric_add(self->missed, (int64_t)(i - first));
    }
}

static void publish_board(bus *redis, const work *todo) {
    AUTO(buf) payload;
    buf_init(&payload, 128);
    for (size_t i = 0; i < todo->changes.len; i++) {
        buf_clear(&payload);
        buf_addf(&payload, "{\"company\":%d,\"properties\":[%lld]}", todo->changes.items[i].company,
                 (long long)todo->changes.items[i].property);
        // Lost: the board shows it with the next change.
        if (bus_publish(redis, &(bus_entry){stream_name(STREAM_BOARD), buf_view(&payload)}, 1)) return;
    }
}

static void trim(bell *self, bus *redis) {
    for (int32_t p = 0; p < PARTITIONS_END; p++) {
        if (!self->used[p]) continue;
        char stream[STREAM_NAME_MAX];
        stream_partition_name(STREAM_READINGS, p, stream);
        if (bus_trim(redis, &(const char *){stream}, 1)) return;
    }
    (void)!bus_trim(redis, &(const char *){stream_name(STREAM_BOARD)}, 1);
}

void bell_run(service *svc, void *context) {
    bell *self = context;
    bus *redis = service_bus_new(svc);
    work todo = {0};
    int64_t trim_at_ms = clock_monotonic_ms() + TRIM_EVERY_MS;
    while (!service_is_stopping(svc)) {
        wait_for_work(self, &todo);
        publish_rings(self, redis, &todo);
        publish_board(redis, &todo);
        if (clock_monotonic_ms() < trim_at_ms) continue;
        trim(self, redis);
        trim_at_ms = clock_monotonic_ms() + TRIM_EVERY_MS;
    }
    vec_done(&todo.rings);
    vec_done(&todo.changes);
    bus_free(redis);
}
