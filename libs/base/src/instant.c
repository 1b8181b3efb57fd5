#include "base/instant.h"

#include <stdio.h>

#include "base/check.h"

// After the era arithmetic of H. Hinnant, "chrono-compatible low-level date algorithms": years start in March, so
// that the leap day is the last day of a year.
int64_t days_from_civil(int32_t year, int32_t month, int32_t day) {
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void civil_from_days(int64_t days, int32_t *out_year, int32_t *out_month, int32_t *out_day) {
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *out_day = (int32_t)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *out_month = (int32_t)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *out_year = (int32_t)(year_of_era + era * 400 + (*out_month <= 2));
}

int32_t days_in_month(int32_t year, int32_t month) {
    static const int32_t DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    CHECK(month >= 1 && month <= 12);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return DAYS[month - 1] + (month == 2 && leap);
}

// Takes exactly `count` digits from the front of the text.
static bool take_digits(sv *text, size_t count, int32_t *out_value) {
    if (text->len < count) return false;
    int32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        char c = text->ptr[i];
        if (c < '0' || c > '9') return false;
        value = value * 10 + (c - '0');
    }
    *text = sv_skip(*text, count);
    *out_value = value;
    return true;
}

static bool take_byte(sv *text, char byte) {
    if (text->len == 0 || text->ptr[0] != byte) return false;
    *text = sv_skip(*text, 1);
    return true;
}

static bool take_fraction_ms(sv *text, int32_t *out_ms) {
    *out_ms = 0;
    if (!take_byte(text, '.')) return true;
    int32_t scale = 100;
    size_t digits = 0;
    while (text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9') {
        int32_t digit = text->ptr[0] - '0';
        if (scale == 0 && digit != 0) return false;
        *out_ms += digit * scale;
        scale /= 10;
        *text = sv_skip(*text, 1);
        digits++;
    }
    return digits > 0;
}

static bool take_offset_s(sv *text, int32_t *out_offset_s) {
    *out_offset_s = 0;
    if (take_byte(text, 'Z') || take_byte(text, 'z')) return true;
    int32_t sign = take_byte(text, '+') ? 1 : take_byte(text, '-') ? -1 : 0;
    int32_t hours = 0;
    int32_t minutes = 0;
    if (sign == 0 || !take_digits(text, 2, &hours) || !take_byte(text, ':') || !take_digits(text, 2, &minutes)) return false;
    if (hours > 23 || minutes > 59) return false;
    *out_offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool instant_parse(sv text, instant_ms *out_at) {
    int32_t year, month, day, hour, minute, second, ms, offset_s;
    if (!take_digits(&text, 4, &year) || !take_byte(&text, '-') || !take_digits(&text, 2, &month) || !take_byte(&text, '-') ||
        !take_digits(&text, 2, &day))
        return false;
    if (!take_byte(&text, 'T') && !take_byte(&text, 't')) return false;
    if (!take_digits(&text, 2, &hour) || !take_byte(&text, ':') || !take_digits(&text, 2, &minute) || !take_byte(&text, ':') ||
        !take_digits(&text, 2, &second))
        return false;
    if (!take_fraction_ms(&text, &ms) || !take_offset_s(&text, &offset_s) || text.len != 0) return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return false;
    if (hour > 23 || minute > 59 || second > 59) return false;
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    instant_ms at = seconds * 1000 + ms;
    if (at < INSTANT_MIN || at > INSTANT_MAX) return false;
    *out_at = at;
    return true;
}

static int64_t floor_div(int64_t value, int64_t by) { return value / by - (value % by < 0); }

size_t instant_format(instant_ms at, int32_t offset_s, char out[INSTANT_TEXT_MAX]) {
    int64_t local = at + (int64_t)offset_s * 1000;
    int64_t days = floor_div(local, DAY_MS);
    int64_t in_day = local - days * DAY_MS;
    int32_t year, month, day;
    civil_from_days(days, &year, &month, &day);
    int64_t seconds = in_day / 1000;
    int len = snprintf(out, INSTANT_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, (int)(seconds / 3600),
                       (int)(seconds / 60 % 60), (int)(seconds % 60));
    if (in_day % 1000) len += snprintf(out + len, (size_t)(INSTANT_TEXT_MAX - len), ".%03d", (int)(in_day % 1000));
    if (offset_s == 0) {
        len += snprintf(out + len, (size_t)(INSTANT_TEXT_MAX - len), "Z");
    } else {
        int32_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
        len += snprintf(out + len, (size_t)(INSTANT_TEXT_MAX - len), "%c%02d:%02d", offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
    }
    return (size_t)len;
}
