// Charging by cumulative cost, telescoped: a charge is the rounded price of the whole usage matrix of the tier window
// minus what was charged in it before, so that the charges of a window add up to its price to the last unit.
//
//   rating_state state;
//   rating_state_unpack(bytes, &state, &fault) …
//   rating_answer answer = rating_charge(tariff, cache, &state, &interval, &result, NULL);
//
// Intervals of one usage point come in order and without gaps. A late, corrected or removed reading replays its
// tier window: rating_state_init, every interval of the window anew, post the difference of charged_micro. A tariff
// without tiers has one window for life; there the matrix is a plain sum.
//
// A tariff change inside an interval: the caller splits the interval at it (rating_split_by_time) and calls once per
// version; the tier position continues when both have the same tier window, else a new window begins at the change.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/vec.h"
#include "rating/state.h"
#include "rating/tariff.h"

typedef enum rating_answer {
#define RATING_ANSWER(name, text) RATING_##name,
#include "rating/answer.def"
#undef RATING_ANSWER
    RATING_ANSWER_COUNT
} rating_answer;

const char *rating_answer_name(rating_answer answer);
const char *rating_answer_text(rating_answer answer);

// Band edges already worked out, per day. One per thread: not thread-safe. About 1 KB per entry; serves any
// number of tariffs. NULL is allowed everywhere: edges are then worked out each time.
typedef struct rating_cache rating_cache;
rating_cache *rating_cache_new(size_t entries);  // rounded up to a power of two, at most 65 536
void rating_cache_free(rating_cache *self);
void rating_cache_free_variable(rating_cache **self);
#define AUTO_RATING_CACHE __attribute__((cleanup(rating_cache_free_variable))) rating_cache *

// Whose tier edges: NULL or zeros where nobody is known. A tariff without edges per head and without
// prorate_opening ignores it.
typedef struct rating_holder {
    int32_t heads;         // 0 counts as none above any threshold
    instant_ms opened_at;  // the account's first instant; 0: before the window
} rating_holder;

// What is known of a tier window when it closes; demand and power-factor lines need it.
typedef struct rating_closing {
    int64_t max_demand_w;
    int64_t contracted_va;
    int64_t power_factor_micro;  // 0.85 is 850 000; 0: not measured, no adjustment
} rating_closing;

typedef struct rating_interval {
    instant_ms from;
    instant_ms to;                    // after `from`
    int64_t quantity_milli;           // not negative; ignored when per_period_milli is given
    const int64_t *per_period_milli;  // the meter's own period registers, in order of the tariff's periods, or NULL
    const rating_holder *holder;      // may be NULL
    const rating_closing *closing;    // of each window that ends inside; NULL: INPUT_MISSING where a line needs it
} rating_interval;

typedef struct rating_result {
    money_micro amount_micro;  // to charge; negative only where a tariff has negative prices or its rounding went down
    int64_t quantity_milli;
    uint32_t windows_closed;  // tier windows that ended inside the interval
} rating_result;

// One piece of an interval: one period, one tier. With per-period registers several share the same time.
typedef struct rating_piece {
    instant_ms from;
    instant_ms to;
    uint32_t period;
    uint32_t tier;  // 0 is the first
    int64_t quantity_milli;
} rating_piece;

// For explanations and bookkeeping per window; costs allocations. `states` holds the state at the end of each window
// that closed, in order.
typedef struct rating_trace {
    VEC(rating_piece) pieces;
    VEC(rating_state) closed;
} rating_trace;

void rating_trace_done(rating_trace *self);
void rating_trace_auto(rating_trace *self);

// Rates one interval. `trace` may be NULL (the fast path: no allocation); otherwise it is appended to. Every answer but
// RATING_OK leaves state and result unchanged (pieces may have been traced).
rating_answer rating_charge(const tariff *tariff, rating_cache *cache, rating_state *state, const rating_interval *interval,
                            rating_result *out_result, rating_trace *trace) MUST_CHECK;

// What the lines that post at the close add to a window that was charged without them (TARIFF_FOR_CHARGING): the rounded
// price of the closed window less what was charged in it. `state` is the window as its last interval left it, under the
// version it was rated with last. `closing` may be NULL; INPUT_MISSING where a line needs it. Asked again with a later
// state, the difference to the earlier answer and to what was charged since is what is still due.
rating_answer rating_close(const tariff *tariff, const rating_state *state, const rating_closing *closing,
                           money_micro *out_amount) MUST_CHECK;

// The part of a quantity that falls into [from, at) of [from, to), in proportion to time, rounded down; the rest
// belongs to [at, to).
int64_t rating_split_by_time(int64_t quantity_milli, instant_ms from, instant_ms to, instant_ms at);

// One priced line of a matrix. `period` or `tier` are -1 where the line does not depend on them.
typedef struct rating_line {
    size_t line;
    int32_t period;
    int32_t tier;
    int64_t quantity_milli;
    int64_t price_micro;  // QUANTITY: per unit; FIXED, DEMAND, MINIMUM: the amount per window or unit; PERCENT: the rate
    exact_amount amount;  // never rounded; a tariff that rounds each line rounds the sum of a line's entries
} rating_line;

typedef struct rating_lines {
    VEC(rating_line) list;
} rating_lines;

void rating_lines_done(rating_lines *self);
void rating_lines_auto(rating_lines *self);

// The lines of a state's matrix under the version it was rated with; lines without quantity are left out.
void rating_state_lines(const tariff *tariff, const rating_state *state, rating_lines *out_lines);

// Adds the lines of one state to a list, and sorts it: for totals over several windows of one tariff version.
void rating_lines_add_state(rating_lines *self, const tariff *tariff, const rating_state *state);

// The same of a window that has closed: with its demand, minimum and power-factor lines. `closing` may be NULL.
void rating_lines_add_closed(rating_lines *self, const tariff *tariff, const rating_state *state, const rating_closing *closing);

// Why an interval costs what it costs: the arithmetic of one charge.
typedef struct rating_explanation {
    rating_state before;
    rating_state after;
    rating_result result;
    rating_trace trace;
    rating_lines lines;  // what the interval added per line, period and tier, over all windows it touched
} rating_explanation;

rating_answer rating_explain(const tariff *tariff, const rating_state *before, const rating_interval *interval,
                             rating_explanation *out_explanation) MUST_CHECK;
void rating_explanation_done(rating_explanation *self);
void rating_explanation_auto(rating_explanation *self);

// What a given usage costs, as one exact difference rounded once: price(before + usage) - price(before), plus fixed
// lines for the whole windows between `from` and `to`. All of it is taken as one tier window.
typedef struct rating_usage {
    instant_ms from;
    instant_ms to;
    const int64_t *quantity_milli;     // per period of the tariff
    const int64_t *used_before_milli;  // per period: used in the tier window before `from`; NULL: nothing
    int64_t max_demand_w;
    int64_t contracted_va;
    int64_t power_factor_micro;   // 0: not measured
    const rating_holder *holder;  // may be NULL
    bool counts_once;             // each fixed line once, whatever lies between `from` and `to`
} rating_usage;

typedef struct rating_quote {
    money_micro total_micro;
    int64_t quantity_milli;
    rating_lines lines;
} rating_quote;

rating_answer rating_quote_usage(const tariff *tariff, const rating_usage *usage, rating_quote *out_quote) MUST_CHECK;
// The inverse: the largest multiple of `step_milli` whose quote does not pass `amount_micro`; what is due without any
// unit (fixed, purchase, minimum lines and their taxes) comes first. usage->quantity_milli is the mix of periods: only
// its proportions count, and it may be all zero for a tariff of one period. TOO_LITTLE, NO_BOUND, NO_MIX.
rating_answer rating_quote_amount(const tariff *tariff, const rating_usage *usage, money_micro amount_micro, int64_t step_milli,
                                  rating_quote *out_quote) MUST_CHECK;
// The step of bought quantities: the finest quantity_rounding of the lines, 0.1 where there is none.
int64_t rating_bought_step_milli(const tariff *tariff);
void rating_quote_done(rating_quote *self);
void rating_quote_auto(rating_quote *self);
