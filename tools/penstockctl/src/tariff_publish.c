// penstockctl tariff publish: a new tariff, or the next immutable version of one.
#include <stdio.h>

#include "base/clock.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "json/json_writer.h"
#include "tariff_store.h"

#define DETAIL_BYTES_MAX 4096

typedef struct publish_request {
    const char *company;
    const char *file;
    const char *name;  // NULL: the code
    bool retroactive;
} publish_request;

static int publish(const publish_request *request);

int ctl_tariff_publish(int argc, char **argv) {
    publish_request request = {0};
    const ctl_option options[] = {
        {"--company", "CODE", "whose tariff it is", &request.company, NULL},
        {"--file", "T.json", "the tariff document (\"-\": stdin)", &request.file, NULL},
        {"--name", "NAME", "of a new tariff; without it, its code", &request.name, NULL},
        {"--retroactive", NULL, "allow it to take effect in the past, or before the newest version", NULL, &request.retroactive},
        {0}};
    const ctl_usage usage = {"tariff publish", NULL,
                             "Creates the tariff of the document's code, or adds its next version, which never changes again. A later\n"
                             "version keeps utility, currency and time zone. What was charged already stays as it was charged.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (request.company && request.file) return publish(&request);
    ctl_say("tariff publish: --company and --file are needed");
    return CTL_BAD_INPUT;
}

typedef struct publishing {
    db *conn;
    int32_t company;
    const tariff_text *text;
    const publish_request *request;
    tariff_known known;
    sv sha256;
    instant_ms now;
} publishing;

static err_t write_audit(const publishing *self, uuid id, int64_t version) {
    AUTO(buf) detail;
    buf_init(&detail, DETAIL_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &detail);
    json_open_object(&out);
    json_put_text(&out, "code", self->text->code);
    json_put_integer(&out, "version", version);
    json_put_instant(&out, "effective_from", self->text->effective_from, 0);
    json_put_boolean(&out, "retroactive", self->request->retroactive);
    json_close_object(&out);
    if (buf_has_failed(&detail)) return ERR_TOO_LARGE;
    return db_exec(self->conn, &SQL_TARIFF_AUDIT,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_CSTR("tariff_publish"), DB_UUID(id), DB_TEXT(buf_view(&detail))),
                   NULL);
}

static err_t write_version(const publishing *self) {
    uuid id = self->known.id;
    int64_t num = self->known.num, version = self->known.version + 1;
    err_t err = ERR_OK;
    if (num == 0) {
        AUTO(db_rows) row = {0};
        sv name = self->request->name ? sv_of(self->request->name) : self->text->code;
        id = uuid_v7_now();
        err = db_query_one(
            self->conn, &SQL_TARIFF_INSERT,
            DB_PARAMS(DB_I32(self->company), DB_UUID(id), DB_TEXT(self->text->code), DB_TEXT(name), DB_TEXT(self->text->utility)), &row);
        if (!err) num = db_i64(&row, 0, 0);
    }
    if (!err)
        err = db_exec(self->conn, &SQL_TARIFF_VERSION_INSERT,
                      DB_PARAMS(DB_I32(self->company), DB_UUID(uuid_v7_now()), DB_I64(num), DB_I64(version),
                                DB_TIME(self->text->effective_from), DB_TEXT(self->text->json), DB_BYTES(self->sha256), DB_TIME(self->now)),
                      NULL);
    return err ? err : write_audit(self, id, version);
}

static int publish(const publish_request *request) {
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO(tariff_text) text = {0};
    int end = tariff_text_read_file(request->file, zones, memory, &text);
    if (end != CTL_OK) return end;
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(text.json, digest);
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/tariff", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    publishing self = {.conn = conn, .text = &text, .request = request, .sha256 = sv_slice(digest, sizeof digest)};
    err_t err = db_begin(conn, &tx);
    if (err) return ctl_db_fault(conn, "publishing the tariff", err);
    end = tariff_company(conn, request->company, true, &self.company);
    if (end != CTL_OK) return end;
    penstock_clock clock = clock_system();
    self.now = clock_now(&clock);
    err = tariff_find(conn, self.company, text.code, self.sha256, memory, &self.known);
    char reason[TARIFF_REASON_MAX];
    if (!err && tariff_is_refused(&self.known, &text, zones, memory, self.now, request->retroactive, reason)) {
        ctl_say("%s: %s", request->file, reason);
        return CTL_NO;
    }
    if (!err && self.known.num && request->name) {
        ctl_say("--name: the tariff %.*s has its name", SV_ARG(text.code));
        return CTL_BAD_INPUT;
    }
    if (!err) err = write_version(&self);
    if (!err) err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "publishing the tariff", err);
    printf("%.*s version %lld, from %s\n", SV_ARG(text.code), (long long)self.known.version + 1,
           tariff_time(memory, tariff_zone(tariff_document_tariff(text.document)), text.effective_from));
    return CTL_OK;
}
