// The truth log: one JSON line for each reading that left a meter, to compare a ledger with.
//
//   {"event":"answered","gateway":"…","meter":"123456789012","register":"active_energy_total","value":"1234.56","at":"…Z"}
//   {"event":"acknowledged", …,"told_at":"…Z"}   an HTTP gateway's reading that the server accepted: "at" is its read_at,
//                                                "told_at" the moment the answer came
//   {"event":"refused", …,"told_at":"…Z","reason":"unknown_meter"}
//   {"event":"relay","meter":"…","state":"open","by":"command","at":"…Z"}        it moved; "by" is one of causes.def
//   {"event":"control","meter":"…","operation":"1A","result":"done","operator":17,"deadline":"…Z","meter_clock":"…Z","at":"…Z"}
//                   a control command that came; result: done, ignored, or refused with its error byte as "error"; deadline
//                   null when it never ends
//   {"event":"replaced","meter":"…","number":"…","value":"…","at":"…Z"}
//   {"event":"final","meter":"…","relay":"closed","at":"…Z","active_energy_total":"…","active_energy_t1":"…", …}   on exit
//
// "answered" says that the bytes were handed to the link, not that they arrived; "acknowledged" is the server's word.
#pragma once

#include <stdio.h>

#include "base/err.h"
#include "base/sv.h"
#include "meter.h"

// Energy registers in truth and in pushes: the total and its periods.
typedef enum fleet_register {
#define FLEET_REGISTER(name, text, unit) FLEET_REGISTER_##name,
#include "registers.def"
#undef FLEET_REGISTER
    FLEET_REGISTER_COUNT
} fleet_register;

const char *fleet_register_name(fleet_register reg);
const char *fleet_register_unit(fleet_register reg);
bool fleet_register_parse(sv text, fleet_register *out_register);
bool fleet_register_is_energy(fleet_register reg);
// The register in the unit of a push, as a whole number of hundredths (energy), thousandths or ten-thousandths.
int64_t fleet_register_value(fleet_meter *meter, fleet_register reg, fleet_time now);
// Decimal digits behind the point of that number.
int fleet_register_decimals(fleet_register reg);

typedef struct fleet_truth {
    FILE *file;      // NULL: nothing is logged
    uint64_t every;  // log readings of one meter in so many, chosen by address
} fleet_truth;

// A NULL path logs nothing. Lines are appended.
MUST_CHECK err_t fleet_truth_open(const char *path, int64_t every, fleet_truth *out_truth, fault *out_fault);
void fleet_truth_close(fleet_truth *self);
void fleet_truth_flush(fleet_truth *self);

typedef struct fleet_truth_reading {
    const char *event;
    const char *gateway;
    const fleet_meter *meter;
    fleet_register reg;
    int64_t value;
    instant_ms at;
    instant_ms told_at;  // 0: no answer is waited for
    sv reason;           // empty unless refused
} fleet_truth_reading;

void fleet_truth_add_reading(fleet_truth *self, const fleet_truth_reading *reading);
void fleet_truth_add_relay(fleet_truth *self, const fleet_meter *meter, instant_ms at);
void fleet_truth_add_control(fleet_truth *self, const fleet_meter *meter, instant_ms at);
void fleet_truth_add_replaced(fleet_truth *self, fleet_meter *meter, fleet_time now);
void fleet_truth_add_final(fleet_truth *self, fleet_meter *meter, fleet_time now);

// "1234.56" from 123456 with two decimals; returns the length.
#define FLEET_DECIMAL_MAX 32
size_t fleet_decimal_format(int64_t value, int decimals, char out[FLEET_DECIMAL_MAX]);
