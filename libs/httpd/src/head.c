// See head.h. The order of checks is the order of the bytes, except that framing is judged when all fields are known.
#include "head.h"

#include "base/check.h"

static const struct {
    int status;
    const char *type;
    const char *detail;
} REFUSALS[] = {
#define REFUSAL(name, status, type, detail) {status, type, detail},
#include "refusals.def"
#undef REFUSAL
};

static const char *const METHODS[HTTPD_METHOD_COUNT] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

static refusal parse_request_line(sv line, request_head *out);
static refusal parse_version(sv version, request_head *out);
static refusal parse_field(sv line, head_field *out);
static refusal judge_host(const request_head *self);
static refusal judge_framing(request_head *self);
static refusal judge_connection(request_head *self);

int refusal_status(refusal why) { return REFUSALS[why].status; }
const char *refusal_type(refusal why) { return REFUSALS[why].type; }
const char *refusal_detail(refusal why) { return REFUSALS[why].detail; }

// Takes the next line without its CR LF; a lone CR or LF inside makes it fail.
static bool next_line(sv *rest, sv *out_line) {
    size_t at = 0;
    if (!sv_find(*rest, '\n', &at) || at == 0 || rest->ptr[at - 1] != '\r') return false;
    *out_line = (sv){rest->ptr, at - 1};
    *rest = sv_skip(*rest, at + 1);
    return !sv_find(*out_line, '\r', &at);
}

refusal head_parse(sv text, size_t fields_max, arena *memory, request_head *out) {
    *out = (request_head){0};
    sv rest = text;
    sv line;
    if (!next_line(&rest, &line)) return REFUSAL_BARE_LF;
    refusal why = parse_request_line(line, out);
    if (why != REFUSAL_NONE) return why;
    size_t lines = 0;
    for (size_t i = 0; i < rest.len; i++) lines += rest.ptr[i] == '\n';
    if (lines > fields_max + 1) return REFUSAL_HEAD_TOO_LARGE;
    out->fields = ARENA_ARRAY(memory, head_field, lines + 1);
    while (next_line(&rest, &line) && line.len > 0) {
        why = parse_field(line, &out->fields[out->field_count]);
        if (why != REFUSAL_NONE) return why;
        out->field_count++;
    }
    if (line.len > 0 || rest.len > 0) return REFUSAL_BARE_LF;
    why = judge_host(out);
    if (why == REFUSAL_NONE) why = judge_framing(out);
    return why == REFUSAL_NONE ? judge_connection(out) : why;
}

sv head_field_of(const request_head *self, sv name) {
    for (size_t i = 0; i < self->field_count; i++)
        if (sv_equal_nocase(self->fields[i].name, name)) return self->fields[i].value;
    return SV_NONE;
}

static bool is_token_byte(char byte) {
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9')) return true;
    return byte != '\0' && sv_find(SV("!#$%&'*+-.^_`|~"), byte, &(size_t){0});
}

static bool is_token(sv text) {
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_byte(text.ptr[i])) return false;
    return text.len > 0;
}

static refusal parse_request_line(sv line, request_head *out) {
    sv target;
    sv rest = line;
    if (!sv_next(&rest, ' ', &out->method_name) || !is_token(out->method_name)) return REFUSAL_REQUEST_LINE;
    if (rest.ptr == NULL || !sv_next(&rest, ' ', &target) || rest.ptr == NULL) return REFUSAL_REQUEST_LINE;
    refusal why = parse_version(rest, out);
    if (why != REFUSAL_NONE) return why;
    if (target.len == 0 || target.ptr[0] != '/') return REFUSAL_TARGET;
    for (size_t i = 0; i < target.len; i++)
        if (target.ptr[i] <= 0x20 || target.ptr[i] >= 0x7f || target.ptr[i] == '#') return REFUSAL_TARGET;
    out->query = target;
    (void)sv_next(&out->query, '?', &out->path);
    for (out->method = HTTPD_GET; out->method < HTTPD_METHOD_COUNT; out->method++)
        if (sv_equal(out->method_name, sv_of(METHODS[out->method]))) return REFUSAL_NONE;
    return REFUSAL_METHOD;
}

static refusal parse_version(sv version, request_head *out) {
    out->is_http_1_0 = sv_equal(version, SV("HTTP/1.0"));
    if (out->is_http_1_0 || sv_equal(version, SV("HTTP/1.1"))) return REFUSAL_NONE;
    bool is_version = version.len == 8 && sv_starts_with(version, SV("HTTP/")) && version.ptr[5] >= '0' && version.ptr[5] <= '9' &&
                      version.ptr[6] == '.' && version.ptr[7] >= '0' && version.ptr[7] <= '9';
    return is_version ? REFUSAL_VERSION : REFUSAL_REQUEST_LINE;
}

static refusal parse_field(sv line, head_field *out) {
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') return REFUSAL_FOLDED_HEADER;
    size_t colon = 0;
    if (!sv_find(line, ':', &colon)) return REFUSAL_HEADER;
    out->name = (sv){line.ptr, colon};
    out->value = sv_trim(sv_skip(line, colon + 1));
    if (!is_token(out->name)) return REFUSAL_HEADER;
    for (size_t i = 0; i < out->value.len; i++) {
        unsigned char byte = (unsigned char)out->value.ptr[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return REFUSAL_HEADER;
    }
    return REFUSAL_NONE;
}

static size_t count_fields(const request_head *self, sv name) {
    size_t count = 0;
    for (size_t i = 0; i < self->field_count; i++) count += sv_equal_nocase(self->fields[i].name, name);
    return count;
}

static refusal judge_host(const request_head *self) {
    size_t count = count_fields(self, SV("host"));
    if (count > 1 || (count == 0 && !self->is_http_1_0)) return REFUSAL_HOST;
    sv host = head_field_of(self, SV("host"));
    for (size_t i = 0; i < host.len; i++)
        if (!is_token_byte(host.ptr[i]) && !sv_find(SV(":[]"), host.ptr[i], &(size_t){0})) return REFUSAL_HOST;
    return REFUSAL_NONE;
}

static refusal judge_framing(request_head *self) {
    size_t lengths = count_fields(self, SV("content-length"));
    size_t codings = count_fields(self, SV("transfer-encoding"));
    if (lengths > 1) return REFUSAL_CONTENT_LENGTH;
    if (codings > 0) {
        if (lengths > 0) return REFUSAL_AMBIGUOUS;
        if (codings > 1 || self->is_http_1_0 || !sv_equal_nocase(head_field_of(self, SV("transfer-encoding")), SV("chunked")))
            return REFUSAL_CODING;
        self->is_chunked = true;
    }
    // sv_to_u64 knows no sign, no white space and no list; a leading zero is refused with them.
    if (lengths == 1 && !sv_to_u64(head_field_of(self, SV("content-length")), &self->content_length)) return REFUSAL_CONTENT_LENGTH;
    return REFUSAL_NONE;
}

static refusal judge_connection(request_head *self) {
    sv expect = head_field_of(self, SV("expect"));
    if (expect.len > 0 && !sv_equal_nocase(expect, SV("100-continue"))) return REFUSAL_EXPECTATION;
    self->expects_continue = expect.len > 0 && !self->is_http_1_0;
    bool keeps = false;
    for (size_t i = 0; i < self->field_count; i++) {
        if (!sv_equal_nocase(self->fields[i].name, SV("connection"))) continue;
        sv rest = self->fields[i].value;
        sv option;
        while (sv_next(&rest, ',', &option)) {
            if (sv_equal_nocase(sv_trim(option), SV("close"))) self->wants_close = true;
            if (sv_equal_nocase(sv_trim(option), SV("keep-alive"))) keeps = true;
        }
    }
    if (self->is_http_1_0 && !keeps) self->wants_close = true;
    return REFUSAL_NONE;
}
