// A reading that was not taken, with what came over the wire; kept for people, bounded in number and size.
#pragma once

#include <stdint.h>

#include "base/sv.h"

typedef enum refusal_reason {
#define REFUSAL(name, text, meaning) REFUSAL_##name,
#include "refusals.def"
#undef REFUSAL
    REFUSAL_COUNT
} refusal_reason;

const char *refusal_text(refusal_reason reason);
const char *refusal_meaning(refusal_reason reason);

#define REFUSAL_RAW_MAX 4096

typedef struct refusal {
    int32_t company;
    int64_t gateway;
    refusal_reason reason;
    sv place;   // "/readings/3/unit", or a bus address and data identifier
    sv detail;  // one sentence; may be empty
    sv raw;     // what came, cut to REFUSAL_RAW_MAX
} refusal;
