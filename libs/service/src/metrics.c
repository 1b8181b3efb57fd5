#include "service/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

typedef enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM } metric_kind;

// Upper edges in microseconds.
static const int64_t EDGES_US[] = {500,    1000,   2500,    5000,    10000,   25000,    50000,    100000,
                                   250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};
#define EDGE_COUNT ARRAY_LEN(EDGES_US)

struct metric {
    metric_kind kind;
    const char *name, *help, *labels;  // literals of the callers, or owned copies
    atomic_llong value;                // of a histogram: the count
    atomic_llong sum_us;
    atomic_llong buckets[EDGE_COUNT];  // not cumulative
    metric_reader read;
    void *context;
    metric *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static metric *first;

static const char *copy_text(const char *text) {
    if (!text) return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(mem_new(size, 1), text, size);
}

static bool is_same(const metric *at, const char *name, const char *labels) {
    if (strcmp(at->name, name) != 0 || (at->labels != NULL) != (labels != NULL)) return false;
    return !labels || strcmp(at->labels, labels) == 0;
}

// Series of one name stay together, in the order of their registration, as the text format wants.
static metric *find_or_add(metric_kind kind, const char *name, const char *help, const char *labels) {
    pthread_mutex_lock(&lock);
    metric **place = &first;
    metric *found = NULL;
    bool in_family = false;
    while (*place && !found) {
        bool same_family = strcmp((*place)->name, name) == 0;
        if (in_family && !same_family) break;
        in_family = same_family;
        if (is_same(*place, name, labels)) found = *place;
        place = &(*place)->next;
    }
    if (!found) {
        found = mem_new(1, sizeof *found);
        found->kind = kind;
        found->name = copy_text(name);
        found->help = copy_text(help);
        found->labels = copy_text(labels);
        found->next = *place;
        *place = found;
    }
    pthread_mutex_unlock(&lock);
    CHECK(found->kind == kind);
    return found;
}

metric *metric_counter(const char *name, const char *help, const char *labels) { return find_or_add(METRIC_COUNTER, name, help, labels); }

metric *metric_gauge(const char *name, const char *help, const char *labels) { return find_or_add(METRIC_GAUGE, name, help, labels); }

metric *metric_histogram(const char *name, const char *help, const char *labels) {
    return find_or_add(METRIC_HISTOGRAM, name, help, labels);
}

void metric_gauge_read(const char *name, const char *help, const char *labels, metric_reader read, void *context) {
    metric *self = find_or_add(METRIC_GAUGE, name, help, labels);
    pthread_mutex_lock(&lock);
    self->read = read;
    self->context = context;
    pthread_mutex_unlock(&lock);
}

void metric_add(metric *self, int64_t amount) {
    CHECK(self->kind != METRIC_COUNTER || amount >= 0);
    atomic_fetch_add_explicit(&self->value, amount, memory_order_relaxed);
}

void metric_set(metric *self, int64_t value) {
    CHECK(self->kind == METRIC_GAUGE);
    atomic_store_explicit(&self->value, value, memory_order_relaxed);
}

void metric_observe_us(metric *self, int64_t duration_us) {
    CHECK(self->kind == METRIC_HISTOGRAM);
    size_t at = 0;
    while (at < EDGE_COUNT && duration_us > EDGES_US[at]) at++;
    if (at < EDGE_COUNT) atomic_fetch_add_explicit(&self->buckets[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->sum_us, duration_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->value, 1, memory_order_relaxed);
}

int64_t metric_value(const metric *self) { return atomic_load_explicit(&self->value, memory_order_relaxed); }

// Microseconds as seconds, in decimals without a floating point number.
static void add_seconds(buf *out, int64_t us) {
    buf_addf(out, "%lld", (long long)(us / 1000000));
    int64_t fraction = us % 1000000;
    if (fraction == 0) return;
    int digits = 6;
    while (fraction % 10 == 0) {
        fraction /= 10;
        digits--;
    }
    buf_addf(out, ".%0*lld", digits, (long long)fraction);
}

static void add_name(buf *out, const metric *at, const char *suffix) {
    buf_addf(out, "%s%s", at->name, suffix);
    if (at->labels) buf_addf(out, "{%s}", at->labels);
    buf_add_byte(out, ' ');
}

static void write_histogram(const metric *at, buf *out) {
    const char *labels = at->labels ? at->labels : "";
    const char *comma = at->labels ? "," : "";
    int64_t cumulative = 0;
    for (size_t i = 0; i < EDGE_COUNT; i++) {
        cumulative += atomic_load_explicit(&at->buckets[i], memory_order_relaxed);
        buf_addf(out, "%s_bucket{%s%sle=\"", at->name, labels, comma);
        add_seconds(out, EDGES_US[i]);
        buf_addf(out, "\"} %lld\n", (long long)cumulative);
    }
    int64_t count = metric_value(at);
    if (count < cumulative) count = cumulative;
    buf_addf(out, "%s_bucket{%s%sle=\"+Inf\"} %lld\n", at->name, labels, comma, (long long)count);
    add_name(out, at, "_sum");
    add_seconds(out, atomic_load_explicit(&at->sum_us, memory_order_relaxed));
    buf_add_byte(out, '\n');
    add_name(out, at, "_count");
    buf_addf(out, "%lld\n", (long long)count);
}

void metrics_write(buf *out) {
    static const char *const TYPES[] = {[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    pthread_mutex_lock(&lock);
    const char *family = "";
    for (const metric *at = first; at; at = at->next) {
        if (strcmp(family, at->name) != 0) {
            family = at->name;
            buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", at->name, at->help, at->name, TYPES[at->kind]);
        }
        if (at->kind == METRIC_HISTOGRAM) {
            write_histogram(at, out);
            continue;
        }
        add_name(out, at, "");
        buf_addf(out, "%lld\n", (long long)(at->read ? at->read(at->context) : metric_value(at)));
    }
    pthread_mutex_unlock(&lock);
}
