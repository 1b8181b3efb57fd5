// Shared by the files of bench-charging.
#pragma once

#include "db/copy.h"
#include "db/db.h"
#include "measure/measure.h"
#include "metering/block.h"

#define BENCH_PARTITION 17

typedef struct bench_options {
    const char *owner;     // connection string of the owner
    const char *database;  // without a user: the service adds its own
    int64_t rounds;
    int64_t points;
    int64_t readings;  // of one round
    int64_t naive;     // readings of one naive round
    int64_t min_k1_milli, min_k4_milli, min_naive_times;
} bench_options;

typedef struct site {
    int32_t company;
    size_t count;
    int64_t *channels;  // one per usage point
    int64_t *values;    // last value of each
    instant_ms at;      // last time of reading
} site;

void must(err_t err, db *conn, const char *what);

// seed.c: a property with so many usage points, each with account, purse and meter, on a tariff of five periods and
// three tiers.
void site_make(db *conn, int64_t points, site *out_site);
void site_done(site *self);

// naive.c: each reading in a transaction of its own, eight prepared statements, on the product's tables.
void naive_run(const bench_options *options, const site *place, measure_series *series);
