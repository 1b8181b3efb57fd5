#include "metering/register.h"

#include <string.h>

#include "base/buf.h"

static const register_info INFOS[REGISTER_NUMBER_END] = {
#define REGISTER(number, name, text, unit, decimals, kind) [number] = {true, REGISTER_##kind, (decimals), SV(text), SV(unit)},
#include "metering/registers.def"
#undef REGISTER
};

register_info register_describe(uint8_t number) { return number < REGISTER_NUMBER_END ? INFOS[number] : (register_info){0}; }

bool register_is_known(uint8_t number) { return register_describe(number).is_known; }

bool register_is_stored(uint8_t number) { return register_is_cumulative(number) || number == REGISTER_MAX_DEMAND; }

bool register_is_cumulative(uint8_t number) { return register_is_known(number) && INFOS[number].kind == REGISTER_CUMULATIVE; }

bool register_parse(sv text, uint8_t *out_number) {
    for (uint8_t i = 0; i < REGISTER_NUMBER_END; i++) {
        if (!INFOS[i].is_known || !sv_equal(INFOS[i].text, text)) continue;
        *out_number = i;
        return true;
    }
    return false;
}

int register_tariff_number(uint8_t number) {
    return number >= REGISTER_ACTIVE_ENERGY_T1 && number <= REGISTER_ACTIVE_ENERGY_T5 ? number - REGISTER_ACTIVE_ENERGY_TOTAL : 0;
}

// The power of ten that turns a number in `unit` into the register's integer; false when the unit is not one of its.
static bool unit_decimals(register_info info, sv unit, int *out_decimals) {
    *out_decimals = info.decimals;
    if (sv_equal(unit, info.unit)) return true;
    if (sv_equal(info.unit, SV("m3")) && sv_equal(unit, SV("m³"))) return true;
    if (info.unit.len < 2 || info.unit.ptr[0] != 'k' || !sv_equal(unit, sv_skip(info.unit, 1))) return false;
    *out_decimals -= 3;
    return true;
}

// Adds the decimal digits of `text` to *value; false on anything else than digits.
static bool digits_add(sv text, int64_t *value) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        *value = *value * 10 + (text.ptr[i] - '0');
    }
    return true;
}

#define VALUE_DIGITS_MAX 18  // any 18 digits fit an int64

err_t register_value_parse(uint8_t number, sv text, sv unit, int64_t *out_value, fault *out_fault) {
    register_info info = register_describe(number);
    int decimals = 0;
    if (!info.is_known) return fault_set(out_fault, ERR_BAD_INPUT, "register", "there is no register of this number");
    if (!unit_decimals(info, unit, &decimals))
        return fault_set(out_fault, ERR_BAD_INPUT, "unit", "the register is measured in \"%.*s\"", SV_ARG(info.unit));
    bool negative = text.len > 0 && text.ptr[0] == '-';
    sv fraction = negative ? sv_skip(text, 1) : text;
    sv whole = SV_NONE;
    bool has_point = sv_find(fraction, '.', &(size_t){0});
    bool ok = sv_next(&fraction, '.', &whole) && whole.len > 0 && (whole.len == 1 || whole.ptr[0] != '0');
    if (!ok || (has_point && fraction.len == 0)) return fault_set(out_fault, ERR_BAD_INPUT, "value", "not a plain decimal number");
    while (fraction.len && fraction.ptr[fraction.len - 1] == '0') fraction.len--;
    int64_t value = 0;
    if (whole.len + fraction.len <= VALUE_DIGITS_MAX && !(digits_add(whole, &value) && digits_add(fraction, &value)))
        return fault_set(out_fault, ERR_BAD_INPUT, "value", "not a plain decimal number");
    if (whole.len + fraction.len > VALUE_DIGITS_MAX) return fault_set(out_fault, ERR_OVERFLOW, "value", "more than 18 digits");
    if ((int)fraction.len > decimals)
        return fault_set(out_fault, ERR_BAD_INPUT, "value", "finer than the register's %d decimals", decimals);
    for (int i = (int)fraction.len; i < decimals; i++)
        if (__builtin_mul_overflow(value, 10, &value)) return fault_set(out_fault, ERR_OVERFLOW, "value", "too large for the register");
    *out_value = negative ? -value : value;
    return ERR_OK;
}

size_t register_value_format(uint8_t number, int64_t value, char out[REGISTER_VALUE_TEXT_MAX]) {
    uint8_t decimals = register_describe(number).decimals;
    char reversed[REGISTER_VALUE_TEXT_MAX];
    size_t len = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    for (size_t digits = 0; rest > 0 || digits <= decimals; digits++, rest /= 10) {
        if (decimals > 0 && digits == decimals) reversed[len++] = '.';
        reversed[len++] = (char)('0' + rest % 10);
    }
    if (value < 0) reversed[len++] = '-';
    for (size_t i = 0; i < len; i++) out[i] = reversed[len - 1 - i];
    out[len] = '\0';
    return len;
}
