#include "metering/block.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "metering/register.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the journal record is copied as the machine holds it: little endian"
#endif

sv quality_text(uint8_t quality) {
    switch (quality) {
#define QUALITY(number, name, text, is_billable, meaning) \
    case (number):                                        \
        return SV(text);
#include "metering/qualities.def"
#undef QUALITY
        default: return SV("");
    }
}

bool quality_is_billable(uint8_t quality) {
    switch (quality) {
#define QUALITY(number, name, text, is_billable, meaning) \
    case (number):                                        \
        return (is_billable);
#include "metering/qualities.def"
#undef QUALITY
        default: return false;
    }
}

sv reading_flag_text(unsigned bit) {
    switch (bit) {
#define READING_FLAG(bit, name, text, meaning) \
    case (bit):                                \
        return SV(text);
#include "metering/reading_flags.def"
#undef READING_FLAG
        default: return SV("");
    }
}

// Offsets of the record's fields, see the header.
enum { AT_CHANNEL = 0, AT_TIME = 8, AT_VALUE = 16, AT_REGISTER = 24, AT_QUALITY = 25, AT_FLAGS = 26, AT_COMPANY = 28 };

size_t reading_block_pack(const reading_record *records, size_t count, uint8_t *out) {
    CHECK(count >= 1 && count <= READING_BLOCK_MAX);
    for (size_t i = 0; i < count; i++) {
        uint8_t *to = out + i * READING_RECORD_LEN;
        memcpy(to + AT_CHANNEL, &records[i].channel, 8);
        memcpy(to + AT_TIME, &records[i].at, 8);
        memcpy(to + AT_VALUE, &records[i].value, 8);
        to[AT_REGISTER] = records[i].reg;
        to[AT_QUALITY] = records[i].quality;
        memcpy(to + AT_FLAGS, &records[i].flags, 2);
        memcpy(to + AT_COMPANY, &records[i].company, 4);
    }
    return count * READING_RECORD_LEN;
}

err_t reading_block_unpack(sv bytes, reading_record *out, size_t *out_count) {
    if (bytes.len == 0 || bytes.len % READING_RECORD_LEN != 0 || bytes.len > READING_BLOCK_BYTES_MAX) return ERR_MALFORMED;
    size_t count = bytes.len / READING_RECORD_LEN;
    for (size_t i = 0; i < count; i++) {
        const char *from = bytes.ptr + i * READING_RECORD_LEN;
        memcpy(&out[i].channel, from + AT_CHANNEL, 8);
        memcpy(&out[i].at, from + AT_TIME, 8);
        memcpy(&out[i].value, from + AT_VALUE, 8);
        out[i].reg = (uint8_t)from[AT_REGISTER];
        out[i].quality = (uint8_t)from[AT_QUALITY];
        memcpy(&out[i].flags, from + AT_FLAGS, 2);
        memcpy(&out[i].company, from + AT_COMPANY, 4);
    }
    *out_count = count;
    return ERR_OK;
}

#define YEAR_2000 946684800000LL
#define YEAR_2100 4102444800000LL

bool reading_record_is_valid(const reading_record *record) {
    return record->channel > 0 && record->company > 0 && record->at >= YEAR_2000 && record->at < YEAR_2100 &&
           register_is_known(record->reg) && quality_text(record->quality).len > 0;
}
