// From two states of the usage matrix and the pieces between them to lines, sums and the window.
#include "tell.h"
#include "base/check.h"
#include "calendar/window.h"
#include "documents/tariff_document.h"
#include "explaining/explaining.h"
#include "json/json.h"

typedef VEC(explanation_line) line_list;

static exact_amount sum(exact_amount a, exact_amount b) {
    int32_t scale = a.scale > b.scale ? a.scale : b.scale;
    return (exact_amount){a.value * power_of_ten(scale - a.scale) + b.value * power_of_ten(scale - b.scale), scale};
}

static explanation_line *line_find(line_list *list, const tariff *by, const rating_line *line) {
    sv name = tariff_line_name(by, line->line);
    sv period = line->period < 0 ? SV_NONE : tariff_period_name(by, (size_t)line->period);
    for (size_t i = 0; i < list->len; i++) {
        explanation_line *at = &list->items[i];
        if (sv_equal(at->name, name) && at->tier == line->tier + 1 && sv_equal(at->period, period) && at->price_micro == line->price_micro)
            return at;
    }
    line_kind kind = tariff_line_kind(by, line->line);
    explanation_line made = {.name = name,
                             .kind = line_kind_name(kind),
                             .period = period,
                             .tier = line->tier + 1,
                             .has_quantity = kind == LINE_KIND_QUANTITY,
                             .has_price = true,
                             .price_micro = line->price_micro};
    vec_push(list, made);
    return &list->items[list->len - 1];
}

// `closing`: with the lines that post at the close, NULL: without.
static void matrix_add(line_list *list, const tariff *by, const rating_state *state, const rating_closing *closing, bool is_before) {
    if (state->version != tariff_version(by)) return;
    rating_lines lines = {0};
    if (closing)
        rating_lines_add_closed(&lines, by, state, closing);
    else
        rating_lines_add_state(&lines, by, state);
    for (size_t i = 0; i < lines.list.len; i++) {
        explanation_line *line = line_find(list, by, &lines.list.items[i]);
        if (is_before) {
            line->before = sum(line->before, lines.list.items[i].amount);
            line->quantity_before += lines.list.items[i].quantity_milli;
        } else {
            line->after = sum(line->after, lines.list.items[i].amount);
            line->quantity_after += lines.list.items[i].quantity_milli;
        }
    }
    rating_lines_done(&lines);
}

// What earlier versions priced in the same window: it stays as it is.
static void carried_add(line_list *list, const rating_state *first) {
    if (first->carried.value == 0) return;
    explanation_line line = {.name = SV("carried"), .kind = "fixed", .before = first->carried, .after = first->carried};
    vec_push(list, line);
}

// Takes over the lines, with texts that live as long as the explanation.
static void lines_keep(explanation *out, line_list *lines, arena *memory) {
    out->lines = ARENA_ARRAY(memory, explanation_line, lines->len + 1);
    for (size_t i = 0; i < lines->len; i++) out->lines[out->line_count++] = lines->items[i];
    vec_done(lines);
    for (size_t i = 0; i < out->line_count; i++) {
        out->lines[i].name = arena_copy(memory, out->lines[i].name);
        if (out->lines[i].period.ptr) out->lines[i].period = arena_copy(memory, out->lines[i].period);
    }
}

static void pieces_tell(explanation *out, const tariff *by, const rating_trace *trace, arena *memory) {
    out->pieces = ARENA_ARRAY(memory, explanation_piece, trace->pieces.len + 1);
    for (size_t i = 0; i < trace->pieces.len; i++) {
        const rating_piece *from = &trace->pieces.items[i];
        explanation_piece *last = out->piece_count ? &out->pieces[out->piece_count - 1] : NULL;
        sv period = tariff_period_count(by) > 1 ? tariff_period_name(by, from->period) : SV_NONE;
        int32_t tier = (int32_t)from->tier + 1;
        // Readings cut time more finely than prices do: what is priced alike is told as one.
        if (last && last->to == from->from && last->tier == tier && sv_equal(last->period, period)) {
            last->to = from->to;
            last->quantity += from->quantity_milli;
            continue;
        }
        out->pieces[out->piece_count++] =
            (explanation_piece){from->from, from->to, period.ptr ? arena_copy(memory, period) : SV_NONE, tier, from->quantity_milli};
    }
}

// Read from the document, because only people want to know.
static err_t document_tell(explanation *out, sv document, fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(document, (json_limits){TARIFF_DOCUMENT_BYTES_MAX, JSON_DEPTH_MAX}, &doc, out_fault);
    if (err) return err;
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    json_node tiers = json_optional(&r, &root, "tiers");
    json_node rounding = json_member(&r, &root, "rounding");
    json_node mode = json_member(&r, &rounding, "mode"), at = json_member(&r, &rounding, "at");
    rounding_mode how = ROUNDING_HALF_UP;
    window_kind over = WINDOW_MONTH;
    bool is_known = rounding_mode_parse(json_read_text(&r, &mode), &how);
    out->window_over = "none";
    if (json_is_present(&tiers)) {
        json_node kind = json_member(&r, &tiers, "over");
        is_known = window_kind_parse(json_read_text(&r, &kind), &over) && is_known;
        out->window_over = window_kind_name(over);
    }
    out->rounding_mode = rounding_mode_name(how);
    out->rounds_each_line = sv_equal(json_read_text(&r, &at), SV("line"));
    err = json_reader_fault(&r, out_fault);
    return err || is_known ? err : fault_set(out_fault, ERR_INTERNAL, "/rounding", "the published document holds an unknown word");
}

err_t explaining_tell(explanation *out, const tariff *by, const rating_state *before, const rating_state *after, const rating_trace *trace,
                      sv document, arena *memory, fault *out_fault) {
    line_list lines = {0};
    const rating_state *first_after = trace->closed.len ? &trace->closed.items[0] : after;
    bool is_same_window = before->version != 0 && before->window.from == first_after->window.from;
    carried_add(&lines, first_after);
    if (is_same_window) matrix_add(&lines, by, before, NULL, true);
    for (size_t i = 0; i < trace->closed.len; i++) matrix_add(&lines, by, &trace->closed.items[i], NULL, false);
    matrix_add(&lines, by, after, NULL, false);
    lines_keep(out, &lines, memory);
    pieces_tell(out, by, trace, memory);

    out->tiers = tariff_tier_count(by);
    out->window = (time_window){first_after->window.from, after->window.to};
    out->used_before = is_same_window ? rating_state_used_milli(before) : 0;
    out->used_after = rating_state_used_milli(after);
    out->rounding_scale = tariff_rounding_scale(by);
    out->unrounded_total = after->priced;
    out->total = after->charged_micro;
    for (size_t i = 0; i < trace->closed.len; i++) {
        out->unrounded_total = sum(out->unrounded_total, trace->closed.items[i].priced);
        out->total += trace->closed.items[i].charged_micro;
    }
    out->already_charged = out->total - out->amount;
    return document_tell(out, document, out_fault);
}

err_t explaining_tell_close(explanation *out, const tariff *by, const rating_state *state, money_micro due, sv document, arena *memory,
                            fault *out_fault) {
    line_list lines = {0};
    carried_add(&lines, state);
    matrix_add(&lines, by, state, NULL, true);
    matrix_add(&lines, by, state, &out->closing, false);
    lines_keep(out, &lines, memory);
    for (size_t i = 0; i < out->line_count; i++) out->unrounded_total = sum(out->unrounded_total, out->lines[i].after);
    for (size_t i = 0; i < tariff_line_count(by); i++) {
        out->has_demand_line |= tariff_line_kind(by, i) == LINE_KIND_DEMAND;
        out->has_factor_line |= tariff_line_kind(by, i) == LINE_KIND_POWER_FACTOR;
    }
    out->tiers = tariff_tier_count(by);
    out->window = state->window;
    out->used_before = out->used_after = rating_state_used_milli(state);
    out->rounding_scale = tariff_rounding_scale(by);
    out->total = state->charged_micro + due;
    out->already_charged = out->total - out->amount;
    return document_tell(out, document, out_fault);
}
