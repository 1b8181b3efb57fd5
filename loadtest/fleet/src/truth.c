#include "truth.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "relay.h"

static const struct {
    const char *name, *unit;
} REGISTERS[] = {
#define FLEET_REGISTER(name, text, unit) {text, unit},
#include "registers.def"
#undef FLEET_REGISTER
};

const char *fleet_register_name(fleet_register reg) { return REGISTERS[reg].name; }
const char *fleet_register_unit(fleet_register reg) { return REGISTERS[reg].unit; }
bool fleet_register_is_energy(fleet_register reg) { return reg <= FLEET_REGISTER_T4; }

bool fleet_register_parse(sv text, fleet_register *out_register) {
    for (size_t i = 0; i < ARRAY_LEN(REGISTERS); i++)
        if (sv_equal(text, sv_of(REGISTERS[i].name))) {
            *out_register = (fleet_register)i;
            return true;
        }
    return false;
}

int64_t fleet_register_value(fleet_meter *meter, fleet_register reg, fleet_time now) {
    switch (reg) {
        case FLEET_REGISTER_TOTAL: return fleet_display_counts(fleet_meter_registers(meter, now.load).total_wh);
        case FLEET_REGISTER_T1:
        case FLEET_REGISTER_T2:
        case FLEET_REGISTER_T3:
        case FLEET_REGISTER_T4: return fleet_display_counts(fleet_meter_registers(meter, now.load).period_wh[reg - FLEET_REGISTER_T1]);
        case FLEET_REGISTER_POWER: return fleet_meter_electrical(meter, now).power_dw;
        case FLEET_REGISTER_VOLTAGE_A: return fleet_meter_electrical(meter, now).voltage_dv[0];
        case FLEET_REGISTER_CURRENT_A: return fleet_meter_electrical(meter, now).current_ma[0];
        case FLEET_REGISTER_STATUS_WORD_3: return fleet_meter_status_word_3(meter);
        case FLEET_REGISTER_COUNT: break;
    }
    return 0;
}

int fleet_register_decimals(fleet_register reg) {
    switch (reg) {
        case FLEET_REGISTER_TOTAL:
        case FLEET_REGISTER_T1:
        case FLEET_REGISTER_T2:
        case FLEET_REGISTER_T3:
        case FLEET_REGISTER_T4: return 2;
        case FLEET_REGISTER_POWER: return 4;
        case FLEET_REGISTER_VOLTAGE_A: return 1;
        case FLEET_REGISTER_CURRENT_A: return 3;
        case FLEET_REGISTER_STATUS_WORD_3:
        case FLEET_REGISTER_COUNT: break;
    }
    return 0;
}

size_t fleet_decimal_format(int64_t value, int decimals, char out[FLEET_DECIMAL_MAX]) {
    char reversed[FLEET_DECIMAL_MAX];
    size_t len = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    for (int digit = 0; rest || digit <= decimals; digit++, rest /= 10) {
        if (digit == decimals && decimals) reversed[len++] = '.';
        reversed[len++] = (char)('0' + rest % 10);
    }
    if (value < 0) reversed[len++] = '-';
    for (size_t i = 0; i < len; i++) out[i] = reversed[len - 1 - i];
    out[len] = '\0';
    return len;
}

err_t fleet_truth_open(const char *path, int64_t every, fleet_truth *out_truth, fault *out_fault) {
    FILE *file = path ? fopen(path, "ae") : NULL;
    if (path && !file) return fault_set(out_fault, ERR_BAD_INPUT, path, "cannot be opened for appending: %s", strerror(errno));
    *out_truth = (fleet_truth){file, (uint64_t)every};
    return ERR_OK;
}

void fleet_truth_close(fleet_truth *self) {
    if (self->file) fclose(self->file);
    self->file = NULL;
}

void fleet_truth_flush(fleet_truth *self) {
    if (self->file) fflush(self->file);
}

typedef struct instant_text {
    char text[INSTANT_TEXT_MAX];
} instant_text;

static instant_text text_of(instant_ms at) {
    instant_text out;
    instant_format(at, 0, out.text);
    return out;
}

void fleet_truth_add_reading(fleet_truth *self, const fleet_truth_reading *reading) {
    if (!self->file || reading->meter->load.address % self->every) return;
    char value[FLEET_DECIMAL_MAX];
    fleet_decimal_format(reading->value, fleet_register_decimals(reading->reg), value);
    fprintf(self->file, "{\"event\":\"%s\",\"gateway\":\"%s\",\"meter\":\"%s\",\"register\":\"%s\",\"value\":\"%s\",\"at\":\"%s\"",
            reading->event, reading->gateway, reading->meter->address_text, fleet_register_name(reading->reg), value,
            text_of(reading->at).text);
    if (reading->told_at) fprintf(self->file, ",\"told_at\":\"%s\"", text_of(reading->told_at).text);
    if (reading->reason.len) fprintf(self->file, ",\"reason\":\"%.*s\"", SV_ARG(reading->reason));
    fputs("}\n", self->file);
}

static const char *relay_name(const fleet_meter *meter) { return meter->relay_open ? "open" : "closed"; }

void fleet_truth_add_relay(fleet_truth *self, const fleet_meter *meter, instant_ms at) {
    if (!self->file) return;
    fprintf(self->file, "{\"event\":\"relay\",\"meter\":\"%s\",\"state\":\"%s\",\"by\":\"%s\",\"at\":\"%s\"}\n", meter->address_text,
            relay_name(meter), fleet_cause_name(meter->cause), text_of(at).text);
    fflush(self->file);
}

void fleet_truth_add_control(fleet_truth *self, const fleet_meter *meter, instant_ms at) {
    if (!self->file) return;
    const fleet_control_told *told = &meter->told;
    const char *result = told->error ? "refused" : told->is_ignored ? "ignored" : "done";
    fprintf(self->file, "{\"event\":\"control\",\"meter\":\"%s\",\"operation\":\"%02X\",\"result\":\"%s\",\"error\":%u,\"operator\":%u",
            meter->address_text, told->operation, result, told->error, told->operator_code);
    if (told->deadline)
        fprintf(self->file, ",\"deadline\":\"%s\"", text_of(told->deadline).text);
    else
        fputs(",\"deadline\":null", self->file);
    fprintf(self->file, ",\"meter_clock\":\"%s\",\"at\":\"%s\"}\n", text_of(told->meter_clock).text, text_of(at).text);
    fflush(self->file);
}

void fleet_truth_add_replaced(fleet_truth *self, fleet_meter *meter, fleet_time now) {
    if (!self->file) return;
    char value[FLEET_DECIMAL_MAX];
    fleet_decimal_format(fleet_register_value(meter, FLEET_REGISTER_TOTAL, now), 2, value);
    fprintf(self->file, "{\"event\":\"replaced\",\"meter\":\"%s\",\"number\":\"%012llu\",\"value\":\"%s\",\"at\":\"%s\"}\n",
            meter->address_text, (unsigned long long)meter->number, value, text_of(now.wall).text);
}

void fleet_truth_add_final(fleet_truth *self, fleet_meter *meter, fleet_time now) {
    if (!self->file) return;
    fprintf(self->file, "{\"event\":\"final\",\"meter\":\"%s\",\"relay\":\"%s\",\"at\":\"%s\"", meter->address_text, relay_name(meter),
            text_of(now.wall).text);
    for (int reg = FLEET_REGISTER_TOTAL; reg <= FLEET_REGISTER_T4; reg++) {
        char value[FLEET_DECIMAL_MAX];
        fleet_decimal_format(fleet_register_value(meter, (fleet_register)reg, now), 2, value);
        fprintf(self->file, ",\"%s\":\"%s\"", fleet_register_name((fleet_register)reg), value);
    }
    fputs("}\n", self->file);
}
