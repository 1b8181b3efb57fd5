#include "service/settings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"

#define SECRET_FILE_MAX 65536

typedef struct loaded {
    const setting *rule;
    char *text;
    int64_t number;
} loaded;

struct settings {
    VEC(loaded) items;
};

static char *copy_text(sv text) {
    char *copy = mem_new(text.len + 1, 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    return copy;
}

// The content of a secret's file without the newline editors leave at the end.
static err_t read_secret(const setting *rule, const char *path, char **out_text, fault *out_fault) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "the file in %s_FILE cannot be opened: %s", rule->name, path);
    char *text = mem_new(SECRET_FILE_MAX + 1, 1);
    ssize_t len = read(fd, text, SECRET_FILE_MAX);
    close(fd);
    if (len < 0 || len == SECRET_FILE_MAX) {
        mem_free(text);
        return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "the file in %s_FILE cannot be read or is too large: %s", rule->name, path);
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) len--;
    text[len] = '\0';
    *out_text = text;
    return ERR_OK;
}

static err_t take_text(const setting *rule, char **out_text, fault *out_fault) {
    const char *plain = getenv(rule->name);
    const char *path = NULL;
    if (rule->is_secret) {
        char name[140];
        snprintf(name, sizeof name, "%s_FILE", rule->name);
        path = getenv(name);
    }
    if (plain && path) return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "both %s and %s_FILE are set", rule->name, rule->name);
    if (path) return read_secret(rule, path, out_text, out_fault);
    if (!plain && !rule->fallback) return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "is required and not set");
    *out_text = copy_text(sv_of(plain ? plain : rule->fallback));
    return ERR_OK;
}

static bool has_limits(const setting *rule) { return rule->min != 0 || rule->max != 0; }

static bool is_bool(sv text, int64_t *out_value) {
    static const struct {
        const char *text;
        int value;
    } WORDS[] = {{"1", 1}, {"true", 1}, {"yes", 1}, {"0", 0}, {"false", 0}, {"no", 0}, {"", 0}};
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        if (!sv_equal(text, sv_of(WORDS[i].text))) continue;
        *out_value = WORDS[i].value;
        return true;
    }
    return false;
}

static bool is_address(sv text) {
    if (sv_starts_with(text, SV("unix:/"))) return text.len > 6;
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') colon--;
    int64_t port = 0;
    return colon > 1 && sv_to_i64(sv_skip(text, colon), &port) && port >= 0 && port <= 65535;
}

static bool is_choice(const char *choices, sv text) {
    sv rest = sv_of(choices), word = SV_NONE;
    while (sv_next(&rest, '|', &word))
        if (sv_equal(word, text)) return true;
    return false;
}

// `shown` stands for the value in messages: a secret is never repeated.
static err_t check_text(loaded *self, fault *out_fault) {
    const setting *rule = self->rule;
    sv text = sv_of(self->text);
    const char *shown = rule->is_secret ? "****" : self->text;
    switch (rule->kind) {
        case SETTING_TEXT:
            if (has_limits(rule) && ((int64_t)text.len < rule->min || (int64_t)text.len > rule->max))
                return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "must have %lld to %lld characters, has %zu", (long long)rule->min,
                                 (long long)rule->max, text.len);
            return ERR_OK;
        case SETTING_INT:
            if (!sv_to_i64(text, &self->number))
                return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "\"%.80s\" is not a whole number", shown);
            if (has_limits(rule) && (self->number < rule->min || self->number > rule->max))
                return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "%.80s is not between %lld and %lld", shown, (long long)rule->min,
                                 (long long)rule->max);
            return ERR_OK;
        case SETTING_BOOL:
            if (!is_bool(text, &self->number))
                return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "\"%.80s\" is neither 1, true, yes nor 0, false, no", shown);
            return ERR_OK;
        case SETTING_ADDRESS:
            if (text.len > 0 && !is_address(text))
                return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "\"%.80s\" is neither host:port nor unix:/path", shown);
            return ERR_OK;
        case SETTING_CHOICE:
            if (!is_choice(rule->choices, text))
                return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "\"%.80s\" is not one of %s", shown, rule->choices);
            return ERR_OK;
        case SETTING_PATH:
            if (text.len > 0 && access(self->text, R_OK) != 0)
                return fault_set(out_fault, ERR_BAD_INPUT, rule->name, "\"%.120s\" cannot be read", shown);
            return ERR_OK;
    }
    BUG("kind of setting");
}

err_t settings_load(const setting *const *tables, settings **out_settings, fault *out_fault) {
    settings *self = mem_new(1, sizeof *self);
    for (; *tables; tables++) {
        for (const setting *rule = *tables; rule->name; rule++) {
            loaded item = {.rule = rule};
            err_t err = take_text(rule, &item.text, out_fault);
            if (!err) err = check_text(&item, out_fault);
            if (err) {
                mem_free(item.text);
                settings_free(self);
                return err;
            }
            vec_push(&self->items, item);
        }
    }
    *out_settings = self;
    return ERR_OK;
}

void settings_free(settings *self) {
    if (!self) return;
    for (size_t i = 0; i < self->items.len; i++) {
        explicit_bzero(self->items.items[i].text, strlen(self->items.items[i].text));
        mem_free(self->items.items[i].text);
    }
    vec_done(&self->items);
    mem_free(self);
}

static const loaded *find(const settings *self, const char *name) {
    for (size_t i = 0; i < self->items.len; i++)
        if (strcmp(self->items.items[i].rule->name, name) == 0) return &self->items.items[i];
    BUG(name);
}

const char *settings_text(const settings *self, const char *name) {
    const loaded *item = find(self, name);
    CHECK(item->rule->kind != SETTING_INT && item->rule->kind != SETTING_BOOL);
    return item->text;
}

int64_t settings_int(const settings *self, const char *name) {
    const loaded *item = find(self, name);
    CHECK(item->rule->kind == SETTING_INT);
    return item->number;
}

bool settings_bool(const settings *self, const char *name) {
    const loaded *item = find(self, name);
    CHECK(item->rule->kind == SETTING_BOOL);
    return item->number != 0;
}

void settings_print(const settings *self, buf *out) {
    for (size_t i = 0; i < self->items.len; i++) {
        const loaded *item = &self->items.items[i];
        buf_addf(out, "%s=%s\n", item->rule->name, item->rule->is_secret && item->text[0] ? "****" : item->text);
    }
}

static void describe(const setting *rule, buf *out) {
    buf_addf(out, "  %s\n      %s", rule->name, rule->help);
    if (rule->kind == SETTING_CHOICE) buf_addf(out, " One of %s.", rule->choices);
    if (rule->kind == SETTING_INT && has_limits(rule)) buf_addf(out, " From %lld to %lld.", (long long)rule->min, (long long)rule->max);
    if (rule->is_secret) buf_addf(out, " May come from the file in %s_FILE.", rule->name);
    if (!rule->fallback)
        buf_addf(out, " Required.\n");
    else
        buf_addf(out, " Default: %s\n", rule->fallback[0] ? rule->fallback : "empty");
}

void settings_help(const setting *const *tables, buf *out) {
    for (; *tables; tables++)
        for (const setting *rule = *tables; rule->name; rule++) describe(rule, out);
}
