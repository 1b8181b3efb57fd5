// What a channel can report. A register is one counter or measured value of a channel; its number is stored in
// journal records and rows, its text is the name in the API and on the command line.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sv.h"

typedef enum metering_register {
#define REGISTER(number, name, text, unit, decimals, kind) REGISTER_##name = (number),
#include "metering/registers.def"
#undef REGISTER
    REGISTER_NUMBER_END = 64,  // numbers are below: a uint64_t can hold a set of them
} metering_register;

typedef enum register_kind {
    REGISTER_CUMULATIVE,  // counts up for ever: the difference of two readings is usage
    REGISTER_INSTANT,     // a measured value, never billed
    REGISTER_STATUS,      // a word of bits
} register_kind;

// Shapes of a register; `text` is "" and `is_known` false for numbers nobody declared.
typedef struct register_info {
    bool is_known;
    register_kind kind;
    uint8_t decimals;  // value = quantity × 10^decimals
    sv text;
    sv unit;
} register_info;

register_info register_describe(uint8_t number);
bool register_is_known(uint8_t number);
bool register_is_cumulative(uint8_t number);
// Journaled and stored with the counters: they themselves, and the maximum demand, which is billed at a window's close.
bool register_is_stored(uint8_t number);
bool register_parse(sv text, uint8_t *out_number);
// 1–5 for the energy of tariff period t1–t5, else 0.
int register_tariff_number(uint8_t number);

// Reads a plain decimal ("-1234.56": no plus, no exponent, at most 18 digits) in `unit` as the register's integer.
// Accepted units are the declared one and, where it begins with k, the one without it ("Wh", "W"); "m³" for "m3".
// ERR_BAD_INPUT: not a number, wrong unit (the fault's place is "value" or "unit"), or digits finer than the register
// keeps that are not zero. ERR_OVERFLOW: does not fit.
MUST_CHECK err_t register_value_parse(uint8_t number, sv text, sv unit, int64_t *out_value, fault *out_fault);

#define REGISTER_VALUE_TEXT_MAX 32
// Writes the value in the declared unit with all declared decimals ("1234.560"). Returns the length.
size_t register_value_format(uint8_t number, int64_t value, char out[REGISTER_VALUE_TEXT_MAX]);
