// The demo's shape: sections of buildings with one kind of customer each, filled room by room until the wanted number of
// meters is reached.
#include "demo_plan.h"

#include "base/check.h"
#include "base/vec.h"

#define START_WH_SPAN 8000000  // registers begin below 8 000 kWh: far from their end
#define REGISTER_COUNT_WH 10   // 0.01 kWh
#define PUBLIC_AREA_EVERY 40   // one room of so many is a public area
#define RATIO_EVERY 25         // one shop of so many is measured through current transformers
#define PUSH_GATEWAY_EVERY 5
#define METERS_PER_GATEWAY 32
#define METER_BUS_MS 3500  // one meter's questions and answers at 2 400 Bd

typedef struct section {
    size_t property;
    int share_percent;
    const char *building;  // behind its number
    int floors;
    int rooms_per_floor;
    fleet_profile profile;
    demo_tariff tariff;
    const char *class;
    bool is_firm;
    int32_t rated_power_w;
    int32_t phases;
} section;

static const demo_company COMPANIES[DEMO_COMPANIES] = {
    {.code = "haigang", .name = "海港物业服务有限公司"},
    {.code = "xuefu", .name = "学府后勤服务有限公司"},
};

// Tax ids and bank accounts are of the right shape and belong to nobody.
static const demo_entity ENTITIES[DEMO_ENTITIES] = {
    {.company = 0, .name = "海港商业管理有限公司", .tax_id = "91310000DEMO00001X", .bank_account = "6200 0000 0000 0001"},
    {.company = 0, .name = "海港物业服务有限公司", .tax_id = "91310000DEMO00002X", .bank_account = "6200 0000 0000 0002"},
    {.company = 1, .name = "学府后勤服务有限公司", .tax_id = "91310000DEMO00003X", .bank_account = "6200 0000 0000 0003"},
};

static const demo_property PROPERTIES[DEMO_PROPERTIES] = {
    {.company = 0,
     .entity = 0,
     .code = "mall",
     .name = "海港广场",
     .poll_interval_s = 30,
     .alarm_1 = 200 * MONEY_MICRO,
     .alarm_2 = 80 * MONEY_MICRO,
     .tariff = DEMO_TARIFF_MALL},
    {.company = 0,
     .entity = 1,
     .code = "yunting",
     .name = "云庭中心",
     .poll_interval_s = 300,
     .alarm_1 = 50 * MONEY_MICRO,
     .alarm_2 = 20 * MONEY_MICRO,
     .tariff = DEMO_TARIFF_FLAT},
    {.company = 1,
     .entity = 2,
     .code = "dormitory",
     .name = "学府公寓",
     .poll_interval_s = 300,
     .alarm_1 = 20 * MONEY_MICRO,
     .alarm_2 = 5 * MONEY_MICRO,
     .tariff = DEMO_TARIFF_DORMITORY},
};

static const section SECTIONS[] = {
    {0, 40, "号馆", 5, 24, FLEET_PROFILE_SHOP, DEMO_TARIFF_MALL, "shop", true, 30000, 3},
    {1, 13, "号住宅楼", 18, 4, FLEET_PROFILE_FLAT, DEMO_TARIFF_FLAT, "resident", false, 15000, 1},
    {1, 12, "号写字楼", 12, 8, FLEET_PROFILE_OFFICE, DEMO_TARIFF_OFFICE, "public", true, 30000, 3},
    {2, 35, "号宿舍楼", 6, 20, FLEET_PROFILE_DORMITORY_ROOM, DEMO_TARIFF_DORMITORY, "resident", false, 6000, 1},
};

typedef VEC(demo_place) place_list;

typedef struct planner {
    demo_plan *plan;
    arena *memory;
    place_list buildings, floors, rooms;
    const section *section;
    size_t section_no;
    size_t room_no;  // within the section
} planner;

static void section_fill(planner *self, size_t units);
static void gateways_form(demo_plan *plan, arena *memory);
static void places_unite(planner *self);

static uint64_t draw(const planner *self, uint64_t salt) {
    return fleet_mix((uint64_t)self->plan->params.seed + 1000003 * self->section_no, fleet_mix(self->room_no, salt));
}

static void heads_copy(demo_plan *plan) {
    for (size_t i = 0; i < DEMO_COMPANIES; i++) plan->companies[i] = COMPANIES[i];
    for (size_t i = 0; i < DEMO_ENTITIES; i++) plan->entities[i] = ENTITIES[i];
    for (size_t i = 0; i < DEMO_PROPERTIES; i++) plan->properties[i] = PROPERTIES[i];
    for (size_t i = 0; i < DEMO_COMPANIES; i++) plan->companies[i].id = uuid_v7_now();
    for (size_t i = 0; i < DEMO_ENTITIES; i++) plan->entities[i].id = uuid_v7_now();
    for (size_t i = 0; i < DEMO_PROPERTIES; i++) plan->properties[i].id = uuid_v7_now();
}

demo_plan *demo_plan_new(const demo_params *params, arena *memory) {
    CHECK(params->meters >= DEMO_METERS_MIN && params->meters <= DEMO_METERS_MAX && params->end_at % HOUR_MS == 0);
    demo_plan *plan = ARENA_NEW(memory, demo_plan);
    plan->params = *params;
    plan->start_at = params->end_at - params->days * DAY_MS;
    heads_copy(plan);
    plan->units = ARENA_ARRAY(memory, demo_unit, (size_t)params->meters);
    planner self = {.plan = plan, .memory = memory};
    int64_t left = params->meters;
    for (size_t s = 0; s < ARRAY_LEN(SECTIONS); s++) {
        bool is_last = s + 1 == ARRAY_LEN(SECTIONS);
        int64_t units = is_last ? left : params->meters * SECTIONS[s].share_percent / 100;
        self.section = &SECTIONS[s];
        self.section_no = s;
        section_fill(&self, (size_t)units);
        left -= units;
    }
    places_unite(&self);
    gateways_form(plan, memory);
    return plan;
}

// Parents are indices within their own list until places_unite.
static size_t place_add(place_list *list, size_t property, size_t parent, const char *kind, sv name, int32_t sort) {
    demo_place place = {uuid_v7_now(), property, parent, kind, name, sort};
    vec_push(list, place);
    return list->len - 1;
}

static demo_wish wish_draw(uint64_t chance) {
    unsigned percent = (unsigned)(chance % 100);
    if (percent < 5) return DEMO_NOT_OPENED;
    if (percent < 11) return DEMO_ARREARS;
    if (percent < 19) return DEMO_ALARM_2;
    if (percent < 31) return DEMO_ALARM_1;
    return DEMO_NORMAL;
}

static void unit_fill(planner *self, demo_unit *unit) {
    const section *of = self->section;
    bool is_public = self->room_no % PUBLIC_AREA_EVERY == PUBLIC_AREA_EVERY - 1;
    unit->property = of->property;
    unit->customer_kind = of->is_firm ? "firm" : "person";
    unit->class = of->class;
    unit->heads = of->profile == FLEET_PROFILE_DORMITORY_ROOM ? 4 : 1 + (int32_t)(draw(self, 11) % 4);
    unit->area_milli_m2 = 20000 + (int64_t)(draw(self, 12) % 120) * 1000;
    unit->rated_power_w = of->rated_power_w;
    unit->phases = of->phases;
    unit->ratio = of->profile == FLEET_PROFILE_SHOP && self->room_no % RATIO_EVERY == 3 ? 10 : 1;
    unit->tariff = of->tariff;
    unit->has_own_tariff = of->tariff != self->plan->properties[of->property].tariff;
    unit->wish = is_public ? DEMO_NOT_OPENED : wish_draw(draw(self, 13));
    if (of->profile == FLEET_PROFILE_SHOP)
        unit->customer_name = demo_name_shop(self->memory, draw(self, 14));
    else if (of->is_firm)
        unit->customer_name = demo_name_firm(self->memory, draw(self, 14));
    else
        unit->customer_name = demo_name_person(self->memory, draw(self, 14));
    unit->phone = demo_phone(self->memory, draw(self, 15));
    unit->number = sv_of(arena_printf(self->memory, "%c%05zu", "MFWD"[self->section_no], self -> room_no + 1));
    sv address = sv_of(arena_printf(self->memory, "2600%02zu%06zu", self->section_no + 1, self->room_no + 1));
    sv_copy_truncated(address, unit->address, sizeof unit->address);
    int64_t address_number = 0;
    CHECK(sv_to_i64(address, &address_number));
    unit->load = (fleet_load){.seed = (uint64_t)self->plan->params.seed,
                              .address = (uint64_t)address_number,
                              .profile = is_public ? FLEET_PROFILE_PUBLIC_AREA : of->profile,
                              .start_wh = (int64_t)(draw(self, 16) % (START_WH_SPAN / REGISTER_COUNT_WH)) * REGISTER_COUNT_WH,
                              .start_at = self->plan->start_at};
    unit->customer = uuid_v7_now();
    unit->agreement = uuid_v7_now();
    unit->account = uuid_v7_now();
    unit->purse = uuid_v7_now();
    unit->usage_point = uuid_v7_now();
    unit->meter = uuid_v7_now();
    unit->channel = uuid_v7_now();
}

static void section_fill(planner *self, size_t units) {
    const section *of = self->section;
    size_t building = 0, floor = 0;
    int building_no = 0;
    for (self->room_no = 0; self->room_no < units; self->room_no++) {
        int room = (int)(self->room_no % (size_t)of->rooms_per_floor);
        int floor_no = (int)(self->room_no / (size_t)of->rooms_per_floor) % of->floors;
        if (room == 0 && floor_no == 0) {
            building_no++;
            sv name = sv_of(arena_printf(self->memory, "%d%s", building_no, of->building));
            building =
                place_add(&self->buildings, of->property, SIZE_MAX, "building", name, (int32_t)self->section_no * 1000 + building_no);
        }
        if (room == 0)
            floor = place_add(&self->floors, of->property, building, "floor", sv_of(arena_printf(self->memory, "%d层", floor_no + 1)),
                              floor_no + 1);
        demo_unit *unit = &self->plan->units[self->plan->unit_count++];
        unit_fill(self, unit);
        bool is_public = unit->load.profile == FLEET_PROFILE_PUBLIC_AREA;
        sv room_name = sv_of(arena_printf(self->memory, "%d%02d%s", floor_no + 1, room + 1, is_public ? " 公共照明" : ""));
        unit->place = place_add(&self->rooms, of->property, floor, "room", room_name, room + 1);
    }
}

static void places_unite(planner *self) {
    demo_plan *plan = self->plan;
    size_t buildings = self->buildings.len, floors = self->floors.len;
    plan->place_count = buildings + floors + self->rooms.len;
    plan->places = ARENA_ARRAY(self->memory, demo_place, plan->place_count);
    for (size_t i = 0; i < buildings; i++) plan->places[i] = self->buildings.items[i];
    for (size_t i = 0; i < floors; i++) plan->places[buildings + i] = self->floors.items[i];
    for (size_t i = 0; i < self->rooms.len; i++) {
        demo_place *room = &plan->places[buildings + floors + i];
        *room = self->rooms.items[i];
        room->parent += buildings;
    }
    for (size_t i = 0; i < plan->unit_count; i++) plan->units[i].place += buildings + floors;
    vec_done(&self->buildings);
    vec_done(&self->floors);
    vec_done(&self->rooms);
}

// As many meters as one bus can ask in the property's rhythm.
static size_t gateway_capacity(const demo_plan *plan, size_t property) {
    int64_t meters = plan->properties[property].poll_interval_s * SECOND_MS / METER_BUS_MS;
    return meters < METERS_PER_GATEWAY ? (size_t)meters : METERS_PER_GATEWAY;
}

static void gateways_form(demo_plan *plan, arena *memory) {
    plan->gateways = ARENA_ARRAY(memory, demo_gateway, plan->unit_count / gateway_capacity(plan, 0) + DEMO_PROPERTIES + 1);
    demo_gateway *open = NULL;
    for (size_t i = 0; i < plan->unit_count; i++) {
        demo_unit *unit = &plan->units[i];
        if (!open || open->property != unit->property || open->unit_count == gateway_capacity(plan, unit->property)) {
            size_t no = plan->gateway_count++;
            open = &plan->gateways[no];
            *open = (demo_gateway){.id = uuid_v7_now(),
                                   .property = unit->property,
                                   .is_push = no % PUSH_GATEWAY_EVERY == PUSH_GATEWAY_EVERY - 1,
                                   .name = sv_of(arena_printf(memory, "GW-%03zu", no + 1)),
                                   .first_unit = i};
        }
        unit->gateway = plan->gateway_count - 1;
        open->unit_count++;
    }
}
