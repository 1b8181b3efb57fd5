// Mail by SMTP. Acceptance by the server is all that is ever known and counts as delivery; bounces are not read.
//
// Configuration: {"host", "port"?: 587, "security"?: "starttls"|"tls"|"plain" (this machine only), "user"?, "password"?,
// "from": "alerts@example.com", "from_name"?, "ca_file"?, "helo"?: the domain of `from`}.
#include "channel.h"

#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "httpc/mail.h"
#include "json_config.h"

#define TIMEOUT_MS 30000
#define WORD_BYTES 45  // of an encoded word: 45 bytes make 60 characters of base64, 72 with its frame

struct channel_account {
    arena *memory;
    sv host, user, password, from, from_name, helo;
    const char *ca_file;
    int32_t port;
    mail_security security;
};

static void smtp_close(channel_account *self) {
    if (self->password.len > 0) crypto_wipe((void *)self->password.ptr, self->password.len);
    arena_free(self->memory);
    mem_free(self);
}

// RFC 5321: something before and after one '@', lengths, and none of what ends a command or a header.
static bool smtp_is_address(sv address, const char **out_why) {
    sv rest = address;
    sv local = SV_NONE;
    *out_why = "it is no mail address";
    bool has_at = sv_next(&rest, '@', &local) && rest.ptr != NULL;
    if (!has_at || local.len == 0 || local.len > 64 || rest.len < 3 || rest.len > 255) return false;
    for (size_t i = 0; i < address.len; i++) {
        unsigned char c = (unsigned char)address.ptr[i];
        if (c <= ' ' || c == 127 || strchr("<>()[]\\,;:\"", c)) return false;
    }
    return !sv_find(rest, '@', &(size_t){0}) && sv_find(rest, '.', &(size_t){0});
}

static void read_security(channel_account *self, json_reader *reader, const json_node *root) {
    static const char *const NAMES[] = {"starttls", "tls", "plain"};
    json_node node = json_optional(reader, root, "security");
    self->security = MAIL_STARTTLS;
    if (!json_is_present(&node)) return;
    sv text = json_read_text(reader, &node);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (!sv_equal(text, sv_of(NAMES[i]))) continue;
        self->security = (mail_security)i;
        return;
    }
    json_refuse(reader, &node, "starttls, tls or plain");
}

static void read_from(channel_account *self, json_reader *reader, const json_node *root) {
    const char *why = "";
    json_node node = json_member(reader, root, "from");
    self->from = arena_copy(self->memory, json_read_text_bounded(reader, &node, 320));
    if (json_reader_failed(reader)) return;
    if (!smtp_is_address(self->from, &why)) {
        json_refuse(reader, &node, "%s", why);
        return;
    }
    sv domain = self->from;
    sv local = SV_NONE;
    (void)sv_next(&domain, '@', &local);
    self->helo = config_text_or(reader, root, "helo", 255, arena_printf(self->memory, "%.*s", SV_ARG(domain)), self->memory);
}

static err_t smtp_open(sv config, const channel_store *store, channel_account **out_account, fault *out_fault) {
    static const char *const KEYS[] = {"host", "port", "security", "user", "password", "from", "from_name", "ca_file", "helo", NULL};
    (void)store;
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    err_t err = json_parse(config, (json_limits){8192, 2}, &doc, out_fault);
    if (err) return err;
    channel_account *self = mem_new(1, sizeof *self);
    self->memory = arena_new(65536);
    json_node root = json_root(doc);
    json_allow_only(&reader, &root, KEYS);
    json_node port = json_optional(&reader, &root, "port");
    self->host = config_text(&reader, &root, "host", 255, self->memory);
    self->port = json_is_present(&port) ? (int32_t)json_read_integer(&reader, &port, 1, 65535) : 587;
    read_security(self, &reader, &root);
    self->user = config_text_or(&reader, &root, "user", 320, "", self->memory);
    self->password = config_text_or(&reader, &root, "password", 320, "", self->memory);
    self->from_name = config_text_or(&reader, &root, "from_name", 100, "", self->memory);
    sv ca_file = config_text_or(&reader, &root, "ca_file", 500, "", self->memory);
    self->ca_file = ca_file.len > 0 ? arena_printf(self->memory, "%.*s", SV_ARG(ca_file)) : NULL;
    read_from(self, &reader, &root);
    err = json_reader_fault(&reader, out_fault);
    if (err)
        smtp_close(self);
    else
        *out_account = self;
    return err;
}

// ---- headers ----

static bool is_ascii(sv text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] > 126 || (unsigned char)text.ptr[i] < ' ') return false;
    return true;
}

// RFC 2047: words of at most 75 characters, cut between characters, one behind the other on one line (the server may
// take lines of 998 octets).
static void add_words(buf *out, sv text) {
    if (is_ascii(text)) {
        buf_add(out, text);
        return;
    }
    for (size_t from = 0; from < text.len;) {
        size_t to = from + WORD_BYTES < text.len ? from + WORD_BYTES : text.len;
        while (to < text.len && ((unsigned char)text.ptr[to] & 0xC0) == 0x80) to--;
        buf_addf(out, "%s=?UTF-8?B?", from > 0 ? " " : "");
        crypto_base64_add(out, sv_slice(text.ptr + from, to - from));
        buf_addf(out, "?=");
        from = to;
    }
}

static sv header(arena *memory, const char *name, sv text) {
    AUTO(buf) line = {0};
    buf_init(&line, 990);
    buf_addf(&line, "%s: ", name);
    add_words(&line, text);
    return arena_copy(memory, buf_view(&line));
}

static sv from_header(const channel_account *self, arena *memory) {
    AUTO(buf) line = {0};
    buf_init(&line, 990);
    buf_addf(&line, "From: ");
    if (self->from_name.len > 0 && is_ascii(self->from_name))
        buf_addf(&line, "\"%.*s\" ", SV_ARG(self->from_name));
    else if (self->from_name.len > 0)
        add_words(&line, self->from_name);
    buf_addf(&line, "%s<%.*s>", self->from_name.len > 0 && !is_ascii(self->from_name) ? " " : "", SV_ARG(self->from));
    return arena_copy(memory, buf_view(&line));
}

static sv date_header(instant_ms at, arena *memory) {
    static const char *const DAYS[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};  // 1970-01-01 was a Thursday
    static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int32_t year = 0, month = 0, day = 0;
    int64_t second = at % DAY_MS / SECOND_MS;
    civil_from_days(at / DAY_MS, &year, &month, &day);
    return sv_of(arena_printf(memory, "Date: %s, %d %s %d %02d:%02d:%02d +0000", DAYS[at / DAY_MS % 7], (int)day, MONTHS[month - 1],
                              (int)year, (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60)));
}

// Lines end in CRLF, whatever the text used.
static sv with_line_ends(sv text, arena *memory) {
    AUTO(buf) out = {0};
    buf_init(&out, 65536);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\r') continue;
        if (text.ptr[i] == '\n') buf_add_byte(&out, '\r');
        buf_add_byte(&out, text.ptr[i]);
    }
    return arena_copy(memory, buf_view(&out));
}

static sv as_html(sv text, arena *memory) {
    AUTO(buf) out = {0};
    buf_init(&out, 65536);
    buf_addf(&out, "<!doctype html><html><body style=\"font:16px sans-serif\"><p>");
    for (size_t i = 0; i < text.len; i++) {
        const char *entity = text.ptr[i] == '<'    ? "&lt;"
                             : text.ptr[i] == '>'  ? "&gt;"
                             : text.ptr[i] == '&'  ? "&amp;"
                             : text.ptr[i] == '\n' ? "<br>\r\n"
                                                   : NULL;
        if (entity)
            buf_add(&out, sv_of(entity));
        else
            buf_add_byte(&out, text.ptr[i]);
    }
    buf_addf(&out, "</p></body></html>\r\n");
    return arena_copy(memory, buf_view(&out));
}

// ---- what the server said (RFC 5321 §4.2, RFC 3463) ----

static bool says(const mail_answer *answer, const char *status) { return strstr(answer->text, status) != NULL; }

static channel_result class_of(const mail_answer *answer) {
    if (answer->code < 500) return CHANNEL_RETRY;  // greylisting, a full mailbox: later
    if (answer->code == 530 || answer->code == 534 || answer->code == 535 || answer->code == 538) return CHANNEL_ACCOUNT_BAD;
    if (answer->code == 552 || says(answer, "5.3.4")) return CHANNEL_CONTENT_BAD;
    if (says(answer, " 5.7.") || says(answer, "spam") || says(answer, "policy")) return CHANNEL_CONTENT_BAD;
    if (answer->code == 550 || answer->code == 551 || answer->code == 553 || says(answer, " 5.1.") || says(answer, " 5.2.1"))
        return CHANNEL_RECIPIENT_BAD;
    return CHANNEL_CONTENT_BAD;
}

static void smtp_send(channel_account *self, httpc *http, const channel_message *message, instant_ms now, arena *memory,
                      channel_outcome *out) {
    (void)http;  // mail has a connection of its own
    char id[UUID_TEXT_LEN + 1];
    const char *why_not = "";
    mail_answer answer;
    fault why = {0};
    *out = (channel_outcome){.result = CHANNEL_RECIPIENT_BAD, .reason = SV("it is no mail address")};
    if (!smtp_is_address(message->address, &why_not)) return;
    uuid_format(message->id, id);
    const sv headers[] = {from_header(self, memory),
                          sv_of(arena_printf(memory, "To: <%.*s>", SV_ARG(message->address))),
                          header(memory, "Subject", message->subject),
                          date_header(now, memory),
                          sv_of(arena_printf(memory, "Message-ID: <%s@%.*s>", id, SV_ARG(self->helo))),
                          SV("Auto-Submitted: auto-generated")};
    mail_request request = {.host = self->host,
                            .port = self->port,
                            .security = self->security,
                            .ca_file = self->ca_file,
                            .helo = self->helo,
                            .user = self->user,
                            .password = self->password,
                            .envelope_from = self->from,
                            .envelope_to = message->address,
                            .headers = headers,
                            .header_count = ARRAY_LEN(headers),
                            .text = with_line_ends(message->body, memory),
                            .html = as_html(message->body, memory),
                            .total_timeout_ms = TIMEOUT_MS};
    err_t err = mail_send(&request, &answer, &why);
    *out = (channel_outcome){
        .result = CHANNEL_ACCEPTED, .is_delivery = true, .units = 1, .provider_id = sv_of(arena_printf(memory, "%s", id))};
    if (err == ERR_OK) return;
    *out = (channel_outcome){.result = CHANNEL_RETRY, .reason = sv_of(arena_printf(memory, "%s: %s", why.place, why.reason))};
    if (err == ERR_FORBIDDEN) out->result = CHANNEL_ACCOUNT_BAD;
    if (err == ERR_BAD_INPUT) out->result = CHANNEL_CONTENT_BAD;
    if (err == ERR_UNCERTAIN) out->result = CHANNEL_AMBIGUOUS;
    if (err == ERR_CONFLICT) out->result = class_of(&answer);
}

const channel CHANNEL_smtp = {.name = "smtp",
                              .kind = "mail",
                              .provider = "smtp",
                              .open = smtp_open,
                              .close = smtp_close,
                              .is_address = smtp_is_address,
                              .send = smtp_send};
