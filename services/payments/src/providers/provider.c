// The providers' vocabularies and their registry, both from the .def tables.
#include "provider.h"

#include "base/check.h"

typedef struct state_row {
    const char *text;
    provider_fact_kind kind;
} state_row;

typedef struct notice_row {
    const char *text;
    int http_status;
} notice_row;

static const char *const PRODUCTS[] = {
#define PRODUCT(name, text, meaning) text,
#include "products.def"
#undef PRODUCT
};

static const char *const RESULTS[] = {
#define RESULT(name, text, meaning) text,
#include "results.def"
#undef RESULT
};

static const state_row STATES[] = {
#define FACT_STATE(name, text, kind, meaning) {text, PROVIDER_FACT_##kind},
#include "states.def"
#undef FACT_STATE
};

static const notice_row NOTICES[] = {
#define NOTICE(name, text, http_status, meaning) {text, http_status},
#include "notices.def"
#undef NOTICE
};

static const char *const KEY_USES[] = {"signing", "signing_certificate", "channel_public", "channel_certificate", "trust", "symmetric"};
static const char *const HANDLE_KINDS[] = {"qr", "url", "parameters", "form"};

static const provider *const PROVIDERS[] = {
#define PROVIDER(name, text) &PROVIDER_##name,
#include "providers.def"
#undef PROVIDER
};

_Static_assert(ARRAY_LEN(KEY_USES) == PROVIDER_KEY_USE_COUNT, "each use of a key has its text");

// The index of `text` in the table, or its length.
static size_t find_text(const char *const *table, size_t count, sv text) {
    size_t at = 0;
    while (at < count && !sv_equal(sv_of(table[at]), text)) at++;
    return at;
}

const char *provider_product_text(provider_product product) { return PRODUCTS[product]; }
const char *provider_result_text(provider_result result) { return RESULTS[result]; }
const char *provider_state_text(provider_fact_state state) { return STATES[state].text; }
provider_fact_kind provider_state_kind(provider_fact_state state) { return STATES[state].kind; }
const char *provider_notice_text(provider_notice notice) { return NOTICES[notice].text; }
int provider_notice_http_status(provider_notice notice) { return NOTICES[notice].http_status; }
const char *provider_key_use_text(provider_key_use use) { return KEY_USES[use]; }
const char *provider_handle_kind_text(provider_handle_kind kind) { return HANDLE_KINDS[kind]; }
provider_fact_kind provider_fact_kind_of(const provider_fact *fact) { return provider_state_kind(fact->state); }

bool provider_product_of(sv text, provider_product *out_product) {
    size_t at = find_text(PRODUCTS, ARRAY_LEN(PRODUCTS), text);
    if (at < ARRAY_LEN(PRODUCTS)) *out_product = (provider_product)at;
    return at < ARRAY_LEN(PRODUCTS);
}

bool provider_key_use_of(sv text, provider_key_use *out_use) {
    size_t at = find_text(KEY_USES, ARRAY_LEN(KEY_USES), text);
    if (at < ARRAY_LEN(KEY_USES)) *out_use = (provider_key_use)at;
    return at < ARRAY_LEN(KEY_USES);
}

const provider *provider_find(sv name) {
    for (size_t i = 0; i < ARRAY_LEN(PROVIDERS); i++)
        if (sv_equal(sv_of(PROVIDERS[i]->name), name)) return PROVIDERS[i];
    return NULL;
}

size_t provider_count(void) { return ARRAY_LEN(PROVIDERS); }

const provider *provider_at(size_t index) {
    CHECK(index < ARRAY_LEN(PROVIDERS));
    return PROVIDERS[index];
}
