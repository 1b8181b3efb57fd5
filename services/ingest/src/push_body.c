#include "push_body.h"

#include <string.h>

#include "base/mem.h"
#include "metering/register.h"

#define DEPTH_MAX 3  // object, array, reading
#define UNIT_MAX 16
#define TIME_MAX 40

// Reading by reading its own reader: the first refusal ends that reading only.
typedef struct parser {
    json_reader reader;
    arena *memory;
    push_reading *out;
} parser;

static void refuse(parser *self, const json_node *node, refusal_reason reason, const char *detail) {
    if (self->out->is_refused) return;
    char place[PUSH_PLACE_MAX];
    json_pointer(node, place, sizeof place);
    self->out->is_refused = true;
    self->out->reason = reason;
    self->out->place = arena_cstr(self->memory, sv_of(place));
    self->out->detail = arena_cstr(self->memory, sv_of(detail));
}

static void parse_register_and_value(parser *self, const json_node *object) {
    json_node name_node = json_member(&self->reader, object, "register");
    json_node value_node = json_member(&self->reader, object, "value");
    json_node unit_node = json_member(&self->reader, object, "unit");
    char scratch[JSON_DECIMAL_TEXT_MAX];
    sv name = json_read_text(&self->reader, &name_node);
    sv unit = json_read_text(&self->reader, &unit_node);
    sv value = json_read_decimal_text(&self->reader, &value_node, scratch);
    if (json_reader_failed(&self->reader)) return;
    fault why = {0};
    if (!register_parse(name, &self->out->reg)) {
        refuse(self, &name_node, REFUSAL_UNKNOWN_REGISTER, refusal_meaning(REFUSAL_UNKNOWN_REGISTER));
    } else if (register_value_parse(self->out->reg, value, unit, &self->out->value, &why)) {
        bool is_unit = strcmp(why.place, "unit") == 0;
        refuse(self, is_unit ? &unit_node : &value_node, is_unit ? REFUSAL_WRONG_UNIT : REFUSAL_BAD_VALUE, why.reason);
    } else if (self->out->value < 0 && register_is_cumulative(self->out->reg)) {
        refuse(self, &value_node, REFUSAL_BAD_VALUE, "a counter is not negative");
    }
}

static void parse_reading(parser *self, const json_node *object) {
    static const char *const KEYS[] = {"meter", "port", "channel", "register", "value", "unit", "read_at", NULL};
    json_reader *reader = &self->reader;
    json_reader_init(reader);
    *self->out = (push_reading){.port = 1, .channel = 1};
    json_allow_only(reader, object, KEYS);
    json_node meter = json_member(reader, object, "meter");
    json_node port = json_optional(reader, object, "port");
    json_node channel = json_optional(reader, object, "channel");
    json_node read_at = json_member(reader, object, "read_at");
    self->out->meter = json_read_text_bounded(reader, &meter, 20);
    if (json_is_present(&port)) self->out->port = (int16_t)json_read_integer(reader, &port, 1, 64);
    if (json_is_present(&channel)) self->out->channel = (int16_t)json_read_integer(reader, &channel, 1, 36);
    sv at = json_read_text(reader, &read_at);
    if (!json_reader_failed(reader) && !instant_parse(at, &self->out->read_at))
        refuse(self, &read_at, REFUSAL_BAD_TIME, refusal_meaning(REFUSAL_BAD_TIME));
    parse_register_and_value(self, object);
    if (!json_reader_failed(reader) || self->out->is_refused) return;
    self->out->is_refused = true;
    self->out->reason = REFUSAL_MALFORMED;
    self->out->place = arena_cstr(self->memory, sv_of(reader->fault.place));
    self->out->detail = arena_cstr(self->memory, sv_of(reader->fault.reason));
}

err_t push_body_parse(sv text, size_t max_bytes, arena *memory, json_doc **out_doc, push_reading **out_readings, size_t *out_count,
                      fault *out_fault) {
    static const char *const KEYS[] = {"readings", NULL};
    err_t err = json_parse(text, (json_limits){max_bytes, DEPTH_MAX}, out_doc, out_fault);
    if (err) return err;
    json_reader reader;
    json_reader_init(&reader);
    json_node root = json_root(*out_doc);
    json_allow_only(&reader, &root, KEYS);
    json_node list = json_member(&reader, &root, "readings");
    size_t count = json_array_len(&reader, &list);
    err = json_reader_fault(&reader, out_fault);
    if (err) return err;
    if (count > PUSH_READINGS_MAX)
        return fault_set(out_fault, ERR_TOO_LARGE, "/readings", "more than %d readings in one request", PUSH_READINGS_MAX);
    parser self = {.memory = memory};
    push_reading *readings = ARENA_ARRAY(memory, push_reading, count + 1);
    for (size_t i = 0; i < count; i++) {
        json_node object = json_item(&reader, &list, i);
        self.out = &readings[i];
        parse_reading(&self, &object);
    }
    *out_readings = readings;
    *out_count = count;
    return ERR_OK;
}
