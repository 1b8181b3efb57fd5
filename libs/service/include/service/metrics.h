// Counters, gauges and histograms of this process, written as Prometheus text (format 0.0.4). Registering is for the
// start or the first use; updating is lock-free. Label values are few and fixed: never a meter, company or customer.
//
//   static metric *refused; refused = metric_counter("penstock_refused_total", "Refused readings", "reason=\"not_bcd\"");
//   metric_add(refused, 1);
#pragma once

#include <stdint.h>

#include "base/buf.h"

typedef struct metric metric;

// `labels` is the text between the braces, NULL for none. The same name and labels give the same metric.
metric *metric_counter(const char *name, const char *help, const char *labels);
metric *metric_gauge(const char *name, const char *help, const char *labels);
// Of durations: observed in microseconds, shown in seconds; the name ends with _seconds.
metric *metric_histogram(const char *name, const char *help, const char *labels);

void metric_add(metric *self, int64_t amount);  // counters: not negative
void metric_set(metric *self, int64_t value);
void metric_observe_us(metric *self, int64_t duration_us);
int64_t metric_value(const metric *self);  // of a histogram: the count

// Values that are asked for when the page is written.
typedef int64_t (*metric_reader)(void *context);
void metric_gauge_read(const char *name, const char *help, const char *labels, metric_reader read, void *context);

void metrics_write(buf *out);
