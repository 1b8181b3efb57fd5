// One simulated meter: its registers, relay, clock and password, and what it answers to a DL/T 645 request.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "fault.h"
#include "fleet/profile.h"
#include "frame.h"

#define FLEET_PHASES_MAX 3
#define FLEET_VALUE_MAX (FLEET_FRAME_DATA_MAX - 4)

// The wall clock drives the protocol; the load's clock may run faster.
typedef struct fleet_time {
    instant_ms wall;
    instant_ms load;
} fleet_time;

typedef enum fleet_cause {
#define FLEET_CAUSE(name, text) FLEET_CAUSE_##name,
#include "causes.def"
#undef FLEET_CAUSE
} fleet_cause;

// As sent: BCD, lowest pair first; a slot is what it does (0 nothing, 1 on, 2 off), minute, hour.
#define FLEET_SLOTS 8
typedef struct fleet_settings {
#define FLEET_SETTING(data_id, member, bytes) uint8_t member[bytes];
#include "settings.def"
#undef FLEET_SETTING
    uint8_t slots[FLEET_SLOTS][3];
} fleet_settings;

// The last control command that came, for the truth log.
typedef struct fleet_control_told {
    bool is_new;
    uint8_t operation;
    uint8_t error;  // as answered; 0: acknowledged
    bool is_ignored;
    uint32_t operator_code;
    instant_ms deadline;  // as an instant of the meter's clock; 0: none
    instant_ms meter_clock;
} fleet_control_told;

typedef struct fleet_meter {
    fleet_load load;
    uint8_t address[6];
    char address_text[13];
    uint64_t number;  // printed on the case; a replaced meter has another one
    uint8_t phases;
    uint8_t password[4];  // level, then three bytes, as sent
    bool relay_open;
    bool told_open;       // where the relay or valve was told to be
    int64_t travel_ms;    // a valve's way; a relay's is 0
    instant_ms moves_at;  // wall
    fleet_cause cause;    // of the last telling
    bool has_moved;       // since fleet_relay_live was last asked
    bool overloaded, malicious;
    uint64_t recovered;  // times it closed by itself since it was last closed by command
    instant_ms recovers_at;
    int64_t schedule_minute;
    bool has_settings, settings_changed;
    fleet_settings settings;
    fleet_control_told told;
    bool close_allowed;  // waits for somebody to press the key
    bool keep_power;
    fleet_registers at_trip;   // what the load function counted when the relay opened
    fleet_registers withheld;  // what it counted while the relay was open: never delivered
    int64_t clock_offset_ms;
    fleet_faults faults;
    fleet_hour hour;  // cache of the load function
} fleet_meter;

fleet_registers fleet_meter_registers(fleet_meter *self, instant_ms load_at);

// Instantaneous values. `voltage_dv` in 0.1 V, `power_dw` in 0.1 W.
typedef struct fleet_electrical {
    int64_t power_dw;
    int64_t phase_power_dw[FLEET_PHASES_MAX];
    int64_t voltage_dv[FLEET_PHASES_MAX];
    int64_t current_ma[FLEET_PHASES_MAX];
    int64_t power_factor_permille;
} fleet_electrical;

fleet_electrical fleet_meter_electrical(fleet_meter *self, fleet_time now);
uint16_t fleet_meter_status_word_3(const fleet_meter *self);
uint16_t fleet_meter_status_word_4(const fleet_meter *self);
instant_ms fleet_meter_clock(fleet_meter *self, instant_ms wall);

void fleet_meter_trip(fleet_meter *self, instant_ms load_at);
void fleet_meter_close(fleet_meter *self, instant_ms load_at);
// Somebody stands at the meter: closes the relay if closing was allowed.
bool fleet_meter_press_key(fleet_meter *self, fleet_time now);
// Another device at the same address: its register starts at `start_wh` now, its relay is closed. With the same number
// it is the same device whose register was set.
void fleet_meter_replace(fleet_meter *self, uint64_t number, int64_t start_wh, instant_ms load_at);

// True when this meter would take the request: its address, or a run of AA in the high places with matching low ones.
bool fleet_meter_is_addressed(const fleet_meter *self, const fleet_frame *request);
// Acts on the request and fills the answer; false when a meter keeps silent (broadcast, an answer of another meter).
bool fleet_meter_answer(fleet_meter *self, const fleet_frame *request, fleet_time now, fleet_frame *out_answer);

// The number a data identifier is sent as, lowest byte first.
uint32_t fleet_data_id(const fleet_frame *frame);
void fleet_data_id_put(uint8_t out[4], uint32_t data_id);
// The value bytes of a data identifier; 0 when the meter has no such data.
size_t fleet_meter_value(fleet_meter *self, uint32_t data_id, fleet_time now, uint8_t out[FLEET_VALUE_MAX]);
