// The checks of `ledger verify`, each counted and named.
#pragma once

#include "base/buf.h"
#include "charging/point.h"
#include "database.h"

#define VERIFY_EXAMPLES_MAX 5

typedef struct verify_check {
    const char *name;
    int64_t checked;
    int64_t differences;
    char examples[VERIFY_EXAMPLES_MAX][200];
    size_t example_count;
} verify_check;

void verify_differ(verify_check *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

// What charging the stored readings again shows, point by point.
typedef struct verify_points {
    verify_check tiling;
    verify_check rating;
    verify_check closes;
    verify_check conservation;
    buf conservation_lines;  // a line for each usage point with more than one meter or epoch, then the total; the caller's
    verify_check position;
    verify_check copies;
    int64_t waiting;  // points that stand still or wait for a replay: not compared
    int64_t readings;
} verify_points;

// A tier window that ended while the readings were charged again, and what its close comes to.
typedef struct closed_window {
    int64_t account;
    instant_ms from;
    rating_answer answer;
    money_micro amount;
} closed_window;
typedef VEC(closed_window) closed_windows;

// What a poll closed; the last word about a window wins.
void closed_windows_take(closed_windows *self, const charging_setup *setup, const charging_outcome *outcome);
// Compares them with what billing posted for the point; windows whose amount is about to be worked out are left out.
err_t closed_windows_verify(db *conn, int64_t usage_point, const closed_windows *closed, verify_check *out) MUST_CHECK;

// In a snapshot; `company` 0 is all.
err_t verify_points_run(db *conn, int32_t company, instant_ms now, verify_points *out) MUST_CHECK;

// Whether the records of the blocks claimed in the last two days are all accounted for.
err_t verify_records_run(db *conn, int32_t company, instant_ms now, verify_check *out) MUST_CHECK;
