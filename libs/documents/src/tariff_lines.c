#include "tariff_lines.h"

#include "reading.h"

typedef struct lines_reading {
    json_reader *reader;
    arena *memory;
    const tariff_spec *spec;
    tariff_line *lines;
    size_t count;
    index_reading *indices;
} lines_reading;

static void keep_used(json_reader *r, const json_node *node, index_reading *indices, const price_index *used) {
    for (size_t i = 0; i < indices->used_count; i++)
        if (indices->used[i] == used) return;
    if (indices->used_count == TARIFF_INDICES_MAX) {
        json_refuse(r, node, "more than %d indices", TARIFF_INDICES_MAX);
        return;
    }
    indices->used[indices->used_count++] = used;
}

// value * times + plus, exact, then half up to the six decimals a price has.
static int64_t indexed_price(json_reader *r, const json_node *node, int64_t value_micro, int64_t times_micro, int64_t plus_micro) {
    int64_t price = 0;
    if (!money_multiply_divide(value_micro, times_micro, MONEY_MICRO, ROUNDING_HALF_UP, &price) || !money_add(price, plus_micro, &price))
        json_refuse(r, node, "the price is too large");
    return price;
}

// {"index": "gd-lv-1kv", "times": "1.7", "plus": "0.05"}
static int64_t read_indexed_price(lines_reading *l, const json_node *node) {
    static const char *const KEYS[] = {"index", "times", "plus", NULL};
    json_reader *r = l->reader;
    json_allow_only(r, node, KEYS);
    json_node index = json_member(r, node, "index");
    json_node times = json_optional(r, node, "times");
    json_node plus = json_optional(r, node, "plus");
    sv name = json_read_text_bounded(r, &index, PRICE_INDEX_NAME_MAX);
    int64_t times_micro = json_is_present(&times) ? read_decimal(r, &times, MONEY_SCALE) : MONEY_MICRO;
    int64_t plus_micro = json_is_present(&plus) ? read_decimal(r, &plus, MONEY_SCALE) : 0;
    if (json_reader_failed(r)) return 0;
    if (!l->indices->indices) {
        json_refuse(r, node, "price indices are needed");
        return 0;
    }
    const price_index *found = price_indices_find(l->indices->indices, name, l->indices->month);
    if (!found) {
        char month[PRICE_INDEX_MONTH_TEXT_MAX];
        price_index_month_format(l->indices->month, month);
        json_refuse(r, &index, "no value of this index for %s", month);
        return 0;
    }
    keep_used(r, node, l->indices, found);
    return indexed_price(r, node, found->value_micro, times_micro, plus_micro);
}

static int64_t read_price(lines_reading *l, const json_node *node) {
    if (json_node_kind(node) == JSON_KIND_OBJECT) return read_indexed_price(l, node);
    return read_decimal(l->reader, node, MONEY_SCALE);
}

// One price or a list of them: one per tier, or one for all.
static void read_price_list(lines_reading *l, const json_node *node, tariff_line *line, size_t period) {
    json_reader *r = l->reader;
    if (json_node_kind(node) != JSON_KIND_ARRAY) {
        line->price_micro[period][0] = read_price(l, node);
        line->price_count[period] = 1;
        return;
    }
    size_t count = read_array_len(r, node, 1, TARIFF_TIERS_MAX);
    for (size_t i = 0; i < count; i++) {
        json_node item = json_item(r, node, i);
        line->price_micro[period][i] = read_price(l, &item);
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
        read_price_list(l, &member, line, period);
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
    line->amount_micro = read_price(l, &price);
    sv text = json_read_text(r, &basis);
    line->by_contract = sv_equal(text, SV("contracted_kva"));
    if (!line->by_contract && !sv_equal(text, SV("max_demand_kw"))) json_refuse(r, &basis, "must be max_demand_kw or contracted_kva");
}

// "table": [{"from": "0", "rate": "0.05"}, {"from": "0.9", "rate": "0"}]: the rate from a power factor on; below the
// first there is no adjustment.
static void read_power_factor_line(lines_reading *l, const json_node *lines, const json_node *node, tariff_line *line) {
    static const char *const KEYS[] = {"name", "kind", "table", "of", NULL};
    static const char *const STEP_KEYS[] = {"from", "rate", NULL};
    json_reader *r = l->reader;
    json_allow_only(r, node, KEYS);
    json_node table = json_member(r, node, "table");
    line->factor_count = read_array_len(r, &table, 1, TARIFF_POWER_FACTORS_MAX);
    tariff_factor_step *steps = ARENA_ARRAY(l->memory, tariff_factor_step, line->factor_count);
    for (size_t i = 0; i < line->factor_count; i++) {
        json_node item = json_item(r, &table, i);
        json_allow_only(r, &item, STEP_KEYS);
        json_node from = json_member(r, &item, "from");
        json_node rate = json_member(r, &item, "rate");
        steps[i] = (tariff_factor_step){read_positive_decimal(r, &from, MONEY_SCALE), read_decimal(r, &rate, MONEY_SCALE)};
    }
    line->factors = steps;
    line->of = read_of(l, lines, node);
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
        case LINE_KIND_POWER_FACTOR: read_power_factor_line(l, lines, &node, line); break;
        case LINE_KIND_COUNT: break;
    }
}

void tariff_lines_read(json_reader *r, arena *memory, const json_node *root, tariff_spec *spec, index_reading *indices) {
    json_node lines = json_member(r, root, "lines");
    lines_reading l = {
        .reader = r, .memory = memory, .spec = spec, .count = read_array_len(r, &lines, 1, TARIFF_LINES_MAX), .indices = indices};
    l.lines = ARENA_ARRAY(memory, tariff_line, l.count);
    for (size_t i = 0; i < l.count; i++) read_line(&l, &lines, i);
    spec->lines = l.lines;
    spec->line_count = l.count;
}
