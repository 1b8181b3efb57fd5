#include "relay.h"

#include <string.h>

#include "base/mem.h"

#define RECOVER_MS (30 * SECOND_MS)
#define FIRST_SLOT 0x04FE0201
#define SLOT_ON 1
#define SLOT_OFF 2

const char *fleet_cause_name(fleet_cause cause) {
    static const char *const NAMES[] = {
#define FLEET_CAUSE(name, text) text,
#include "causes.def"
#undef FLEET_CAUSE
    };
    return NAMES[cause];
}

// ---- what it was told to keep

size_t fleet_setting_find(fleet_meter *self, uint32_t data_id, uint8_t **out_bytes) {
    static const struct {
        uint32_t data_id;
        size_t offset, len;
    } SETTINGS[] = {
#define FLEET_SETTING(data_id, member, bytes) {(data_id), offsetof(fleet_settings, member), (bytes)},
#include "settings.def"
#undef FLEET_SETTING
    };
    for (size_t i = 0; i < ARRAY_LEN(SETTINGS); i++) {
        if (SETTINGS[i].data_id != data_id) continue;
        *out_bytes = (uint8_t *)&self->settings + SETTINGS[i].offset;
        return SETTINGS[i].len;
    }
    if (data_id < FIRST_SLOT || data_id >= FIRST_SLOT + FLEET_SLOTS) return 0;
    *out_bytes = self->settings.slots[data_id - FIRST_SLOT];
    return sizeof self->settings.slots[0];
}

static bool is_slot(const uint8_t bytes[3]) {
    uint64_t minute, hour;
    return bytes[0] <= SLOT_OFF && fleet_bcd_get(bytes + 1, 1, &minute) && fleet_bcd_get(bytes + 2, 1, &hour) && minute < 60 && hour < 24;
}

bool fleet_setting_is_valid(uint32_t data_id, const uint8_t *bytes) {
    fleet_meter any = {0};
    uint8_t *kept;
    uint64_t value;
    size_t len = fleet_setting_find(&any, data_id, &kept);
    if (len == 0) return false;
    return data_id >= FIRST_SLOT ? is_slot(bytes) : fleet_bcd_get(bytes, len, &value);
}

// Thresholds are kept as XX.XXXX kW; 0 is none.
static int64_t threshold_dw(const uint8_t bytes[3]) {
    uint64_t value = 0;
    return fleet_bcd_get(bytes, 3, &value) ? (int64_t)value : 0;
}

// ---- moving

static bool arrive(fleet_meter *self, fleet_time now) {
    if (self->told_open == self->relay_open || now.wall < self->moves_at || self->close_allowed) return false;
    if (fleet_fault_strikes(&self->faults, FLEET_FAULT_STUCK, now.wall, NULL)) return false;
    if (self->told_open)
        fleet_meter_trip(self, now.load);
    else
        fleet_meter_close(self, now.load);
    return true;
}

void fleet_relay_tell(fleet_meter *self, bool open, fleet_cause cause, fleet_time now) {
    self->close_allowed = false;
    if (self->told_open != open) self->moves_at = now.wall + self->travel_ms;
    self->told_open = open;
    self->cause = cause;
    if (cause == FLEET_CAUSE_COMMAND && !open) self->overloaded = self->malicious = false, self->recovered = 0;
    self->has_moved |= arrive(self, now);
}

// ---- by itself

static void watch_load(fleet_meter *self, fleet_time now) {
    int64_t overload_dw = threshold_dw(self->settings.overload);
    int64_t malicious_dw = threshold_dw(self->settings.malicious);
    if (self->relay_open || self->told_open || self->keep_power || (overload_dw == 0 && malicious_dw == 0)) return;
    int64_t heater_w = 0;
    bool has_heater = fleet_fault_strikes(&self->faults, FLEET_FAULT_MALICIOUS_LOAD, now.wall, &heater_w);
    if (malicious_dw && has_heater && 10 * heater_w > malicious_dw) {
        self->malicious = true;
        fleet_relay_tell(self, true, FLEET_CAUSE_MALICIOUS_LOAD, now);
    } else if (overload_dw && fleet_meter_electrical(self, now).power_dw > overload_dw) {
        self->overloaded = true;
        self->recovers_at = now.wall + RECOVER_MS;
        fleet_relay_tell(self, true, FLEET_CAUSE_OVERLOAD, now);
    }
}

static void recover(fleet_meter *self, fleet_time now) {
    uint64_t allowed = 0;
    if (!self->overloaded || !self->relay_open || self->cause != FLEET_CAUSE_OVERLOAD || now.wall < self->recovers_at) return;
    if (!fleet_bcd_get(self->settings.recoveries, 1, &allowed) || self->recovered >= allowed) return;
    self->recovered++;
    self->overloaded = false;
    fleet_relay_tell(self, false, FLEET_CAUSE_RECOVERY, now);
}

// By the meter's own clock, once a minute; what a stopped program missed stays missed.
static void follow_schedule(fleet_meter *self, fleet_time now) {
    int64_t local_s = fleet_meter_clock(self, now.wall) / SECOND_MS + FLEET_UTC_OFFSET_S;
    int64_t minute = local_s / 60;
    if (minute == self->schedule_minute) return;
    bool is_first = self->schedule_minute == 0;
    self->schedule_minute = minute;
    if (is_first) return;
    for (size_t i = 0; i < FLEET_SLOTS; i++) {
        const uint8_t *slot = self->settings.slots[i];
        uint64_t slot_minute = 0, slot_hour = 0;
        if (slot[0] == 0 || !fleet_bcd_get(slot + 1, 1, &slot_minute) || !fleet_bcd_get(slot + 2, 1, &slot_hour)) continue;
        if ((int64_t)(slot_hour * 60 + slot_minute) != minute % (24 * 60)) continue;
        if (slot[0] == SLOT_OFF && self->keep_power) continue;
        fleet_relay_tell(self, slot[0] == SLOT_OFF, FLEET_CAUSE_SCHEDULE, now);
    }
}

bool fleet_relay_live(fleet_meter *self, fleet_time now) {
    self->has_moved |= arrive(self, now);
    if (self->has_settings) {
        watch_load(self, now);
        recover(self, now);
        follow_schedule(self, now);
    }
    bool moved = self->has_moved;
    self->has_moved = false;
    return moved;
}
