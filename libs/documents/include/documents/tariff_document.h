// The tariff document (JSON) and what it is compiled to. A document that breaks a rule is refused whole, with the JSON
// pointer of the offence and the reason.
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "base/sv.h"
#include "calendar/days.h"
#include "calendar/zone.h"
#include "documents/price_indices.h"
#include "documents/zone_files.h"
#include "rating/tariff.h"

// A tariff with what it borrows: its zone stays in the zone set, its own holidays are owned here.
typedef struct tariff_document tariff_document;

typedef struct tariff_reading {
    uint64_t version;  // the caller's number of this version; 0: 1
    tariff_use use;
    zone_set *zones;               // must outlive the document
    const day_calendar *calendar;  // the dated calendar the document may name; NULL: the lists inside the document serve
    const price_indices *indices;  // for prices by index; NULL: a document that has them is refused
    instant_ms index_at;           // of which local month; each month is a version of its own
} tariff_reading;

#define TARIFF_DOCUMENT_BYTES_MAX (256 * 1024)

// ERR_MALFORMED, ERR_TOO_LARGE or ERR_BAD_INPUT; the fault names the place and the reason. The caller frees.
err_t tariff_document_read(sv json, const tariff_reading *how, tariff_document **out_document, fault *out_fault) MUST_CHECK;
void tariff_document_free(tariff_document *self);
void tariff_document_free_variable(tariff_document **self);
#define AUTO_TARIFF_DOCUMENT __attribute__((cleanup(tariff_document_free_variable))) tariff_document *

const tariff *tariff_document_tariff(const tariff_document *self);

// The index values its prices were made of, each once; they live as long as the indices given. None: the document is
// the same in every month.
#define TARIFF_INDICES_MAX 32
size_t tariff_document_index_count(const tariff_document *self);
const price_index *tariff_document_index(const tariff_document *self, size_t at);
// Any of them is provisional.
bool tariff_document_is_provisional(const tariff_document *self);
