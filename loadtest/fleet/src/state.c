#include "state.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"

#define LINE_MAX_BYTES 1024

static void put_registers(FILE *file, const char *key, const fleet_registers *registers) {
    fprintf(file, ",\"%s\":[%lld", key, (long long)registers->total_wh);
    for (int p = 0; p < FLEET_PERIODS; p++) fprintf(file, ",%lld", (long long)registers->period_wh[p]);
    fputc(']', file);
}

static const char *boolean(bool value) { return value ? "true" : "false"; }

static void put_settings(FILE *file, const fleet_settings *settings) {
    fputs(",\"settings\":\"", file);
    for (size_t i = 0; i < sizeof *settings; i++) fprintf(file, "%02x", ((const uint8_t *)settings)[i]);
    fputc('"', file);
}

void fleet_state_add(FILE *file, const fleet_meter *meter) {
    if (!file) return;
    fprintf(file, "{\"meter\":\"%s\",\"number\":%llu,\"start_wh\":%lld,\"start_at\":%lld,\"clock_offset_ms\":%lld", meter->address_text,
            (unsigned long long)meter->number, (long long)meter->load.start_wh, (long long)meter->load.start_at,
            (long long)meter->clock_offset_ms);
    fprintf(file, ",\"relay_open\":%s,\"close_allowed\":%s,\"keep_power\":%s", boolean(meter->relay_open), boolean(meter->close_allowed),
            boolean(meter->keep_power));
    fprintf(file, ",\"told_open\":%s,\"overloaded\":%s,\"malicious\":%s,\"recovered\":%llu", boolean(meter->told_open),
            boolean(meter->overloaded), boolean(meter->malicious), (unsigned long long)meter->recovered);
    if (meter->has_settings) put_settings(file, &meter->settings);
    put_registers(file, "at_trip", &meter->at_trip);
    put_registers(file, "withheld", &meter->withheld);
    fputs("}\n", file);
    fflush(file);
}

static int64_t member_integer(json_reader *r, const json_node *object, const char *key) {
    json_node node = json_member(r, object, key);
    return json_read_integer(r, &node, INT64_MIN, INT64_MAX);
}

static bool member_boolean(json_reader *r, const json_node *object, const char *key) {
    json_node node = json_member(r, object, key);
    return json_read_boolean(r, &node);
}

static fleet_registers member_registers(json_reader *r, const json_node *object, const char *key) {
    json_node list = json_member(r, object, key);
    fleet_registers registers = {0};
    for (size_t i = 0; i <= FLEET_PERIODS; i++) {
        json_node item = json_item(r, &list, i);
        int64_t value = json_read_integer(r, &item, INT64_MIN, INT64_MAX);
        if (i == 0)
            registers.total_wh = value;
        else
            registers.period_wh[i - 1] = value;
    }
    return registers;
}

// What files written before meters kept it do not have.
static void read_kept(json_reader *r, const json_node *root, fleet_meter *out) {
    json_node told = json_optional(r, root, "told_open");
    out->told_open = json_is_present(&told) ? json_read_boolean(r, &told) : out->relay_open && !out->close_allowed;
    if (!json_is_present(&told)) return;
    out->overloaded = member_boolean(r, root, "overloaded");
    out->malicious = member_boolean(r, root, "malicious");
    out->recovered = (uint64_t)member_integer(r, root, "recovered");
    out->cause = out->overloaded ? FLEET_CAUSE_OVERLOAD : FLEET_CAUSE_COMMAND;
    json_node settings = json_optional(r, root, "settings");
    if (!json_is_present(&settings)) return;
    sv hex = json_read_text(r, &settings);
    if (json_reader_failed(r)) return;
    if (hex.len != 2 * sizeof out->settings || !sv_hex_decode(hex, (uint8_t *)&out->settings))
        json_refuse(r, &settings, "is not what a meter keeps");
    out->has_settings = true;
}

// A meter that is no longer in the configuration is skipped.
static err_t apply_line(sv line, fleet_config *config, fault *out_fault) {
    AUTO_JSON doc = NULL;
    err_t err = json_parse(line, (json_limits){LINE_MAX_BYTES, 3}, &doc, out_fault);
    if (err) return err;
    json_reader r;
    json_reader_init(&r);
    json_node root = json_root(doc);
    json_node address = json_member(&r, &root, "meter");
    fleet_meter *meter = fleet_config_meter(config, json_read_text(&r, &address));
    fleet_meter changed = meter ? *meter : (fleet_meter){0};
    changed.number = (uint64_t)member_integer(&r, &root, "number");
    changed.load.start_wh = member_integer(&r, &root, "start_wh");
    changed.load.start_at = member_integer(&r, &root, "start_at");
    changed.clock_offset_ms = member_integer(&r, &root, "clock_offset_ms");
    changed.relay_open = member_boolean(&r, &root, "relay_open");
    changed.close_allowed = member_boolean(&r, &root, "close_allowed");
    changed.keep_power = member_boolean(&r, &root, "keep_power");
    changed.at_trip = member_registers(&r, &root, "at_trip");
    changed.withheld = member_registers(&r, &root, "withheld");
    read_kept(&r, &root, &changed);
    changed.hour = (fleet_hour){0};
    err = json_reader_fault(&r, out_fault);
    if (!err && meter) *meter = changed;
    return err;
}

// A last line cut short by a crash has no newline and is not applied.
static err_t apply_file(FILE *file, fleet_config *config, fault *out_fault) {
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, file)) {
        size_t len = strlen(line);
        if (len == 0 || line[len - 1] != '\n') break;
        err_t err = apply_line((sv){line, len - 1}, config, out_fault);
        if (err) return err;
    }
    return ERR_OK;
}

err_t fleet_state_open(const char *path, fleet_config *config, FILE **out_file, fault *out_fault) {
    if (!path) {
        *out_file = NULL;
        return ERR_OK;
    }
    FILE *file = fopen(path, "a+e");
    if (!file) return fault_set(out_fault, ERR_BAD_INPUT, path, "cannot be opened: %s", strerror(errno));
    rewind(file);
    err_t err = apply_file(file, config, out_fault);
    if (err) {
        fclose(file);
        return err;
    }
    fseek(file, 0, SEEK_END);
    *out_file = file;
    return ERR_OK;
}
