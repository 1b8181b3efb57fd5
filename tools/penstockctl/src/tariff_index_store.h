// Price indices in the database, and the tariff versions that their months make.
#pragma once

#include "documents/price_indices.h"
#include "tariff_store.h"

// All published values, the final one of a month where there is one. The caller calls price_indices_done.
err_t tariff_indices_load(db *conn, price_indices *out_indices) MUST_CHECK;

// Making versions, in a transaction that holds the lock of the company's tariffs.
typedef struct index_making {
    db *conn;
    zone_set *zones;
    const price_indices *indices;
    instant_ms now;
    int64_t made;  // versions so far
} index_making;

typedef struct index_tariff {
    int32_t company;
    sv company_code;
    int64_t num;
    uuid id;
    sv code;
} index_tariff;

// Where a document is in force and what it is; `until`: where the next document of its tariff takes effect.
typedef struct index_document {
    sv json;
    sv sha256;
    instant_ms from, until;
} index_document;

// The version of a document for a month, unless it exists, no index of it counts in it, or the document is not in force
// then. An index without a value for the month is told and makes no version. Each version is told and has its audit row.
err_t index_version_make(index_making *self, const index_tariff *owner, const index_document *document, int32_t month,
                         fault *out_fault) MUST_CHECK;
// The same document at the same instant with the values known now, in the place of version `replaced`.
err_t index_version_replace(index_making *self, const index_tariff *owner, const index_document *document, int64_t replaced,
                            fault *out_fault) MUST_CHECK;
// The values a version was made of.
err_t index_values_put(db *conn, int32_t company, int64_t version, const tariff_document *document) MUST_CHECK;
