// What a link is to do with one meter: a command of control or a reading somebody wants now, and what became of it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/instant.h"
#include "base/sv.h"
#include "json/json.h"
#include "protocols/dlt645.h"

typedef enum line_operation {
#define LINE_OPERATION(name, text, needs_password, is_switch) LINE_##name,
#include "line_operations.def"
#undef LINE_OPERATION
    LINE_OPERATION_COUNT
} line_operation;

const char *line_operation_text(line_operation operation);
bool line_operation_parse(sv text, line_operation *out_operation);
bool line_operation_needs_password(line_operation operation);
bool line_operation_is_switch(line_operation operation);

typedef enum line_parameter {
#define LINE_PARAMETER(name, text, data_id, most, multiplier, divisor) LINE_PARAMETER_##name,
#include "line_parameters.def"
#undef LINE_PARAMETER
    LINE_PARAMETER_COUNT
} line_parameter;

// What a meter shall keep, in counts of the protocol's items; what is not named stays as it is. A schedule is whole:
// places it does not use are written as unused.
typedef struct line_parameters {
    bool has[LINE_PARAMETER_COUNT];
    int64_t counts[LINE_PARAMETER_COUNT];
    bool has_schedule;
    dlt645_slot slots[DLT645_SLOTS];
} line_parameters;

#define LINE_PARAMETERS_BYTES_MAX 4096

// One value to write and read back. The n-th of the order (from 0); false: there are no more.
typedef struct line_item {
    uint32_t data_id;
    bool is_slot;
    int64_t count;
    dlt645_slot slot;
} line_item;

bool line_parameters_item(const line_parameters *self, size_t n, line_item *out_item);

// {"overload_w":…, …, "schedule":[{"at":"08:00","do":"on"},…]}; at least one of them, else the reader keeps place and
// reason and *out_parameters is unchanged.
void line_parameters_read(json_reader *reader, const json_node *object, line_parameters *out_parameters);
err_t line_parameters_parse(sv json, line_parameters *out_parameters, fault *out_fault) MUST_CHECK;

// "02000000": level and three bytes as hexadecimal text.
bool line_password_parse(sv text, uint8_t *out_level, uint8_t out_password[3]);

typedef struct line_order {
    uuid id;
    int64_t num;  // its row; the meter keeps the low half as operator code
    int32_t company;
    int64_t gateway, meter, channel;
    line_operation operation;
    int64_t epoch;  // of the session it was taken for
    int32_t tries;
    bool is_valve;
    uint8_t level;
    uint8_t password[3];  // wiped by who drops the order
    line_parameters parameters;
} line_order;

typedef enum line_outcome { LINE_VERIFIED, LINE_REFUSED, LINE_FAILED, LINE_EXPIRED, LINE_UNKNOWN, LINE_AGAIN } line_outcome;

#define LINE_REASON_MAX 64

// AGAIN: not done, may be repeated. `supply` as read back, NULL when nothing was; both texts are constants or live in
// the result.
typedef struct line_result {
    uuid id;
    int32_t company;
    int64_t meter, channel, epoch;
    line_operation operation;
    int32_t tries;
    line_outcome outcome;
    char reason[LINE_REASON_MAX];  // empty: none
    const char *supply;
    const char *alarm;  // a device_alarm comes with it; NULL: none
    instant_ms at;
} line_result;

line_result line_result_of(const line_order *order, line_outcome outcome, const char *reason);
const char *line_outcome_text(line_outcome outcome);  // AGAIN has none
