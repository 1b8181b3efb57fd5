// What a meter answers: reads, the address, control of the relay, and setting its clock.
#include <string.h>

#include "base/instant.h"
#include "base/mem.h"
#include "meter.h"
#include "relay.h"

#define CONTROL_BROADCAST_TIME 0x08
#define CONTROL_READ 0x11
#define CONTROL_READ_ADDRESS 0x13
#define CONTROL_WRITE 0x14
#define CONTROL_RELAY 0x1C
#define ANSWER_BIT 0x80
#define ERROR_BIT 0x40
#define ERROR_OTHER 0x01
#define ERROR_NO_DATA 0x02
#define ERROR_PASSWORD 0x04
#define BROADCAST_SYNC_LIMIT_MS (5 * MINUTE_MS)

uint32_t fleet_data_id(const fleet_frame *frame) {
    return (uint32_t)frame->data[3] << 24 | (uint32_t)frame->data[2] << 16 | (uint32_t)frame->data[1] << 8 | frame->data[0];
}

void fleet_data_id_put(uint8_t out[4], uint32_t data_id) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(data_id >> (8 * i));
}

static void answer_error(fleet_frame *answer, uint8_t error) {
    answer->control |= ERROR_BIT;
    answer->len = 1;
    answer->data[0] = error;
}

typedef struct civil {
    uint64_t year, month, day, weekday, hour, minute, second;
} civil;

static civil civil_of(instant_ms at) {
    int64_t local_s = at / SECOND_MS + FLEET_UTC_OFFSET_S;
    int64_t days = local_s / 86400, of_day = local_s % 86400;
    int32_t year, month, day;
    civil_from_days(days, &year, &month, &day);
    return (civil){(uint64_t)year,
                   (uint64_t)month,
                   (uint64_t)day,
                   (uint64_t)((days + 4) % 7),
                   (uint64_t)(of_day / 3600),
                   (uint64_t)(of_day / 60 % 60),
                   (uint64_t)(of_day % 60)};
}

static bool instant_of(const civil *time, instant_ms *out_at) {
    if (time->month < 1 || time->month > 12 || time->hour > 23 || time->minute > 59 || time->second > 59) return false;
    if (time->day < 1 || time->day > (uint64_t)days_in_month(2000 + (int32_t)time->year, (int32_t)time->month)) return false;
    int64_t days = days_from_civil(2000 + (int32_t)time->year, (int32_t)time->month, (int32_t)time->day);
    int64_t of_day = (int64_t)(time->hour * 3600 + time->minute * 60 + time->second);
    *out_at = (days * 86400 + of_day - FLEET_UTC_OFFSET_S) * SECOND_MS;
    return true;
}

// Six bytes ss mm hh DD MM YY, the year without its century.
static bool instant_get(const uint8_t bytes[6], instant_ms *out_at) {
    civil time = {0};
    uint64_t *const parts[] = {&time.second, &time.minute, &time.hour, &time.day, &time.month, &time.year};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!fleet_bcd_get(bytes + i, 1, parts[i])) return false;
    return instant_of(&time, out_at);
}

static size_t put_energy(uint8_t *out, int64_t energy_wh) {
    fleet_bcd_put(out, 4, (uint64_t)fleet_display_counts(energy_wh));
    return 4;
}

// 00000000 combined, 00010000 forward, 00020000 reverse; the second lowest byte is the tariff, FF all of them.
static size_t energy_value(fleet_meter *self, uint32_t data_id, instant_ms load_at, uint8_t *out) {
    unsigned tariff = data_id >> 8 & 0xFF;
    bool reverse = data_id >> 16 == 0x0002;
    if ((data_id & 0xFF) || data_id >> 16 > 0x0002) return 0;
    if (tariff > FLEET_PERIODS && tariff != 0xFF) return 0;
    fleet_registers registers = {0};
    if (!reverse) registers = fleet_meter_registers(self, load_at);
    size_t len = 0;
    if (tariff == 0 || tariff == 0xFF) len += put_energy(out, registers.total_wh);
    for (unsigned p = 1; p <= FLEET_PERIODS; p++)
        if (tariff == p || tariff == 0xFF) len += put_energy(out + len, registers.period_wh[p - 1]);
    return len;
}

typedef struct electrical_row {
    const int64_t *phases;
    int64_t sum;
    bool has_sum;
    size_t width;
} electrical_row;

// 0201 voltage, 0202 current, 0203 power, 0206 power factor; the second lowest byte is the phase, 00 the sum, FF all.
static size_t electrical_value(fleet_meter *self, uint32_t data_id, fleet_time at, uint8_t *out) {
    fleet_electrical now = fleet_meter_electrical(self, at);
    int64_t factors[FLEET_PHASES_MAX] = {now.power_factor_permille, now.power_factor_permille, now.power_factor_permille};
    electrical_row row;
    switch (data_id >> 16) {
        case 0x0201: row = (electrical_row){now.voltage_dv, 0, false, 2}; break;
        case 0x0202: row = (electrical_row){now.current_ma, 0, false, 3}; break;
        case 0x0203: row = (electrical_row){now.phase_power_dw, now.power_dw, true, 3}; break;
        case 0x0206: row = (electrical_row){factors, now.power_factor_permille, true, 2}; break;
        default: return 0;
    }
    unsigned phase = data_id >> 8 & 0xFF;
    if ((data_id & 0xFF) || (phase > self->phases && phase != 0xFF) || (phase == 0 && !row.has_sum)) return 0;
    size_t len = 0;
    if (row.has_sum && (phase == 0 || phase == 0xFF)) {
        fleet_bcd_put(out, row.width, (uint64_t)row.sum);
        len += row.width;
    }
    for (unsigned p = 1; p <= self->phases; p++) {
        if (phase != p && phase != 0xFF) continue;
        fleet_bcd_put(out + len, row.width, (uint64_t)row.phases[p - 1]);
        len += row.width;
    }
    return len;
}

// 04000501–07 and all seven as FF.
static size_t status_value(const fleet_meter *self, uint32_t data_id, uint8_t *out) {
    unsigned word = data_id & 0xFF;
    if (word == 0 || (word > 7 && word != 0xFF)) return 0;
    size_t len = 0;
    for (unsigned w = 1; w <= 7; w++) {
        if (word != w && word != 0xFF) continue;
        uint16_t bits = w == 3 ? fleet_meter_status_word_3(self) : w == 4 ? fleet_meter_status_word_4(self) : 0;
        out[len++] = (uint8_t)(bits & 0xFF);
        out[len++] = (uint8_t)(bits >> 8);
    }
    return len;
}

static size_t clock_value(fleet_meter *self, uint32_t data_id, instant_ms wall, uint8_t *out) {
    civil time = civil_of(fleet_meter_clock(self, wall));
    const uint64_t date[] = {time.weekday, time.day, time.month, time.year};
    const uint64_t of_day[] = {time.second, time.minute, time.hour};
    size_t len = 0;
    if (data_id != 0x04000101)
        for (size_t i = 0; i < ARRAY_LEN(of_day); i++) fleet_bcd_put(out + len++, 1, of_day[i]);
    if (data_id != 0x04000102)
        for (size_t i = 0; i < ARRAY_LEN(date); i++) fleet_bcd_put(out + len++, 1, date[i]);
    return len;
}

static size_t setting_value(fleet_meter *self, uint32_t data_id, uint8_t *out) {
    uint8_t *kept;
    size_t len = fleet_setting_find(self, data_id, &kept);
    if (len) memcpy(out, kept, len);
    return len;
}

size_t fleet_meter_value(fleet_meter *self, uint32_t data_id, fleet_time now, uint8_t out[FLEET_VALUE_MAX]) {
    if (data_id >> 24 == 0x00) return energy_value(self, data_id, now.load, out);
    if (data_id >> 24 == 0x02) return electrical_value(self, data_id, now, out);
    if (data_id >> 8 == 0x040005) return status_value(self, data_id, out);
    switch (data_id) {
        case 0x04000101:
        case 0x04000102:
        case 0x0400010C: return clock_value(self, data_id, now.wall, out);
        case 0x04000401: memcpy(out, self->address, 6); return 6;
        case 0x04000402: fleet_bcd_put(out, 6, self->number); return 6;
        default: return setting_value(self, data_id, out);
    }
}

static void answer_read(fleet_meter *self, const fleet_frame *request, fleet_time now, fleet_frame *answer) {
    if (request->len < 4) {
        answer_error(answer, ERROR_OTHER);
        return;
    }
    size_t len = fleet_meter_value(self, fleet_data_id(request), now, answer->data + 4);
    if (len == 0) {
        answer_error(answer, ERROR_NO_DATA);
        return;
    }
    memcpy(answer->data, request->data, 4);
    answer->len = (uint8_t)(4 + len);
}

// The command is dead once the meter's clock passed its deadline; all zero never ends. 0 means alive.
static uint8_t deadline_error(fleet_meter *self, const uint8_t bytes[6]) {
    static const uint8_t NEVER[6] = {0};
    if (memcmp(bytes, NEVER, sizeof NEVER) == 0) return 0;
    if (!instant_get(bytes, &self->told.deadline)) return ERROR_OTHER;
    return self->told.meter_clock > self->told.deadline ? ERROR_OTHER : 0;
}

static uint8_t relay_act(fleet_meter *self, uint8_t operation, fleet_time now) {
    if (operation == 0x1A && self->keep_power) return ERROR_OTHER;
    self->told.is_ignored = fleet_fault_strikes(&self->faults, FLEET_FAULT_IGNORE_COMMAND, now.wall, NULL);
    if (self->told.is_ignored) return 0;
    switch (operation) {
        case 0x1A: fleet_relay_tell(self, true, FLEET_CAUSE_COMMAND, now); return 0;
        case 0x1B:
            self->close_allowed = self->relay_open;
            self->told_open = false;
            return 0;
        case 0x1C: fleet_relay_tell(self, false, FLEET_CAUSE_COMMAND, now); return 0;
        case 0x2A:
        case 0x2B: return 0;  // the alarm has no effect on the supply
        case 0x3A: self->keep_power = true; return 0;
        case 0x3B: self->keep_power = false; return 0;
        default: return ERROR_OTHER;
    }
}

// Level and password 4, operator 4, operation, 00, deadline 6.
static void answer_relay(fleet_meter *self, const fleet_frame *request, fleet_time now, fleet_frame *answer) {
    if (request->len != 16) {
        answer_error(answer, ERROR_OTHER);
        return;
    }
    self->told = (fleet_control_told){.is_new = true, .operation = request->data[8], .meter_clock = fleet_meter_clock(self, now.wall)};
    for (int i = 0; i < 4; i++) self->told.operator_code |= (uint32_t)request->data[4 + i] << (8 * i);
    uint8_t error = memcmp(request->data, self->password, 4) ? ERROR_PASSWORD : 0;
    if (!error) error = deadline_error(self, request->data + 10);
    if (!error) error = relay_act(self, request->data[8], now);
    self->told.error = error;
    if (error) answer_error(answer, error);
}

static void write_setting(fleet_meter *self, const fleet_frame *request, fleet_time now, fleet_frame *answer) {
    uint32_t data_id = fleet_data_id(request);
    uint8_t *kept;
    size_t len = fleet_setting_find(self, data_id, &kept);
    const uint8_t *value = request->data + 12;
    if (len == 0 || request->len != 12 + len)
        answer_error(answer, ERROR_NO_DATA);
    else if (memcmp(request->data + 5, self->password + 1, 3))
        answer_error(answer, ERROR_PASSWORD);
    else if (!fleet_setting_is_valid(data_id, value))
        answer_error(answer, ERROR_OTHER);
    else if (!fleet_fault_strikes(&self->faults, FLEET_FAULT_IGNORE_COMMAND, now.wall, NULL)) {
        memcpy(kept, value, len);
        self->has_settings = self->settings_changed = true;
    }
}

// Data identifier 4, level and password 4, operator 4, value: the clock, and what a meter keeps.
static void answer_write(fleet_meter *self, const fleet_frame *request, fleet_time now, fleet_frame *answer) {
    uint32_t data_id = request->len >= 12 ? fleet_data_id(request) : 0;
    if (data_id != 0 && data_id != 0x0400010C) {
        write_setting(self, request, now, answer);
        return;
    }
    if (request->len != 19) {
        answer_error(answer, ERROR_NO_DATA);
        return;
    }
    const uint8_t *value = request->data + 12;
    const uint8_t time[6] = {value[0], value[1], value[2], value[4], value[5], value[6]};
    instant_ms told;
    if (memcmp(request->data + 5, self->password + 1, 3))
        answer_error(answer, ERROR_PASSWORD);
    else if (!instant_get(time, &told))
        answer_error(answer, ERROR_OTHER);
    else
        self->clock_offset_ms = told - now.wall;
}

static void take_broadcast_time(fleet_meter *self, const fleet_frame *request, instant_ms wall) {
    instant_ms told;
    if (request->len != 6 || !instant_get(request->data, &told)) return;
    int64_t change_ms = told - fleet_meter_clock(self, wall);
    if (change_ms <= BROADCAST_SYNC_LIMIT_MS && change_ms >= -BROADCAST_SYNC_LIMIT_MS) self->clock_offset_ms += change_ms;
}

bool fleet_meter_answer(fleet_meter *self, const fleet_frame *request, fleet_time now, fleet_frame *out_answer) {
    static const uint8_t EVERYBODY[6] = {0x99, 0x99, 0x99, 0x99, 0x99, 0x99};
    if (memcmp(request->address, EVERYBODY, sizeof EVERYBODY) == 0) {
        if (request->control == CONTROL_BROADCAST_TIME) take_broadcast_time(self, request, now.wall);
        return false;
    }
    if ((request->control & ANSWER_BIT) || !fleet_meter_is_addressed(self, request)) return false;
    self->has_moved |= fleet_relay_live(self, now);
    *out_answer = (fleet_frame){.control = (uint8_t)(request->control | ANSWER_BIT)};
    memcpy(out_answer->address, self->address, 6);
    switch (request->control) {
        case CONTROL_READ: answer_read(self, request, now, out_answer); break;
        case CONTROL_READ_ADDRESS:
            memcpy(out_answer->data, self->address, 6);
            out_answer->len = 6;
            break;
        case CONTROL_WRITE: answer_write(self, request, now, out_answer); break;
        case CONTROL_RELAY: answer_relay(self, request, now, out_answer); break;
        default: answer_error(out_answer, ERROR_OTHER); break;
    }
    return true;
}
