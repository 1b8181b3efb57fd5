// See files.h. A path is decoded, then taken apart: an empty, dotted or hidden segment is no file, so nothing leaves the
// folder whatever the file system thinks of "..". Symbolic links are not followed in the last segment.
#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "exchange.h"
#include "uri.h"

typedef struct found_file {
    int fd;
    off_t size;
    struct timespec modified;
    const char *encoding;  // NULL: as it is
} found_file;

static bool is_safe(sv path);
static bool open_file(const char *path, found_file *out);
static bool open_best(httpd_request *request, sv root, sv path, found_file *out);
static const char *type_of(sv path);
static void send_file(httpd_request *request, httpd_response *response, const found_file *file);

bool files_serve_path(const httpd_options *options, sv path) {
    return options->static_root.len > 0 &&
           !(options->static_excluded_prefix.len > 0 && sv_starts_with(path, options->static_excluded_prefix));
}

static void add_security(httpd_response *response, const httpd_options *options) {
    if (options->content_security_policy.len > 0)
        httpd_response_header(response, "Content-Security-Policy", options->content_security_policy);
    httpd_response_header(response, "Referrer-Policy", SV("same-origin"));
    httpd_response_header(response, "X-Frame-Options", SV("DENY"));
    httpd_response_header(response, "Cross-Origin-Opener-Policy", SV("same-origin"));
    httpd_response_header(response, "Permissions-Policy", SV("geolocation=(), microphone=(), camera=()"));
}

static bool has_extension(sv path) {
    for (size_t i = path.len; i > 0 && path.ptr[i - 1] != '/'; i--)
        if (path.ptr[i - 1] == '.') return true;
    return false;
}

void files_handle(httpd_request *request, httpd_response *response, void *context) {
    const httpd_options *options = context;
    sv path;
    found_file file = {.fd = -1};
    if (!uri_decode(request->head.path, false, request->memory, &path) || !is_safe(path)) {
        response_refuse(response, REFUSAL_NO_ROUTE);
        return;
    }
    bool is_found = path.ptr[path.len - 1] != '/' && open_best(request, options->static_root, path, &file);
    bool is_hashed = is_found && options->static_hashed_prefix.len > 0 && sv_starts_with(path, options->static_hashed_prefix);
    if (!is_found && !has_extension(path)) {
        bool is_phone = sv_equal(path, SV("/m")) || sv_starts_with(path, SV("/m/"));
        path = SV("/m/index.html");
        is_found = is_phone && open_best(request, options->static_root, path, &file);
        if (!is_found) path = SV("/index.html");
        is_found = is_found || open_best(request, options->static_root, path, &file);
    }
    if (!is_found) {
        response_refuse(response, REFUSAL_NO_ROUTE);
        return;
    }
    httpd_response_status(response, 200);
    httpd_response_content_type(response, type_of(path));
    httpd_response_header(response, "Cache-Control", is_hashed ? SV("public, max-age=31536000, immutable") : SV("no-cache"));
    httpd_response_header(response, "Vary", SV("Accept-Encoding"));
    add_security(response, options);
    send_file(request, response, &file);
    close(file.fd);
}

static bool is_safe(sv path) {
    sv rest = sv_skip(path, 1);
    sv segment;
    while (sv_next(&rest, '/', &segment)) {
        if (segment.len == 0 && rest.ptr != NULL) return false;
        if (segment.len > 0 && segment.ptr[0] == '.') return false;
        if (sv_find(segment, '\\', &(size_t){0})) return false;
    }
    return path.len < 1024;
}

// Whether `encoding` is named with a quality that is not zero.
static bool accepts(sv header, sv encoding) {
    sv rest = header;
    sv item;
    while (sv_next(&rest, ',', &item)) {
        sv parameters = item;
        sv name;
        if (!sv_next(&parameters, ';', &name) || !sv_equal_nocase(sv_trim(name), encoding)) continue;
        sv quality = sv_trim(parameters);
        return !(sv_equal(quality, SV("q=0")) || sv_starts_with(quality, SV("q=0.0")));
    }
    return false;
}

static bool open_best(httpd_request *request, sv root, sv path, found_file *out) {
    sv accepted = httpd_request_header(request, "accept-encoding");
    static const struct { const char *encoding, *suffix; } FORMS[] = {{"br", ".br"}, {"gzip", ".gz"}, {NULL, ""}};
    for (size_t i = 0; i < ARRAY_LEN(FORMS); i++) {
        if (FORMS[i].encoding != NULL && !accepts(accepted, sv_of(FORMS[i].encoding))) continue;
        out->encoding = FORMS[i].encoding;
        if (open_file(arena_printf(request->memory, "%.*s%.*s%s", SV_ARG(root), SV_ARG(path), FORMS[i].suffix), out)) return true;
    }
    return false;
}

static bool open_file(const char *path, found_file *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return false;
    }
    out->fd = fd;
    out->size = status.st_size;
    out->modified = status.st_mtim;
    return true;
}

static const char *type_of(sv path) {
    static const struct {
        const char *extension, *type;
    } TYPES[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".ico", "image/x-icon"},
        {".webp", "image/webp"},
        {".woff2", "font/woff2"},
        {".wasm", "application/wasm"},
        {".txt", "text/plain; charset=utf-8"},
        {".yaml", "application/yaml"},
    };
    for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
        sv extension = sv_of(TYPES[i].extension);
        if (path.len > extension.len && sv_equal(sv_skip(path, path.len - extension.len), extension)) return TYPES[i].type;
    }
    return "application/octet-stream";
}

static void send_file(httpd_request *request, httpd_response *response, const found_file *file) {
    char *tag = arena_printf(request->memory, "\"%llx-%llx%s\"", (unsigned long long)file->size,
                             (unsigned long long)file->modified.tv_sec * 1000000000ULL + (unsigned long long)file->modified.tv_nsec,
                             file->encoding != NULL ? file->encoding : "");
    httpd_response_header(response, "ETag", sv_of(tag));
    if (file->encoding != NULL) httpd_response_header(response, "Content-Encoding", sv_of(file->encoding));
    if (sv_equal(httpd_request_header(request, "if-none-match"), sv_of(tag))) {
        httpd_response_status(response, 304);
        return;
    }
    if (file->size == 0) return;
    char *bytes = buf_reserve(httpd_response_body(response), (size_t)file->size);
    size_t len = 0;
    while (bytes != NULL && len < (size_t)file->size) {
        ssize_t got = read(file->fd, bytes + len, (size_t)file->size - len);
        if (got <= 0) {
            response_refuse(response, REFUSAL_NO_ANSWER);
            return;
        }
        len += (size_t)got;
    }
}
