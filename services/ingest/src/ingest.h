// The ingest service's parts, wired once at start.
#pragma once

#include "bell.h"
#include "bookkeeper.h"
#include "credit.h"
#include "dispatcher.h"
#include "journal.h"
#include "presence.h"
#include "pressure.h"
#include "quota.h"
#include "registry.h"
#include "service/service.h"

typedef struct ingest {
    service *svc;
    registry *registry;
    journal *journal;
    bell *bell;
    presence *presence;
    pressure *pressure;
    quota *quota;
    credit *credit;
    bookkeeper *bookkeeper;
    dispatcher *dispatcher;
    void *links[8];  // each link's own state, by its place in links.def
} ingest;

extern const service_def INGEST_SERVICE;
