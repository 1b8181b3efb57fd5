#include "meter.h"

#include <string.h>

#include "relay.h"

#define NOMINAL_DV 2200
#define VOLTAGE_SWING_DV 81
#define RELAY_OPEN_BIT (1u << 4)
#define RELAY_COMMAND_OPEN_BIT (1u << 6)
#define KEEP_POWER_BIT (1u << 12)
#define OVERLOAD_BIT (1u << 5)
#define MALICIOUS_BIT (1u << 9)

static fleet_hour *hour_of(fleet_meter *self, instant_ms load_at) {
    if (load_at < self->hour.from || load_at >= self->hour.from + HOUR_MS) self->hour = fleet_load_hour(&self->load, load_at);
    return &self->hour;
}

static void registers_add(fleet_registers *sum, const fleet_registers *more, int64_t sign) {
    sum->total_wh += sign * more->total_wh;
    for (int p = 0; p < FLEET_PERIODS; p++) sum->period_wh[p] += sign * more->period_wh[p];
}

fleet_registers fleet_meter_registers(fleet_meter *self, instant_ms load_at) {
    fleet_registers registers = self->relay_open ? self->at_trip : fleet_hour_at(hour_of(self, load_at), load_at);
    registers_add(&registers, &self->withheld, -1);
    return registers;
}

static int64_t power_now_dw(fleet_meter *self, fleet_time now) {
    int64_t extra_w, heater_w;
    if (self->relay_open && !fleet_fault_strikes(&self->faults, FLEET_FAULT_BRIDGED, now.wall, NULL)) return 0;
    fleet_fault_strikes(&self->faults, FLEET_FAULT_EXTRA_LOAD, now.wall, &extra_w);
    fleet_fault_strikes(&self->faults, FLEET_FAULT_MALICIOUS_LOAD, now.wall, &heater_w);
    return 10 * (fleet_hour_power_w(hour_of(self, now.load)) + extra_w + heater_w);
}

fleet_electrical fleet_meter_electrical(fleet_meter *self, fleet_time at) {
    uint64_t minute = (uint64_t)(at.load / MINUTE_MS);
    int64_t power_dw = power_now_dw(self, at);
    fleet_electrical now = {.power_dw = power_dw, .power_factor_permille = 1000};
    if (power_dw) now.power_factor_permille -= (int64_t)(fleet_mix(self->load.seed, self->load.address) % 80);
    for (int phase = 0; phase < self->phases; phase++) {
        int64_t swing = (int64_t)(fleet_mix(self->load.address + (uint64_t)phase, minute) % VOLTAGE_SWING_DV);
        now.voltage_dv[phase] = NOMINAL_DV + swing - VOLTAGE_SWING_DV / 2;
        now.phase_power_dw[phase] = power_dw / self->phases + (phase == 0 ? power_dw % self->phases : 0);
        now.current_ma[phase] = now.phase_power_dw[phase] * 1000000 / (now.voltage_dv[phase] * now.power_factor_permille);
    }
    return now;
}

uint16_t fleet_meter_status_word_3(const fleet_meter *self) {
    unsigned bits = 0;
    if (self->relay_open) bits |= RELAY_OPEN_BIT;
    if (self->told_open) bits |= RELAY_COMMAND_OPEN_BIT;
    if (self->keep_power) bits |= KEEP_POWER_BIT;
    return (uint16_t)bits;
}

uint16_t fleet_meter_status_word_4(const fleet_meter *self) {
    return (uint16_t)((self->overloaded ? OVERLOAD_BIT : 0u) | (self->malicious ? MALICIOUS_BIT : 0u));
}

instant_ms fleet_meter_clock(fleet_meter *self, instant_ms wall) {
    int64_t ordered_ms;
    fleet_fault_strikes(&self->faults, FLEET_FAULT_WRONG_CLOCK, wall, &ordered_ms);
    return wall + self->clock_offset_ms + ordered_ms;
}

void fleet_meter_trip(fleet_meter *self, instant_ms load_at) {
    self->close_allowed = false;
    self->told_open = true;
    if (self->relay_open) return;
    self->at_trip = fleet_hour_at(hour_of(self, load_at), load_at);
    self->relay_open = true;
}

void fleet_meter_close(fleet_meter *self, instant_ms load_at) {
    self->close_allowed = self->told_open = false;
    if (!self->relay_open) return;
    fleet_registers now = fleet_hour_at(hour_of(self, load_at), load_at);
    registers_add(&self->withheld, &now, 1);
    registers_add(&self->withheld, &self->at_trip, -1);
    self->relay_open = false;
}

bool fleet_meter_press_key(fleet_meter *self, fleet_time now) {
    if (!self->close_allowed) return false;
    fleet_relay_tell(self, false, FLEET_CAUSE_KEY, now);
    return true;
}

void fleet_meter_replace(fleet_meter *self, uint64_t number, int64_t start_wh, instant_ms load_at) {
    self->number = number;
    self->load.start_wh = start_wh;
    self->load.start_at = load_at;
    self->relay_open = self->told_open = self->close_allowed = self->keep_power = self->overloaded = self->malicious = false;
    self->recovered = 0;
    memset(&self->settings, 0, sizeof self->settings);
    self->has_settings = false;
    memset(&self->at_trip, 0, sizeof self->at_trip);
    memset(&self->withheld, 0, sizeof self->withheld);
    self->hour = fleet_load_hour(&self->load, load_at);
}

bool fleet_meter_is_addressed(const fleet_meter *self, const fleet_frame *request) {
    bool wildcard_ended = false;
    for (int i = 5; i >= 0; i--) {
        if (!wildcard_ended && request->address[i] == 0xAA) continue;
        wildcard_ended = true;
        if (request->address[i] != self->address[i]) return false;
    }
    return true;
}
