// The demo's configuration: companies, places, customers, meters, tariffs, operators. One statement for each kind of
// thing, with one array for each column.
#include <string.h>

#include "base/vec.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "demo_load.h"

#define COLUMN(type, count, expression) DEMO_COLUMN(self->memory, type, count, expression)
#define TARIFF_FROM_MS 1704038400000LL  // 2024-01-01T00:00:00+08:00, what the documents say

// Parameters of one column each; the company is always the first.
#define I32S(count, expression) DB_I32_ARRAY(COLUMN(int32_t, count, expression), count)
#define I64S(count, expression) DB_I64_ARRAY(COLUMN(int64_t, count, expression), count)
#define BOOLS(count, expression) DB_BOOL_ARRAY(COLUMN(bool, count, expression), count)
#define TEXTS(count, expression) DB_TEXT_ARRAY(COLUMN(sv, count, expression), count)
#define UUIDS(count, expression) DB_UUID_ARRAY(COLUMN(uuid, count, expression), count)

typedef struct unit_list {
    demo_unit **items;
    size_t len;
} unit_list;

static err_t companies_write(demo_load *self);
static err_t properties_write(demo_load *self);
static err_t places_write(demo_load *self);
static err_t customers_write(demo_load *self, unit_list opened);
static err_t accounts_write(demo_load *self, unit_list opened);
static err_t usage_points_write(demo_load *self, unit_list all);
static err_t gateways_write(demo_load *self);
static err_t meters_write(demo_load *self, unit_list all);
static err_t tariffs_write(demo_load *self, unit_list all);
static err_t operators_write(demo_load *self);
static err_t calendar_write(demo_load *self);

static int32_t company_of(const demo_load *self, size_t property) {
    return (int32_t)self->plan->companies[self->plan->properties[property].company].num;
}

static err_t set_write(demo_load *self, const db_statement *statement, db_params params) {
    return db_exec(self->conn, statement, params, NULL);
}

static unit_list units_where(demo_load *self, bool (*is_wanted)(const demo_unit *unit)) {
    unit_list list = {ARENA_ARRAY(self->memory, demo_unit *, self->plan->unit_count), 0};
    for (size_t i = 0; i < self->plan->unit_count; i++)
        if (is_wanted(&self->plan->units[i])) list.items[list.len++] = &self->plan->units[i];
    return list;
}

static bool is_any(const demo_unit *unit) { return unit != NULL; }
static bool is_opened(const demo_unit *unit) { return unit->wish != DEMO_NOT_OPENED; }
static bool has_own_tariff(const demo_unit *unit) { return unit->has_own_tariff; }

err_t demo_write(demo_load *self) {
    unit_list all = units_where(self, is_any), opened = units_where(self, is_opened);
    err_t err = companies_write(self);
    if (!err) err = properties_write(self);
    if (!err) err = places_write(self);
    if (!err) err = customers_write(self, opened);
    if (!err) err = usage_points_write(self, all);
    if (!err) err = accounts_write(self, opened);
    if (!err) err = gateways_write(self);
    if (!err) err = meters_write(self, all);
    if (!err) err = tariffs_write(self, all);
    if (!err) err = operators_write(self);
    if (!err) err = calendar_write(self);
    return err;
}

static err_t companies_write(demo_load *self) {
    for (size_t i = 0; i < DEMO_COMPANIES; i++) {
        demo_company *company = &self->plan->companies[i];
        AUTO(db_rows) row = {0};
        err_t err = db_query_one(self->conn, &SQL_COMPANY_INSERT,
                                 DB_PARAMS(DB_UUID(company->id), DB_CSTR(company->code), DB_CSTR(company->name), DB_TIME(self->now)), &row);
        if (err) return err;
        company->num = db_i64(&row, 0, 0);
    }
    const demo_entity *entities = self->plan->entities;
    return set_write(self, &SQL_DEMO_ENTITIES,
                     DB_PARAMS(I32S(DEMO_ENTITIES, (int32_t)self->plan->companies[entities[i].company].num),
                               UUIDS(DEMO_ENTITIES, entities[i].id), TEXTS(DEMO_ENTITIES, sv_of(entities[i].name)),
                               TEXTS(DEMO_ENTITIES, sv_of(entities[i].tax_id)), TEXTS(DEMO_ENTITIES, sv_of(entities[i].bank_account))));
}

static err_t properties_write(demo_load *self) {
    const demo_property *of = self->plan->properties;
    const size_t count = DEMO_PROPERTIES;
    err_t err = set_write(self, &SQL_DEMO_PROPERTIES,
                          DB_PARAMS(I32S(count, company_of(self, i)), UUIDS(count, of[i].id), TEXTS(count, sv_of(of[i].code)),
                                    TEXTS(count, sv_of(of[i].name)), I32S(count, of[i].poll_interval_s), I64S(count, of[i].alarm_1),
                                    I64S(count, of[i].alarm_2), DB_I64(self->partitions), DB_TIME(self->plan->start_at)));
    if (err) return err;
    return set_write(
        self, &SQL_DEMO_SELLERS,
        DB_PARAMS(I32S(count, company_of(self, i)), UUIDS(count, of[i].id), UUIDS(count, self->plan->entities[of[i].entity].id)));
}

static err_t level_write(demo_load *self, const demo_place *level, size_t count) {
    const demo_place *all = self->plan->places;
    bool *is_root = COLUMN(bool, count, level[i].parent == SIZE_MAX);
    return set_write(self, &SQL_DEMO_PLACES,
                     DB_PARAMS(I32S(count, company_of(self, level[i].property)), UUIDS(count, level[i].id),
                               UUIDS(count, self->plan->properties[level[i].property].id),
                               db_param_with_nulls(UUIDS(count, is_root[i] ? level[i].id : all[level[i].parent].id), is_root),
                               TEXTS(count, sv_of(level[i].kind)), TEXTS(count, level[i].name), I32S(count, level[i].sort)));
}

static err_t places_write(demo_load *self) {
    const demo_plan *plan = self->plan;
    for (size_t from = 0, to; from < plan->place_count; from = to) {
        for (to = from; to < plan->place_count && strcmp(plan->places[to].kind, plan->places[from].kind) == 0;) to++;
        err_t err = level_write(self, plan->places + from, to - from);
        if (err) return err;
    }
    return ERR_OK;
}

static err_t customers_write(demo_load *self, unit_list opened) {
    demo_unit **of = opened.items;
    size_t count = opened.len;
    db_param companies = I32S(count, company_of(self, of[i]->property));
    err_t err = set_write(self, &SQL_DEMO_CUSTOMERS,
                          DB_PARAMS(companies, UUIDS(count, of[i]->customer), TEXTS(count, sv_of(of[i]->customer_kind)),
                                    TEXTS(count, of[i]->customer_name), TEXTS(count, of[i]->phone)));
    if (err) return err;
    int64_t first_day = (self->plan->start_at + FLEET_UTC_OFFSET_S * SECOND_MS) / DAY_MS;
    err = set_write(self, &SQL_DEMO_AGREEMENTS,
                    DB_PARAMS(companies, UUIDS(count, of[i]->agreement), UUIDS(count, self->plan->properties[of[i]->property].id),
                              UUIDS(count, of[i]->customer), TEXTS(count, of[i]->number), TEXTS(count, sv_of(of[i]->class)),
                              I32S(count, of[i]->heads), I64S(count, of[i]->area_milli_m2), DB_DATE((int32_t)first_day)));
    if (err) return err;
    return set_write(self, &SQL_DEMO_AGREEMENT_ROOMS,
                     DB_PARAMS(companies, UUIDS(count, of[i]->agreement), UUIDS(count, self->plan->places[of[i]->place].id)));
}

static err_t usage_points_write(demo_load *self, unit_list all) {
    demo_unit **of = all.items;
    size_t count = all.len;
    return set_write(
        self, &SQL_DEMO_USAGE_POINTS,
        DB_PARAMS(I32S(count, company_of(self, of[i]->property)), UUIDS(count, of[i]->usage_point),
                  UUIDS(count, self->plan->places[of[i]->place].id), TEXTS(count, self->plan->places[of[i]->place].name),
                  I32S(count, of[i]->rated_power_w * of[i]->ratio), BOOLS(count, of[i]->load.profile == FLEET_PROFILE_PUBLIC_AREA)));
}

static err_t accounts_write(demo_load *self, unit_list opened) {
    demo_unit **of = opened.items;
    size_t count = opened.len;
    db_param companies = I32S(count, company_of(self, of[i]->property));
    err_t err = set_write(self, &SQL_DEMO_ACCOUNTS,
                          DB_PARAMS(companies, UUIDS(count, of[i]->account), UUIDS(count, of[i]->agreement), TEXTS(count, of[i]->number),
                                    DB_TIME(self->plan->start_at)));
    if (!err) err = set_write(self, &SQL_DEMO_PURSES, DB_PARAMS(companies, UUIDS(count, of[i]->purse), UUIDS(count, of[i]->account)));
    if (!err)
        err = set_write(self, &SQL_DEMO_HOLDERS,
                        DB_PARAMS(companies, UUIDS(count, of[i]->usage_point), UUIDS(count, of[i]->purse), DB_TIME(self->plan->start_at)));
    return err;
}

sv demo_gateway_secret_place(arena *memory, uuid gateway) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(gateway, text);
    return sv_of(arena_printf(memory, "core.gateway.secret_sealed:%s", text));
}

sv demo_meter_password_place(arena *memory, uuid meter) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(meter, text);
    return sv_of(arena_printf(memory, "core.meter.password_sealed:%s", text));
}

static sv secret_seal(demo_load *self, int32_t company, sv place, sv secret) {
    AUTO(buf) sealed;
    buf_init(&sealed, 256);
    crypto_seal(self->keyring, company, place, secret, &sealed);
    return arena_copy(self->memory, buf_view(&sealed));
}

static sv gateway_secret(demo_load *self, const demo_gateway *gateway) {
    if (!gateway->is_push) return SV_NONE;
    uint8_t secret[DEMO_GATEWAY_SECRET_LEN];
    random_fill(secret, sizeof secret);
    sv place = demo_gateway_secret_place(self->memory, gateway->id);
    return secret_seal(self, company_of(self, gateway->property), place, sv_slice(secret, sizeof secret));
}

static sv token(demo_load *self, const char *prefix, size_t bytes) {
    char text[64];
    crypto_token(bytes, text);
    return sv_of(arena_printf(self->memory, "%s%s", prefix, text));
}

static err_t gateways_write(demo_load *self) {
    const demo_gateway *of = self->plan->gateways;
    size_t count = self->plan->gateway_count;
    err_t err = set_write(self, &SQL_DEMO_GATEWAYS,
                          DB_PARAMS(I32S(count, company_of(self, of[i].property)), UUIDS(count, of[i].id),
                                    UUIDS(count, self->plan->properties[of[i].property].id), TEXTS(count, of[i].name),
                                    TEXTS(count, of[i].is_push ? SV("http_push") : SV("dtu_tcp")),
                                    TEXTS(count, of[i].is_push ? SV_NONE : token(self, "", 18)),
                                    TEXTS(count, of[i].is_push ? token(self, "gw-", 12) : SV_NONE),
                                    DB_BYTES_ARRAY(COLUMN(sv, count, gateway_secret(self, &of[i])), count)));
    if (err) return err;
    return set_write(self, &SQL_DEMO_GATEWAY_PORTS,
                     DB_PARAMS(I32S(DEMO_COMPANIES, (int32_t)self->plan->companies[i].num), UUIDS(count, of[i].id)));
}

static sv model_code(const demo_load *self, const demo_unit *unit) {
    if (self->plan->gateways[unit->gateway].is_push) return SV("demo-push");
    return unit->phases == 3 ? SV("demo-three-phase") : SV("demo-single-phase");
}

static err_t models_write(demo_load *self) {
    static const struct {
        const char *code, *name, *protocol;
    } MODELS[] = {{"demo-single-phase", "单相预付费电能表", "dlt645_2007"},
                  {"demo-three-phase", "三相预付费电能表", "dlt645_2007"},
                  {"demo-push", "网关直报电能表", "push"}};
    const size_t count = ARRAY_LEN(MODELS);
    return set_write(self, &SQL_DEMO_METER_MODELS,
                     DB_PARAMS(UUIDS(count, uuid_v7_now()), TEXTS(count, sv_of(MODELS[i].code)), TEXTS(count, sv_of(MODELS[i].name)),
                               TEXTS(count, sv_of(MODELS[i].protocol))));
}

static err_t meters_write(demo_load *self, unit_list all) {
    demo_unit **of = all.items;
    size_t count = all.len;
    db_param companies = I32S(count, company_of(self, of[i]->property));
    sv *passwords = COLUMN(sv, count,
                           secret_seal(self, company_of(self, of[i]->property), demo_meter_password_place(self->memory, of[i]->meter),
                                       SV(DEMO_METER_PASSWORD)));
    err_t err = models_write(self);
    if (!err)
        err = set_write(self, &SQL_DEMO_METERS,
                        DB_PARAMS(companies, UUIDS(count, of[i]->meter), UUIDS(count, self->plan->gateways[of[i]->gateway].id),
                                  TEXTS(count, sv_of(of[i]->address)), TEXTS(count, model_code(self, of[i])),
                                  DB_BYTES_ARRAY(passwords, count), DB_TIME(self->plan->start_at)));
    if (!err)
        err = set_write(self, &SQL_DEMO_CHANNELS,
                        DB_PARAMS(companies, UUIDS(count, of[i]->channel), UUIDS(count, of[i]->meter), I32S(count, of[i]->ratio)));
    if (!err)
        err = set_write(self, &SQL_DEMO_INSTALLATIONS,
                        DB_PARAMS(companies, UUIDS(count, of[i]->channel), UUIDS(count, of[i]->usage_point),
                                  I64S(count, of[i]->load.start_wh), DB_TIME(self->plan->start_at)));
    return err;
}

static sv document_digest(demo_load *self, const char *document) {
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(sv_of(document), digest);
    return arena_copy(self->memory, sv_slice(digest, sizeof digest));
}

static err_t tariffs_write(demo_load *self, unit_list all) {
    const size_t count = DEMO_TARIFFS;
    demo_tariff_text *of = COLUMN(demo_tariff_text, count, demo_tariff_of((demo_tariff)i));
    uuid *ids = COLUMN(uuid, count, uuid_v7_now());
    db_param companies = I32S(count, (int32_t)self->plan->companies[of[i].company].num);
    err_t err =
        set_write(self, &SQL_DEMO_TARIFFS,
                  DB_PARAMS(companies, DB_UUID_ARRAY(ids, count), TEXTS(count, sv_of(of[i].code)), TEXTS(count, sv_of(of[i].name))));
    if (!err)
        err =
            set_write(self, &SQL_DEMO_TARIFF_VERSIONS,
                      DB_PARAMS(companies, UUIDS(count, uuid_v7_now()), DB_UUID_ARRAY(ids, count), TEXTS(count, sv_of(of[i].document)),
                                DB_BYTES_ARRAY(COLUMN(sv, count, document_digest(self, of[i].document)), count), DB_TIME(TARIFF_FROM_MS)));
    const demo_property *properties = self->plan->properties;
    if (!err)
        err = set_write(self, &SQL_DEMO_PROPERTY_TARIFFS,
                        DB_PARAMS(I32S(DEMO_PROPERTIES, company_of(self, i)), UUIDS(DEMO_PROPERTIES, properties[i].id),
                                  UUIDS(DEMO_PROPERTIES, ids[properties[i].tariff]), DB_TIME(TARIFF_FROM_MS)));
    unit_list own = units_where(self, has_own_tariff);
    demo_unit **units = own.items;
    if (!err && all.len > 0)
        err = set_write(self, &SQL_DEMO_USAGE_POINT_TARIFFS,
                        DB_PARAMS(I32S(own.len, company_of(self, units[i]->property)), UUIDS(own.len, units[i]->usage_point),
                                  UUIDS(own.len, ids[units[i]->tariff]), DB_TIME(TARIFF_FROM_MS)));
    return err;
}

static err_t operators_write(demo_load *self) {
    const demo_operator *of = self->operators;
    const size_t count = DEMO_OPERATORS;
    uuid *ids = COLUMN(uuid, count, uuid_v7_now());
    db_param companies = I32S(count, (int32_t)self->plan->companies[of[i].company].num);
    err_t err = set_write(self, &SQL_DEMO_OPERATORS,
                          DB_PARAMS(companies, DB_UUID_ARRAY(ids, count), TEXTS(count, sv_of(of[i].login)),
                                    TEXTS(count, sv_of(of[i].login)), TEXTS(count, sv_of(of[i].hash))));
    if (err) return err;
    return set_write(self, &SQL_DEMO_OPERATOR_ROLES, DB_PARAMS(companies, DB_UUID_ARRAY(ids, count), TEXTS(count, sv_of(of[i].role))));
}

typedef struct calendar_days {
    int32_t year, month, first, last;
    const char *kind, *name;
} calendar_days;

static err_t calendar_write(demo_load *self) {
    static const calendar_days STRETCHES[] = {
#define CALENDAR_DAYS(year, month, first, last, kind, name) {year, month, first, last, kind, name},
#include "demo_calendar.def"
#undef CALENDAR_DAYS
    };
    enum { DAYS_MAX = 31 * ARRAY_LEN(STRETCHES) };
    int32_t *days = ARENA_ARRAY(self->memory, int32_t, DAYS_MAX);
    sv *kinds = ARENA_ARRAY(self->memory, sv, DAYS_MAX), *names = ARENA_ARRAY(self->memory, sv, DAYS_MAX);
    size_t count = 0;
    for (size_t s = 0; s < ARRAY_LEN(STRETCHES); s++)
        for (int32_t day = STRETCHES[s].first; day <= STRETCHES[s].last; day++, count++) {
            days[count] = (int32_t)days_from_civil(STRETCHES[s].year, STRETCHES[s].month, day);
            kinds[count] = sv_of(STRETCHES[s].kind);
            names[count] = sv_of(STRETCHES[s].name);
        }
    return set_write(self, &SQL_DEMO_CALENDAR_DAYS,
                     DB_PARAMS(DB_DATE_ARRAY(days, count), DB_TEXT_ARRAY(kinds, count), DB_TEXT_ARRAY(names, count)));
}
