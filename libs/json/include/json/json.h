// Strict JSON reading (RFC 8259): duplicate keys, bytes after the value, malformed UTF-8 and NUL in strings are refused;
// size and depth are bounded. The only user of jansson.
//
//   AUTO_JSON doc = NULL;
//   json_reader r;
//   json_reader_init(&r);
//   err_t err = json_parse(text, JSON_LIMITS_DOCUMENT, &doc, &fault);
//   json_node root = json_root(doc);
//   json_node lines = json_member(&r, &root, "lines");
//   json_node first = json_item(&r, &lines, 0);
//   sv name = json_read_text(&r, &first);
//   if (json_reader_failed(&r)) return json_reader_fault(&r, out_fault);
//
// The reader keeps the first refusal with its JSON pointer ("/lines/0/name"); after it every accessor returns an
// empty value, so a series of reads is checked once at its end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/sv.h"

typedef struct json_doc json_doc;

typedef struct json_limits {
    size_t max_bytes;
    size_t max_depth;  // nested arrays and objects; 0: only a scalar
} json_limits;

#define JSON_DEPTH_MAX 16
#define JSON_LIMITS_DOCUMENT ((json_limits){1024 * 1024, JSON_DEPTH_MAX})

// ERR_MALFORMED with place "line L, column C", or ERR_TOO_LARGE. The caller frees.
err_t json_parse(sv text, json_limits limits, json_doc **out_doc, fault *out_fault) MUST_CHECK;
void json_doc_free(json_doc *self);
void json_doc_free_variable(json_doc **self);
#define AUTO_JSON __attribute__((cleanup(json_doc_free_variable))) json_doc *

// A place in a document. A node points to its parent node for error messages: the parent variable must outlive it.
typedef struct json_node {
    const void *value;  // NULL: absent
    const struct json_node *parent;
    const char *key;  // of the parent object, or NULL
    size_t index;     // of the parent array
} json_node;

typedef enum json_kind {
    JSON_KIND_ABSENT,
    JSON_KIND_NULL,
    JSON_KIND_BOOLEAN,
    JSON_KIND_INTEGER,
    JSON_KIND_REAL,
    JSON_KIND_TEXT,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
} json_kind;

typedef struct json_reader {
    bool failed;
    fault fault;
} json_reader;

void json_reader_init(json_reader *self);
bool json_reader_failed(const json_reader *self);
// ERR_OK, or the first refusal, copied to *out_fault (may be NULL).
err_t json_reader_fault(const json_reader *self, fault *out_fault) MUST_CHECK;
// Records a refusal (ERR_BAD_INPUT) at the node unless one is recorded already. For rules of the caller's own.
void json_refuse(json_reader *self, const json_node *node, const char *reason, ...) __attribute__((format(printf, 3, 4)));
// The node's JSON pointer (RFC 6901), truncated to `size`; "" is the whole document and is written as "/".
void json_pointer(const json_node *node, char *out, size_t size);

json_node json_root(const json_doc *doc);
json_kind json_node_kind(const json_node *node);
bool json_is_present(const json_node *node);  // false also for null

// Objects. A required member that is missing (or null) is refused at the object; an optional one gives an absent node.
json_node json_member(json_reader *self, const json_node *object, const char *key);
json_node json_optional(json_reader *self, const json_node *object, const char *key);
// Refuses each key that is not in the NULL-terminated list.
void json_allow_only(json_reader *self, const json_node *object, const char *const *keys);
// Walks members in document order: `json_node m = {0}; while (json_next(&r, &object, &m)) … m.key …`.
bool json_next(json_reader *self, const json_node *object, json_node *member);
size_t json_object_len(json_reader *self, const json_node *object);

// Arrays.
size_t json_array_len(json_reader *self, const json_node *array);
json_node json_item(json_reader *self, const json_node *array, size_t index);

// Scalars. Each refuses another kind. Views live as long as the document.
sv json_read_text(json_reader *self, const json_node *node);
sv json_read_text_bounded(json_reader *self, const json_node *node, size_t max_bytes);  // 1–max_bytes
bool json_read_boolean(json_reader *self, const json_node *node);
int64_t json_read_integer(json_reader *self, const json_node *node, int64_t min, int64_t max);
instant_ms json_read_instant(json_reader *self, const json_node *node);  // RFC 3339 text

// The text of a decimal given as a string or an integer; a real (1.5) is refused, because it has passed through
// floating point in somebody's program. Parse it with decimal_parse of `money`.
#define JSON_DECIMAL_TEXT_MAX 24
sv json_read_decimal_text(json_reader *self, const json_node *node, char scratch[JSON_DECIMAL_TEXT_MAX]);
