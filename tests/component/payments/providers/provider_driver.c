// A provider behind JSON lines: one command per line on stdin, one answer per line on stdout. What a command is called is
// its "do"; the names of members are those of provider.h. Time is the system's plus "shift_ms".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "json/json_writer.h"
#include "provider.h"

#define LINE_MAX (4 * 1024 * 1024)

typedef struct driver {
    const provider *provider;
    provider_merchant *merchant;
    httpc *http;
    penstock_clock clock;
    arena *memory;
    json_reader reader;
    json_node command;
    json_writer out;
} driver;

static sv text_of(driver *self, const json_node *object, const char *key) {
    json_node node = json_optional(&self->reader, object, key);
    return json_is_present(&node) ? arena_copy(self->memory, json_read_text(&self->reader, &node)) : SV("");
}

static int64_t integer_of(driver *self, const json_node *object, const char *key, int64_t otherwise) {
    json_node node = json_optional(&self->reader, object, key);
    return json_is_present(&node) ? json_read_integer(&self->reader, &node, INT64_MIN, INT64_MAX) : otherwise;
}

static sv bytes_of(driver *self, const json_node *object, const char *key) {
    AUTO(buf) bytes;
    buf_init(&bytes, LINE_MAX);
    CHECK(crypto_base64_decode(text_of(self, object, key), &bytes));
    return arena_copy(self->memory, buf_view(&bytes));
}

static void put_fault(driver *self, const fault *why) {
    json_key(&self->out, "fault");
    json_open_object(&self->out);
    json_put_text(&self->out, "error", sv_of(err_name(why->err)));
    json_put_text(&self->out, "place", sv_of(why->place));
    json_put_text(&self->out, "reason", sv_of(why->reason));
    json_close_object(&self->out);
}

static void do_http(driver *self) {
    httpc_options options = httpc_options_default();
    sv ca_file = text_of(self, &self->command, "ca_file");
    options.allow_plain = true;
    options.connect_timeout_ms = integer_of(self, &self->command, "connect_timeout_ms", 2000);
    options.total_timeout_ms = integer_of(self, &self->command, "total_timeout_ms", 5000);
    options.body_max = (size_t)integer_of(self, &self->command, "body_max", 262144);
    if (ca_file.len > 0) options.ca_file = arena_cstr(self->memory, ca_file);
    httpc_free(self->http);
    self->http = NULL;
    fault why = {0};
    if (httpc_new(&options, &self->http, &why) != ERR_OK) put_fault(self, &why);
}

static void do_open(driver *self) {
    json_node list = json_member(&self->reader, &self->command, "keys");
    size_t count = json_array_len(&self->reader, &list);
    provider_key *keys = ARENA_ARRAY(self->memory, provider_key, count + 1);
    for (size_t i = 0; i < count; i++) {
        json_node item = json_item(&self->reader, &list, i);
        CHECK(provider_key_use_of(text_of(self, &item, "use"), &keys[i].use));
        keys[i].version = (int32_t)integer_of(self, &item, "version", 1);
        keys[i].serial = text_of(self, &item, "serial");
        keys[i].material = text_of(self, &item, "material");
        keys[i].valid_from = integer_of(self, &item, "valid_from", INSTANT_MIN);
        keys[i].valid_to = integer_of(self, &item, "valid_to", INSTANT_MAX);
    }
    provider_settings settings = {
        .mode = sv_equal(text_of(self, &self->command, "mode"), SV("partner")) ? PROVIDER_MODE_PARTNER : PROVIDER_MODE_DIRECT,
        .merchant = text_of(self, &self->command, "merchant"),
        .sub_merchant = text_of(self, &self->command, "sub_merchant"),
        .app = text_of(self, &self->command, "app"),
        .sub_app = text_of(self, &self->command, "sub_app"),
        .base_url = text_of(self, &self->command, "base_url"),
        .standby_url = text_of(self, &self->command, "standby_url"),
        .notify_url = text_of(self, &self->command, "notify_url"),
        .keys = keys,
        .key_count = count,
    };
    self->provider = provider_find(text_of(self, &self->command, "provider"));
    CHECK(self->provider != NULL);
    if (self->merchant != NULL) self->provider->close(self->merchant);
    self->merchant = NULL;
    fault why = {0};
    if (self->provider->open(&settings, &self->merchant, &why) != ERR_OK) put_fault(self, &why);
}

static provider_order read_order(driver *self, const json_node *object) {
    provider_order order = {
        .number = text_of(self, object, "number"),
        .created_at = integer_of(self, object, "created_at", 0),
        .expires_at = integer_of(self, object, "expires_at", 0),
        .amount_micro = integer_of(self, object, "amount_micro", 0),
        .currency = text_of(self, object, "currency"),
        .description = text_of(self, object, "description"),
        .payer = text_of(self, object, "payer"),
        .client_ip = text_of(self, object, "client_ip"),
        .channel_id = text_of(self, object, "channel_id"),
    };
    CHECK(provider_product_of(text_of(self, object, "product"), &order.product));
    return order;
}

static void put_answer(driver *self, const provider_answer *answer) {
    json_put_text(&self->out, "result", sv_of(provider_result_text(answer->result)));
    json_put_integer(&self->out, "http_status", answer->http_status);
    json_put_text(&self->out, "code", answer->code);
    json_put_text(&self->out, "message", answer->message);
    json_put_text(&self->out, "request_id", answer->request_id);
    json_put_boolean(&self->out, "key_unknown", answer->key_unknown);
    json_put_text(&self->out, "key_serial", answer->key_serial);
}

static void put_fact(driver *self, const provider_fact *fact) {
    json_key(&self->out, "fact");
    json_open_object(&self->out);
    json_put_text(&self->out, "kind", provider_fact_kind_of(fact) == PROVIDER_FACT_PAYMENT ? SV("payment") : SV("refund"));
    json_put_text(&self->out, "state", sv_of(provider_state_text(fact->state)));
    json_put_text(&self->out, "channel_state", fact->channel_state);
    json_put_text(&self->out, "order_number", fact->order_number);
    json_put_text(&self->out, "channel_id", fact->channel_id);
    json_put_text(&self->out, "refund_number", fact->refund_number);
    json_put_text(&self->out, "refund_channel_id", fact->refund_channel_id);
    json_put_integer(&self->out, "amount_micro", fact->amount_micro);
    json_put_integer(&self->out, "order_micro", fact->order_micro);
    json_put_text(&self->out, "currency", fact->currency);
    json_put_text(&self->out, "merchant", fact->merchant);
    json_put_text(&self->out, "sub_merchant", fact->sub_merchant);
    json_put_text(&self->out, "app", fact->app);
    json_put_text(&self->out, "payer", fact->payer);
    json_put_integer(&self->out, "happened_at", fact->happened_at);
    json_put_boolean(&self->out, "has_refund", fact->has_refund);
    json_put_boolean(&self->out, "is_of_merchant", fact->is_of_merchant);
    json_close_object(&self->out);
}

static void do_order(driver *self, sv what) {
    provider_call call = {self->merchant, self->http, &self->clock, self->memory};
    json_node object = json_member(&self->reader, &self->command, "order");
    provider_order order = read_order(self, &object);
    provider_handle handle = {0};
    provider_fact fact = {0};
    bool is_create = sv_equal(what, SV("create"));
    bool is_query = sv_equal(what, SV("query"));
    provider_answer answer = is_create  ? self->provider->create(&call, &order, &handle)
                             : is_query ? self->provider->query(&call, &order, &fact)
                                        : self->provider->close_order(&call, &order);
    put_answer(self, &answer);
    if (is_query && answer.result == PROVIDER_OK) put_fact(self, &fact);
    if (!is_create || answer.result != PROVIDER_OK) return;
    json_key(&self->out, "handle");
    json_open_object(&self->out);
    json_put_text(&self->out, "kind", sv_of(provider_handle_kind_text(handle.kind)));
    json_put_text(&self->out, "text", handle.text);
    json_put_integer(&self->out, "valid_to", handle.valid_to);
    json_close_object(&self->out);
}

static void do_refund(driver *self, sv what) {
    provider_call call = {self->merchant, self->http, &self->clock, self->memory};
    json_node order_node = json_member(&self->reader, &self->command, "order");
    json_node object = json_member(&self->reader, &self->command, "refund");
    provider_order order = read_order(self, &order_node);
    provider_refund refund = {
        .order = &order,
        .number = text_of(self, &object, "number"),
        .amount_micro = integer_of(self, &object, "amount_micro", 0),
        .reason = text_of(self, &object, "reason"),
    };
    provider_fact fact = {0};
    provider_answer answer =
        sv_equal(what, SV("refund")) ? self->provider->refund(&call, &refund, &fact) : self->provider->query_refund(&call, &refund, &fact);
    put_answer(self, &answer);
    if (answer.result == PROVIDER_OK) put_fact(self, &fact);
}

static void do_fetch_keys(driver *self) {
    provider_call call = {self->merchant, self->http, &self->clock, self->memory};
    provider_keys keys = {0};
    provider_answer answer = self->provider->fetch_keys(&call, &keys);
    put_answer(self, &answer);
    json_key(&self->out, "keys");
    json_open_array(&self->out);
    for (size_t i = 0; i < keys.count; i++) {
        json_open_object(&self->out);
        json_put_text(&self->out, "use", sv_of(provider_key_use_text(keys.items[i].use)));
        json_put_text(&self->out, "serial", keys.items[i].serial);
        json_put_text(&self->out, "material", keys.items[i].material);
        json_put_integer(&self->out, "valid_from", keys.items[i].valid_from);
        json_put_integer(&self->out, "valid_to", keys.items[i].valid_to);
        json_close_object(&self->out);
    }
    json_close_array(&self->out);
}

static void do_notification(driver *self) {
    json_node headers = json_member(&self->reader, &self->command, "headers");
    provider_notification notification = {
        .body = bytes_of(self, &self->command, "body_base64"),
        .received_at = integer_of(self, &self->command, "received_at", clock_now(&self->clock)),
    };
    for (size_t i = 0; self->provider->notification_headers[i] != NULL; i++) {
        notification.headers[i] = text_of(self, &headers, self->provider->notification_headers[i]);
        if (notification.headers[i].len == 0) notification.headers[i] = SV_NONE;
    }
    provider_reading reading = self->provider->read_notification(self->merchant, &notification, self->memory);
    json_put_text(&self->out, "notice", sv_of(provider_notice_text(reading.notice)));
    json_put_text(&self->out, "why", reading.why);
    json_put_text(&self->out, "event_id", reading.event_id);
    json_put_text(&self->out, "event_type", reading.event_type);
    json_put_text(&self->out, "key_serial", reading.key_serial);
    json_put_text(&self->out, "plaintext", reading.plaintext);
    json_put_integer(&self->out, "status", self->provider->reply(reading.notice, true).status);
    json_put_integer(&self->out, "status_if_not_stored", self->provider->reply(reading.notice, false).status);
    put_fact(self, &reading.fact);
}

static void do_traits(driver *self) {
    json_put_integer(&self->out, "count", (int64_t)provider_count());
    json_key(&self->out, "providers");
    json_open_array(&self->out);
    for (size_t i = 0; i < provider_count(); i++) {
        const provider *one = provider_at(i);
        json_open_object(&self->out);
        json_put_text(&self->out, "name", sv_of(one->name));
        json_put_text(&self->out, "currency", sv_of(one->currency));
        json_put_boolean(&self->out, "not_found_is_final", one->not_found_is_final);
        json_put_integer(&self->out, "notification_max", (int64_t)one->notification_max);
        json_key(&self->out, "products");
        json_open_array(&self->out);
        for (int product = 0; product < PROVIDER_PRODUCT_COUNT; product++)
            if ((one->products >> product & 1) != 0) json_add_text(&self->out, sv_of(provider_product_text((provider_product)product)));
        json_close_array(&self->out);
        json_close_object(&self->out);
    }
    json_close_array(&self->out);
}

static void run(driver *self, sv line) {
    AUTO_JSON doc = NULL;
    fault why = {0};
    CHECK(json_parse(line, (json_limits){LINE_MAX, 8}, &doc, &why) == ERR_OK);
    json_reader_init(&self->reader);
    self->command = json_root(doc);
    sv what = text_of(self, &self->command, "do");
    json_open_object(&self->out);
    if (sv_equal(what, SV("clock")))
        self->clock.shift_ms = integer_of(self, &self->command, "shift_ms", 0);
    else if (sv_equal(what, SV("http")))
        do_http(self);
    else if (sv_equal(what, SV("open")))
        do_open(self);
    else if (sv_equal(what, SV("traits")))
        do_traits(self);
    else if (sv_equal(what, SV("fetch_keys")))
        do_fetch_keys(self);
    else if (sv_equal(what, SV("notification")))
        do_notification(self);
    else if (sv_equal(what, SV("refund")) || sv_equal(what, SV("query_refund")))
        do_refund(self, what);
    else
        do_order(self, what);
    json_close_object(&self->out);
    CHECK(!json_reader_failed(&self->reader));
}

int main(void) {
    driver self = {.clock = clock_system(), .memory = arena_new(8 * LINE_MAX)};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    AUTO(buf) answer;
    buf_init(&answer, 8 * LINE_MAX);
    while ((len = getline(&line, &capacity, stdin)) > 0) {
        buf_clear(&answer);
        arena_reset(self.memory);
        json_writer_init(&self.out, &answer);
        run(&self, sv_slice(line, (size_t)len));
        buf_add_byte(&answer, '\n');
        CHECK(!buf_has_failed(&answer) && fwrite(answer.ptr, 1, answer.len, stdout) == answer.len);
        fflush(stdout);
    }
    if (self.merchant != NULL) self.provider->close(self.merchant);
    httpc_free(self.http);
    arena_free(self.memory);
    free(line);
    return 0;
}
