// The journal record: one reading as it travels from ingest to billing. Fixed 32 bytes, little endian:
// channel 8 · time 8 · value 8 · register 1 · quality 1 · flags 2 · company 4. A block is up to 240 records of one
// partition; the registers of one poll (same channel, same time) are adjacent.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"

typedef enum reading_quality {
#define QUALITY(number, name, text, is_billable, meaning) QUALITY_##name = (number),
#include "metering/qualities.def"
#undef QUALITY
} reading_quality;

enum {
#define READING_FLAG(bit, name, text, meaning) READING_##name = 1u << (bit),
#include "metering/reading_flags.def"
#undef READING_FLAG
};

sv quality_text(uint8_t quality);  // empty for an unknown number
bool quality_is_billable(uint8_t quality);
sv reading_flag_text(unsigned bit);

typedef struct reading_record {
    int64_t channel;  // num of the channel
    instant_ms at;    // when the value was true, as booked
    int64_t value;    // in the register's unit, see registers.def
    uint8_t reg;      // metering_register
    uint8_t quality;  // reading_quality
    uint16_t flags;   // READING_…
    int32_t company;
} reading_record;

#define READING_RECORD_LEN 32
#define READING_BLOCK_MAX 240
#define READING_BLOCK_BYTES_MAX (READING_RECORD_LEN * READING_BLOCK_MAX)

// Writes `count` (1–240) records; `out` has room for count × 32 bytes. Returns the length.
size_t reading_block_pack(const reading_record *records, size_t count, uint8_t *out);
// Reads a block into `out` (room for 240). ERR_MALFORMED: the length is no whole number of 1–240 records, nothing
// written. Records are not judged: see reading_record_is_valid.
MUST_CHECK err_t reading_block_unpack(sv bytes, reading_record *out, size_t *out_count);
// Declared register and quality, positive channel and company, a time between 2000 and 2100.
bool reading_record_is_valid(const reading_record *record);
