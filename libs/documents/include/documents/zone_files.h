// The system's time zone files. A zone_set loads each zone once and keeps it; it is safe between threads.
#pragma once

#include "base/err.h"
#include "base/sv.h"
#include "calendar/zone.h"

typedef struct zone_set zone_set;

#define ZONE_FILES_FOLDER "/usr/share/zoneinfo"

zone_set *zone_set_new(sv folder);
void zone_set_free(zone_set *self);
void zone_set_free_variable(zone_set **self);
#define AUTO_ZONE_SET __attribute__((cleanup(zone_set_free_variable))) zone_set *

// The zone of an IANA name such as "Asia/Shanghai"; lives as long as the set. ERR_NOT_FOUND when there is no such
// zone, ERR_BAD_INPUT for a name that is not one ("..", absolute, odd bytes), ERR_MALFORMED for a broken file.
err_t zone_set_find(zone_set *self, sv name, const zone **out_zone, fault *out_fault) MUST_CHECK;
