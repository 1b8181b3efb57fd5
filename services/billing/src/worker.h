// One billing thread: one connection that holds the locks of its partitions and writes all their effects. Lose the
// connection, lose the right, lose the transaction.
#pragma once

#include "app.h"
#include "base/arena.h"
#include "base/vec.h"
#include "bus/bus.h"
#include "charge.h"
#include "points.h"
#include "rating/rating.h"
#include "setups/setups.h"

typedef struct company_seq {
    int32_t company;
    int64_t seq;          // the cache is as of this number; −1: nothing is cached
    int64_t watched_seq;  // purses and stopped points are as of this number
    bool has_purses;      // every purse has its projection row, and that is committed
} company_seq;

typedef struct worker {
    billing_app *app;
    service *svc;
    db *conn;
    bus *ears;   // waits for doorbells
    bus *voice;  // rings the board
    uuid id;
    num_series nums;
    int16_t num;

    size_t owned_count;
    int16_t owned[PARTITIONS_MAX];      // ascending
    int64_t floors[PARTITIONS_MAX];     // as stored
    int64_t scan_from[PARTITIONS_MAX];  // at or above the floor: below it this worker has claimed all it could see
    bus_cursor *cursors;                // one per owned partition

    setups *setups;
    points *points;
    rating_cache *rating;
    arena *memory;  // of one transaction
    VEC(company_seq) companies;

    // When each recurring duty is due (monotonic).
    int64_t beat_at_ms, config_at_ms, floor_at_ms, replay_at_ms, day_at_ms, purse_at_ms, forget_at_ms, deep_look_at_ms, close_at_ms,
        recharge_at_ms;
    int32_t ensured_month;   // YYYYMM of the last partition of packed days that was asked for
    bool looks_deep;         // the next look at the journal goes back without bound
    int64_t lag_ms;          // age of the oldest block at the last look, 0 when all was claimed: told with each beat
    size_t busy_partitions;  // that had blocks at the last look: the next look shares its bound among so many
    size_t block_readings;   // in a block of the last look, on average: tells how many blocks make a transaction
} worker;

void worker_run(service *svc, void *context);  // context: billing_app

// share.c
err_t share_enter(worker *self, fault *out_fault) MUST_CHECK;      // number, row, no partitions yet
err_t share_rebalance(worker *self, fault *out_fault) MUST_CHECK;  // beats, releases surplus, takes what is free
void share_leave(worker *self);
err_t share_raise_floors(worker *self) MUST_CHECK;

// batch.c: takes unclaimed blocks of the owned partitions and charges them. *out_readings: 0 when there was nothing.
err_t batch_run(worker *self, size_t *out_readings, fault *out_fault) MUST_CHECK;
// In an open transaction: configuration of these companies is as committed now; forgets what changed, and opens the
// projection rows of new purses. After a rollback, config_doubt.
err_t config_follow(worker *self, const int32_t *companies, size_t count) MUST_CHECK;
void config_doubt(worker *self);

// config.c: projection rows, thresholds, resumption of stopped points. In transactions of its own.
err_t config_watch(worker *self, fault *out_fault) MUST_CHECK;
err_t config_sync_purses(worker *self, const int32_t *companies, size_t count, fault *out_fault) MUST_CHECK;

// replay.c and day.c: at most one piece of work; *out_did tells whether there was any.
err_t replay_run(worker *self, bool *out_did, fault *out_fault) MUST_CHECK;
err_t day_run(worker *self, bool *out_did, fault *out_fault) MUST_CHECK;
err_t day_ask_silent(worker *self) MUST_CHECK;

// recharge.c: usage rated again under other versions, some points in each turn; *out_did: more may wait.
err_t recharge_run(worker *self, bool *out_did, fault *out_fault) MUST_CHECK;

// window_close.c: the closing amounts that are due; *out_did: more may wait.
err_t window_close_run(worker *self, bool *out_did, fault *out_fault) MUST_CHECK;

// board.c
void board_ring(worker *self, const touched_property *properties, size_t count);
