// DL/T 645-2007 frames as a meter sees them. Written apart from libs/protocols on purpose: two programs that share a
// codec can only agree with themselves.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLEET_FRAME_DATA_MAX 200
#define FLEET_FRAME_MAX (4 + 12 + FLEET_FRAME_DATA_MAX)

typedef struct fleet_frame {
    uint8_t address[6];  // as on the wire, lowest digit pair first
    uint8_t control;
    uint8_t len;
    uint8_t data[FLEET_FRAME_DATA_MAX];  // plain, without the 33h of the wire
} fleet_frame;

// Writes `preamble` (0–4) bytes FE and the frame; returns the length.
size_t fleet_frame_encode(const fleet_frame *frame, unsigned preamble, uint8_t out[FLEET_FRAME_MAX]);

// Looks for the first whole frame. True: *out_frame is filled. *out_used tells in both cases how many bytes at the front
// will never be needed again (garbage, and the frame when found).
bool fleet_frame_find(const uint8_t *bytes, size_t len, size_t *out_used, fleet_frame *out_frame);

// Twelve decimal digits to and from wire order. Parsing refuses anything else.
bool fleet_address_parse(const char *digits, size_t len, uint8_t out[6]);
void fleet_address_format(const uint8_t address[6], char out[13]);

// Packs the lowest 2 × len decimal digits of `value`, lowest pair first.
void fleet_bcd_put(uint8_t *out, size_t len, uint64_t value);
// False when a nibble is not a digit.
bool fleet_bcd_get(const uint8_t *bytes, size_t len, uint64_t *out_value);
