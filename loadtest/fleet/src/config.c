#include "config.h"

#include <string.h>

#include "base/mem.h"
#include "json/json.h"
#include "order.h"

#define CONFIG_DEPTH_MAX 6

static void copy_name(json_reader *r, const json_node *object, const char *key, char out[FLEET_NAME_MAX + 1]) {
    json_node node = json_member(r, object, key);
    sv_copy_truncated(json_read_text_bounded(r, &node, FLEET_NAME_MAX), out, FLEET_NAME_MAX + 1);
}

static int64_t integer_or(json_reader *r, const json_node *object, const char *key, int64_t fallback, int64_t max) {
    json_node node = json_optional(r, object, key);
    return json_is_present(&node) ? json_read_integer(r, &node, 0, max) : fallback;
}

static uint64_t digits_value(sv digits) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) value = value * 10 + (uint64_t)(digits.ptr[i] - '0');
    return value;
}

static void parse_number(json_reader *r, const json_node *object, fleet_meter *meter) {
    json_node node = json_optional(r, object, "number");
    meter->number = meter->load.address;
    if (!json_is_present(&node)) return;
    sv digits = json_read_text(r, &node);
    uint8_t packed[6];
    if (!fleet_address_parse(digits.ptr, digits.len, packed))
        json_refuse(r, &node, "is not twelve decimal digits");
    else
        meter->number = digits_value(digits);
}

static void parse_password(json_reader *r, const json_node *object, fleet_meter *meter) {
    json_node node = json_optional(r, object, "password");
    memcpy(meter->password, (const uint8_t[4]){0x02, 0, 0, 0}, 4);
    if (!json_is_present(&node)) return;
    sv digits = json_read_text(r, &node);
    if (digits.len != 8 || !sv_hex_decode(digits, meter->password)) json_refuse(r, &node, "is not eight hexadecimal digits");
}

static void parse_meter(json_reader *r, const json_node *object, const fleet_config *config, fleet_meter *meter) {
    static const char *const KEYS[] = {"address", "profile",         "start_wh",  "phases", "password",
                                       "number",  "clock_offset_ms", "travel_ms", NULL};
    json_allow_only(r, object, KEYS);
    json_node address = json_member(r, object, "address");
    sv digits = json_read_text(r, &address);
    if (json_reader_failed(r)) return;
    if (!fleet_address_parse(digits.ptr, digits.len, meter->address)) {
        json_refuse(r, &address, "is not twelve decimal digits");
        return;
    }
    fleet_address_format(meter->address, meter->address_text);
    meter->load.seed = config->seed;
    meter->load.address = digits_value(digits);
    meter->load.start_at = config->start_at;
    meter->load.start_wh = integer_or(r, object, "start_wh", 0, 1000000000);
    meter->phases = (uint8_t)integer_or(r, object, "phases", 1, FLEET_PHASES_MAX);
    if (meter->phases != 1 && meter->phases != 3) json_refuse(r, object, "has neither one nor three phases");
    meter->travel_ms = integer_or(r, object, "travel_ms", 0, HOUR_MS);
    meter->faults.seed = fleet_mix(config->seed, meter->load.address);
    json_node offset = json_optional(r, object, "clock_offset_ms");
    if (json_is_present(&offset)) meter->clock_offset_ms = json_read_integer(r, &offset, -100 * 365 * DAY_MS, 100 * 365 * DAY_MS);
    json_node profile = json_member(r, object, "profile");
    if (!fleet_profile_parse(json_read_text(r, &profile), &meter->load.profile)) json_refuse(r, &profile, "is not a load profile");
    parse_number(r, object, meter);
    parse_password(r, object, meter);
}

static void parse_registers(json_reader *r, const json_node *object, fleet_gateway *gateway) {
    json_node list = json_optional(r, object, "registers");
    gateway->registers = 1u << FLEET_REGISTER_TOTAL;
    if (!json_is_present(&list)) return;
    gateway->registers = 0;
    for (size_t i = 0; i < json_array_len(r, &list); i++) {
        json_node item = json_item(r, &list, i);
        fleet_register reg;
        if (fleet_register_parse(json_read_text(r, &item), &reg))
            gateway->registers |= 1u << reg;
        else
            json_refuse(r, &item, "is not a register the fleet can push");
    }
    if (!gateway->registers) json_refuse(r, &list, "names no register");
}

static void parse_http(json_reader *r, const json_node *object, fleet_gateway *gateway) {
    static const char *const KEYS[] = {"kind", "key", "secret", "interval_s", "batch", "registers", "meters", NULL};
    json_allow_only(r, object, KEYS);
    gateway->kind = FLEET_GATEWAY_HTTP;
    copy_name(r, object, "key", gateway->name);
    gateway->interval_ms = integer_or(r, object, "interval_s", 30, 86400) * SECOND_MS;
    gateway->batch = (size_t)integer_or(r, object, "batch", 500, FLEET_BATCH_MAX);
    if (gateway->interval_ms == 0 || gateway->batch == 0) json_refuse(r, object, "has an interval or a batch of nothing");
    json_node secret = json_member(r, object, "secret");
    sv hex = json_read_text_bounded(r, &secret, 2 * FLEET_SECRET_MAX);
    if (json_reader_failed(r)) return;
    if (!sv_hex_decode(hex, gateway->secret)) json_refuse(r, &secret, "is not pairs of hexadecimal digits");
    gateway->secret_len = hex.len / 2;
    parse_registers(r, object, gateway);
}

static void parse_dtu(json_reader *r, const json_node *object, fleet_gateway *gateway) {
    static const char *const KEYS[] = {"kind", "registration", "heartbeat_s", "answer_ms", "meters", NULL};
    json_allow_only(r, object, KEYS);
    gateway->kind = FLEET_GATEWAY_DTU;
    copy_name(r, object, "registration", gateway->name);
    gateway->heartbeat_ms = integer_or(r, object, "heartbeat_s", 60, 86400) * SECOND_MS;
    gateway->answer_ms = integer_or(r, object, "answer_ms", 30, 60000);
    if (gateway->heartbeat_ms == 0) json_refuse(r, object, "has a heartbeat of nothing");
}

static void parse_gateway(json_reader *r, const json_node *object, const fleet_config *config, fleet_gateway *gateway) {
    json_node kind = json_member(r, object, "kind");
    sv name = json_read_text(r, &kind);
    if (sv_equal(name, SV("http")))
        parse_http(r, object, gateway);
    else if (sv_equal(name, SV("dtu")))
        parse_dtu(r, object, gateway);
    else
        json_refuse(r, &kind, "is neither dtu nor http");
    gateway->faults.seed = fleet_mix(config->seed, (uint64_t)(gateway - config->gateways));
    json_node meters = json_member(r, object, "meters");
    size_t count = json_array_len(r, &meters);
    if (count > FLEET_METERS_PER_GATEWAY_MAX) json_refuse(r, &meters, "has more than %d meters", FLEET_METERS_PER_GATEWAY_MAX);
    if (json_reader_failed(r)) return;
    gateway->meters = mem_new(count + 1, sizeof *gateway->meters);
    gateway->meter_count = count;
    for (size_t i = 0; i < count && !json_reader_failed(r); i++) {
        json_node meter = json_item(r, &meters, i);
        parse_meter(r, &meter, config, &gateway->meters[i]);
    }
}

static void parse_address(json_reader *r, const json_node *root, const char *key, char out[FLEET_NAME_MAX + 1]) {
    json_node node = json_optional(r, root, key);
    if (json_is_present(&node)) copy_name(r, root, key, out);
}

static void parse_root(json_reader *r, const json_node *root, instant_ms now, fleet_config *config) {
    static const char *const KEYS[] = {"seed", "tcp", "http", "start_at", "gateways", "faults", NULL};
    json_allow_only(r, root, KEYS);
    config->seed = (uint64_t)integer_or(r, root, "seed", 1, INT64_MAX);
    parse_address(r, root, "tcp", config->tcp);
    parse_address(r, root, "http", config->http);
    json_node start = json_optional(r, root, "start_at");
    config->start_at = json_is_present(&start) ? json_read_instant(r, &start) : now;
    json_node gateways = json_member(r, root, "gateways");
    size_t count = json_array_len(r, &gateways);
    config->gateways = mem_new(count + 1, sizeof *config->gateways);
    config->gateway_count = count;
    for (size_t i = 0; i < count && !json_reader_failed(r); i++) {
        json_node gateway = json_item(r, &gateways, i);
        parse_gateway(r, &gateway, config, &config->gateways[i]);
    }
    json_node faults = json_optional(r, root, "faults");
    if (!json_is_present(&faults)) return;
    for (size_t i = 0; i < json_array_len(r, &faults) && !json_reader_failed(r); i++) {
        json_node order = json_item(r, &faults, i);
        fleet_order_fault_node(config, r, &order, now);
    }
}

err_t fleet_config_parse(sv text, instant_ms now, fleet_config *out_config, fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(text, (json_limits){FLEET_CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX}, &doc, out_fault);
    if (err) return err;
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    fleet_config config = {0};
    parse_root(&r, &root, now, &config);
    err = json_reader_fault(&r, out_fault);
    if (err)
        fleet_config_done(&config);
    else
        *out_config = config;
    return err;
}

void fleet_config_done(fleet_config *self) {
    for (size_t i = 0; i < self->gateway_count; i++) mem_free(self->gateways[i].meters);
    mem_free(self->gateways);
    *self = (fleet_config){0};
}

fleet_meter *fleet_config_meter(fleet_config *self, sv address) {
    for (size_t g = 0; g < self->gateway_count; g++)
        for (size_t m = 0; m < self->gateways[g].meter_count; m++)
            if (sv_equal(address, sv_of(self->gateways[g].meters[m].address_text))) return &self->gateways[g].meters[m];
    return NULL;
}

fleet_gateway *fleet_config_gateway(fleet_config *self, sv name) {
    for (size_t g = 0; g < self->gateway_count; g++)
        if (sv_equal(name, sv_of(self->gateways[g].name))) return &self->gateways[g];
    return NULL;
}

size_t fleet_config_meter_count(const fleet_config *self) {
    size_t count = 0;
    for (size_t g = 0; g < self->gateway_count; g++) count += self->gateways[g].meter_count;
    return count;
}
