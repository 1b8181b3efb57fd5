// Webhooks to an address of the recipient's, signed by Standard Webhooks 1.0.0: headers webhook-id, webhook-timestamp,
// webhook-signature; HMAC-SHA256 over "id.timestamp.body". An answer 2xx is delivery. Where the address may lead is the
// service's guard; here only its form is judged.
//
// Configuration: {"secrets": ["whsec_…", …]}: the first signs, the others sign beside it while receivers change over.
#include "channel.h"

#include "crypto/crypto.h"
#include "json/json.h"
#include "json/json_writer.h"
#include "json_config.h"

#define SECRETS_MAX 4
#define SECRET_BYTES_MIN 24
#define SECRET_BYTES_MAX 64
#define PREFIX "whsec_"
#define DEFER_MAX_MS DAY_MS

struct channel_account {
    arena *memory;
    sv secrets[SECRETS_MAX];
    size_t secret_count;
};

static void read_secret(channel_account *self, json_reader *reader, const json_node *node) {
    AUTO(buf) key = {0};
    buf_init(&key, 256);
    sv text = json_read_text_bounded(reader, node, 200);
    if (json_reader_failed(reader)) return;
    size_t prefix = sizeof PREFIX - 1;
    bool is_ours = sv_starts_with(text, SV(PREFIX)) && crypto_base64_decode(sv_slice(text.ptr + prefix, text.len - prefix), &key);
    if (!is_ours || buf_view(&key).len < SECRET_BYTES_MIN || buf_view(&key).len > SECRET_BYTES_MAX) {
        json_refuse(reader, node, "a secret is whsec_ and base64 of 24 to 64 bytes");
        return;
    }
    self->secrets[self->secret_count++] = arena_copy(self->memory, buf_view(&key));
}

static void webhook_close(channel_account *self) {
    for (size_t i = 0; i < self->secret_count; i++) crypto_wipe((void *)self->secrets[i].ptr, self->secrets[i].len);
    arena_free(self->memory);
    mem_free(self);
}

static err_t webhook_open(sv config, const channel_store *store, channel_account **out_account, fault *out_fault) {
    static const char *const KEYS[] = {"secrets", NULL};
    (void)store;
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(config, (json_limits){8192, 3}, &doc, out_fault);
    if (err) return err;
    channel_account *self = mem_new(1, sizeof *self);
    self->memory = arena_new(65536);
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    json_node secrets = json_member(&reader, &root, "secrets");
    size_t count = json_array_len(&reader, &secrets);
    if (!json_reader_failed(&reader) && (count == 0 || count > SECRETS_MAX)) json_refuse(&reader, &secrets, "1 to %d secrets", SECRETS_MAX);
    for (size_t i = 0; i < count && !json_reader_failed(&reader); i++) {
        json_node each = json_item(&reader, &secrets, i);
        read_secret(self, &reader, &each);
    }
    err = json_reader_fault(&reader, out_fault);
    if (err)
        webhook_close(self);
    else
        *out_account = self;
    return err;
}

static bool webhook_is_address(sv address, const char **out_why) {
    *out_why = "a webhook's address begins with https://";
    if (!sv_starts_with(address, SV("https://")) && !sv_starts_with(address, SV("http://"))) return false;
    *out_why = "an address is at most 500 bytes and has no spaces";
    for (size_t i = 0; i < address.len; i++)
        if ((unsigned char)address.ptr[i] <= ' ' || (unsigned char)address.ptr[i] == 127) return false;
    return address.len <= 500;
}

static void write_body(buf *body, const channel_message *message) {
    json_writer out;
    char id[UUID_TEXT_LEN + 1];
    uuid_format(message->id, id);
    json_writer_init(&out, body);
    json_open_object(&out);
    json_put_text(&out, "type", message->kind);
    json_put_instant(&out, "timestamp", message->queued_at, 0);
    json_key(&out, "data");
    json_open_object(&out);
    json_put_text(&out, "id", sv_of(id));
    json_put_text(&out, "subject", message->subject);
    json_put_text(&out, "text", message->body);
    json_key(&out, "parameters");
    json_open_object(&out);
    for (size_t i = 0; i < message->parameter_count; i++) {
        char key[64];
        sv_copy_truncated(message->parameters[i].name, key, sizeof key);
        json_put_text(&out, key, message->parameters[i].value);
    }
    json_close_object(&out);
    json_close_object(&out);
    json_close_object(&out);
}

static void sign(const channel_account *self, sv id, sv timestamp, sv body, buf *out) {
    for (size_t i = 0; i < self->secret_count; i++) {
        uint8_t digest[CRYPTO_SHA256_LEN];
        const sv pieces[] = {id, SV("."), timestamp, SV("."), body};
        crypto_hmac_sha256_pieces(self->secrets[i], pieces, ARRAY_LEN(pieces), digest);
        buf_addf(out, "%sv1,", i > 0 ? " " : "");
        crypto_base64_add(out, sv_slice(digest, sizeof digest));
    }
}

static void judge(const httpc_response *answer, instant_ms now, arena *memory, channel_outcome *out) {
    int64_t seconds = 0;
    out->reason = sv_of(arena_printf(memory, "HTTP %d", answer->status));
    if (answer->status >= 200 && answer->status < 300) {
        *out = (channel_outcome){.result = CHANNEL_ACCEPTED, .is_delivery = true};
    } else if (answer->status == 410) {
        out->result = CHANNEL_RECIPIENT_BAD;
    } else if (answer->status == 429 || answer->status == 503) {
        sv after = httpc_response_header(answer, "retry-after");
        bool is_told = sv_to_i64(after, &seconds) && seconds > 0 && seconds * SECOND_MS <= DEFER_MAX_MS;
        out->result = CHANNEL_DEFER;
        out->not_before = now + (is_told ? seconds * SECOND_MS : MINUTE_MS);
    } else {
        out->result = CHANNEL_RETRY;  // the receiver knows the id: a repetition does no harm
    }
}

static void webhook_send(channel_account *self, httpc *http, const channel_message *message, instant_ms now, arena *memory,
                         channel_outcome *out) {
    AUTO(buf) body = {0};
    AUTO(buf) signature = {0};
    char id[UUID_TEXT_LEN + 1];
    const httpc_response *answer = NULL;
    fault why = {0};
    buf_init(&body, 20000);
    buf_init(&signature, 2048);
    uuid_format(message->id, id);
    sv timestamp = sv_of(arena_printf(memory, "%lld", (long long)(now / SECOND_MS)));
    write_body(&body, message);
    if (buf_has_failed(&body)) {
        *out = (channel_outcome){.result = CHANNEL_CONTENT_BAD, .reason = SV("the message exceeds 20 000 bytes")};
        return;
    }
    sign(self, sv_of(id), timestamp, buf_view(&body), &signature);
    const httpc_header headers[] = {{SV("Content-Type"), SV("application/json")},
                                    {SV("webhook-id"), sv_of(id)},
                                    {SV("webhook-timestamp"), timestamp},
                                    {SV("webhook-signature"), buf_view(&signature)}};
    httpc_request request = {
        .method = SV("POST"), .url = message->address, .headers = headers, .header_count = ARRAY_LEN(headers), .body = buf_view(&body)};
    err_t err = httpc_send(http, &request, &answer, &why);
    *out = (channel_outcome){.reason = sv_of(arena_printf(memory, "%s: %s", why.place, why.reason))};
    if (err == ERR_OK)
        judge(answer, now, memory, out);
    else
        out->result = err == ERR_FORBIDDEN || err == ERR_BAD_INPUT ? CHANNEL_RECIPIENT_BAD : CHANNEL_RETRY;
}

const channel CHANNEL_webhook = {.name = "webhook",
                                 .kind = "webhook",
                                 .provider = "standard",
                                 .open = webhook_open,
                                 .close = webhook_close,
                                 .is_address = webhook_is_address,
                                 .send = webhook_send};
