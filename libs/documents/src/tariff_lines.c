#include "tariff_lines.h"

#include "reading.h"

typedef struct lines_reading {
    json_reader *reader;
    arena *memory;
    const tariff_spec *spec;
    tariff_line *lines;
    size_t count;
} lines_reading;

static int64_t read_price(json_reader *r, const json_node *node) {
    if (json_node_kind(node) == JSON_KIND_OBJECT) json_refuse(r, node, "price indices are not rated yet");
    return read_decimal(r, node, MONEY_SCALE);
}

// One price or a list of them: one per tier, or one for all.
static void read_price_list(json_reader *r, const json_node *node, tariff_line *line, size_t period) {
    if (json_node_kind(node) != JSON_KIND_ARRAY) {
        line->price_micro[period][0] = read_price(r, node);
        line->price_count[period] = 1;
        return;
    }
    size_t count = read_array_len(r, node, 1, TARIFF_TIERS_MAX);
    for (size_t i = 0; i < count; i++) {
        json_node item = json_item(r, node, i);
        line->price_micro[period][i] = read_price(r, &item);
    }
    line->price_count[period] = count;
}

static bool find_period(const tariff_spec *spec, sv name, size_t *out_period) {
    if (spec->period_count == 0 && sv_equal(name, SV("flat"))) {
        *out_period = 0;
        return true;
    }
    for (size_t i = 0; i < spec->period_count; i++) {
        if (!sv_equal(spec->periods[i], name)) continue;
        *out_period = i;
        return true;
    }
    return false;
}

static void read_prices(lines_reading *l, const json_node *node, tariff_line *line) {
    json_reader *r = l->reader;
    json_node prices = json_member(r, node, "prices");
    size_t named = json_object_len(r, &prices);
    json_node member = {0};
    while (json_next(r, &prices, &member)) {
        size_t period = 0;
        if (sv_equal(sv_of(member.key), SV("*"))) {
            line->over_total = true;
            if (named > 1) json_refuse(r, &member, "\"*\" stands alone");
        } else if (!find_period(l->spec, sv_of(member.key), &period)) {
            json_refuse(r, &member, "unknown period");
            return;
        }
        read_price_list(r, &member, line, period);
    }
}

static void read_quantity_rounding(json_reader *r, const json_node *node, tariff_line *line) {
    static const char *const KEYS[] = {"scale", "mode", NULL};
    json_allow_only(r, node, KEYS);
    json_node scale = json_member(r, node, "scale");
    json_node mode = json_member(r, node, "mode");
    line->has_quantity_rounding = true;
    line->quantity_scale = (int32_t)json_read_integer(r, &scale, 0, 3);
    sv text = json_read_text(r, &mode);
    if (!json_reader_failed(r) && !rounding_mode_parse(text, &line->quantity_mode))
        json_refuse(r, &mode, "must be half_up, half_even, truncate or ceil");
}

static void read_quantity_line(lines_reading *l, const json_node *node, tariff_line *line) {
    static const char *const KEYS[] = {"name", "kind", "prices", "free_quantity", "quantity_rounding", NULL};
    json_reader *r = l->reader;
    json_allow_only(r, node, KEYS);
    read_prices(l, node, line);
    json_node free = json_optional(r, node, "free_quantity");
    if (json_is_present(&free)) line->free_milli = read_positive_decimal(r, &free, 3);
    json_node rounding = json_optional(r, node, "quantity_rounding");
    if (json_is_present(&rounding)) read_quantity_rounding(r, &rounding, line);
}

static void read_fixed_line(lines_reading *l, const json_node *node, tariff_line *line) {
    static const char *const KEYS[] = {"name", "kind", "amount", "per", "prorate", NULL};
    json_reader *r = l->reader;
    json_allow_only(r, node, KEYS);
    json_node amount = json_member(r, node, "amount");
    json_node per = json_member(r, node, "per");
    json_node prorate = json_optional(r, node, "prorate");
    line->amount_micro = read_decimal(r, &amount, MONEY_SCALE);
    sv text = json_read_text(r, &per);
    if (!json_reader_failed(r) && !fixed_per_parse(text, &line->per))
        json_refuse(r, &per, "must be month, day, billing_period or purchase");
    if (!json_is_present(&prorate)) return;
    if (!sv_equal(json_read_text(r, &prorate), SV("day"))) json_refuse(r, &prorate, "must be day");
    line->prorated_by_day = true;
}

// Names of other lines to a mask; a line may build on one that comes later.
static uint32_t read_of(lines_reading *l, const json_node *lines, const json_node *node) {
    json_reader *r = l->reader;
    json_node of = json_member(r, node, "of");
    size_t count = read_array_len(r, &of, 1, TARIFF_LINES_MAX);
    uint32_t mask = 0;
    for (size_t i = 0; i < count; i++) {
        json_node item = json_item(r, &of, i);
        sv wanted = json_read_text(r, &item);
        size_t found = l->count;
        for (size_t j = 0; j < l->count && found == l->count; j++) {
            json_node other = json_item(r, lines, j);
            json_node name = json_member(r, &other, "name");
            if (sv_equal(json_read_text(r, &name), wanted)) found = j;
        }
        if (json_reader_failed(r)) return 0;
        if (found == l->count)
            json_refuse(r, &item, "unknown line");
        else if (mask >> found & 1)
            json_refuse(r, &item, "line named twice");
        else
            mask |= 1u << found;
    }
    return mask;
}

static void read_percent_line(lines_reading *l, const json_node *lines, const json_node *node, tariff_line *line) {
    static const char *const KEYS[] = {"name", "kind", "rate", "of", NULL};
    json_allow_only(l->reader, node, KEYS);
    json_node rate = json_member(l->reader, node, "rate");
    line->rate_micro = read_decimal(l->reader, &rate, MONEY_SCALE);
    line->of = read_of(l, lines, node);
}

static void read_minimum_line(lines_reading *l, const json_node *lines, const json_node *node, tariff_line *line) {
    static const char *const KEYS[] = {"name", "kind", "amount", "of", NULL};
    json_allow_only(l->reader, node, KEYS);
    json_node amount = json_member(l->reader, node, "amount");
    line->amount_micro = read_decimal(l->reader, &amount, MONEY_SCALE);
    line->of = read_of(l, lines, node);
}

static void read_demand_line(lines_reading *l, const json_node *node, tariff_line *line) {
    static const char *const KEYS[] = {"name", "kind", "price", "basis", NULL};
    json_reader *r = l->reader;
    json_allow_only(r, node, KEYS);
    json_node price = json_member(r, node, "price");
    json_node basis = json_member(r, node, "basis");
    line->amount_micro = read_price(r, &price);
    sv text = json_read_text(r, &basis);
    line->by_contract = sv_equal(text, SV("contracted_kva"));
    if (!line->by_contract && !sv_equal(text, SV("max_demand_kw"))) json_refuse(r, &basis, "must be max_demand_kw or contracted_kva");
}

static void read_line(lines_reading *l, const json_node *lines, size_t index) {
    json_reader *r = l->reader;
    tariff_line *line = &l->lines[index];
    json_node node = json_item(r, lines, index);
    json_node name = json_member(r, &node, "name");
    json_node kind = json_member(r, &node, "kind");
    line->name = json_read_text_bounded(r, &name, TARIFF_NAME_MAX);
    sv text = json_read_text(r, &kind);
    if (json_reader_failed(r)) return;
    if (!line_kind_parse(text, &line->kind)) {
        json_refuse(r, &kind, "unknown kind of line");
        return;
    }
    switch (line->kind) {
        case LINE_KIND_QUANTITY: read_quantity_line(l, &node, line); break;
        case LINE_KIND_FIXED: read_fixed_line(l, &node, line); break;
        case LINE_KIND_PERCENT: read_percent_line(l, lines, &node, line); break;
        case LINE_KIND_DEMAND: read_demand_line(l, &node, line); break;
        case LINE_KIND_MINIMUM: read_minimum_line(l, lines, &node, line); break;
        case LINE_KIND_POWER_FACTOR: json_refuse(r, &kind, "power factor lines are not rated yet"); break;
        case LINE_KIND_COUNT: break;
    }
}

void tariff_lines_read(json_reader *r, arena *memory, const json_node *root, tariff_spec *spec) {
    json_node lines = json_member(r, root, "lines");
    lines_reading l = {.reader = r, .memory = memory, .spec = spec, .count = read_array_len(r, &lines, 1, TARIFF_LINES_MAX)};
    l.lines = ARENA_ARRAY(memory, tariff_line, l.count);
    for (size_t i = 0; i < l.count; i++) read_line(&l, &lines, i);
    spec->lines = l.lines;
    spec->line_count = l.count;
}
