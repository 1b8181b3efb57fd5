#include "httpc/mail.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"

#define CONNECT_TIMEOUT_MS 10000L
#define URL_MAX_LEN 600

typedef struct mailing {
    CURL *curl;
    curl_mime *mime;
    struct curl_slist *headers, *recipients;
    mail_answer *answer;
    bool has_begun;  // the content is on its way
} mailing;

static bool is_clean(sv text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 127) return false;
    return true;
}

static err_t check(const mail_request *request, fault *out_fault) {
    const sv lines[] = {request->host, request->helo, request->user, request->password, request->envelope_from, request->envelope_to};
    static const char *const PLACES[] = {"host", "helo", "user", "password", "from", "to"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!is_clean(lines[i])) return fault_set(out_fault, ERR_BAD_INPUT, PLACES[i], "control characters");
    for (size_t i = 0; i < request->header_count; i++)
        if (!is_clean(request->headers[i])) return fault_set(out_fault, ERR_BAD_INPUT, "header", "control characters");
    bool is_here =
        sv_equal(request->host, SV("127.0.0.1")) || sv_equal(request->host, SV("localhost")) || sv_equal(request->host, SV("[::1]"));
    if (request->security == MAIL_PLAIN && !is_here)
        return fault_set(out_fault, ERR_BAD_INPUT, "security", "mail leaves this machine only by TLS");
    return ERR_OK;
}

// A NUL-terminated copy; freed by the caller.
static char *text_of(sv view) {
    char *copy = mem_new(view.len + 1, 1);
    if (view.len > 0) memcpy(copy, view.ptr, view.len);
    return copy;
}

static size_t take_reply(char *bytes, size_t size, size_t count, void *owner) {
    mailing *self = owner;
    sv line = sv_slice(bytes, size * count);
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n')) line.len--;
    sv_copy_truncated(line, self->answer->text, sizeof self->answer->text);
    return size * count;
}

static int watch(void *owner, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up) {
    (void)down_total;
    (void)down;
    (void)up_total;
    mailing *self = owner;
    self->has_begun = self->has_begun || up > 0;
    return 0;
}

#define SET(option, value) CHECK(curl_easy_setopt(self->curl, (option), (value)) == CURLE_OK)

static void add_part(mailing *self, sv content, const char *type) {
    curl_mimepart *part = curl_mime_addpart(self->mime);
    CHECK(part && curl_mime_data(part, content.ptr, content.len) == CURLE_OK && curl_mime_type(part, type) == CURLE_OK);
    CHECK(curl_mime_encoder(part, "quoted-printable") == CURLE_OK);
}

static void add_line(struct curl_slist **list, sv line) {
    char *text = text_of(line);
    struct curl_slist *longer = curl_slist_append(*list, text);
    CHECK(longer);
    *list = longer;
    mem_free(text);
}

static void prepare(mailing *self, const mail_request *request) {
    char url[URL_MAX_LEN];
    char *from = text_of(request->envelope_from);
    (void)snprintf(url, sizeof url, "%s://%.*s:%d/%.*s", request->security == MAIL_TLS ? "smtps" : "smtp", SV_ARG(request->host),
                   (int)request->port, SV_ARG(request->helo));
    SET(CURLOPT_URL, url);
    SET(CURLOPT_USE_SSL, (long)(request->security == MAIL_PLAIN ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    if (request->ca_file) SET(CURLOPT_CAINFO, request->ca_file);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)request->total_timeout_ms);
    SET(CURLOPT_MAIL_FROM, from);
    add_line(&self->recipients, request->envelope_to);
    SET(CURLOPT_MAIL_RCPT, self->recipients);
    SET(CURLOPT_HEADERFUNCTION, take_reply);
    SET(CURLOPT_HEADERDATA, self);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, watch);
    SET(CURLOPT_XFERINFODATA, self);
    for (size_t i = 0; i < request->header_count; i++) add_line(&self->headers, request->headers[i]);
    if (request->html.len > 0) add_line(&self->headers, SV("Content-Type: multipart/alternative"));
    SET(CURLOPT_HTTPHEADER, self->headers);
    self->mime = curl_mime_init(self->curl);
    CHECK(self->mime);
    add_part(self, request->text, "text/plain; charset=utf-8");
    if (request->html.len > 0) add_part(self, request->html, "text/html; charset=utf-8");
    SET(CURLOPT_MIMEPOST, self->mime);
    mem_free(from);
    if (request->user.len == 0) return;
    char *user = text_of(request->user);
    char *password = text_of(request->password);
    SET(CURLOPT_USERNAME, user);
    SET(CURLOPT_PASSWORD, password);
    memset(password, 0, request->password.len);
    mem_free(user);
    mem_free(password);
}

static err_t explain(const mailing *self, CURLcode code, fault *out_fault) {
    int said = self->answer->code;
    if (code == CURLE_LOGIN_DENIED) return fault_set(out_fault, ERR_FORBIDDEN, "log-in", "the server refused the log-in (%d)", said);
    if (said >= 400) return fault_set(out_fault, ERR_CONFLICT, "server", "%s", self->answer->text);
    if (self->has_begun) return fault_set(out_fault, ERR_UNCERTAIN, "answer", "no answer to the mail: %s", curl_easy_strerror(code));
    return fault_set(out_fault, ERR_UNAVAILABLE, "connect", "%s", curl_easy_strerror(code));
}

static void set_global_up(void) { CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); }

err_t mail_send(const mail_request *request, mail_answer *out_answer, fault *out_fault) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *out_answer = (mail_answer){0};
    err_t err = check(request, out_fault);
    if (err) return err;
    pthread_once(&once, set_global_up);
    mailing state = {.curl = curl_easy_init(), .answer = out_answer};
    CHECK(state.curl);
    prepare(&state, request);
    CURLcode code = curl_easy_perform(state.curl);
    long said = 0;
    CHECK(curl_easy_getinfo(state.curl, CURLINFO_RESPONSE_CODE, &said) == CURLE_OK);
    out_answer->code = (int)said;
    err = code == CURLE_OK ? ERR_OK : explain(&state, code, out_fault);
    curl_easy_cleanup(state.curl);
    curl_mime_free(state.mime);
    curl_slist_free_all(state.headers);
    curl_slist_free_all(state.recipients);
    return err;
}
