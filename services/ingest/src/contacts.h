// Writes what presence gathered, and watches over silence. The bookkeeper's thread only.
#pragma once

#include "db/db.h"
#include "ingest.h"

// Flags of what the database already calls lost, after the registry was loaded.
err_t contacts_load(ingest *app, db *conn) MUST_CHECK;
// Contacts that are due and the waiting last values; tells who came back.
err_t contacts_write(ingest *app, db *conn) MUST_CHECK;
// Who has been silent for too long: a transparent link for three heartbeats, a gateway that pushes and a meter for two
// intervals and the slack of the settings.
err_t contacts_watch(ingest *app, db *conn) MUST_CHECK;

// An event for others: its row, its outbox row. In the caller's transaction.
typedef struct ingest_event {
    int32_t company;
    int type;  // event_type of contracts
    int64_t subject;
    int64_t gateway;  // 0: none
    int64_t meter;    // 0: none
    sv payload;
} ingest_event;

err_t ingest_event_write(ingest *app, db *conn, const ingest_event *event) MUST_CHECK;
