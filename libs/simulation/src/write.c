// The answer as a table, as CSV and as JSON.
#include "json/json_writer.h"
#include "simulation/simulation.h"

#define QUANTITY_SCALE 3
#define MONEY_DECIMALS 2
#define PERCENT_SCALE 2
#define NAME_COLUMNS_MAX 28
#define CELL_MAX 96
#define COLUMNS 7

typedef struct decimal_text {
    char text[DECIMAL_WIDE_TEXT_MAX];
} decimal_text;

static decimal_text money_text(int128 amount) {
    decimal_text out;
    decimal_format_wide(amount, MONEY_SCALE, MONEY_DECIMALS, out.text);
    return out;
}

static decimal_text quantity_text(int128 quantity) {
    decimal_text out;
    decimal_format_wide(quantity, QUANTITY_SCALE, 0, out.text);
    return out;
}

// The difference in hundredths of a percent of what is paid now; empty where nothing is paid now.
static decimal_text percent_text(int128 now, int128 then) {
    decimal_text out = {{0}};
    if (now == 0) return out;
    int128 by = now < 0 ? -now : now;
    decimal_format_wide(round_divide((then - now) * 100 * power_of_ten(PERCENT_SCALE), by, ROUNDING_HALF_UP), PERCENT_SCALE, PERCENT_SCALE,
                        out.text);
    return out;
}

static size_t local_text(const simulated *self, instant_ms at, char out[INSTANT_TEXT_MAX]) {
    return instant_format(at, zone_stretch_at(self->zone, at).offset_s, out);
}

// Reads one character of UTF-8; what is none counts as one byte.
static uint32_t character_next(sv text, size_t *at) {
    uint8_t first = (uint8_t)text.ptr[(*at)++];
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    uint32_t code = more == 0 ? first : first & (0x3fu >> more);
    for (; more > 0 && *at < text.len; more--) code = code << 6 | ((uint8_t)text.ptr[(*at)++] & 0x3fu);
    return code;
}

// East Asian wide and fullwidth characters take two columns (UAX #11, the blocks that names are written in).
static size_t columns_of(uint32_t code) {
    bool is_wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) ||
                   (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
                   (code >= 0xffe0 && code <= 0xffe6) || (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd);
    return is_wide ? 2 : 1;
}

// How many bytes of the text fit `max` columns, and how many columns those take.
static size_t fit(sv text, size_t max, size_t *out_columns) {
    size_t at = 0, columns = 0;
    while (at < text.len) {
        size_t next = at;
        size_t more = columns_of(character_next(text, &next));
        if (columns + more > max) break;
        columns += more;
        at = next;
    }
    *out_columns = columns;
    return at;
}

typedef struct table_row {
    sv cells[COLUMNS];
} table_row;

typedef struct row_texts {
    decimal_text quantity, now, then, difference, percent;
} row_texts;

static const char *const HEADS[COLUMNS] = {"account", "customer", "quantity", "now", "then", "difference", "percent"};

static bool is_left(size_t column) { return column < 2; }

static table_row row_of(sv number, sv customer, int128 quantity, int128 now, int128 then, row_texts *texts) {
    *texts = (row_texts){quantity_text(quantity), money_text(now), money_text(then), money_text(then - now), percent_text(now, then)};
    return (table_row){{number, customer, sv_of(texts->quantity.text), sv_of(texts->now.text), sv_of(texts->then.text),
                        sv_of(texts->difference.text), sv_of(texts->percent.text)}};
}

static table_row account_row(const simulated_account *account, row_texts *texts) {
    return row_of(account->number, account->customer, account->quantity, account->now, account->then, texts);
}

static void pad(buf *out, size_t count) {
    for (; count > 0; count--) buf_add_byte(out, ' ');
}

static void row_add(buf *out, const table_row *row, const size_t widths[COLUMNS]) {
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t columns = 0, bytes = fit(row->cells[i], is_left(i) ? NAME_COLUMNS_MAX : CELL_MAX, &columns);
        if (i > 0) pad(out, 2);
        if (!is_left(i)) pad(out, widths[i] - columns);
        // A control character in a name would break the line.
        for (size_t b = 0; b < bytes; b++) buf_add_byte(out, (uint8_t)row->cells[i].ptr[b] < ' ' ? ' ' : row->cells[i].ptr[b]);
        if (is_left(i)) pad(out, widths[i] - columns);
    }
    buf_add_byte(out, '\n');
}

static void widen(const table_row *row, size_t widths[COLUMNS]) {
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t columns = 0;
        fit(row->cells[i], is_left(i) ? NAME_COLUMNS_MAX : CELL_MAX, &columns);
        if (columns > widths[i]) widths[i] = columns;
    }
}

static void group_tell(buf *out, const char *what, const simulated_group *group) {
    buf_addf(out, "%zu %s %s", group->accounts, group->accounts == 1 ? "account" : "accounts", what);
    if (group->difference != 0)
        buf_addf(out, ", %s in all", money_text(group->difference < 0 ? -group->difference : group->difference).text);
    buf_add_byte(out, '\n');
}

void simulation_write_table(const simulated *self, buf *out) {
    char from[INSTANT_TEXT_MAX], to[INSTANT_TEXT_MAX];
    local_text(self, self->from, from);
    local_text(self, self->to, to);
    buf_addf(out, "%.*s under %.*s, %s to %s, in %s and %.*s\n\n", SV_ARG(self->property_name), SV_ARG(self->tariff_code), from, to,
             currency_code(self->currency), SV_ARG(self->unit));
    size_t widths[COLUMNS] = {0};
    row_texts texts;
    table_row head, total = row_of(SV("total"), SV(""), self->quantity, self->now, self->then, &texts), row;
    row_texts one;
    for (size_t i = 0; i < COLUMNS; i++) head.cells[i] = sv_of(HEADS[i]);
    widen(&head, widths);
    widen(&total, widths);
    for (size_t i = 0; i < self->accounts.len; i++) {
        row = account_row(&self->accounts.items[i], &one);
        widen(&row, widths);
    }
    row_add(out, &head, widths);
    for (size_t i = 0; i < self->accounts.len; i++) {
        row = account_row(&self->accounts.items[i], &one);
        row_add(out, &row, widths);
    }
    row_add(out, &total, widths);
    buf_add_byte(out, '\n');
    group_tell(out, "would pay more", &self->more);
    group_tell(out, "would pay less", &self->less);
    group_tell(out, "would pay the same", &self->same);
    buf_addf(out, "%zu usage points compared, %zu readings", self->points, self->readings);
    if (self->points_short) buf_addf(out, "; %zu were last read before the end", self->points_short);
    buf_addf(out, "\n%zu usage points left out\n", self->omissions.len);
    for (size_t i = 0; i < self->omissions.len; i++)
        buf_addf(out, "  %.*s: %.*s\n", SV_ARG(self->omissions.items[i].name), SV_ARG(self->omissions.items[i].why));
}

static void csv_text(buf *out, sv text) {
    buf_add_byte(out, '"');
    if (text.len && (text.ptr[0] == '=' || text.ptr[0] == '+' || text.ptr[0] == '-' || text.ptr[0] == '@' || text.ptr[0] == '\t' ||
                     text.ptr[0] == '\r' || text.ptr[0] == '\n'))
        buf_add_byte(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"') buf_add_byte(out, '"');
        buf_add_byte(out, text.ptr[i]);
    }
    buf_add_byte(out, '"');
}

// Names are quoted; numbers are the program's own and stand as they are.
static void csv_row(buf *out, const char *kind, const table_row *row, sv reason) {
    buf_addf(out, "%s,", kind);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (is_left(i))
            csv_text(out, row->cells[i]);
        else
            buf_add(out, row->cells[i]);
        buf_add_byte(out, ',');
    }
    csv_text(out, reason);
    buf_add(out, SV("\r\n"));
}

void simulation_write_csv(const simulated *self, buf *out) {
    buf_add(out, SV("\xef\xbb\xbfrow,name,customer,quantity,now,then,difference,percent,reason\r\n"));
    row_texts texts;
    for (size_t i = 0; i < self->accounts.len; i++) {
        table_row row = account_row(&self->accounts.items[i], &texts);
        csv_row(out, "account", &row, SV(""));
    }
    table_row total = row_of(SV(""), SV(""), self->quantity, self->now, self->then, &texts);
    csv_row(out, "total", &total, SV(""));
    for (size_t i = 0; i < self->omissions.len; i++)
        csv_row(out, "left_out", &(table_row){.cells = {self->omissions.items[i].name}}, self->omissions.items[i].why);
}

static void json_sums(json_writer *out, int128 quantity, int128 now, int128 then) {
    decimal_text percent = percent_text(now, then);
    json_put_text(out, "quantity", sv_of(quantity_text(quantity).text));
    json_put_text(out, "now", sv_of(money_text(now).text));
    json_put_text(out, "then", sv_of(money_text(then).text));
    json_put_text(out, "difference", sv_of(money_text(then - now).text));
    if (percent.text[0])
        json_put_text(out, "percent", sv_of(percent.text));
    else
        json_put_null(out, "percent");
}

static void json_group(json_writer *out, const char *key, const simulated_group *group) {
    json_key(out, key);
    json_open_object(out);
    json_put_integer(out, "accounts", (int64_t)group->accounts);
    json_put_text(out, "difference", sv_of(money_text(group->difference).text));
    json_close_object(out);
}

static void json_uuid(json_writer *out, const char *key, uuid id) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(id, text);
    json_put_text(out, key, sv_of(text));
}

static void json_head(const simulated *self, json_writer *out) {
    json_key(out, "property");
    json_open_object(out);
    json_uuid(out, "id", self->property_id);
    json_put_text(out, "code", self->property_code);
    json_put_text(out, "name", self->property_name);
    json_close_object(out);
    json_put_text(out, "tariff", self->tariff_code);
    json_put_text(out, "currency", sv_of(currency_code(self->currency)));
    json_put_text(out, "unit", self->unit);
    json_put_instant(out, "from", self->from, zone_stretch_at(self->zone, self->from).offset_s);
    json_put_instant(out, "to", self->to, zone_stretch_at(self->zone, self->to).offset_s);
    json_key(out, "total");
    json_open_object(out);
    json_sums(out, self->quantity, self->now, self->then);
    json_close_object(out);
    json_group(out, "pays_more", &self->more);
    json_group(out, "pays_less", &self->less);
    json_group(out, "pays_the_same", &self->same);
    json_put_integer(out, "points", (int64_t)self->points);
    json_put_integer(out, "points_last_read_before_end", (int64_t)self->points_short);
    json_put_integer(out, "readings", (int64_t)self->readings);
}

void simulation_write_json(const simulated *self, buf *out_text) {
    json_writer writer;
    json_writer *out = &writer;
    json_writer_init(out, out_text);
    json_open_object(out);
    json_head(self, out);
    json_key(out, "accounts");
    json_open_array(out);
    for (size_t i = 0; i < self->accounts.len; i++) {
        const simulated_account *account = &self->accounts.items[i];
        json_open_object(out);
        json_put_text(out, "number", account->number);
        json_put_text(out, "customer", account->customer);
        json_sums(out, account->quantity, account->now, account->then);
        json_close_object(out);
    }
    json_close_array(out);
    json_key(out, "left_out");
    json_open_array(out);
    for (size_t i = 0; i < self->omissions.len; i++) {
        json_open_object(out);
        json_uuid(out, "usage_point", self->omissions.items[i].usage_point);
        json_put_text(out, "name", self->omissions.items[i].name);
        json_put_text(out, "reason", self->omissions.items[i].why);
        json_close_object(out);
    }
    json_close_array(out);
    json_close_object(out);
    buf_add_byte(out_text, '\n');
}
