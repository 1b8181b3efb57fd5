#include "documents/zone_files.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/vec.h"

#define ZONE_BYTES_MAX (256 * 1024)

struct zone_set {
    pthread_mutex_t lock;
    char folder[256];
    VEC(zone *) zones;
};

zone_set *zone_set_new(sv folder) {
    zone_set *self = mem_new(1, sizeof *self);
    CHECK(folder.len < sizeof self->folder);
    sv_copy_truncated(folder, self->folder, sizeof self->folder);
    pthread_mutex_init(&self->lock, NULL);
    return self;
}

void zone_set_free(zone_set *self) {
    if (!self) return;
    for (size_t i = 0; i < self->zones.len; i++) zone_free(self->zones.items[i]);
    vec_done(&self->zones);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

void zone_set_free_variable(zone_set **self) { zone_set_free(*self); }

// Parts of letters, digits, '_', '-' and '+', joined by '/': no part can leave the folder.
static bool is_zone_name(sv name) {
    if (name.len == 0 || name.len >= ZONE_NAME_MAX) return false;
    bool at_part_start = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_inner = (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
        if (c == '/' ? at_part_start : !is_letter && (at_part_start || !is_inner)) return false;
        at_part_start = c == '/';
    }
    return !at_part_start;
}

static err_t load(const zone_set *self, sv name, zone **out_zone, fault *out_fault) {
    char place[ZONE_NAME_MAX];
    char path[sizeof self->folder + ZONE_NAME_MAX + 2];
    sv_copy_truncated(name, place, sizeof place);
    snprintf(path, sizeof path, "%s/%s", self->folder, place);
    FILE *file = fopen(path, "rbe");
    if (!file) return fault_set(out_fault, ERR_NOT_FOUND, place, "no such time zone");
    AUTO_MEM char *bytes = mem_new(1, ZONE_BYTES_MAX);
    size_t len = fread(bytes, 1, ZONE_BYTES_MAX, file);
    fclose(file);
    if (len == 0) return fault_set(out_fault, ERR_NOT_FOUND, place, "no such time zone");
    return zone_new(name, (sv){bytes, len}, out_zone, out_fault);
}

static err_t find_locked(zone_set *self, sv name, const zone **out_zone, fault *out_fault) {
    for (size_t i = 0; i < self->zones.len; i++) {
        if (!sv_equal(zone_name(self->zones.items[i]), name)) continue;
        *out_zone = self->zones.items[i];
        return ERR_OK;
    }
    zone *loaded = NULL;
    err_t err = load(self, name, &loaded, out_fault);
    if (err) return err;
    vec_push(&self->zones, loaded);
    *out_zone = loaded;
    return ERR_OK;
}

err_t zone_set_find(zone_set *self, sv name, const zone **out_zone, fault *out_fault) {
    if (!is_zone_name(name)) return fault_set(out_fault, ERR_BAD_INPUT, "time zone", "not the name of a time zone");
    pthread_mutex_lock(&self->lock);
    err_t err = find_locked(self, name, out_zone, out_fault);
    pthread_mutex_unlock(&self->lock);
    return err;
}
