// Tariffs in the database, for the tariff commands: what a document says of itself, what is published, and what keeps a
// document from being published.
#pragma once

#include "base/arena.h"
#include "base/vec.h"
#include "database.h"
#include "documents/tariff_document.h"

#define TARIFF_MEMORY_MAX (16UL << 20)
#define TARIFF_REASON_MAX 320

// One number of a document: a price of a line, period and tier, a fixed amount or a rate, an upper edge of a tier.
typedef struct tariff_number {
    sv line;
    sv period;     // empty: of no period
    int64_t tier;  // 0: of every tier
    sv value;
} tariff_number;

// A document that compiles. Its texts live in the arena it was read with, the tariff's zone in the zone set.
typedef struct tariff_text {
    sv json;
    sv code;
    sv utility;
    sv currency;
    sv zone;
    instant_ms effective_from;
    VEC(tariff_number) numbers;
    tariff_document *document;
} tariff_text;

// `indices`: published values, of which those of the month of its effective_from count; NULL: a document with prices by
// index is refused. They must outlive the text. The caller calls tariff_text_done, also after an error.
err_t tariff_text_read(sv json, tariff_use use, zone_set *zones, const price_indices *indices, arena *memory, tariff_text *out_text,
                       fault *out_fault) MUST_CHECK;
// The same from a file, for charging; tells what is wrong and returns the exit code.
int tariff_text_read_file(const char *path, zone_set *zones, const price_indices *indices, arena *memory, tariff_text *out_text);
void tariff_text_done(tariff_text *self);
void tariff_text_auto(tariff_text *self);
const tariff_number *tariff_text_find(const tariff_text *self, const tariff_number *like);

// A published tariff; num 0: there is none of that code.
typedef struct tariff_known {
    int64_t num;
    uuid id;
    sv name;
    sv utility;
    int64_t version;  // the newest
    sv document;      // of the newest
    instant_ms last_from;
    instant_ms first_from;
    bool is_assigned;
    int64_t same_version;  // of the document whose digest was asked for; 0: none
} tariff_known;

// The company of a code, locked where tariffs are going to change, and set for the transaction; told when it is unknown.
int tariff_company(db *conn, const char *code, bool locks, int32_t *out_company);
// `sha256` may be SV_NONE. The texts are copied to the arena.
err_t tariff_find(db *conn, int32_t company, sv code, sv sha256, arena *memory, tariff_known *out_known) MUST_CHECK;
// Why `next` may not follow what is known; false when it may.
bool tariff_is_refused(const tariff_known *known, const tariff_text *next, zone_set *zones, const price_indices *indices, arena *memory,
                       instant_ms now, bool retroactive, char out_reason[TARIFF_REASON_MAX]);
// Local time of the zone, RFC 3339.
const char *tariff_time(arena *memory, const zone *in_zone, instant_ms at);
