// DL/T 645 for people: one JSON object per frame, and a recording told in order.
#include <string.h>

#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "protocols/dlt645.h"
#include "protocols/protocol.h"

static const char *kind_text(dlt645_kind kind) {
    switch (kind) {
#define DLT645_KIND(name, text) \
    case DLT645_KIND_##name:    \
        return (text);
#include "protocols/dlt645_kinds.def"
#undef DLT645_KIND
    }
    BUG("unknown kind");
}

typedef struct status_field {
    uint8_t word;
    uint8_t bit;
    uint8_t bits;
    const char *name;
    const char *texts[4];
} status_field;

static const status_field STATUS_FIELDS[] = {
#define DLT645_STATUS_BIT(word, bit, name, zero, one) {(word), (bit), 1, (name), {(zero), (one), NULL, NULL}},
#define DLT645_STATUS_FIELD(word, bit, bits, name, zero, one, two, three) {(word), (bit), (bits), (name), {(zero), (one), (two), (three)}},
#include "protocols/dlt645_status_bits.def"
#undef DLT645_STATUS_BIT
#undef DLT645_STATUS_FIELD
};

static const char *const ERROR_TEXTS[16] = {
#define DLT645_ERROR(bit, text) [bit] = (text),
#include "protocols/dlt645_errors.def"
};

static const char *const SECURITY_ERROR_TEXTS[16] = {
#define DLT645_SECURITY_ERROR(bit, text) [bit] = (text),
#include "protocols/dlt645_errors.def"
};

static void add_key(buf *out, const char *key) { buf_addf(out, ",\"%s\":", key); }

static void add_text(buf *out, const char *key, const char *text) {
    add_key(out, key);
    json_text_add(out, sv_of(text));
}

static void add_decimal(buf *out, int64_t number, uint8_t decimals) {
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    uint64_t unit = 1;
    for (int i = 0; i < decimals; i++) unit *= 10;
    buf_addf(out, "\"%s%llu", number < 0 ? "-" : "", (unsigned long long)(rest / unit));
    if (decimals) buf_addf(out, ".%0*llu", decimals, (unsigned long long)(rest % unit));
    buf_add_byte(out, '"');
}

static void add_date(buf *out, dlt645_time t) { buf_addf(out, "%04u-%02u-%02u", t.year, t.month, t.day); }
static void add_clock(buf *out, dlt645_time t) { buf_addf(out, "%02u:%02u:%02u", t.hour, t.minute, t.second); }

static void add_date_time(buf *out, dlt645_time t) {
    add_date(out, t);
    buf_add_byte(out, 'T');
    add_clock(out, t);
}

static void add_status(buf *out, const dlt645_value *value) {
    int word = value->reg - REGISTER_STATUS_WORD_1 + 1;
    buf_addf(out, "\"%04X\",\"bits\":{", (unsigned)value->number);
    bool first = true;
    for (size_t i = 0; i < ARRAY_LEN(STATUS_FIELDS); i++) {
        const status_field *field = &STATUS_FIELDS[i];
        if (field->word != word) continue;
        unsigned state = (unsigned)value->number >> field->bit & ((1u << field->bits) - 1);
        buf_addf(out, "%s\"%s\":\"%s\"", first ? "" : ",", field->name, field->texts[state]);
        first = false;
    }
    buf_add_byte(out, '}');
}

static void add_slot(buf *out, const dlt645_value *value) {
    static const char *const ACTIONS[] = {"unused", "on", "off"};
    CHECK(value->number >= 0 && value->number < (int64_t)ARRAY_LEN(ACTIONS));
    buf_addf(out, "\"%02u:%02u %s\"", value->time.hour, value->time.minute, ACTIONS[value->number]);
}

static void add_shape(buf *out, const dlt645_value *value) {
    switch (value->shape) {
        case DLT645_SHAPE_NUMBER: add_decimal(out, value->number, value->decimals); return;
        case DLT645_SHAPE_STATUS: add_status(out, value); return;
        case DLT645_SHAPE_DIGITS: json_text_add(out, sv_of(value->digits)); return;
        case DLT645_SHAPE_SLOT: add_slot(out, value); return;
        case DLT645_SHAPE_DATE:
        case DLT645_SHAPE_TIME:
        case DLT645_SHAPE_DATE_TIME:
        case DLT645_SHAPE_EVENT: break;
    }
    buf_add_byte(out, '"');
    if (value->shape == DLT645_SHAPE_DATE)
        add_date(out, value->time);
    else if (value->shape == DLT645_SHAPE_TIME)
        add_clock(out, value->time);
    else
        add_date_time(out, value->time);
    if (value->shape == DLT645_SHAPE_EVENT) {
        buf_add_byte(out, '/');
        add_date_time(out, value->end);
    }
    buf_add_byte(out, '"');
}

static void add_value(buf *out, const dlt645_value *value) {
    buf_add(out, SV("{\"name\":"));
    json_text_add(out, value->name);
    add_key(out, "value");
    if (value->is_available)
        add_shape(out, value);
    else
        buf_add(out, SV("null"));
    add_key(out, "unit");
    json_text_add(out, value->unit);
    buf_add_byte(out, '}');
}

const char *dlt645_message_error(const dlt645_message *message) {
    const char *const *texts = message->control == 0xC3 ? SECURITY_ERROR_TEXTS : ERROR_TEXTS;
    for (unsigned bit = 1; bit < 16; bit++)
        if ((message->error_bits >> bit & 1) && texts[bit]) return texts[bit];
    return "other";
}

static void add_errors(buf *out, const dlt645_message *message) {
    bool is_security = message->control == 0xC3;
    buf_addf(out, ",\"error_bits\":\"%04X\",\"errors\":[", message->error_bits);
    bool first = true;
    for (unsigned bit = 0; bit < 16; bit++) {
        const char *text = is_security ? SECURITY_ERROR_TEXTS[bit] : ERROR_TEXTS[bit];
        if (!(message->error_bits >> bit & 1) || !text) continue;
        buf_addf(out, "%s\"%s\"", first ? "" : ",", text);
        first = false;
    }
    buf_add_byte(out, ']');
}

void dlt645_message_write_json(const dlt645_message *message, buf *out) {
    char address[DLT645_ADDRESS_TEXT_LEN + 1];
    dlt645_address_format(message->address, address);
    buf_addf(out, "{\"protocol\":\"dlt645\",\"address\":\"%s\",\"control\":\"%02X\",\"ok\":%s", address, message->control,
             message->is_ok ? "true" : "false");
    if (message->has_data_id) buf_addf(out, ",\"data_id\":\"%08X\"", message->data_id);
    if (message->value_count) {
        buf_add(out, SV(",\"values\":["));
        for (size_t i = 0; i < message->value_count; i++) {
            if (i) buf_add_byte(out, ',');
            add_value(out, &message->values[i]);
        }
        buf_add_byte(out, ']');
    }
    add_text(out, "kind", kind_text(message->kind));
    if (message->has_more) buf_add(out, SV(",\"more\":true"));
    if (message->operation) add_text(out, "operation", dlt645_operation_text(message->operation));
    if (message->has_level) buf_addf(out, ",\"level\":\"%02X\",\"password\":\"******\"", message->level);
    if (message->has_operator) buf_addf(out, ",\"operator\":\"%08X\"", message->operator_code);
    bool is_control = message->kind == DLT645_KIND_CONTROL;
    if (message->has_deadline) {
        add_key(out, is_control ? "deadline" : "time");
        buf_add_byte(out, '"');
        add_date_time(out, message->deadline);
        buf_add_byte(out, '"');
    } else if (is_control) {
        buf_add(out, SV(",\"deadline\":null"));
    }
    if (message->kind == DLT645_KIND_ERROR_ANSWER) add_errors(out, message);
    buf_add_byte(out, '}');
}

#define JSON_MAX 8192

static void tell_frame(const dlt645_event *event, const protocol_sink *sink) {
    dlt645_message message;
    dlt645_result result = dlt645_decode(&event->frame, &message);
    if (result != DLT645_OK) {
        if (sink->refused)
            sink->refused(sink->context, event->offset, sv_of(dlt645_result_reason(result)), sv_of(dlt645_result_detail(result)));
        return;
    }
    if (!sink->frame) return;
    AUTO(buf) json;
    buf_init(&json, JSON_MAX);
    dlt645_message_write_json(&message, &json);
    CHECK(!buf_has_failed(&json));
    sink->frame(sink->context, buf_view(&json));
}

static sv skip_detail(dlt645_skip_reason reason) {
    switch (reason) {
        case DLT645_SKIP_GARBAGE: return SV("no frame begins here");
        case DLT645_SKIP_CHECKSUM: return SV("the sum of the bytes is not the checksum byte");
        case DLT645_SKIP_LENGTH: return SV("the length byte is above 200 or no end byte 16 stands where it says");
        case DLT645_SKIP_TRUNCATED: return SV("the bytes end before the frame does");
    }
    BUG("unknown skip reason");
}

static void tell(const dlt645_event *event, const protocol_sink *sink) {
    if (event->is_frame)
        tell_frame(event, sink);
    else if (sink->skipped)
        sink->skipped(sink->context, event->offset, event->count, event->reason != DLT645_SKIP_GARBAGE,
                      sv_of(dlt645_skip_reason_text(event->reason)), skip_detail(event->reason));
}

static void decode_recording(sv bytes, const protocol_sink *sink) {
    dlt645_scanner scanner;
    dlt645_event event;
    dlt645_scanner_init(&scanner);
    while (bytes.len) {
        bytes = sv_skip(bytes, dlt645_scanner_add(&scanner, bytes));
        while (dlt645_scanner_next(&scanner, false, &event)) tell(&event, sink);
    }
    while (dlt645_scanner_next(&scanner, true, &event)) tell(&event, sink);
}

const protocol *dlt645_protocol(void) {
    static const protocol SELF = {"dlt645", "DL/T 645-2007, electricity meters", decode_recording};
    return &SELF;
}
