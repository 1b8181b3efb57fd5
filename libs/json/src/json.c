#include "json/json.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

struct json_doc {
    json_t *root;
};

// jansson limits nesting only to 2 048 and recurses; count brackets outside strings beforehand.
static bool is_deeper(sv text, size_t max_depth) {
    size_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_depth) return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

err_t json_parse(sv text, json_limits limits, json_doc **out_doc, fault *out_fault) {
    if (text.len > limits.max_bytes) return fault_set(out_fault, ERR_TOO_LARGE, "/", "more than %zu bytes", limits.max_bytes);
    if (is_deeper(text, limits.max_depth)) return fault_set(out_fault, ERR_TOO_LARGE, "/", "nested deeper than %zu", limits.max_depth);
    json_error_t error;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        char place[64];
        snprintf(place, sizeof place, "line %d, column %d", error.line, error.column);
        return fault_set(out_fault, ERR_MALFORMED, place, "not JSON: %s", error.text);
    }
    json_doc *self = mem_new(1, sizeof *self);
    self->root = root;
    *out_doc = self;
    return ERR_OK;
}

void json_doc_free(json_doc *self) {
    if (!self) return;
    json_decref(self->root);
    mem_free(self);
}

void json_doc_free_variable(json_doc **self) { json_doc_free(*self); }

void json_reader_init(json_reader *self) { *self = (json_reader){0}; }

bool json_reader_failed(const json_reader *self) { return self->failed; }

err_t json_reader_fault(const json_reader *self, fault *out_fault) {
    if (!self->failed) return ERR_OK;
    if (out_fault) *out_fault = self->fault;
    return self->fault.err;
}

void json_refuse(json_reader *self, const json_node *node, const char *reason, ...) {
    if (self->failed) return;
    char place[sizeof self->fault.place];
    char text[sizeof self->fault.reason];
    json_pointer(node, place, sizeof place);
    va_list args;
    va_start(args, reason);
    vsnprintf(text, sizeof text, reason, args);
    va_end(args);
    self->failed = true;
    fault_set(&self->fault, ERR_BAD_INPUT, place, "%s", text);
}

static void pointer_add_key(buf *out, const char *key) {
    for (const char *c = key; *c; c++) {
        if (*c == '~')
            buf_add(out, SV("~0"));
        else if (*c == '/')
            buf_add(out, SV("~1"));
        else
            buf_add_byte(out, (unsigned char)*c < 0x20 || *c == 0x7F ? '?' : *c);
    }
}

void json_pointer(const json_node *node, char *out, size_t size) {
    const json_node *path[JSON_DEPTH_MAX + 2];
    size_t depth = 0;
    for (const json_node *at = node; at && at->parent && depth < ARRAY_LEN(path); at = at->parent) path[depth++] = at;
    AUTO(buf) text;
    buf_init(&text, 4096);
    if (depth == 0) buf_add_byte(&text, '/');
    while (depth-- > 0) {
        buf_add_byte(&text, '/');
        if (path[depth]->key)
            pointer_add_key(&text, path[depth]->key);
        else
            buf_addf(&text, "%zu", path[depth]->index);
    }
    sv_copy_truncated(buf_view(&text), out, size);
}

json_node json_root(const json_doc *doc) { return (json_node){.value = doc->root}; }

static const json_t *value_of(const json_node *node) { return node->value; }

json_kind json_node_kind(const json_node *node) {
    if (!node->value) return JSON_KIND_ABSENT;
    switch (json_typeof(value_of(node))) {
        case JSON_NULL: return JSON_KIND_NULL;
        case JSON_TRUE:
        case JSON_FALSE: return JSON_KIND_BOOLEAN;
        case JSON_INTEGER: return JSON_KIND_INTEGER;
        case JSON_REAL: return JSON_KIND_REAL;
        case JSON_STRING: return JSON_KIND_TEXT;
        case JSON_ARRAY: return JSON_KIND_ARRAY;
        case JSON_OBJECT: return JSON_KIND_OBJECT;
    }
    BUG("json type");
}

bool json_is_present(const json_node *node) { return node->value && !json_is_null(value_of(node)); }

static const char *kind_text(json_kind kind) {
    switch (kind) {
        case JSON_KIND_ABSENT: return "a value";
        case JSON_KIND_NULL: return "null";
        case JSON_KIND_BOOLEAN: return "true or false";
        case JSON_KIND_INTEGER: return "an integer";
        case JSON_KIND_REAL: return "a real";
        case JSON_KIND_TEXT: return "a string";
        case JSON_KIND_ARRAY: return "an array";
        case JSON_KIND_OBJECT: return "an object";
    }
    BUG("json kind");
}

// False, with the refusal recorded, unless the node is of this kind.
static bool wants(json_reader *self, const json_node *node, json_kind kind) {
    if (self->failed) return false;
    json_kind found = json_node_kind(node);
    if (found == kind) return true;
    if (found == JSON_KIND_ABSENT)
        json_refuse(self, node, "missing");
    else
        json_refuse(self, node, "must be %s", kind_text(kind));
    return false;
}

json_node json_optional(json_reader *self, const json_node *object, const char *key) {
    json_node member = {.parent = object, .key = key};
    if (wants(self, object, JSON_KIND_OBJECT)) member.value = json_object_get(value_of(object), key);
    return member;
}

json_node json_member(json_reader *self, const json_node *object, const char *key) {
    json_node member = json_optional(self, object, key);
    if (!json_is_present(&member)) json_refuse(self, object, "\"%s\" is missing", key);
    return member;
}

static bool is_listed(const char *key, const char *const *keys) {
    for (; *keys; keys++)
        if (strcmp(key, *keys) == 0) return true;
    return false;
}

void json_allow_only(json_reader *self, const json_node *object, const char *const *keys) {
    json_node member = {0};
    while (json_next(self, object, &member))
        if (!is_listed(member.key, keys)) json_refuse(self, &member, "unknown key");
}

bool json_next(json_reader *self, const json_node *object, json_node *member) {
    if (!wants(self, object, JSON_KIND_OBJECT)) return false;
    json_t *value = (json_t *)(uintptr_t)object->value;  // jansson's iterators take it without const and change nothing
    void *at = member->value ? json_object_iter_next(value, json_object_key_to_iter(member->key)) : json_object_iter(value);
    if (!at) return false;
    *member = (json_node){.value = json_object_iter_value(at), .parent = object, .key = json_object_iter_key(at)};
    return true;
}

size_t json_object_len(json_reader *self, const json_node *object) {
    return wants(self, object, JSON_KIND_OBJECT) ? json_object_size(value_of(object)) : 0;
}

size_t json_array_len(json_reader *self, const json_node *array) {
    return wants(self, array, JSON_KIND_ARRAY) ? json_array_size(value_of(array)) : 0;
}

json_node json_item(json_reader *self, const json_node *array, size_t index) {
    json_node item = {.parent = array, .index = index};
    if (wants(self, array, JSON_KIND_ARRAY)) item.value = json_array_get(value_of(array), index);
    return item;
}

sv json_read_text(json_reader *self, const json_node *node) {
    if (!wants(self, node, JSON_KIND_TEXT)) return SV("");
    return (sv){json_string_value(value_of(node)), json_string_length(value_of(node))};
}

sv json_read_text_bounded(json_reader *self, const json_node *node, size_t max_bytes) {
    sv text = json_read_text(self, node);
    if (!self->failed && text.len == 0) json_refuse(self, node, "must not be empty");
    if (!self->failed && text.len > max_bytes) json_refuse(self, node, "longer than %zu bytes", max_bytes);
    return self->failed ? SV("") : text;
}

bool json_read_boolean(json_reader *self, const json_node *node) {
    return wants(self, node, JSON_KIND_BOOLEAN) && json_is_true(value_of(node));
}

int64_t json_read_integer(json_reader *self, const json_node *node, int64_t min, int64_t max) {
    if (!wants(self, node, JSON_KIND_INTEGER)) return min;
    int64_t value = json_integer_value(value_of(node));
    if (value >= min && value <= max) return value;
    json_refuse(self, node, "must be within %lld to %lld", (long long)min, (long long)max);
    return min;
}

instant_ms json_read_instant(json_reader *self, const json_node *node) {
    instant_ms at = 0;
    sv text = json_read_text(self, node);
    if (!self->failed && !instant_parse(text, &at)) json_refuse(self, node, "not an RFC 3339 time with offset");
    return at;
}

sv json_read_decimal_text(json_reader *self, const json_node *node, char scratch[JSON_DECIMAL_TEXT_MAX]) {
    if (!self->failed && json_node_kind(node) == JSON_KIND_INTEGER) {
        int len = snprintf(scratch, JSON_DECIMAL_TEXT_MAX, "%lld", (long long)json_integer_value(value_of(node)));
        return (sv){scratch, (size_t)len};
    }
    if (json_node_kind(node) == JSON_KIND_REAL) json_refuse(self, node, "write decimals as strings");
    return json_read_text(self, node);
}
