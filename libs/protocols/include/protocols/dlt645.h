// DL/T 645-2007, the protocol of Chinese electricity meters on RS-485 and on transparent links: frames, a scanner that
// finds them in a stream whatever lies between, requests, and the meaning of answers. Pure: the caller owns bytes, time
// and the bus (one request in flight).
//
// Frame: 0–4 × FE · 68 · address 6 · 68 · control · length · data (each byte + 33h) · sum · 16 (clause 5.2).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sv.h"
#include "metering/register.h"

#define DLT645_DATA_MAX 200
#define DLT645_FRAME_MAX (DLT645_DATA_MAX + 12)
#define DLT645_PREAMBLE_LEN 4
#define DLT645_NO_REGISTER 255

// As on the wire: lowest pair of digits first.
typedef struct dlt645_address {
    uint8_t bytes[6];
} dlt645_address;

#define DLT645_ADDRESS_TEXT_LEN 12
// Twelve decimal digits, highest first, or "AAAAAAAAAAAA" for whoever is alone on the bus.
bool dlt645_address_parse(sv text, dlt645_address *out_address);
void dlt645_address_format(dlt645_address address, char out[DLT645_ADDRESS_TEXT_LEN + 1]);  // upper-case hex digits
bool dlt645_address_equal(dlt645_address a, dlt645_address b);
bool dlt645_address_is_wildcard(dlt645_address address);
extern const dlt645_address DLT645_WILDCARD;

typedef struct dlt645_frame {
    dlt645_address address;
    uint8_t control;
    uint8_t len;
    uint8_t data[DLT645_DATA_MAX];  // 33h already taken off
} dlt645_frame;

static inline bool dlt645_frame_is_answer(const dlt645_frame *frame) { return frame->control & 0x80; }
static inline bool dlt645_frame_is_error(const dlt645_frame *frame) { return (frame->control & 0xC0) == 0xC0; }

// Four FE and the frame. Returns the length.
size_t dlt645_frame_encode(const dlt645_frame *frame, uint8_t out[DLT645_PREAMBLE_LEN + DLT645_FRAME_MAX]);

// The scanner keeps at most two frames' worth of bytes and does bounded work per byte. Use:
//   while (bytes.len) { bytes = sv_skip(bytes, dlt645_scanner_add(&s, bytes)); while (dlt645_scanner_next(&s, false, &event)) …; }
// and after the line was silent: while (dlt645_scanner_next(&s, true, &event)) …;
#define DLT645_SCANNER_BYTES (2 * DLT645_FRAME_MAX)

typedef enum dlt645_skip_reason {
    DLT645_SKIP_GARBAGE,    // nothing that begins like a frame
    DLT645_SKIP_CHECKSUM,   // the sum is wrong
    DLT645_SKIP_LENGTH,     // a length above 200, or no end byte where the length says
    DLT645_SKIP_TRUNCATED,  // silence before its end
} dlt645_skip_reason;

const char *dlt645_skip_reason_text(dlt645_skip_reason reason);

typedef struct dlt645_event {
    bool is_frame;
    dlt645_frame frame;         // when is_frame
    dlt645_skip_reason reason;  // when not: what the first byte run that looked like a frame failed by
    uint64_t offset;            // in the stream since init, of the frame's 68 or of the first skipped byte
    uint64_t count;             // bytes of the frame or skipped; FE directly before a frame are not counted as skipped
} dlt645_event;

typedef struct dlt645_scanner {
    uint8_t bytes[DLT645_SCANNER_BYTES];
    size_t len;
    uint64_t offset;  // of bytes[0]
    uint64_t skipped_offset;
    uint64_t skipped;       // pending, reported before the next frame or at silence
    uint64_t skipped_fill;  // FE behind them, which may yet be a preamble
    dlt645_skip_reason reason;
} dlt645_scanner;

void dlt645_scanner_init(dlt645_scanner *self);
// Takes what fits and says how much; never 0 once dlt645_scanner_next has answered false.
size_t dlt645_scanner_add(dlt645_scanner *self, sv bytes);
// `is_silent`: no more bytes will come for what is incomplete. False: nothing more to report for now.
bool dlt645_scanner_next(dlt645_scanner *self, bool is_silent, dlt645_event *out_event);

// A date and time as meters keep it: local, no zone. Year 2000–2099.
typedef struct dlt645_time {
    uint16_t year;
    uint8_t month, day, hour, minute, second;
} dlt645_time;

bool dlt645_time_is_valid(dlt645_time time);
// Seconds since 1970 as if the meter's local time were UTC, and back: for differences and deadlines by the same clock.
int64_t dlt645_time_seconds(dlt645_time time);
dlt645_time dlt645_time_from_seconds(int64_t seconds);  // clamped to 2000–2099

typedef enum dlt645_operation {
    DLT645_NO_OPERATION = 0,
#define DLT645_OPERATION(n1, name, text) DLT645_##name = (n1),
#include "protocols/dlt645_operations.def"
#undef DLT645_OPERATION
} dlt645_operation;

const char *dlt645_operation_text(dlt645_operation operation);  // NULL when unknown
bool dlt645_operation_parse(sv text, dlt645_operation *out_operation);

typedef struct dlt645_control {
    dlt645_operation operation;
    uint8_t level;           // password level PA: 02 control, 04 parameters
    uint8_t password[3];     // P0 P1 P2 as sent
    uint32_t operator_code;  // kept by the meter in its event record; low byte first on the wire
    dlt645_time deadline;    // by the meter's own clock: later the meter must ignore the command
} dlt645_control;

// Who writes a parameter; fields as in dlt645_control.
typedef struct dlt645_writer {
    uint8_t level;
    uint8_t password[3];
    uint32_t operator_code;
} dlt645_writer;

typedef enum dlt645_slot_action { DLT645_SLOT_UNUSED, DLT645_SLOT_ON, DLT645_SLOT_OFF } dlt645_slot_action;

// One place of the meter's own daily schedule. An unused one is midnight.
typedef struct dlt645_slot {
    dlt645_slot_action action;
    uint8_t hour, minute;
} dlt645_slot;

#define DLT645_SLOTS 8

dlt645_frame dlt645_read(dlt645_address address, uint32_t data_id);
dlt645_frame dlt645_read_more(dlt645_address address, uint32_t data_id, uint8_t sequence);
dlt645_frame dlt645_read_address(void);
dlt645_frame dlt645_control_request(dlt645_address address, const dlt645_control *control);
dlt645_frame dlt645_broadcast_time(dlt645_time time);
// Control code 14. False when the item is unknown, of another shape, or the value does not fit it: `number` is the
// quantity × 10^decimals of the item.
bool dlt645_write_number(dlt645_address address, const dlt645_writer *writer, uint32_t data_id, int64_t number, dlt645_frame *out_frame);
bool dlt645_write_slot(dlt645_address address, const dlt645_writer *writer, uint32_t data_id, dlt645_slot slot, dlt645_frame *out_frame);

// The data identifier that answers a register, alone or with its neighbours; false when the protocol has none.
bool dlt645_register_item(uint8_t reg, uint32_t *out_data_id);

typedef enum dlt645_result {
#define DLT645_RESULT(name, reason, detail) DLT645_##name,
#include "protocols/dlt645_results.def"
#undef DLT645_RESULT
} dlt645_result;

const char *dlt645_result_reason(dlt645_result result);
const char *dlt645_result_detail(dlt645_result result);

typedef enum dlt645_kind {
#define DLT645_KIND(name, text) DLT645_KIND_##name,
#include "protocols/dlt645_kinds.def"
#undef DLT645_KIND
} dlt645_kind;

typedef enum dlt645_shape {
    DLT645_SHAPE_NUMBER,
    DLT645_SHAPE_STATUS,
    DLT645_SHAPE_DIGITS,
    DLT645_SHAPE_DATE,
    DLT645_SHAPE_TIME,
    DLT645_SHAPE_DATE_TIME,
    DLT645_SHAPE_EVENT,
    DLT645_SHAPE_SLOT,
} dlt645_shape;

typedef struct dlt645_value {
    sv name;
    sv unit;
    dlt645_shape shape;
    uint8_t reg;                               // metering register or DLT645_NO_REGISTER
    uint8_t decimals;                          // of `number`
    bool is_available;                         // false: the meter filled the field with FF or EE, "no data", which is not 0
    int64_t number;                            // NUMBER: quantity × 10^decimals; STATUS: the 16 bits; SLOT: dlt645_slot_action
    dlt645_time time;                          // DATE (no hour), TIME (no date), DATE_TIME, EVENT (begin), SLOT (hour, minute)
    dlt645_time end;                           // EVENT
    char digits[DLT645_ADDRESS_TEXT_LEN + 1];  // DIGITS
} dlt645_value;

#define DLT645_VALUES_MAX 8

typedef struct dlt645_message {
    dlt645_kind kind;
    dlt645_address address;
    uint8_t control;
    bool is_ok;     // not an error answer
    bool has_more;  // the rest must be asked for with dlt645_read_more
    bool has_data_id;
    bool is_known_item;  // else the data is in the frame, undecoded
    uint32_t data_id;
    size_t value_count;
    dlt645_value values[DLT645_VALUES_MAX];
    uint16_t error_bits;  // of an error answer, as received
    bool has_level;       // CONTROL, WRITE: a password of `level` follows it in the frame, and stays there
    uint8_t level;
    bool has_operator;
    uint32_t operator_code;
    dlt645_operation operation;  // CONTROL
    bool has_deadline;           // false: all zero, the command never expires
    dlt645_time deadline;        // CONTROL; BROADCAST_TIME: the time
} dlt645_message;

// Everything or nothing: a field that cannot be what it claims refuses the whole frame. Unknown control codes and items
// are DLT645_OK with nothing decoded. Passwords are never copied out of the frame.
dlt645_result dlt645_decode(const dlt645_frame *frame, dlt645_message *out_message);

// The first reason an error answer gives that is known, "other" when there is none.
const char *dlt645_message_error(const dlt645_message *message);

// A register value as `metering` keeps it; false when the item is no register of ours, has no data or overflows.
bool dlt645_value_register(const dlt645_value *value, uint8_t *out_register, int64_t *out_value);

// One JSON object: protocol, address, control, ok, data_id, values …
void dlt645_message_write_json(const dlt645_message *message, buf *out);

// Status word 3, as switching needs it.
#define DLT645_STATUS3_RELAY_OPEN (1u << 4)
#define DLT645_STATUS3_RELAY_COMMAND_OPEN (1u << 6)
#define DLT645_STATUS3_KEEP_POWER (1u << 12)

// What the relay does (bit 4) against what it was told (bit 6). GOING: they differ; a slow drive is on its way, or stuck.
typedef enum dlt645_supply { DLT645_SUPPLY_ON, DLT645_SUPPLY_OFF, DLT645_SUPPLY_GOING_ON, DLT645_SUPPLY_GOING_OFF } dlt645_supply;
dlt645_supply dlt645_supply_of(uint16_t status_word_3);

// Status words 4 to 6, one per phase.
#define DLT645_STATUS4_OVERLOAD (1u << 5)
#define DLT645_STATUS4_MALICIOUS_LOAD (1u << 9)
