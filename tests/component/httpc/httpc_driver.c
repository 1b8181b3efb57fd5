// httpc behind JSON lines: {"do":"new",…options} makes a handle, {"do":"send",…} sends, one answer per line. "refuse" is an
// address text that may_connect refuses; every address it is asked about is told as "asked".
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "httpc/httpc.h"
#include "json/json.h"
#include "json/json_writer.h"

#define LINE_MAX (4 * 1024 * 1024)

typedef struct gate {
    char refused[64];
    buf asked;
} gate;

static bool may_connect(void *owner, const struct sockaddr *address, size_t address_len) {
    gate *self = owner;
    char text[64] = "?";
    CHECK(address_len >= sizeof(struct sockaddr_in));
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text, sizeof text);
    if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text, sizeof text);
    buf_addf(&self->asked, "%s ", text);
    return strcmp(text, self->refused) != 0;
}

static int64_t number(json_reader *reader, const json_node *object, const char *key, int64_t otherwise) {
    json_node node = json_optional(reader, object, key);
    return json_is_present(&node) ? json_read_integer(reader, &node, 0, INT64_MAX) : otherwise;
}

static sv text(json_reader *reader, const json_node *object, const char *key) {
    json_node node = json_optional(reader, object, key);
    return json_is_present(&node) ? json_read_text(reader, &node) : SV("");
}

static void put_fault(json_writer *out, err_t err, const fault *why) {
    json_put_text(out, "error", sv_of(err_name(err)));
    json_put_text(out, "place", sv_of(why->place));
    json_put_text(out, "reason", sv_of(why->reason));
}

static void make(httpc **self, gate *owner, json_reader *reader, const json_node *command, json_writer *out) {
    httpc_options options = httpc_options_default();
    char ca_file[512];
    sv_copy_truncated(text(reader, command, "ca_file"), ca_file, sizeof ca_file);
    options.allow_plain = number(reader, command, "plain", 1) != 0;
    options.connect_timeout_ms = number(reader, command, "connect_timeout_ms", 3000);
    options.total_timeout_ms = number(reader, command, "total_timeout_ms", 10000);
    options.head_max = (size_t)number(reader, command, "head_max", (int64_t)options.head_max);
    options.body_max = (size_t)number(reader, command, "body_max", (int64_t)options.body_max);
    if (ca_file[0] != '\0') options.ca_file = ca_file;
    sv_copy_truncated(text(reader, command, "refuse"), owner->refused, sizeof owner->refused);
    if (number(reader, command, "gate", 0) != 0) {
        options.may_connect = may_connect;
        options.owner = owner;
    }
    httpc_free(*self);
    *self = NULL;
    fault why = {0};
    err_t err = httpc_new(&options, self, &why);
    if (err != ERR_OK) put_fault(out, err, &why);
}

static void send_request(httpc *self, json_reader *reader, const json_node *command, json_writer *out) {
    httpc_header headers[16];
    json_node list = json_optional(reader, command, "headers");
    size_t count = json_is_present(&list) ? json_array_len(reader, &list) : 0;
    for (size_t i = 0; i < count && i < ARRAY_LEN(headers); i++) {
        json_node pair = json_item(reader, &list, i);
        json_node name = json_item(reader, &pair, 0);
        json_node value = json_item(reader, &pair, 1);
        headers[i] = (httpc_header){json_read_text(reader, &name), json_read_text(reader, &value)};
    }
    httpc_request request = {
        .method = text(reader, command, "method"),
        .url = text(reader, command, "url"),
        .headers = headers,
        .header_count = count,
        .body = text(reader, command, "body"),
        .total_timeout_ms = number(reader, command, "total_timeout_ms", 0),
        .once = number(reader, command, "once", 0) != 0,
    };
    const httpc_response *response = NULL;
    fault why = {0};
    err_t err = httpc_send(self, &request, &response, &why);
    if (err != ERR_OK) {
        CHECK(response == NULL);
        put_fault(out, err, &why);
        return;
    }
    json_put_integer(out, "status", response->status);
    json_put_text(out, "body", response->body);
    json_put_text(out, "x", httpc_response_header(response, "X-One"));
    json_put_integer(out, "x_count", (int64_t)httpc_response_header_count(response, "x-one"));
    json_put_integer(out, "header_count", (int64_t)response->header_count);
}

int main(void) {
    httpc *self = NULL;
    gate owner = {0};
    buf_init(&owner.asked, 65536);
    AUTO(buf) answer;
    buf_init(&answer, 8 * LINE_MAX);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    while ((len = getline(&line, &capacity, stdin)) > 0) {
        AUTO_JSON doc = NULL;
        json_reader reader;
        json_writer out;
        buf_clear(&answer);
        buf_clear(&owner.asked);
        json_reader_init(&reader);
        json_writer_init(&out, &answer);
        CHECK(json_parse(sv_slice(line, (size_t)len), (json_limits){LINE_MAX, 6}, &doc, NULL) == ERR_OK);
        json_node command = json_root(doc);
        json_open_object(&out);
        if (sv_equal(text(&reader, &command, "do"), SV("new")))
            make(&self, &owner, &reader, &command, &out);
        else
            send_request(self, &reader, &command, &out);
        json_put_text(&out, "asked", sv_trim(buf_view(&owner.asked)));
        json_close_object(&out);
        buf_add_byte(&answer, '\n');
        CHECK(!json_reader_failed(&reader) && !buf_has_failed(&answer) && fwrite(answer.ptr, 1, answer.len, stdout) == answer.len);
        fflush(stdout);
    }
    httpc_free(self);
    buf_done(&owner.asked);
    free(line);
    return 0;
}
