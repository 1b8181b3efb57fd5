// Usage from outside: the usage document (quantities already split) and the readings CSV (a cumulative register).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"
#include "base/vec.h"
#include "rating/tariff.h"

typedef struct usage_document {
    instant_ms from;
    instant_ms to;
    int64_t quantity_milli[TARIFF_PERIODS_MAX];  // in order of the tariff's periods
    int64_t used_before_milli[TARIFF_PERIODS_MAX];
    int64_t max_demand_w;
    int64_t contracted_va;
    int64_t power_factor_micro;  // 0: not measured
    int32_t heads;
    instant_ms opened_at;  // 0: before the usage
} usage_document;

#define USAGE_DOCUMENT_BYTES_MAX (64 * 1024)

err_t usage_document_read(sv json, const tariff *tariff, usage_document *out_usage, fault *out_fault) MUST_CHECK;

// Only when the usage begins: for a tariff whose prices depend on it.
err_t usage_document_from(sv json, instant_ms *out_from, fault *out_fault) MUST_CHECK;

typedef struct register_reading {
    instant_ms at;
    int64_t value_milli;
} register_reading;

typedef struct readings_csv {
    VEC(register_reading) list;  // times rise, values do not fall
} readings_csv;

#define READINGS_CSV_BYTES_MAX (256UL * 1024 * 1024)

// Header "read_at,value", then one reading per line; RFC 3339 times in rising order, values decimal and not falling.
// The place of a fault is "line N". The caller calls readings_csv_done.
err_t readings_csv_read(sv text, readings_csv *out_readings, fault *out_fault) MUST_CHECK;
void readings_csv_done(readings_csv *self);
void readings_csv_auto(readings_csv *self);
