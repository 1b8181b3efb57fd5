// Whose credit is near its end, looked up each minute: their meters are asked first.
#pragma once

#include "registry.h"

typedef struct credit credit;

credit *credit_new(service *svc, registry *of);  // borrowed
void credit_free(credit *self);
void credit_run(service *svc, void *self);  // the thread

// Higher is more urgent: 3 close to the end (alarm level 2), 2 near it (alarm level 1), 1 behind it (arrears), 0 far.
// Any thread.
#define CREDIT_RANKS 4
int credit_rank(const credit *self, const registry_meter *meter);
