// libcurl's easy interface, one handle per httpc. What tells "not sent" from "unknown" is libcurl's pre-request callback:
// it runs when the connection stands and not a byte of the request has left.
#include "httpc/httpc.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/vec.h"

#define REQUEST_HEAD_MAX 65536
#define ARENA_SLACK 65536

struct httpc {
    httpc_options options;
    char *ca_file;
    char *user_agent;
    CURL *curl;
    arena *memory;  // of the current request and answer
    buf body;
    VEC(httpc_header) headers;
    httpc_response response;
    size_t head_len;
    bool began;       // the request began to be sent
    bool head_ended;  // by its empty line: libcurl takes a head that breaks off for a whole one
    bool is_interim;  // the head being read is of a 1xx answer
    bool refused;     // by may_connect
    bool too_large;
};

static void set_global_up(void);
static void set_fixed_options(httpc *self);
static void forget_answer(httpc *self);
static err_t check_request(const httpc *self, const httpc_request *request, fault *out_fault);
static struct curl_slist *make_header_list(httpc *self, const httpc_request *request);
static void set_request_options(httpc *self, const httpc_request *request, struct curl_slist *headers);
static err_t explain(const httpc *self, CURLcode code, const char *text, fault *out_fault);
static size_t take_header(char *bytes, size_t size, size_t count, void *owner);
static size_t take_body(char *bytes, size_t size, size_t count, void *owner);
static curl_socket_t open_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *address);
static int before_request(void *owner, char *peer_ip, char *local_ip, int peer_port, int local_port);

httpc_options httpc_options_default(void) {
    return (httpc_options){
        .user_agent = "Penstock", .connect_timeout_ms = 5000, .total_timeout_ms = 15000, .head_max = 32 * 1024, .body_max = 1024 * 1024};
}

err_t httpc_new(const httpc_options *options, httpc **out_httpc, fault *out_fault) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_global_up);
    if (options->ca_file != NULL && access(options->ca_file, R_OK) != 0)
        return fault_set(out_fault, ERR_BAD_INPUT, "ca_file", "%s cannot be read", options->ca_file);
    AUTO_HTTPC self = mem_new(1, sizeof *self);
    self->options = *options;
    self->memory = arena_new(options->head_max + 2 * REQUEST_HEAD_MAX + ARENA_SLACK);
    buf_init(&self->body, options->body_max);
    if (options->ca_file != NULL) self->ca_file = strdup(options->ca_file);
    self->user_agent = strdup(options->user_agent);
    self->curl = curl_easy_init();
    CHECK(self->curl != NULL && self->user_agent != NULL && (options->ca_file == NULL || self->ca_file != NULL));
    set_fixed_options(self);
    *out_httpc = self;
    self = NULL;
    return ERR_OK;
}

void httpc_free(httpc *self) {
    if (self == NULL) return;
    curl_easy_cleanup(self->curl);
    buf_done(&self->body);
    vec_done(&self->headers);
    arena_free(self->memory);
    free(self->ca_file);
    free(self->user_agent);
    mem_free(self);
}

void httpc_auto(httpc **self) { httpc_free(*self); }

err_t httpc_send(httpc *self, const httpc_request *request, const httpc_response **out_response, fault *out_fault) {
    forget_answer(self);
    err_t err = check_request(self, request, out_fault);
    if (err != ERR_OK) return err;
    char text[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = make_header_list(self, request);
    set_request_options(self, request, headers);
    curl_easy_setopt(self->curl, CURLOPT_ERRORBUFFER, text);
    CURLcode code = curl_easy_perform(self->curl);
    curl_easy_setopt(self->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(self->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) return explain(self, code, text, out_fault);
    if (!self->head_ended) return fault_set(out_fault, ERR_UNCERTAIN, "answer", "the head of the answer breaks off");
    long status = 0;
    curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status);
    self->response = (httpc_response){
        .status = (int)status, .body = buf_view(&self->body), .headers = self->headers.items, .header_count = self->headers.len};
    *out_response = &self->response;
    return ERR_OK;
}

sv httpc_response_header(const httpc_response *response, const char *name) {
    for (size_t i = 0; i < response->header_count; i++)
        if (sv_equal_nocase(response->headers[i].name, sv_of(name))) return response->headers[i].value;
    return SV_NONE;
}

size_t httpc_response_header_count(const httpc_response *response, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < response->header_count; i++) count += sv_equal_nocase(response->headers[i].name, sv_of(name));
    return count;
}

static void set_global_up(void) { CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); }

#define SET(option, value) CHECK(curl_easy_setopt(self->curl, (option), (value)) == CURLE_OK)

static void set_fixed_options(httpc *self) {
    const char *schemes = self->options.allow_plain ? "http,https" : "https";
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, schemes);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (self->ca_file != NULL) {
        SET(CURLOPT_CAINFO, self->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    SET(CURLOPT_USERAGENT, self->user_agent);
    SET(CURLOPT_MAXCONNECTS, 8L);
    SET(CURLOPT_MAXAGE_CONN, 60L);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, self);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, self);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, self);
    SET(CURLOPT_PREREQFUNCTION, before_request);
    SET(CURLOPT_PREREQDATA, self);
}

static void forget_answer(httpc *self) {
    arena_reset(self->memory);
    buf_clear(&self->body);
    vec_clear(&self->headers);
    self->response = (httpc_response){0};
    self->head_len = 0;
    self->began = self->head_ended = self->is_interim = self->refused = self->too_large = false;
}

static bool is_token(sv text) {
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool is_alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        if (!is_alphanumeric && (byte == '\0' || strchr("!#$%&'*+-.^_`|~", byte) == NULL)) return false;
    }
    return text.len > 0;
}

static bool is_printable(sv text, bool with_space) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte == 0x7f || byte < 0x20 || (byte == 0x20 && !with_space)) return false;
    }
    return true;
}

// What libcurl would send on as it is: line ends in a header would be another header.
static err_t check_request(const httpc *self, const httpc_request *request, fault *out_fault) {
    bool is_secure = request->url.len > 8 && sv_equal_nocase((sv){request->url.ptr, 8}, SV("https://"));
    bool is_plain = request->url.len > 7 && sv_equal_nocase((sv){request->url.ptr, 7}, SV("http://"));
    if (!is_secure && !(is_plain && self->options.allow_plain))
        return fault_set(out_fault, ERR_BAD_INPUT, "url",
                         self->options.allow_plain ? "it is no absolute HTTP URL" : "it is no absolute https URL");
    if (request->url.len > REQUEST_HEAD_MAX / 4 || !is_printable(request->url, false))
        return fault_set(out_fault, ERR_BAD_INPUT, "url", "it is too long or has a space or control character");
    if (!is_token(request->method) || request->method.len > 16)
        return fault_set(out_fault, ERR_BAD_INPUT, "method", "it is no HTTP method");
    size_t total = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const httpc_header *header = &request->headers[i];
        total += header->name.len + header->value.len + 4;
        if (!is_token(header->name) || !is_printable(header->value, true) || total > REQUEST_HEAD_MAX / 2)
            return fault_set(out_fault, ERR_BAD_INPUT, "header", "header %zu is malformed or too long", i + 1);
    }
    if (request->body.len > 0 && sv_equal(request->method, SV("GET")))
        return fault_set(out_fault, ERR_BAD_INPUT, "method", "a GET request has no body");
    return ERR_OK;
}

static void add_line(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);
    CHECK(longer != NULL);
    *list = longer;
}

// "Name;" is libcurl's way to send an empty value. Expect is never sent: it would cost a second where nobody answers it.
static struct curl_slist *make_header_list(httpc *self, const httpc_request *request) {
    struct curl_slist *list = NULL;
    bool has_type = false;
    for (size_t i = 0; i < request->header_count; i++) {
        const httpc_header *header = &request->headers[i];
        const char *form = header->value.len > 0 ? "%.*s: %.*s" : "%.*s;%.*s";
        add_line(&list, arena_printf(self->memory, form, SV_ARG(header->name), SV_ARG(header->value)));
        has_type = has_type || sv_equal_nocase(header->name, SV("Content-Type"));
    }
    add_line(&list, "Expect:");
    if (!has_type) add_line(&list, "Content-Type:");
    return list;
}

static void set_request_options(httpc *self, const httpc_request *request, struct curl_slist *headers) {
    bool has_body = request->body.len > 0 || sv_equal(request->method, SV("POST")) || sv_equal(request->method, SV("PUT")) ||
                    sv_equal(request->method, SV("PATCH"));
    const char *method = arena_cstr(self->memory, request->method);
    const char *url = arena_cstr(self->memory, request->url);
    int64_t connect_ms = request->connect_timeout_ms > 0 ? request->connect_timeout_ms : self->options.connect_timeout_ms;
    int64_t total_ms = request->total_timeout_ms > 0 ? request->total_timeout_ms : self->options.total_timeout_ms;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_NOBODY, sv_equal(request->method, SV("HEAD")) ? 1L : 0L);
    if (has_body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        SET(CURLOPT_POSTFIELDS, request->body.len > 0 ? request->body.ptr : "");
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)total_ms);
    SET(CURLOPT_FRESH_CONNECT, request->once ? 1L : 0L);
}

static err_t explain(const httpc *self, CURLcode code, const char *text, fault *out_fault) {
    const char *reason = text[0] != '\0' ? text : curl_easy_strerror(code);
    if (self->refused) return fault_set(out_fault, ERR_FORBIDDEN, "address", "the address is not one that may be connected to");
    if (self->too_large) return fault_set(out_fault, ERR_TOO_LARGE, "answer", "the answer exceeds its bound");
    if (self->began) return fault_set(out_fault, ERR_UNCERTAIN, "answer", "%.150s", reason);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return fault_set(out_fault, ERR_BAD_INPUT, "url", "%.150s", reason);
    bool is_tls = code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
                  code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CIPHER;
    return fault_set(out_fault, ERR_UNAVAILABLE, is_tls ? "tls" : "connect", "%.150s", reason);
}

// Called per line, with its end. Lines of interim answers (1xx) are dropped when the next status line comes; trailers, which
// come behind the body, are no headers.
static size_t take_header(char *bytes, size_t size, size_t count, void *owner) {
    httpc *self = owner;
    sv line = sv_trim(sv_slice(bytes, size * count));
    self->head_len += size * count;
    if (self->head_len > self->options.head_max) {
        self->too_large = true;
        return 0;
    }
    if (self->head_ended && !self->is_interim) return size * count;
    if (sv_starts_with(line, SV("HTTP/"))) {
        size_t space;
        vec_clear(&self->headers);
        self->head_ended = false;
        self->is_interim = sv_find(line, ' ', &space) && space + 1 < line.len && line.ptr[space + 1] == '1';
        return size * count;
    }
    if (line.len == 0) self->head_ended = true;
    sv rest = line;
    sv name;
    size_t colon;
    if (!sv_find(line, ':', &colon) || !sv_next(&rest, ':', &name)) return size * count;
    httpc_header header = {arena_copy(self->memory, sv_trim(name)), arena_copy(self->memory, sv_trim(rest))};
    vec_push(&self->headers, header);
    return size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *owner) {
    httpc *self = owner;
    buf_add(&self->body, sv_slice(bytes, size * count));
    if (!buf_has_failed(&self->body)) return size * count;
    self->too_large = true;
    return 0;
}

static curl_socket_t open_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *address) {
    httpc *self = owner;
    (void)purpose;
    if (self->options.may_connect != NULL && !self->options.may_connect(self->options.owner, &address->addr, address->addrlen)) {
        self->refused = true;
        return CURL_SOCKET_BAD;
    }
    // Another address of the same name that is allowed makes up for one that was not.
    self->refused = false;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// A kept connection opens no socket: its peer is checked here, by the address libcurl is really connected to.
static int before_request(void *owner, char *peer_ip, char *local_ip, int peer_port, int local_port) {
    httpc *self = owner;
    (void)local_ip, (void)local_port;
    if (self->options.may_connect != NULL) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)peer_port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)peer_port)};
        bool allowed = false;
        if (inet_pton(AF_INET, peer_ip, &v4.sin_addr) == 1)
            allowed = self->options.may_connect(self->options.owner, (const struct sockaddr *)&v4, sizeof v4);
        else if (inet_pton(AF_INET6, peer_ip, &v6.sin6_addr) == 1)
            allowed = self->options.may_connect(self->options.owner, (const struct sockaddr *)&v6, sizeof v6);
        if (!allowed) {
            self->refused = true;
            return CURL_PREREQFUNC_ABORT;
        }
    }
    self->began = true;
    return CURL_PREREQFUNC_OK;
}
