#include "reading.h"

#include "calendar/days.h"

int64_t read_decimal(json_reader *r, const json_node *node, int32_t scale) {
    char scratch[JSON_DECIMAL_TEXT_MAX];
    sv text = json_read_decimal_text(r, node, scratch);
    if (json_reader_failed(r)) return 0;
    int64_t value = 0;
    decimal_answer answer = decimal_parse(text, scale, &value);
    if (answer == DECIMAL_TOO_PRECISE) json_refuse(r, node, "more than %d decimals", scale);
    if (answer != DECIMAL_OK) json_refuse(r, node, "%s", decimal_answer_text(answer));
    return value;
}

int64_t read_positive_decimal(json_reader *r, const json_node *node, int32_t scale) {
    int64_t value = read_decimal(r, node, scale);
    if (value < 0) json_refuse(r, node, "must not be negative");
    return json_reader_failed(r) ? 0 : value;
}

size_t read_array_len(json_reader *r, const json_node *node, size_t min, size_t max) {
    size_t len = json_array_len(r, node);
    if (!json_reader_failed(r) && (len < min || len > max)) json_refuse(r, node, "must hold %zu to %zu items", min, max);
    return json_reader_failed(r) ? 0 : len;
}

int64_t read_date(json_reader *r, const json_node *node) {
    int64_t day = 0;
    sv text = json_read_text(r, node);
    if (!json_reader_failed(r) && !local_date_parse(text, &day)) json_refuse(r, node, "not a date (YYYY-MM-DD)");
    return day;
}
