// What a demo consists of, worked out from a few numbers before anything touches the database. The same parameters give
// the same plan, so that a second start finds the simulator's meters again.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/instant.h"
#include "fleet/profile.h"
#include "money/money.h"

#define DEMO_PLAN_VERSION 2  // raise it when the same parameters give another plan
#define DEMO_METERS_MIN 10
#define DEMO_METERS_MAX 100000
#define DEMO_COMPANIES 2
#define DEMO_PROPERTIES 3
#define DEMO_ENTITIES 3

typedef struct demo_params {
    int64_t meters;
    int64_t days;
    int64_t seed;
    instant_ms end_at;  // a whole hour: the last reading of the history
} demo_params;

typedef enum demo_tariff { DEMO_TARIFF_MALL, DEMO_TARIFF_DORMITORY, DEMO_TARIFF_FLAT, DEMO_TARIFF_OFFICE, DEMO_TARIFFS } demo_tariff;

typedef struct demo_company {
    uuid id;
    const char *code;
    const char *name;
    int64_t num;  // known once it is written
} demo_company;

typedef struct demo_entity {
    uuid id;
    size_t company;
    const char *name;
    const char *tax_id;
    const char *bank_account;
} demo_entity;

typedef struct demo_property {
    uuid id;
    size_t company;
    size_t entity;  // sells the electricity
    const char *code;
    const char *name;
    int32_t poll_interval_s;
    money_micro alarm_1;
    money_micro alarm_2;
    demo_tariff tariff;  // of every usage point without one of its own
} demo_property;

typedef struct demo_place {
    uuid id;
    size_t property;
    size_t parent;  // index of the place it is in; SIZE_MAX for a building
    const char *kind;
    sv name;
    int32_t sort;
} demo_place;

typedef enum demo_wish { DEMO_NORMAL, DEMO_ALARM_1, DEMO_ALARM_2, DEMO_ARREARS, DEMO_NOT_OPENED } demo_wish;

// A room with one circuit, its meter, and who lives there.
typedef struct demo_unit {
    uuid customer, agreement, account, purse, usage_point, meter, channel;
    size_t property;
    size_t place;
    size_t gateway;
    sv number;  // of the account and the agreement
    sv customer_name;
    sv phone;
    const char *customer_kind;
    const char *class;
    int32_t heads;
    int64_t area_milli_m2;
    int32_t rated_power_w;
    int32_t ratio;
    int32_t phases;
    bool has_own_tariff;
    demo_tariff tariff;
    demo_wish wish;
    char address[13];  // twelve digits
    fleet_load load;
} demo_unit;

typedef struct demo_gateway {
    uuid id;
    size_t property;
    bool is_push;
    sv name;  // unique in its company
    size_t first_unit;
    size_t unit_count;
} demo_gateway;

typedef struct demo_plan {
    demo_params params;
    instant_ms start_at;
    demo_company companies[DEMO_COMPANIES];
    demo_entity entities[DEMO_ENTITIES];
    demo_property properties[DEMO_PROPERTIES];
    demo_place *places;  // buildings before floors before rooms
    size_t place_count;
    demo_unit *units;  // in order of property and gateway
    size_t unit_count;
    demo_gateway *gateways;
    size_t gateway_count;
} demo_plan;

// All in `memory`.
demo_plan *demo_plan_new(const demo_params *params, arena *memory);

// The published tariff document of one kind, and its code and name.
typedef struct demo_tariff_text {
    const char *code;
    const char *name;
    const char *document;
    size_t company;
} demo_tariff_text;

demo_tariff_text demo_tariff_of(demo_tariff which);

// Names out of the air: the same `key` gives the same.
sv demo_name_shop(arena *memory, uint64_t key);
sv demo_name_firm(arena *memory, uint64_t key);
sv demo_name_person(arena *memory, uint64_t key);
sv demo_phone(arena *memory, uint64_t key);
