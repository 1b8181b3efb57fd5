// Looks at what is due: requests, points whose time has come, commands nobody ended, changed policies, parameters.
// Several replicas share the work by locked rows.
#pragma once

#include "service/service.h"

void keeper_run(service *svc, void *app);
