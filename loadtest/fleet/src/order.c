#include "order.h"

#include <string.h>

#include "base/json_text.h"
#include "fleet.h"

#define ORDER_DEPTH_MAX 2

// The meters and gateways an order names; all of them when it names none.
typedef struct target {
    fleet_meter *meter;
    fleet_gateway *gateway;
} target;

static target parse_target(fleet_config *config, json_reader *r, const json_node *order) {
    json_node meter = json_optional(r, order, "meter"), gateway = json_optional(r, order, "gateway");
    target named = {0};
    if (json_is_present(&meter)) {
        named.meter = fleet_config_meter(config, json_read_text(r, &meter));
        if (!named.meter) json_refuse(r, &meter, "is not the address of a meter");
    }
    if (json_is_present(&gateway)) {
        named.gateway = fleet_config_gateway(config, json_read_text(r, &gateway));
        if (!named.gateway) json_refuse(r, &gateway, "is not a gateway");
    }
    return named;
}

static void set_fault(fleet_config *config, target named, fleet_fault kind, fleet_fault_order wanted) {
    if (named.meter) named.meter->faults.orders[kind] = wanted;
    if (named.gateway) named.gateway->faults.orders[kind] = wanted;
    if (named.meter || named.gateway) return;
    for (size_t g = 0; g < config->gateway_count; g++) config->gateways[g].faults.orders[kind] = wanted;
}

static int64_t integer_or(json_reader *r, const json_node *order, const char *key, int64_t fallback, int64_t min, int64_t max) {
    json_node node = json_optional(r, order, key);
    return json_is_present(&node) ? json_read_integer(r, &node, min, max) : fallback;
}

void fleet_order_fault_node(fleet_config *config, json_reader *r, const json_node *order, instant_ms now) {
    static const char *const KEYS[] = {"do", "fault", "meter", "gateway", "value", "permille", "for_ms", NULL};
    json_allow_only(r, order, KEYS);
    json_node name = json_member(r, order, "fault");
    fleet_fault kind = FLEET_FAULT_COUNT;
    if (!fleet_fault_parse(json_read_text(r, &name), &kind)) json_refuse(r, &name, "is not a fault the fleet knows");
    fleet_fault_order wanted = {.active = true};
    wanted.value = integer_or(r, order, "value", 0, -100 * 365 * DAY_MS, 100 * 365 * DAY_MS);
    wanted.permille = (uint32_t)integer_or(r, order, "permille", 1000, 0, 1000);
    wanted.until = now + integer_or(r, order, "for_ms", 100 * 365 * DAY_MS, 1, 100 * 365 * DAY_MS);
    target named = parse_target(config, r, order);
    if (!json_reader_failed(r)) set_fault(config, named, kind, wanted);
}

static void clear_faults(fleet_config *config, target named) {
    if (named.meter) fleet_faults_clear(&named.meter->faults);
    if (named.gateway) fleet_faults_clear(&named.gateway->faults);
    if (named.meter || named.gateway) return;
    for (size_t g = 0; g < config->gateway_count; g++) {
        fleet_faults_clear(&config->gateways[g].faults);
        for (size_t m = 0; m < config->gateways[g].meter_count; m++) fleet_faults_clear(&config->gateways[g].meters[m].faults);
    }
}

static fleet_meter *required_meter(fleet_world *fleet, json_reader *r, const json_node *order) {
    json_node node = json_member(r, order, "meter");
    (void)json_read_text(r, &node);
    return parse_target(&fleet->config, r, order).meter;
}

static void do_replace(fleet_world *fleet, json_reader *r, const json_node *order, bool is_new_device) {
    fleet_meter *meter = required_meter(fleet, r, order);
    int64_t start_wh = integer_or(r, order, "start_wh", 0, 0, 1000000000);
    json_node node = json_optional(r, order, "number");
    uint8_t packed[6];
    uint64_t number = 0;
    if (is_new_device && json_is_present(&node)) {
        sv digits = json_read_text(r, &node);
        if (!fleet_address_parse(digits.ptr, digits.len, packed) || !fleet_bcd_get(packed, 6, &number))
            json_refuse(r, &node, "is not twelve decimal digits");
    } else if (meter) {
        number = is_new_device ? (meter->number + 1) % 1000000000000u : meter->number;
    }
    if (json_reader_failed(r)) return;
    fleet_meter_replace(meter, number, start_wh, fleet_now(fleet).load);
    fleet_meter_replaced(fleet, meter);
}

static void do_press_key(fleet_world *fleet, json_reader *r, const json_node *order) {
    fleet_meter *meter = required_meter(fleet, r, order);
    if (json_reader_failed(r)) return;
    if (fleet_meter_press_key(meter, fleet_now(fleet)))
        fleet_meter_look(fleet, meter, true);
    else
        json_refuse(r, order, "the meter is not waiting for its key");
}

static void do_register(fleet_world *fleet, json_reader *r, const json_node *order, buf *answer) {
    fleet_meter *meter = required_meter(fleet, r, order);
    if (json_reader_failed(r)) return;
    fleet_time now = fleet_now(fleet);
    buf_addf(answer, "{\"ok\":true,\"meter\":\"%s\",\"relay\":\"%s\",\"told\":\"%s\",\"keep_power\":%s,\"at\":\"", meter->address_text,
             meter->relay_open ? "open" : "closed", meter->told_open ? "open" : "closed", meter->keep_power ? "true" : "false");
    char text[INSTANT_TEXT_MAX];
    buf_add(answer, (sv){text, instant_format(now.wall, 0, text)});
    buf_add_byte(answer, '"');
    for (int reg = FLEET_REGISTER_TOTAL; reg <= FLEET_REGISTER_T4; reg++) {
        char value[FLEET_DECIMAL_MAX];
        fleet_decimal_format(fleet_register_value(meter, (fleet_register)reg, now), 2, value);
        buf_addf(answer, ",\"%s\":\"%s\"", fleet_register_name((fleet_register)reg), value);
    }
    buf_add(answer, SV("}\n"));
}

static void carry_out(fleet_world *fleet, json_reader *r, const json_node *order, buf *answer) {
    json_node verb_node = json_member(r, order, "do");
    sv verb = json_read_text(r, &verb_node);
    if (sv_equal(verb, SV("fault")))
        fleet_order_fault_node(&fleet->config, r, order, fleet_now(fleet).wall);
    else if (sv_equal(verb, SV("clear"))) {
        target named = parse_target(&fleet->config, r, order);
        if (!json_reader_failed(r)) clear_faults(&fleet->config, named);
    } else if (sv_equal(verb, SV("replace")))
        do_replace(fleet, r, order, true);
    else if (sv_equal(verb, SV("set_register")))
        do_replace(fleet, r, order, false);
    else if (sv_equal(verb, SV("press_key")))
        do_press_key(fleet, r, order);
    else if (sv_equal(verb, SV("register")))
        do_register(fleet, r, order, answer);
    else if (sv_equal(verb, SV("status")))
        fleet_stats_add(fleet, answer);
    else if (sv_equal(verb, SV("stop")))
        fleet_stop(fleet);
    else
        json_refuse(r, &verb_node, "is not an order");
}

static void answer_fault(buf *answer, const fault *why) {
    buf_clear(answer);
    buf_add(answer, SV("{\"ok\":false,\"place\":"));
    json_text_add(answer, sv_of(why->place));
    buf_add(answer, SV(",\"reason\":"));
    json_text_add(answer, sv_of(why->reason));
    buf_add(answer, SV("}\n"));
}

void fleet_order_take(fleet_world *fleet, sv line, buf *answer) {
    fault why = {0};
    AUTO_JSON doc = NULL;
    if (json_parse(line, (json_limits){FLEET_ORDER_BYTES_MAX, ORDER_DEPTH_MAX}, &doc, &why)) {
        answer_fault(answer, &why);
        return;
    }
    json_reader r;
    json_reader_init(&r);
    json_node order = json_root(doc);
    carry_out(fleet, &r, &order, answer);
    if (json_reader_fault(&r, &why))
        answer_fault(answer, &why);
    else if (answer->len == 0)
        buf_add(answer, SV("{\"ok\":true}\n"));
}
