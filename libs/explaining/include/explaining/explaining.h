// Why a charge is what it is.
//
//   explanation *why = NULL;
//   err_t err = explain_charge(conn, zones, &(explain_request){.charge = num, .usage_point = point}, memory, &why, &fault);
//   explanation_write_json(why, LOCALE_ZH_CN, charge_id_text, &writer);
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "charging/point.h"
#include "contracts/texts.h"
#include "db/db.h"
#include "documents/zone_files.h"
#include "json/json_writer.h"

typedef struct explain_request {
    int64_t charge;       // its num
    int64_t usage_point;  // 0: unknown, then the search is slower
} explain_request;

// One priced cell of the matrix, before and after the charge. What a line does not have is −1, NULL or false.
typedef struct explanation_line {
    sv name;
    const char *kind;  // of line_kind.def
    sv period;         // ptr NULL: for all periods
    int32_t tier;      // from 1; 0: for all tiers
    bool has_quantity;
    int64_t quantity_before;
    int64_t quantity_after;
    bool has_price;
    int64_t price_micro;  // per unit, or the rate of a percent line
    exact_amount before;
    exact_amount after;
} explanation_line;

typedef struct explanation_piece {
    instant_ms from;
    instant_ms to;
    sv period;  // ptr NULL: the tariff has one period
    int32_t tier;
    int64_t quantity;
} explanation_piece;

// A value of a price index that the tariff version's prices were made of.
typedef struct explanation_index {
    sv name;
    sv month;  // "2026-11"
    int64_t value_micro;
    bool is_provisional;
} explanation_index;

// The charge that a correction corrects.
typedef struct explanation_corrected {
    int64_t charge;  // 0: it is no correction
    instant_ms from_at, to_at, booked_at;
    money_micro amount;
    int64_t tariff_version;
} explanation_corrected;

typedef struct explanation {
    int32_t company;
    int64_t charge, usage_point;
    bool is_correction;
    const char *cause;  // of the API's ChargeCause
    bool is_true_up;    // of a recharge: because a price index became final, not because somebody confirmed it
    explanation_corrected corrects;
    size_t index_count;
    explanation_index *indices;
    instant_ms from_at, to_at, booked_at;
    int64_t from_value, to_value, quantity;
    money_micro amount;
    const char *currency;
    const char *unit;
    int32_t ratio_num, ratio_den;
    const zone *zone;  // of the zone set
    bool is_held;      // false: nobody held the point, and nothing below is filled
    sv tariff_code;
    int64_t tariff_version;
    instant_ms tariff_from;
    const char *window_over;  // "none" when the tariff has no tiers
    time_window window;
    int64_t used_before, used_after;  // in the window
    size_t tiers;
    size_t line_count;
    explanation_line *lines;
    size_t piece_count;
    explanation_piece *pieces;
    exact_amount unrounded_total;
    const char *rounding_mode;
    int32_t rounding_scale;
    bool rounds_each_line;
    money_micro total;
    money_micro already_charged;
    bool is_estimated;      // readings were missing: the quantity is measured, when it was used is estimated
    bool has_profile;       // by what the point usually uses; else in proportion to time
    bool is_estimated_end;  // the display of a replaced meter was dead: the quantity is estimated too
    // The close of a tier window: between no two readings, of what is known of the window as a whole.
    bool is_close;
    bool has_demand_line, has_factor_line;
    demand_source demand_source;
    rating_closing closing;
    int64_t active, reactive;
} explanation;

// In one transaction of the caller's, whose role sees the charge. All of it lives in `memory`, its zone in `zones`.
// ERR_NOT_FOUND: no such charge is visible. ERR_STALE: the stored readings do not give this charge (they are no longer
// what they were when it was made); the fault says more.
err_t explain_charge(db *conn, zone_set *zones, const explain_request *request, arena *memory, explanation **out_explanation,
                     fault *out_fault) MUST_CHECK;

// The API's `Explanation`; `charge_id` is how the caller names the charge. Usage that nobody held is no charge to anybody:
// its tariff and window are null, which the API does not show.
void explanation_write_json(const explanation *self, text_locale in, sv charge_id, json_writer *out);
// One sentence a line.
void explanation_write_text(const explanation *self, text_locale in, buf *out);
