// The billing service.
#pragma once

#include "service/service.h"

extern const service_def BILLING_SERVICE;
