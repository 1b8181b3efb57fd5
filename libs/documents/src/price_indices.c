#include "documents/price_indices.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "money/money.h"

#define ROW_BYTES_MAX 256
#define MONTHS_A_YEAR 12

static bool parse_month(sv text, int32_t *out_month) {
    bool shaped = text.len == 7 && text.ptr[4] == '-';
    for (size_t i = 0; shaped && i < 7; i++) shaped = i == 4 || (text.ptr[i] >= '0' && text.ptr[i] <= '9');
    if (!shaped) return false;
    int64_t year, month;
    if (!sv_to_i64((sv){text.ptr, 4}, &year)) return false;
    month = (text.ptr[5] - '0') * 10 + (text.ptr[6] - '0');
    if (month < 1 || month > MONTHS_A_YEAR) return false;
    *out_month = (int32_t)(year * MONTHS_A_YEAR + month - 1);
    return true;
}

static bool parse_flag(sv text, bool *out_flag) {
    *out_flag = sv_equal(text, SV("true")) || sv_equal(text, SV("1"));
    return *out_flag || sv_equal(text, SV("false")) || sv_equal(text, SV("0"));
}

static const char *read_row(sv row, price_index *out) {
    sv rest = row;
    sv name, month, value, flag, more;
    if (row.len > ROW_BYTES_MAX) return "the line is too long";
    if (!sv_next(&rest, ',', &name) || !sv_next(&rest, ',', &month) || !sv_next(&rest, ',', &value) || !sv_next(&rest, ',', &flag) ||
        sv_next(&rest, ',', &more))
        return "four fields are needed: index,month,value,provisional";
    name = sv_trim(name);
    if (name.len == 0 || name.len > PRICE_INDEX_NAME_MAX) return "an index has a name of 1 to 64 bytes";
    sv_copy_truncated(name, out->name, sizeof out->name);
    if (!parse_month(sv_trim(month), &out->month)) return "month is not YYYY-MM";
    decimal_answer answer = decimal_parse(sv_trim(value), MONEY_SCALE, &out->value_micro);
    if (answer == DECIMAL_TOO_PRECISE) return "value has more than 6 decimals";
    if (answer != DECIMAL_OK) return "value is not a decimal number";
    return parse_flag(sv_trim(flag), &out->is_provisional) ? NULL : "provisional must be true or false";
}

err_t price_indices_read(sv text, price_indices *out_indices, fault *out_fault) {
    *out_indices = (price_indices){0};
    if (text.len > PRICE_INDICES_CSV_BYTES_MAX) return fault_set(out_fault, ERR_TOO_LARGE, "line 1", "more than 4 MiB");
    if (sv_starts_with(text, SV("\xEF\xBB\xBF"))) text = sv_skip(text, 3);
    sv row;
    const char *reason = NULL;
    size_t line = 1;
    if (!sv_next(&text, '\n', &row) || !sv_equal(sv_trim(row), SV("index,month,value,provisional")))
        reason = "the header must be index,month,value,provisional";
    while (!reason && sv_next(&text, '\n', &row)) {
        line++;
        row = sv_trim(row);
        if (row.len == 0 && text.len == 0) break;  // the end of the last line
        price_index next = {0};
        reason = row.len == 0 ? "an empty line" : read_row(row, &next);
        if (!reason && price_indices_find(out_indices, sv_of(next.name), next.month)) reason = "a second value for this index and month";
        if (!reason) vec_push(&out_indices->list, next);
    }
    if (!reason) return ERR_OK;
    price_indices_done(out_indices);
    char place[32];
    snprintf(place, sizeof place, "line %zu", line);
    return fault_set(out_fault, ERR_BAD_INPUT, place, "%s", reason);
}

void price_indices_done(price_indices *self) { vec_done(&self->list); }

void price_indices_auto(price_indices *self) { price_indices_done(self); }

const price_index *price_indices_find(const price_indices *self, sv name, int32_t month) {
    for (size_t i = 0; i < self->list.len; i++)
        if (self->list.items[i].month == month && sv_equal(sv_of(self->list.items[i].name), name)) return &self->list.items[i];
    return NULL;
}

int32_t price_index_month(const zone *in_zone, instant_ms at) {
    local_time local = zone_local_time(in_zone, at);
    return local.year * MONTHS_A_YEAR + local.month - 1;
}

void price_index_month_format(int32_t month, char out[PRICE_INDEX_MONTH_TEXT_MAX]) {
    snprintf(out, PRICE_INDEX_MONTH_TEXT_MAX, "%04d-%02d", month / MONTHS_A_YEAR, month % MONTHS_A_YEAR + 1);
}
