// How many days a purse will last at the usual rate of its usage points, looked at once an hour.
#pragma once

#include "service/service.h"

void forecast_run(service *svc, void *context);  // context: alerts_app
