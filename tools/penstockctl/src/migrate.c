// penstockctl migrate: forward only, one transaction for each file, under one lock. What was applied is remembered with
// its digest, so that an edited, vanished or foreign file is refused before anything runs.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/vec.h"
#include "command.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "database.h"
#include "file.h"

#define MIGRATION_BYTES_MAX (1u << 20)
#define MIGRATIONS_BYTES_MAX (64u << 20)
#define LOCK_WAIT_MS 60000
#define LOCK_TIMEOUT_MS 5000
#define PARTITION_DAYS_BEHIND 1
#define PARTITION_DAYS_AHEAD 14

typedef struct migration {
    int64_t version;
    sv slug;
    sv file;
    sv text;
    uint8_t sha256[CRYPTO_SHA256_LEN];
} migration;

typedef struct migrations {
    VEC(migration) list;  // ascending: version 1, 2, 3, …
    arena *memory;
} migrations;

typedef struct applied {
    size_t count;
    int64_t newest;
} applied;

static bool migrations_read(const char *folder, migrations *out);
static void migrations_done(migrations *self);
static int status_print(db *conn, const migrations *files);
static int migrations_apply(db *conn, const migrations *files);

int ctl_migrate(int argc, char **argv) {
    const char *environment = getenv("PENSTOCK_MIGRATIONS_DIR");
    const char *folder = environment && environment[0] ? environment : "migrations";
    bool is_status = false;
    const ctl_option options[] = {{"--dir", "DIR", "where NNNN_<slug>.sql are (PENSTOCK_MIGRATIONS_DIR, else ./migrations)", &folder, NULL},
                                  {"--status", NULL, "only tell what is applied and what is not", NULL, &is_status},
                                  {0}};
    const ctl_usage usage = {"migrate", NULL,
                             "Applies the files not applied yet, in order, each in one transaction, and makes the partitions of the\n"
                             "coming days. PENSTOCK_DATABASE must name a login that owns the database or is a superuser.\n"
                             "Applied files must be unchanged; a database newer than the files is refused.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;

    __attribute__((cleanup(migrations_done))) migrations files = {.memory = arena_new(MIGRATIONS_BYTES_MAX)};
    if (!migrations_read(folder, &files)) return CTL_BAD_INPUT;
    db_options how;
    if (!ctl_db_options("penstockctl/migrate", &how)) return CTL_BAD_INPUT;
    how.user = NULL;  // the login as given: the roles may not exist yet
    how.statement_timeout_ms = 0;
    how.lock_timeout_ms = is_status ? LOCK_TIMEOUT_MS : LOCK_WAIT_MS;
    how.idle_in_transaction_timeout_ms = 0;
    AUTO_DB conn = NULL;
    if (!ctl_db_open_with(&how, &conn)) return CTL_NO;
    return is_status ? status_print(conn, &files) : migrations_apply(conn, &files);
}

// The files.

static int migration_compare(const void *a, const void *b) {
    return sv_compare(((const migration *)a)->file, ((const migration *)b)->file);
}

// "0012_slug.sql": four digits, then lower-case words.
static bool name_parse(sv name, migration *out) {
    const sv ending = SV(".sql");
    if (name.len < 4 + 1 + 1 + ending.len || name.ptr[4] != '_') return false;
    if (!sv_equal(sv_skip(name, name.len - ending.len), ending)) return false;
    out->version = 0;
    for (size_t i = 0; i < 4; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9') return false;
        out->version = out->version * 10 + (name.ptr[i] - '0');
    }
    out->slug = (sv){name.ptr + 5, name.len - 5 - ending.len};
    for (size_t i = 0; i < out->slug.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", out->slug.ptr[i])) return false;
    out->file = name;
    return true;
}

static bool migrations_are_in_order(const migrations *files) {
    for (size_t i = 0; i < files->list.len; i++) {
        const migration *one = &files->list.items[i];
        int64_t expected = (int64_t)i + 1;
        if (one->version == expected) continue;
        if (i > 0 && one->version == files->list.items[i - 1].version)
            ctl_say("%.*s and %.*s have the same number", SV_ARG(files->list.items[i - 1].file), SV_ARG(one->file));
        else
            ctl_say("%.*s: the file before it should be number %04lld, which is missing", SV_ARG(one->file), (long long)expected);
        return false;
    }
    return true;
}

static bool migrations_read(const char *folder, migrations *out) {
    DIR *dir = opendir(folder);
    if (!dir) {
        ctl_say("%s: %s", folder, strerror(errno));
        return false;
    }
    bool is_good = true;
    for (struct dirent *entry; is_good && (entry = readdir(dir));) {
        sv name = sv_of(entry->d_name);
        if (name.len < 4 || !sv_equal(sv_skip(name, name.len - 4), SV(".sql"))) continue;
        migration one = {0};
        if (!name_parse(arena_copy(out->memory, name), &one)) {
            ctl_say("%s/%s: a migration is named NNNN_<slug>.sql, in lower case", folder, entry->d_name);
            is_good = false;
            break;
        }
        const char *path = arena_printf(out->memory, "%s/%s", folder, entry->d_name);
        is_good = ctl_file_read(path, MIGRATION_BYTES_MAX, out->memory, &one.text);
        if (!is_good) break;
        crypto_sha256(one.text, one.sha256);
        vec_push(&out->list, one);
    }
    closedir(dir);
    if (!is_good) return false;
    if (out->list.len == 0) {
        ctl_say("%s: no migration in this folder", folder);
        return false;
    }
    qsort(out->list.items, out->list.len, sizeof out->list.items[0], migration_compare);
    return migrations_are_in_order(out);
}

static void migrations_done(migrations *self) {
    vec_done(&self->list);
    arena_free(self->memory);
}

// What the database has, compared with the files. Says what does not fit; then nothing may be applied.
static int applied_compare(db *conn, const migrations *files, applied *out) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_SCHEMA_VERSIONS, DB_NO_PARAMS, &rows);
    if (err) return ctl_db_fault(conn, "reading what is applied", err);
    for (size_t i = 0; i < rows.len; i++) {
        int64_t version = db_i64(&rows, i, 0);
        sv slug = db_text(&rows, i, 1);
        if (version != (int64_t)i + 1) {
            ctl_say("the database has migration %04lld without number %04zu before it", (long long)version, i + 1);
            return CTL_NO;
        }
        if (i >= files->list.len) {
            ctl_say("the database is newer than these files: it has %04lld_%.*s, the newest file is %04zu", (long long)version,
                    SV_ARG(slug), files->list.len);
            return CTL_NO;
        }
        const migration *file = &files->list.items[i];
        if (!sv_equal(slug, file->slug)) {
            ctl_say("migration %04lld was applied as '%.*s' but its file is %.*s", (long long)version, SV_ARG(slug), SV_ARG(file->file));
            return CTL_NO;
        }
        if (!sv_equal(db_bytes(&rows, i, 2), sv_slice(file->sha256, sizeof file->sha256))) {
            ctl_say("%.*s was edited after it was applied: write a new migration instead", SV_ARG(file->file));
            return CTL_NO;
        }
    }
    *out = (applied){rows.len, (int64_t)rows.len};
    return CTL_OK;
}

static int status_print(db *conn, const migrations *files) {
    AUTO(db_rows) exists = {0};
    err_t err = db_query_one(conn, &SQL_SCHEMA_EXISTS, DB_NO_PARAMS, &exists);
    if (err) return ctl_db_fault(conn, "reading what is applied", err);
    applied done = {0};
    if (db_bool(&exists, 0, 0)) {
        int end = applied_compare(conn, files, &done);
        if (end != CTL_OK) return end;
    }
    for (size_t i = 0; i < files->list.len; i++)
        printf("%-8s %.*s\n", i < done.count ? "applied" : "waiting", SV_ARG(files->list.items[i].file));
    return done.count == files->list.len ? CTL_OK : CTL_NO;
}

// One file and the line that remembers it, in one transaction.
static err_t migration_apply(db *conn, const migration *one, instant_ms at) {
    AUTO(db_tx) tx = {0};
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_exec(conn, &SQL_MIGRATION_TIME_OUT, DB_NO_PARAMS, NULL);
    if (!err) err = db_exec(conn, &SQL_MIGRATION_HAND_OVER, DB_PARAMS(DB_TEXT(one->text)), NULL);
    if (!err) err = db_exec(conn, &SQL_MIGRATION_RUN, DB_NO_PARAMS, NULL);
    if (!err)
        err = db_exec(conn, &SQL_SCHEMA_VERSION_INSERT,
                      DB_PARAMS(DB_I64(one->version), DB_TEXT(one->slug), DB_BYTES(sv_slice(one->sha256, sizeof one->sha256)), DB_TIME(at)),
                      NULL);
    if (!err) err = db_commit(&tx);
    return err;
}

static int partitions_make(db *conn, instant_ms now) {
    int32_t today = (int32_t)(now / DAY_MS);
    AUTO(db_rows) known = {0};
    err_t err = db_query_one(conn, &SQL_PARTITIONS_KNOWN, DB_NO_PARAMS, &known);
    if (!err && !db_bool(&known, 0, 0)) return CTL_OK;
    AUTO(db_rows) made = {0};
    if (!err)
        err = db_query_one(conn, &SQL_PARTITIONS_MAKE,
                           DB_PARAMS(DB_DATE(today - PARTITION_DAYS_BEHIND), DB_DATE(today + PARTITION_DAYS_AHEAD)), &made);
    return err ? ctl_db_fault(conn, "making partitions", err) : CTL_OK;
}

static int migrations_apply(db *conn, const migrations *files) {
    penstock_clock clock = clock_system();
    err_t err = db_exec(conn, &SQL_SCHEMA_LOCK, DB_NO_PARAMS, NULL);
    if (err) return ctl_db_fault(conn, "waiting for another migration to end", err);
    err = db_exec(conn, &SQL_SCHEMA_PREPARE, DB_NO_PARAMS, NULL);
    if (err) return ctl_db_fault(conn, "preparing penstock.schema_version", err);
    applied done = {0};
    int end = applied_compare(conn, files, &done);
    if (end != CTL_OK) return end;
    for (size_t i = done.count; i < files->list.len; i++) {
        const migration *one = &files->list.items[i];
        err = migration_apply(conn, one, clock_now(&clock));
        if (err) {
            char doing[160];
            snprintf(doing, sizeof doing, "%.*s", SV_ARG(one->file));
            return ctl_db_fault(conn, doing, err);
        }
        printf("applied  %.*s\n", SV_ARG(one->file));
    }
    if (done.count == files->list.len) printf("nothing to apply: the schema is at %04zu\n", files->list.len);
    err = db_exec(conn, &SQL_SCHEMA_VERSION_GIVE, DB_NO_PARAMS, NULL);
    if (err) return ctl_db_fault(conn, "giving penstock.schema_version to its owner", err);
    return partitions_make(conn, clock_now(&clock));
}
