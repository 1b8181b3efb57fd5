#include "line_order.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

static const struct {
    const char *text;
    bool needs_password;
    bool is_switch;
} OPERATIONS[LINE_OPERATION_COUNT] = {
#define LINE_OPERATION(name, text, needs_password, is_switch) [LINE_##name] = {(text), (needs_password), (is_switch)},
#include "line_operations.def"
#undef LINE_OPERATION
};

const char *line_operation_text(line_operation operation) { return OPERATIONS[operation].text; }
bool line_operation_needs_password(line_operation operation) { return OPERATIONS[operation].needs_password; }
bool line_operation_is_switch(line_operation operation) { return OPERATIONS[operation].is_switch; }

bool line_operation_parse(sv text, line_operation *out_operation) {
    for (size_t i = 0; i < ARRAY_LEN(OPERATIONS); i++) {
        if (!sv_equal(sv_of(OPERATIONS[i].text), text)) continue;
        *out_operation = (line_operation)i;
        return true;
    }
    return false;
}

// ---- parameters ----

static const struct {
    const char *text;
    uint32_t data_id;
    int64_t most, multiplier, divisor;
} PARAMETERS[LINE_PARAMETER_COUNT] = {
#define LINE_PARAMETER(name, text, data_id, most, multiplier, divisor) \
    [LINE_PARAMETER_##name] = {(text), (data_id), (most), (multiplier), (divisor)},
#include "line_parameters.def"
#undef LINE_PARAMETER
};

#define FIRST_SLOT_ITEM 0x04FE0201

bool line_parameters_item(const line_parameters *self, size_t n, line_item *out_item) {
    for (size_t i = 0; i < LINE_PARAMETER_COUNT; i++) {
        if (!self->has[i] || n-- > 0) continue;
        *out_item = (line_item){.data_id = PARAMETERS[i].data_id, .count = self->counts[i]};
        return true;
    }
    if (!self->has_schedule || n >= DLT645_SLOTS) return false;
    *out_item = (line_item){.data_id = FIRST_SLOT_ITEM + (uint32_t)n, .is_slot = true, .slot = self->slots[n]};
    return true;
}

static bool digits_parse(sv text, uint8_t limit, uint8_t *out) {
    if (text.len != 2 || text.ptr[0] < '0' || text.ptr[0] > '9' || text.ptr[1] < '0' || text.ptr[1] > '9') return false;
    *out = (uint8_t)((text.ptr[0] - '0') * 10 + (text.ptr[1] - '0'));
    return *out < limit;
}

static void read_slot(json_reader *r, const json_node *node, dlt645_slot *out) {
    static const char *const KEYS[] = {"at", "do", NULL};
    json_allow_only(r, node, KEYS);
    json_node at = json_member(r, node, "at");
    json_node action = json_member(r, node, "do");
    sv time = json_read_text(r, &at);
    sv wanted = json_read_text(r, &action);
    if (json_reader_failed(r)) return;
    bool is_time = time.len == 5 && time.ptr[2] == ':' && digits_parse((sv){time.ptr, 2}, 24, &out->hour) &&
                   digits_parse(sv_skip(time, 3), 60, &out->minute);
    if (!is_time) json_refuse(r, &at, "is not a time of day, hh:mm");
    if (!sv_equal(wanted, SV("on")) && !sv_equal(wanted, SV("off"))) json_refuse(r, &action, "is neither on nor off");
    out->action = sv_equal(wanted, SV("on")) ? DLT645_SLOT_ON : DLT645_SLOT_OFF;
}

static void read_schedule(json_reader *r, const json_node *list, line_parameters *out) {
    size_t len = json_array_len(r, list);
    if (len > DLT645_SLOTS) json_refuse(r, list, "has more than %d places", DLT645_SLOTS);
    for (size_t i = 0; i < len && !json_reader_failed(r); i++) {
        json_node slot = json_item(r, list, i);
        read_slot(r, &slot, &out->slots[i]);
    }
    out->has_schedule = true;
}

static void read_number(json_reader *r, const json_node *node, size_t i, line_parameters *out) {
    int64_t value = json_read_integer(r, node, 0, PARAMETERS[i].most);
    if (value * PARAMETERS[i].multiplier % PARAMETERS[i].divisor) json_refuse(r, node, "is finer than a meter can keep");
    out->counts[i] = value * PARAMETERS[i].multiplier / PARAMETERS[i].divisor;
    out->has[i] = true;
}

void line_parameters_read(json_reader *r, const json_node *object, line_parameters *out_parameters) {
    const char *keys[LINE_PARAMETER_COUNT + 2] = {0};
    for (size_t i = 0; i < LINE_PARAMETER_COUNT; i++) keys[i] = PARAMETERS[i].text;
    keys[LINE_PARAMETER_COUNT] = "schedule";
    json_allow_only(r, object, keys);
    line_parameters found = {0};
    for (size_t i = 0; i < LINE_PARAMETER_COUNT; i++) {
        json_node node = json_optional(r, object, PARAMETERS[i].text);
        if (json_is_present(&node)) read_number(r, &node, i, &found);
    }
    json_node schedule = json_optional(r, object, "schedule");
    if (json_is_present(&schedule)) read_schedule(r, &schedule, &found);
    if (!line_parameters_item(&found, 0, &(line_item){0})) json_refuse(r, object, "names nothing to set");
    if (!json_reader_failed(r)) *out_parameters = found;
}

err_t line_parameters_parse(sv json, line_parameters *out_parameters, fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(json, (json_limits){LINE_PARAMETERS_BYTES_MAX, 3}, &doc, out_fault);
    if (err) return err;
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    line_parameters_read(&r, &root, out_parameters);
    return json_reader_fault(&r, out_fault);
}

bool line_password_parse(sv text, uint8_t *out_level, uint8_t out_password[3]) {
    uint8_t bytes[4];
    if (text.len != 8 || !sv_hex_decode(text, bytes)) return false;
    *out_level = bytes[0];
    memcpy(out_password, bytes + 1, 3);
    return true;
}

// ---- results ----

line_result line_result_of(const line_order *order, line_outcome outcome, const char *reason) {
    line_result result = {.id = order->id,
                          .company = order->company,
                          .meter = order->meter,
                          .channel = order->channel,
                          .epoch = order->epoch,
                          .operation = order->operation,
                          .tries = order->tries,
                          .outcome = outcome};
    sv_copy_truncated(sv_of(reason), result.reason, sizeof result.reason);
    return result;
}

const char *line_outcome_text(line_outcome outcome) {
    switch (outcome) {
        case LINE_VERIFIED: return "verified";
        case LINE_REFUSED: return "refused";
        case LINE_FAILED: return "failed";
        case LINE_EXPIRED: return "expired";
        case LINE_UNKNOWN: return "unknown";
        case LINE_AGAIN: break;
    }
    BUG("an order that goes on has no outcome");
}
