#include "refusal.h"

#include "base/check.h"

const char *refusal_text(refusal_reason reason) {
    switch (reason) {
#define REFUSAL(name, text, meaning) \
    case REFUSAL_##name:             \
        return (text);
#include "refusals.def"
#undef REFUSAL
        case REFUSAL_COUNT: break;
    }
    BUG("unknown refusal");
}

const char *refusal_meaning(refusal_reason reason) {
    switch (reason) {
#define REFUSAL(name, text, meaning) \
    case REFUSAL_##name:             \
        return (meaning);
#include "refusals.def"
#undef REFUSAL
        case REFUSAL_COUNT: break;
    }
    BUG("unknown refusal");
}
